"""`vbgcam doctor` as a whole: what is worth a note alone, checks that fail themselves, what is shown."""

import errno
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("most of what is looked at is Linux's", allow_module_level=True)

from tests.support.machines import World, device, first, healthy, nvidia, smi, the
from vbgcam.cli.main import main
from vbgcam.core.errors import ModelError
from vbgcam.doctor.examine import examine
from vbgcam.doctor.machine import CommandResult, Machine
from vbgcam.doctor.verb import show
from vbgcam.system.v4l2 import CAP_CAPTURE, Holder

PIPEWIRE = "pipewire\nCompiled with libpipewire {0}\nLinked with libpipewire {0}"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return healthy(tmp_path, monkeypatch)


def test_pipewire_is_worth_a_note(world: World) -> None:
    """The kernel module's camera does without it."""
    world.answer("pipewire --version", PIPEWIRE.format("0.3.48"))
    assert "0.3.48 is older than 0.3.65" in the(world.examine(), "PipeWire").found
    world.answer("pipewire --version", PIPEWIRE.format("1.4.2"))
    world.remove("proc/77/comm")
    assert the(world.examine(), "PipeWire").fix == "systemctl --user enable --now wireplumber.service"
    world.remove("run/user/1000/pipewire-0")
    assert "does not run in this session" in the(world.examine(), "PipeWire").found
    world.answer("pipewire --version", "", None)
    found = world.examine()
    assert the(found, "PipeWire").fix == "sudo apt install pipewire wireplumber"
    assert found.wrong == 0


def test_pipewire_is_needed_where_the_picture_goes_there(world: World) -> None:
    world.settings('[output]\nsink = "pipewire"\n')
    assert world.examine().wrong == 0
    world.unload()
    found = world.examine()
    assert first(found) == (
        "PipeWire",
        "1.4.2 is installed but does not run in this session",
        "systemctl --user enable --now pipewire.socket wireplumber.service",
    )
    assert the(found, "virtual camera").state == "note"
    world.answer("pipewire --version", "", None)
    assert first(world.examine())[2] == "sudo apt install pipewire wireplumber"


def test_auto_without_the_module_does_with_pipewire(world: World) -> None:
    world.unbuilt()
    assert first(world.examine())[0] == "kernel module"
    world.write("run/user/1000/pipewire-0")
    found = world.examine()
    assert found.wrong == 0
    assert the(found, "kernel module").state == "note"
    world.remove("proc/77/comm")
    assert "without a session manager" in first(world.examine())[1]


def test_a_browser_that_does_not_ask_pipewire_is_noted_where_the_picture_goes_there(world: World) -> None:
    world.write("home/.config/chromium/Local State", "{}")
    world.settings('[output]\nsink = "both"\n')
    said = the(world.examine(), "browser")
    assert (said.state, said.fix) == ("note", "switch chrome://flags/#enable-webrtc-pipewire-camera on")


def test_a_browser_that_asks_a_pipewire_that_does_not_run_lists_no_cameras(world: World) -> None:
    world.write("home/.mozilla/firefox/a.default/prefs.js", 'user_pref("media.webrtc.camera.allow-pipewire", true);\n')
    world.write("home/.config/chromium/Local State", "{}")
    browsers = [check.found for check in world.examine().checks if check.name == "browser"]
    assert browsers[0].startswith("Chromium looks for cameras in /dev")
    assert browsers[1] == "Firefox asks PipeWire for cameras"
    world.remove("run/user/1000/pipewire-0")
    asks = [check for check in world.examine().checks if check.name == "browser"][1]
    assert (asks.state, "it will list none" in asks.found) == ("note", True)


def test_without_a_portal_and_without_a_bus_there_are_notes(world: World) -> None:
    world.answer("busctl --user call org.freedesktop.DBus", "", None)
    found = world.examine()
    assert the(found, "portal").fix.startswith("sudo apt install xdg-desktop-portal")
    assert the(found, "tray host").found == "the session bus cannot be asked"
    world.answer("gdbus call --session", "(true,)")
    assert the(world.examine(), "tray host").state == "ok"
    world.change(env={})
    assert the(world.examine(), "tray host").found.startswith("no desktop session")


def test_a_running_vbgcam_is_nothing_to_fix(world: World) -> None:
    world.write("proc/80/cmdline", b"/x/python\0-m\0vbgcam\0run\0")
    ours = Holder(80, "python", write_only=True)
    world.change(
        loopbacks=lambda: [device("VBG Camera", CAP_CAPTURE, ours)],
        holders=lambda _path: (ours,),
        camera_in_use=lambda _camera: pytest.fail("it is ours, and need not be asked"),
    )
    found = world.examine()
    assert found.wrong == 0, first(found)
    assert "fed by vbgcam itself, which is running (pid 80)" in the(found, "in use").found
    assert "films for vbgcam" in the(found, "camera use").found


def test_what_the_settings_do_not_use_need_not_be_fixed(world: World) -> None:
    world.settings('[output]\nsink = "null"\n[camera]\nsource = "demo"\n[model]\nname = "chroma"\n')
    world.unbuilt()
    world.change(cameras=list)
    found = world.examine()
    assert found.wrong == 0, first(found)
    assert the(found, "kernel module").state == "note"
    assert the(found, "weights").found == "none are needed for chroma"


