"""The daemon as people start it, in processes of its own: one for each user, found by its verbs, however it ended."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.users import PATIENCE, User, wait
from vbgcam.camera.demo import PLATE
from vbgcam.media import images

BROWSER = '#!/bin/sh\necho "$1" >> {file}\n'


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def test_the_verbs_reach_the_running_program_and_end_it(user: User) -> None:
    with user.running() as daemon:
        assert user.says("background", "#c02020") == "background: #c02020"
        assert json.loads(user.says("status", "--json"))["settings"]["background"]["show"] == "#c02020"
        assert user.says("blur", "0.7") == "background: blur 0.7"
        assert user.says("mirror", "on") == "output.mirror = on"
        assert user.says("preset", "fast") == "mask.preset = fast"
        assert user.says("set", "background.light_wrap=0.25", "mask.edges=off") == (
            "background.light_wrap = 0.25, mask.edges = off"
        )
        assert user.says("model", "chroma") == "model: chroma:#00b140"
        assert user.says("toggle").startswith("paused")
        assert user.says("status").startswith("paused\n")
        assert user.says("resume") == "resumed"
        picture = user.folder / "seen.png"
        assert str(picture) in user.says("snapshot", "-o", str(picture))
        assert images.read(picture).rgb.shape == (240, 320, 3)
        assert user.says("panel", "--print").startswith("http://127.0.0.1:")
        assert "vbgcam" in user.run("status", "--watch", "--help").stdout
        assert user.says("quit") == "vbgcam ends"
        assert daemon.ends() == 0


def test_at_the_first_start_there_are_backgrounds_to_choose_from(user: User) -> None:
    (user.folder / "data_home/vbgcam/backgrounds").rmdir()
    with user.running():
        assert user.says("background", "list").splitlines()[:2] == ["  Bright studio", "  City lights"]


def test_a_room_that_is_visible_is_said_everywhere_and_hidden_with_one_command(user: User) -> None:
    desktop, notice = user.desktop(), user.folder / "notice"
    notifier = user.folder / "bin" / "notify-send"
    notifier.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {notice}.part\nmv {notice}.part {notice}\n')
    notifier.chmod(0o755)
    with user.running(env=desktop) as daemon:
        assert user.says("background", "#c02020") == "background: #c02020"
        assert user.says("background", "none") == "background: none (room visible)"
        wait(lambda: "on air: your room is visible" in daemon.log(), "the log says it")
        wait(notice.exists, "the desktop says it")
        assert notice.read_text().endswith("VBG Camera: Your room is visible Choose a background to hide it.\n")
        assert user.says("status").startswith("on air: your room is visible\n")
        assert json.loads(user.says("status", "--json"))["room_shown"] is True
        assert user.says("background", "last") == "background: #c02020"
        wait(lambda: user.says("status").startswith("on air\n"), "hidden")
        assert json.loads(user.says("status", "--json"))["room_shown"] is False


def test_a_picture_of_the_folder_is_called_by_its_name(user: User) -> None:
    folder = user.folder / "data_home/vbgcam/backgrounds"
    shutil.copy(PLATE, folder / "late_summer.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with user.running():
        listed = user.says("background", "list").splitlines()
        assert listed[0].startswith("  broken   broken: ")
        assert "  late summer" in listed
        assert user.says("background", "late summer") == "background: late summer"
        assert "* late summer" in user.says("background", "list")
        assert "does not exist" in user.refused("background", "early summer")
        # A path is one from where the person stands.
        relative = subprocess.run(
            [sys.executable, "-m", "vbgcam", "background", "late_summer.jpg"],
            cwd=folder,
            env={**user.env, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert relative.stdout == "background: late summer\n", relative.stderr


def test_a_second_start_says_that_there_is_one_and_changes_nothing(user: User) -> None:
    with user.running() as daemon:
        said = user.refused(*user.start)
        assert said == (
            f"vbgcam: vbgcam runs already (process {daemon.process.pid}); "
            "`vbgcam status` says how it is, `vbgcam quit` ends it"
        )
        wait(lambda: user.says("status").startswith("on air"), "on air")


def test_without_a_running_program_each_verb_says_how_to_start_it(user: User) -> None:
    for verb in (["status"], ["background", "next"], ["pause"], ["quit"], ["panel"], ["snapshot"], ["tray"]):
        assert user.refused(*verb) == "vbgcam: vbgcam is not running; `vbgcam run` starts it"


def test_a_program_that_was_killed_is_not_running_and_the_next_one_goes_on_where_it_was(user: User) -> None:
    with user.running() as daemon:
        user.says("background", "#c02020")
        user.says("pause")
        daemon.process.send_signal(signal.SIGKILL)
        daemon.ends()
        said = user.refused("status")
        assert said.startswith("vbgcam: vbgcam is not running")
        assert "force" in said
    with user.running(until="paused"):
        status = json.loads(user.says("status", "--json"))
        assert status["paused"]
        assert status["settings"]["background"]["show"] == "#c02020"
        user.says("quit")


def test_what_was_chosen_is_there_the_next_time_and_a_pause_is_not(user: User) -> None:
    with user.running() as daemon:
        user.says("background", "#c02020")
        user.says("pause")
        user.says("quit")
        assert daemon.ends() == 0
    with user.running():
        status = json.loads(user.says("status", "--json"))
        assert not status["paused"]
        assert status["settings"]["background"]["show"] == "#c02020"


def test_a_chosen_picture_that_is_gone_the_next_time_is_a_colour_and_one_that_was_named_is_an_error(user: User) -> None:
    picture = Path(shutil.copy(PLATE, user.folder / "gone.jpg"))
    with user.running() as daemon:
        user.says("background", str(picture))
        user.says("quit")
        assert daemon.ends() == 0
    picture.unlink()
    with user.running() as daemon:
        assert "gone.jpg" in daemon.log()
        user.says("quit")
    assert "gone.jpg" in user.refused(*user.start, "--background", str(picture))


def test_a_terminated_one_says_goodbye(user: User) -> None:
    with user.running() as daemon:
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.ends() == 0
    assert user.refused("status") == "vbgcam: vbgcam is not running; `vbgcam run` starts it"


def test_a_pause_outlives_a_run_that_failed_and_not_one_that_was_ended(user: User) -> None:
    """What fails is started again by a service manager: who has paused must not be on air then."""
    state = user.folder / "state_home/vbgcam/state.json"
    state.parent.mkdir()
    state.write_text('{"paused": true}')
    assert user.run(*user.start, "--model", "onnx:/no.onnx").returncode == 1
    assert json.loads(state.read_text())["paused"]
    with user.running(until="paused") as daemon:
        user.says("quit")
        assert daemon.ends() == 0
    assert not json.loads(state.read_text())["paused"]


def test_the_panel_opens_once_at_the_first_start_on_a_desktop(user: User) -> None:
    opened = user.folder / "opened"
    desktop = user.desktop(opens=f'echo "$1" >> {opened}')
    with user.running(env=desktop):
        wait(opened.exists, "the panel")
        address = opened.read_text()
        assert address.startswith("http://127.0.0.1:")
        assert not json.loads(user.says("status", "--json"))["welcomed"]
        user.says("quit")
    (user.folder / "state_home/vbgcam/state.json").write_text('{"welcomed": true}')
    with user.running(env=desktop):
        assert json.loads(user.says("status", "--json"))["welcomed"]
        user.says("quit")
    assert opened.read_text() == address


def test_on_a_desktop_what_is_missing_is_waited_for_and_said(user: User) -> None:
    """No camera, no virtual camera, no background, no network: the panel helps with each."""
    desktop = user.desktop()
    words = [
        "--sink",
        "virtualcam:vbgcam test that is nowhere",
        "--source",
        "camera:nowhere",
        "--background",
        "/no.png",
    ]
    with user.running(*words, env=desktop, until="trying again"):
        wait(lambda: user.run("status").returncode == 0, "an answer")
        assert json.loads(user.says("status", "--json"))["state"] == "no output"
        wait(lambda: bool(json.loads(user.says("status", "--json"))["troubles"]), "troubles")
        assert user.says("camera", "demo") == "camera.source = demo"
        user.says("quit")
    alone = ["run", "--no-tray", *words]
    assert user.run(*alone).returncode == 1


def test_a_network_that_cannot_be_had_leaves_the_cover_where_another_one_can_be_chosen(user: User) -> None:
    with user.running("--model", "onnx:/no.onnx", env=user.desktop(), until="another network"):
        wait(lambda: user.run("status").returncode == 0, "an answer")
        assert json.loads(user.says("status", "--json"))["state"] == "covered"
        assert user.says("model", f"plate:{user.plate}").startswith("model: plate")
        wait(lambda: json.loads(user.says("status", "--json"))["state"] == "on air", "the picture")


def test_a_verb_starts_without_what_a_hotkey_would_wait_for(user: User) -> None:
    script = (
        "import sys; from vbgcam.cli.main import main; main(['status']); "
        "print(sorted({'torch', 'cv2', 'numpy', 'aiohttp', 'pydantic', 'av', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=user.env, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
