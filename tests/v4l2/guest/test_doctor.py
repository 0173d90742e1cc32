"""`vbgcam doctor` on the real kernel: what is broken there is the first thing that it names."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.machines import first, the
from tests.v4l2.guest.support.kernel import (
    CAMERA,
    PLAIN_PRODUCER,
    VIVID,
    another_program,
    captures,
    load_loopback,
    mode,
    nobody,
    sh,
    unload_loopback,
    until,
    vivid,
    vivid_unplugged,
)
from tests.v4l2.guest.support.readers import another_reader
from vbgcam.doctor.examine import Examination, examine
from vbgcam.doctor.machine import Machine
from vbgcam.output.loopback import LOAD, RELOAD


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that every user may write to."""
    folder = tmp_path_factory.mktemp("home")
    for place in (folder, *folder.parents[:2]):
        place.chmod(0o777)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(folder))
    return folder


def doctor() -> Examination:
    """Without a desktop, and as if the host of this guest were no container."""
    return examine(Machine(env={}))


def kernels(fix: str) -> str:
    """A command about the kernel, without the words that stand before it where the bench's host is a container."""
    return fix.removeprefix("outside this container: ")


def test_where_all_is_well_nothing_needs_fixing(camera: Path) -> None:
    found = doctor()
    assert found.wrong == 0, first(found)
    assert the(found, "kernel module").found == "v4l2loopback is loaded"
    assert the(found, "virtual camera").found == f"VBG Camera ({camera})"
    assert the(found, "label").state == the(found, "exclusive_caps").state == the(found, "permission").state == "ok"
    assert the(found, "camera").found.startswith(f'"{VIVID}" ({vivid()}): ')
    assert the(found, "camera use").found == f'"{VIVID}" ({vivid()}) is free'


def test_an_unloaded_module_and_the_command_that_loads_it() -> None:
    unload_loopback()
    name, found, fix = first(doctor())
    assert (name, found) == ("virtual camera", "the kernel module v4l2loopback is not loaded")
    assert kernels(fix) == LOAD
    sh(*shlex.split(LOAD.removeprefix("sudo ")))
    until(CAMERA.exists, "the device appears")
    assert doctor().wrong == 0


def test_a_device_that_is_closed_to_its_group_and_one_whose_group_one_is_not_in(camera: Path) -> None:
    camera.chmod(0o600)
    with nobody():
        found = doctor()
    name, text, fix = first(found)
    assert name == "permission", found
    assert f"{camera} (crw------- root) is closed to its group" in text
    for command in fix.split(" && ")[:2]:
        sh(*shlex.split(command.removeprefix("sudo ")))
    with nobody():
        found = doctor()
    name, text, fix = first(found)
    assert (name, fix) == ("permission", "sudo usermod -aG video $USER, then log in again")
    assert "you are not in the group video" in text
    assert the(found, "exclusive_caps").state == "ok"


def test_a_device_that_another_program_feeds(camera: Path) -> None:
    with another_program(sys.executable, "-c", PLAIN_PRODUCER.format(frames=10_000)) as process:
        until(captures, "the other producer is on air")
        name, text, fix = first(doctor())
        assert name == "in use"
        assert f"VBG Camera ({camera}) is in use by python" in text
        assert fix == f"end that program: kill {process.pid}"
    # pyvirtualcam leaves 0.12.7 without a writer for ever; vbgcam revives it.
    found = doctor()
    assert found.wrong == 0, first(found)
    assert "revives it" in the(found, "in use").found


def test_a_device_of_another_label() -> None:
    load_loopback("video_nr=10", "exclusive_caps=1", "card_label=Dummy")
    assert first(doctor()) == (
        "label",
        f'no virtual camera is named "VBG Camera"; there is "Dummy" ({CAMERA})',
        RELOAD,
    )


def test_exclusive_caps_0_idle_and_while_it_is_fed() -> None:
    load_loopback("video_nr=10", "exclusive_caps=0", "card_label=VBG Camera")
    name, text, fix = first(doctor())
    assert (name, fix) == ("exclusive_caps", RELOAD)
    assert text == f"{CAMERA} was made with exclusive_caps=0: Chrome, Zoom and Teams will not list it"
    with another_program(sys.executable, "-c", PLAIN_PRODUCER.format(frames=10_000)) as process:
        until(lambda: bool(Machine().holders(CAMERA)), "the other producer has opened it")
        name, _, fix = first(doctor())
        assert name == "exclusive_caps"
        assert fix.endswith(f"(pid {process.pid}), then {RELOAD}")


def test_a_device_without_its_file(camera: Path) -> None:
    number = os.stat(camera).st_rdev  # noqa: PTH116  # mknod takes it
    camera.unlink()
    try:
        name, text, _ = first(doctor())
        assert name == "virtual camera"
        assert text == f"the kernel has a v4l2loopback device, but {camera} is not here"
    finally:
        sh("mknod", camera, "c", str(os.major(number)), str(os.minor(number)))


def test_no_camera(camera: Path) -> None:
    with vivid_unplugged():
        assert first(doctor())[:2] == ("camera", "no camera is plugged in")


def test_a_camera_that_another_program_films_with(camera: Path) -> None:
    with another_reader(vivid()):
        name, text, fix = first(doctor())
        assert (name, fix) == ("camera use", "close that program or choose another camera")
        assert f'"{VIVID}" ({vivid()}) is busy: ' in text
    assert doctor().wrong == 0


def test_a_camera_that_may_not_be_opened(camera: Path) -> None:
    with mode(vivid(), 0o600), mode(camera, 0o666), nobody():
        name, text, _ = first(doctor())
    assert name == "camera permission"
    assert f"{vivid()} (crw------- root) is closed to its group" in text


def test_a_config_that_is_wrong_comes_before_a_module_that_is_not_loaded(home: Path) -> None:
    (home / "vbgcam").mkdir()
    (home / "vbgcam" / "config.toml").write_text('[output]\nsnik = "auto"\n')
    unload_loopback()
    found = doctor()
    assert first(found)[0] == "config"
    assert "did you mean 'output.sink'?" in first(found)[1]
    assert the(found, "virtual camera").state == "wrong"


def test_the_command_says_so_by_its_status_and_leaves_the_devices_alone(camera: Path, home: Path) -> None:
    report = home / "report.txt"
    command = [sys.executable, "-m", "vbgcam", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, json.loads(done.stdout)["wrong"], done.stderr) == (0, 0, "")
    load_loopback("video_nr=10", "exclusive_caps=0", "card_label=VBG Camera")
    done = subprocess.run([*command, "--report", report], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert [row["name"] for row in json.loads(done.stdout)["checks"] if row["state"] == "wrong"] == ["exclusive_caps"]
    assert "exclusive_caps = N,N" in report.read_text()
    assert not Machine().holders(camera)