def test_a_gpu_is_used_or_it_is_said_why_not(world: World) -> None:
    nvidia(world, "auto")
    assert (the(world.examine(), "GPU").state, world.examine().wrong) == ("note", 0)
    smi(world)
    world.change(torch_cuda=lambda: "12.8", device=lambda _asked: "cuda")
    found = world.examine()
    assert the(found, "GPU").found == "RTX 3060, driver 550.163; torch for CUDA 12.8"
    assert "fcn_resnet101" in the(found, "weights").found
    world.change(device=lambda _asked: "cpu")
    assert "does not see it" in the(world.examine(), "GPU").found

    def refused(_asked: str) -> str:
        raise ModelError("the network cannot run on cuda", fix="set model.device")

    world.change(device=refused)
    assert first(world.examine()) == ("GPU", "the network cannot run on cuda", "set model.device")


def test_there_must_be_room_for_the_weights(world: World) -> None:
    world.settings('[model]\nname = "fcn_resnet101"\n')
    world.change(free_bytes=lambda _folder: 10**8)
    assert first(world.examine())[:2] == (
        "weights",
        "no room for the weights of fcn_resnet101: 218 MB are needed, 100 MB are free",
    )


def test_a_check_that_fails_itself_says_so_and_the_others_go_on(world: World) -> None:
    def strange(*_: object) -> list[object]:
        raise OSError(errno.EIO, "Input/output error")

    world.change(loopbacks=strange, cameras=strange, free_bytes=strange)
    found = world.examine()
    assert "could not be looked at: OSError: [Errno 5] Input/output error" in the(found, "virtual camera").found
    assert "Input/output error" in the(found, "camera").found
    assert the(found, "disk").state == "wrong"
    assert the(found, "PipeWire").state == "ok"


def test_on_windows_and_macos_there_is_no_talk_of_kernel_modules(world: World) -> None:
    for system in ("win32", "darwin"):
        world.change(system=system)
        names = [check.name for check in world.examine().checks]
        assert "kernel module" not in names
        assert "virtual camera" in names
        assert "PipeWire" not in names


def test_a_command_that_is_missing_fails_or_hangs_has_said_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Machine().run
    assert run("no-such-program-anywhere") == CommandResult(None)
    assert run("sh", "-c", "echo no; exit 3") == CommandResult(3, "no")
    assert run("sh", "-c", "echo yes") == CommandResult(0, "yes")
    monkeypatch.setattr("vbgcam.doctor.machine._PATIENCE", 0.05)
    assert run("sh", "-c", "exec sleep 60") == CommandResult(None, late=True)


def test_a_session_bus_that_hangs_is_asked_once(world: World) -> None:
    asked = []

    def hangs(*command: str) -> CommandResult:
        asked.append(command[0])
        return CommandResult(None, late=True)

    world.change(run=hangs)
    assert world.machine.bus_has("org.kde.StatusNotifierWatcher") is None
    assert asked == ["busctl"]


@pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="no dbus-daemon here")
def test_a_real_session_bus_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"unix:path={tmp_path}/bus"
    command = ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address", f"--address={address}"]
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bus:
        assert bus.stdout is not None
        assert bus.stdout.readline().startswith(address)
        assert Machine().bus_has("org.freedesktop.DBus") is True
        assert Machine().bus_has("org.kde.StatusNotifierWatcher") is False
        bus.terminate()


def test_a_module_that_does_not_say_its_version_is_asked_by_its_file(world: World) -> None:
    world.remove("sys/module/v4l2loopback/version")
    assert the(world.examine(), "module version").found == "the module does not say"
    world.answer("modinfo -F version", "0.12.7")
    assert the(world.examine(), "module version").found.startswith("0.12.7: from 0.13 on")


def test_a_home_that_is_closed_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    home = world.machine.home
    home.mkdir(exist_ok=True)
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != home)
    assert first(world.examine()) == ("disk", f"you may not write to {home}", f'sudo chown -R "$USER": {home}')


def test_what_is_shown_fits_and_no_command_is_folded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.unbuilt()
    found = world.examine()
    stream = io.StringIO()
    show(found, stream)
    text = stream.getvalue()
    fix = the(found, "kernel module").fix
    assert f"     {fix}\n" in text
    assert text.index("To fix") < text.index("Worth a look")
    monkeypatch.setitem(sys.modules, "rich.console", None)
    plain = io.StringIO()
    show(found, plain)
    assert f"fix: {fix}\n" in plain.getvalue()


def test_a_fix_calls_this_program_as_the_person_can(world: World) -> None:
    found = examine(world.machine, command=".venv/bin/vbgcam")
    assert the(found, "weights").fix.startswith(".venv/bin/vbgcam models fetch ")


def test_the_verb_on_this_machine(world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    code = main(["doctor", "--json", "--report", str(report)])
    said = capsys.readouterr()
    data = json.loads(said.out)
    assert code == (1 if data["wrong"] else 0)
    assert sum(check["state"] == "wrong" for check in data["checks"]) == data["wrong"]
    assert {tuple(check) for check in data["checks"]} == {("name", "state", "found", "fix")}
    assert said.err == f"vbgcam: {report}: look through it, then attach it to the issue\n"
    assert report.read_text().startswith("vbgcam ")
    assert main(["doctor", "--report", str(tmp_path / "nowhere/report.txt")]) == 1
    assert "the report could not be written" in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["numpy", "cv2", "pydantic", "rich", "platformdirs", "pyvirtualcam"])
def test_a_broken_library_is_named_and_is_no_traceback(world: World, broken: str) -> None:
    del world
    script = f"import sys\nsys.modules[{broken!r}] = None\nfrom vbgcam.cli.main import main\nsys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "cannot be imported" in done.stdout
    assert done.stderr == ""


def test_torchs_cuda_is_read_without_importing_it() -> None:
    script = (
        "import sys\nfrom vbgcam.doctor.machine import Machine\nprint(repr(Machine().torch_cuda()))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    import torch

    assert done.stdout == f"{torch.version.cuda!r}\nFalse\n"
