"""What the tests inside the guest share: a freshly loaded v4l2loopback, programs that read a camera, a USB webcam."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.v4l2.machine import BENCH
from vbgcam.system import v4l2

NEWER = Path("/lib/modules/newer/v4l2loopback.ko")
CAMERA = Path("/dev/video10")


def sh(*command: str | Path) -> str:
    """Runs a command that must succeed; its output."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


def until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Waits for something that another program or the kernel does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.01)


def load_loopback(*parameters: str) -> None:
    """Loads v4l2loopback anew, which makes its devices forget everything."""
    unload_loopback()
    sh("modprobe", "v4l2loopback", *parameters)
    until(CAMERA.exists, f"{CAMERA} appears")


def load_newer_loopback(*parameters: str) -> None:
    """Likewise, Debian 13's (0.15)."""
    if not NEWER.exists():
        pytest.skip("Debian 13's v4l2loopback could not be fetched when the bench was built")
    unload_loopback()
    pairs = (text.partition("=") for text in parameters)
    quoted = [f'{name}="{value}"' if " " in value else f"{name}={value}" for name, _, value in pairs]
    sh("insmod", str(NEWER), *quoted)
    until(CAMERA.exists, f"{CAMERA} appears")


def unload_loopback() -> None:
    if Path("/sys/module/v4l2loopback").exists():
        sh("modprobe", "-r", "v4l2loopback")


@pytest.fixture
def camera() -> Path:
    """/dev/video10, "VBG Camera", as if the machine had just started."""
    load_loopback("video_nr=10", "exclusive_caps=1", "card_label=VBG Camera")
    return CAMERA


@dataclass
class UsbWebcam:
    """A USB webcam with MJPG and YUYV (see bench/uvc_webcam.py)."""

    path: Path
    name: str
    process: subprocess.Popen[bytes]

    def unplug(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def usb_webcam() -> Iterator[UsbWebcam]:
    name = "Bench UVC Webcam"
    sh("modprobe", "-a", "uvcvideo", "dummy_hcd", "raw_gadget")
    process = subprocess.Popen([sys.executable, BENCH / "uvc_webcam.py", name])

    def nodes() -> list[v4l2.Node]:
        return [node for node in v4l2.nodes() if name in node.label and v4l2.query(node.path).captures]

    try:
        until(lambda: process.poll() is not None or bool(nodes()), "the webcam appears")
        webcam = UsbWebcam(nodes()[0].path, name, process)
        yield webcam
    finally:
        process.kill()
        process.wait()
