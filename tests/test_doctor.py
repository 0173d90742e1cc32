"""`vbgcam doctor` on made-up machines: in each broken one the first wrong thing is the cause, with its fix."""

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("most of what is looked at is Linux's", allow_module_level=True)

from tests.support.machines import RELEASE, WEBCAM, World, device, first, healthy, nvidia, smi, the
from vbgcam.camera.base import CameraInfo
from vbgcam.core.errors import CameraError
from vbgcam.output.loopback import LOAD, RELOAD
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.engines.devices import DeviceInfo
from vbgcam.system.v4l2 import CAP_CAPTURE, CAP_OUTPUT, Holder

SELFIE = "selfie"
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SHOWS_IT = "nothing shows tray icons here: vbgcam's would be invisible"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return healthy(tmp_path, monkeypatch)


def test_where_all_is_well_nothing_needs_fixing(world: World) -> None:
    found = world.examine()
    assert found.wrong == 0, first(found)
    assert [check for check in found.checks if check.state == "note" and check.name != "weights"] == []
    assert the(found, "weights").fix == f"vbgcam models fetch {SELFIE}"
    assert the(found, "in use").found == "/dev/video10 is free to be fed"


Broken = tuple[Callable[[World], object], str, str, str]


def refuse(world: World, **answers: str) -> World:
    """Secure Boot is on; the module is built, but not loaded."""
    world.unload()
    world.write(SECURE_BOOT, b"\x06\0\0\0\1")
    for command, out in answers.items():
        world.answer(command, out)
    return world


def denied(world: World, mode: int = 0o660, groups: tuple[int, ...] = (1000,), user: str = "ann") -> World:
    world.write("dev/video10", mode=mode)
    return world.change(
        loopbacks=lambda: [device(caps=None, refused=errno.EACCES)], groups=frozenset(groups), user=user
    )


def fails(error: Exception) -> Callable[..., CameraInfo]:
    def camera(*_: object) -> CameraInfo:
        raise error

    return camera


def full_disk(world: World) -> None:
    world.change(free_bytes=lambda _folder: 3_000_000)
    world.unload()


def damaged_weights(world: World) -> None:
    world.write(f"home/.local/share/vbgcam/downloads/{CATALOGUE[SELFIE].file}", "half a file")


def no_tray(world: World) -> None:
    world.answer("busctl --user call org.freedesktop.DBus", "b false")
    world.write("usr/share/dbus-1/services/org.freedesktop.portal.Desktop.service")


BUSY = CameraError('"Webcam" (/dev/video0) is busy: zoom (pid 812) uses it', fix="close that program")
REBUILD = f"sudo apt install linux-headers-$(uname -r) && sudo dkms autoinstall && {LOAD}"
ENROL = 'sudo mokutil --import /var/lib/dkms/mok.pub && sudo reboot, then choose "Enroll MOK"'
TORCH = "-m pip install --force-reinstall torch torchvision"
GROUP = "sudo usermod -aG video $USER, then log in again"

