"""Made-up machines for `vbgcam doctor`: a file system below a folder, answers of commands, devices."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from vbgcam.camera.base import CameraInfo, Mode
from vbgcam.core.frames import Size
from vbgcam.doctor.check import Check
from vbgcam.doctor.examine import Examination, examine
from vbgcam.doctor.machine import CommandResult, Machine
from vbgcam.output.loopback import Loopback
from vbgcam.segment.engines.devices import DeviceInfo
from vbgcam.system.v4l2 import CAP_OUTPUT, Capability, Holder, Node

RELEASE = "6.1.0-28-amd64"
SMI = "| NVIDIA-SMI 550.163  Driver Version: 550.163  CUDA Version: 12.4 |"
WEBCAM = CameraInfo("Webcam", "/dev/video0", "usb-Webcam", "uvcvideo", (Mode("MJPG", Size(1280, 720), (30.0,)),))


def device(label: str = "VBG Camera", caps: int | None = CAP_OUTPUT, *holders: Holder, refused: int = 0) -> Loopback:
    node = Node(Path("/dev/video10"), label)
    capability = None if caps is None else Capability("v4l2 loopback", caps)
    return Loopback(node, capability, refused, holders)


def camera(_target: str, _wanted: object) -> CameraInfo:
    return WEBCAM


@dataclass
class World:
    """A Debian machine on which all is well; tests break it."""

    folder: Path
    machine: Machine
    answers: dict[str, CommandResult]

    def write(self, path: str, text: str | bytes = "", mode: int = 0o644) -> Self:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
        place.chmod(mode)
        return self

    def remove(self, path: str) -> None:
        (self.folder / path).unlink()

    def unload(self) -> Self:
        """Without the module; nor does PipeWire run, which would do in its place."""
        (self.folder / "run/user/1000/pipewire-0").unlink(missing_ok=True)
        for name in ("version", "parameters/video_nr", "parameters/exclusive_caps"):
            self.remove(f"sys/module/v4l2loopback/{name}")
        (self.folder / "sys/module/v4l2loopback/parameters").rmdir()
        (self.folder / "sys/module/v4l2loopback").rmdir()
        self.change(loopbacks=list)
        return self

    def unbuilt(self) -> Self:
        self.unload()
        self.write(f"lib/modules/{RELEASE}/modules.dep", "kernel/videodev.ko:\n")
        return self

    def change(self, **fields: object) -> Self:
        """Values, and what stands for a method."""
        for name, value in fields.items():
            setattr(self.machine, name, value)
        return self

    def settings(self, text: str) -> Self:
        self.write("home/.config/vbgcam/config.toml", text)
        return self

    def answer(self, command: str, out: str, code: int | None = 0) -> Self:
        self.answers[command] = CommandResult(code, out)
        return self

    def examine(self) -> Examination:
        return examine(self.machine)


def healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """With a home of its own, where this process looks for settings and weights, too."""
    home = tmp_path / "home"
    for name, folder in (
        ("HOME", ""),
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_STATE_HOME", ".local/state"),
        ("TORCH_HOME", ".cache/torch"),
    ):
        monkeypatch.setenv(name, str(home / folder))
    answers: dict[str, CommandResult] = {}

    def said(*command: str) -> CommandResult:
        """The longest beginning of the command that there is an answer for."""
        text = " ".join(command)
        known = [start for start in answers if text.startswith(start)]
        return answers[max(known, key=len)] if known else CommandResult(None)

    machine = Machine(
        root=tmp_path,
        system="linux",
        release=RELEASE,
        env={"XDG_RUNTIME_DIR": "/run/user/1000", "WAYLAND_DISPLAY": "wayland-0", "XDG_CURRENT_DESKTOP": "GNOME"},
        home=home,
        user="ann",
        groups=frozenset((1000,)),
    )
    world = World(tmp_path, machine, answers).change(
        run=said,
        version={"torch": "2.14.1", "torchvision": "0.29.1", "openvino": "2026.4.1"}.get,
        import_error=lambda _module: "",
        torch_cuda=lambda: "13.0",
        free_bytes=lambda _folder: 10**10,
        loopbacks=lambda: [device()],
        cameras=lambda: [WEBCAM],
        camera=camera,
        camera_in_use=lambda _camera: None,
        holders=lambda _path: (),
        device=lambda _asked: "cpu",
        processors=lambda: [DeviceInfo("cpu", "a CPU", ("openvino",))],
    )
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "debian"})
    world.write("etc/group", f"video:x:{os.getegid()}:bob\nother:x:{os.getegid() + 1}:\n")
    world.write("dev/video10", mode=0o660)
    world.write(f"lib/modules/{RELEASE}/modules.dep", "updates/dkms/v4l2loopback.ko: kernel/videodev.ko\n")
    world.write("sys/module/v4l2loopback/version", "0.13.1\n")
    world.write("sys/module/v4l2loopback/parameters/video_nr", "10,-1,-1\n")
    world.write("sys/module/v4l2loopback/parameters/exclusive_caps", "Y,N,N\n")
    world.write("run/user/1000/pipewire-0")
    world.write("proc/77/comm", "wireplumber\n")
    world.answer("pipewire --version", "pipewire\nCompiled with libpipewire 1.4.2\nLinked with libpipewire 1.4.2")
    world.answer("busctl --user call org.freedesktop.DBus", "b true")
    world.answer("mokutil --sb-state", "SecureBoot disabled")
    return world


def nvidia(world: World, asked: str = "cuda") -> World:
    world.write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    world.write("sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n")
    return world.settings(f'[model]\ndevice = "{asked}"\n')


def smi(world: World) -> World:
    nvidia(world)
    world.answer("nvidia-smi", SMI)
    return world.answer("nvidia-smi --query-gpu", "RTX 3060, 550.163")


def first(found: Examination) -> tuple[str, str, str]:
    """The first thing that is wrong: its name, what was found, the fix."""
    check = next((check for check in found.checks if check.state == "wrong"), Check("", "ok", "nothing is wrong"))
    return check.name, check.found, check.fix


def the(found: Examination, name: str) -> Check:
    return next(check for check in found.checks if check.name == name)