BROKEN: dict[str, Broken] = {
    "a library that cannot be imported": (
        lambda w: w.change(import_error=lambda name: "no module named x" if name == "av" else ""),
        "libraries",
        "av cannot be imported: no module named x",
        "-m pip install --force-reinstall av",
    ),
    "OpenCV without libGL": (
        lambda w: w.change(import_error=lambda name: "libGL.so.1: cannot open" if name == "cv2" else ""),
        "libraries",
        "opencv-python cannot be imported: libGL.so.1",
        "sudo apt install libgl1 libglib2.0-0",
    ),
    "torch of another build": (
        lambda w: w.change(version=lambda name: "2.14.1+cpu" if name == "torch" else "0.29.1"),
        "libraries",
        "not of one build",
        TORCH,
    ),
    "a broken config": (
        lambda w: (w.settings('[camra]\nsource = "demo"\n'), w.unload()),
        "config",
        "there is no section 'camra'; did you mean 'camera'?",
        "${EDITOR:-nano} ",
    ),
    "a full disk": (full_disk, "disk", "the disk is full: 3 MB are left", "du -xhd1"),
    "no module": (
        World.unbuilt,
        "kernel module",
        "is not installed",
        f"sudo apt install v4l2loopback-dkms && {LOAD}",
    ),
    "a module for another kernel": (
        lambda w: (w.unbuilt(), w.write("usr/src/v4l2loopback-0.13.1/dkms.conf")),
        "kernel module",
        f"is installed but not built for the running kernel {RELEASE}",
        REBUILD,
    ),
    "an update without a restart": (
        lambda w: (w.unload(), w.change(release="6.1.0-27-amd64")),
        "kernel module",
        "the running kernel 6.1.0-27-amd64 was replaced by an update",
        "sudo reboot",
    ),
    "Secure Boot and an unsigned module": (
        lambda w: (refuse(w, modinfo=""), w.write("var/lib/dkms/mok.pub")),
        "Secure Boot",
        "keeps v4l2loopback out: it is not signed",
        ENROL,
    ),
    "Secure Boot and a key that is not enrolled": (
        lambda w: (
            refuse(w, modinfo="DKMS key", mokutil="/var/lib/dkms/mok.pub is not enrolled"),
            w.write("var/lib/dkms/mok.pub"),
        ),
        "Secure Boot",
        "the key that it is signed with, /var/lib/dkms/mok.pub, is not enrolled",
        ENROL,
    ),
    "Secure Boot, as the kernel says": (
        lambda w: refuse(w, dmesg="Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown"),
        "Secure Boot",
        "the kernel has turned an unsigned module away",
        "sudo dkms generate_mok && ",
    ),
    "a module that is not loaded": (World.unload, "virtual camera", "is not loaded", LOAD),
    "a module without a device": (
        lambda w: w.change(loopbacks=list),
        "virtual camera",
        "is loaded but has no device",
        RELOAD,
    ),
    "a container without the device": (
        lambda w: (
            w.write("sys/class/video4linux/video11/max_openers"),
            w.write(".dockerenv"),
            w.change(loopbacks=list),
        ),
        "virtual camera",
        "the kernel has a v4l2loopback device, but /dev/video11 is not here",
        "start the container with --device /dev/video11",
    ),
    "another label": (
        lambda w: w.change(loopbacks=lambda: [device("Dummy video device (0x0000)")]),
        "label",
        'no virtual camera is named "VBG Camera"; there is "Dummy video device (0x0000)" (/dev/video10)',
        RELOAD,
    ),
    "another label, with a reader": (
        lambda w: w.change(loopbacks=lambda: [device("Other", CAP_OUTPUT, Holder(900, "zoom"))]),
        "label",
        'there is "Other"',
        f"close zoom (pid 900), then {RELOAD}",
    ),
    "exclusive_caps=0": (
        lambda w: w.write("sys/module/v4l2loopback/parameters/exclusive_caps", "N,N,N\n"),
        "exclusive_caps",
        "Chrome, Zoom and Teams will not list it",
        RELOAD,
    ),
    "exclusive_caps=0 of a device that was added later": (
        lambda w: (
            w.write("sys/module/v4l2loopback/parameters/video_nr", "-1,-1\n"),
            w.change(loopbacks=lambda: [device(caps=CAP_OUTPUT | CAP_CAPTURE)]),
        ),
        "exclusive_caps",
        "exclusive_caps=0",
        RELOAD,
    ),
    "not in the group": (denied, "permission", "you are not in the group video", GROUP),
    "in the group since the login": (
        lambda w: denied(w, user="bob"),
        "permission",
        "you are in the group video, but not in this login yet",
        "log out and in again",
    ),
    "a device without a group": (
        lambda w: denied(w, 0o600),
        "permission",
        "is closed to its group",
        f"sudo chgrp video /dev/video10 && sudo chmod 660 /dev/video10 && {GROUP}",
    ),
    "a container that does not let the device in": (
        lambda w: (denied(w, groups=(os.getegid(),)), w.write(".dockerenv")),
        "permission",
        "is not let into this container",
        "start the container with --device /dev/video10",
    ),
    "a device that something else forbids": (
        lambda w: denied(w, groups=(os.getegid(),)),
        "permission",
        "is refused although you are in the group",
        "getfacl /dev/video10",
    ),
    "another writer": (
        lambda w: w.change(loopbacks=lambda: [device("VBG Camera", CAP_CAPTURE, Holder(80, "obs", write_only=True))]),
        "in use",
        "VBG Camera (/dev/video10) is in use by obs (pid 80)",
        "end that program: kill 80",
    ),
    "no camera": (lambda w: w.change(cameras=list), "camera", "no camera is plugged in", "plug one in"),
    "a webcam without a driver": (
        lambda w: (w.change(cameras=list), w.write("sys/bus/usb/devices/1-2:1.0/bInterfaceClass", "0e\n")),
        "camera",
        "a USB webcam is plugged in, but it has no driver",
        "sudo modprobe uvcvideo",
    ),
    "a camera of another name": (
        lambda w: w.change(camera=fails(CameraError("there is no camera called 'brio'", fix="see the list"))),
        "camera choice",
        "there is no camera called 'brio'",
        "see the list",
    ),
    "a camera without permission": (
        lambda w: (
            w.write("dev/video0", mode=0o660),
            w.change(camera=lambda *_: replace(WEBCAM, problem=errno.EACCES)),
        ),
        "camera permission",
        "you are not in the group video",
        GROUP,
    ),
    "a busy camera": (
        lambda w: w.change(camera_in_use=lambda _camera: BUSY),
        "camera use",
        "is busy: zoom (pid 812) uses it",
        "close that program",
    ),
    "a GPU without a driver": (nvidia, "GPU", "its driver does not run", "sudo apt install nvidia-driver"),
    "torch without CUDA": (
        lambda w: (smi(w), w.change(torch_cuda=lambda: None)),
        "GPU",
        "RTX 3060, driver 550.163, but torch 2.14.1 is built without CUDA",
        TORCH,
    ),
    "a driver that is too old": (smi, "GPU", "it knows CUDA 12, and torch is built for 13.0", "nvidia-driver"),
    "damaged weights": (
        damaged_weights,
        "weights",
        "is not the file it should be: its SHA-256 begins with",
        f"vbgcam models fetch {SELFIE}",
    ),
    "no clean plate": (
        lambda w: w.settings('[model]\nname = "plate"\n'),
        "weights",
        "plate.png is not there",
        "vbgcam plate",
    ),
    "no background": (
        lambda w: w.settings('[background]\nshow = "/nowhere/beach.jpg"\n'),
        "background",
        "/nowhere/beach.jpg",
        "check its name, or set background.show to ",
    ),
    "no tray host": (no_tray, "tray host", SHOWS_IT, "sudo apt install gnome-shell-extension-appindicator"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_first_thing_that_is_wrong_is_the_cause_and_its_fix_is_named(world: World, name: str) -> None:
    break_it, check, found, fix = BROKEN[name]
    break_it(world)
    said = first(world.examine())
    assert said[0] == check, said
    assert found in said[1]
    assert fix in said[2]
    assert "\n" not in "".join(said)


@pytest.mark.parametrize(
    ("release", "module", "tray"),
    [
        (
            {"ID": "ubuntu", "ID_LIKE": "debian"},
            "sudo apt install v4l2loopback-dkms",
            "sudo apt install gnome-shell",
        ),
        ({"ID": "fedora"}, "sudo dnf install akmod-v4l2loopback", "sudo dnf install gnome-shell"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "sudo pacman -S --needed v4l2loopback-dkms", "sudo pacman -S"),
        (
            {"ID": "opensuse-tumbleweed", "ID_LIKE": "opensuse suse"},
            "sudo zypper install v4l2loopback-kmp",
            "sudo zypper",
        ),
        ({"ID": "void"}, "install v4l2loopback with your distribution's package manager", "install gnome-shell"),
        (None, "install v4l2loopback with your distribution's package manager", "install gnome-shell"),
    ],
)
def test_each_distribution_gets_its_own_commands(
    world: World, monkeypatch: pytest.MonkeyPatch, release: dict[str, str] | None, module: str, tray: str
) -> None:
    def read() -> dict[str, str]:
        if release is None:
            raise OSError("no file says it")
        return release

    monkeypatch.setattr("platform.freedesktop_os_release", read)
    world.unbuilt()
    no_tray(world)
    found = world.examine()
    assert module in the(found, "kernel module").fix
    assert the(found, "tray host").fix.startswith(tray)


def test_without_torch_a_torchvision_network_is_wrong_and_the_rest_a_note(world: World) -> None:
    world.change(version={"openvino": "2026.4.1"}.get)
    found = the(world.examine(), "libraries")
    assert (found.state, found.fix.endswith("-m pip install torch torchvision")) == ("note", True)
    assert "torch and torchvision not installed" in found.found
    said = first(world.settings('[model]\nname = "fcn_resnet101"\n').examine())
    assert said[:2] == ("weights", "fcn_resnet101 is made ready with torch, which is not installed")


def test_a_processor_that_is_not_used_is_a_note_with_the_reason(world: World) -> None:
    unused = DeviceInfo("npu", "Intel NPU", (), "its driver is missing", "get it")
    seen = [DeviceInfo("cpu", "a CPU", ("openvino",)), unused]
    found = [check for check in world.change(processors=lambda: seen).examine().checks if check.name == "processors"]
    assert [(check.state, check.found, check.fix) for check in found] == [
        ("ok", "cpu: a CPU", ""),
        ("note", "npu is not used: its driver is missing", "get it"),
    ]
