"""A USB webcam in software (see bench/uvc_webcam.py)."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.v4l2.bench.uvc_webcam import LOOP
from tests.v4l2.guest.support.kernel import sh, until
from tests.v4l2.machine import BENCH
from vbgcam.core.frames import U8
from vbgcam.system import v4l2


@dataclass
class UsbWebcam:
    """A USB webcam with MJPG and YUYV (see bench/uvc_webcam.py)."""

    path: Path
    name: str
    process: subprocess.Popen[bytes]

    def unplug(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def plugged_in(name: str = "Bench UVC Webcam") -> Iterator[UsbWebcam]:
    sh("modprobe", "-a", "uvcvideo", "dummy_hcd", "raw_gadget")
    process = subprocess.Popen([sys.executable, BENCH / "uvc_webcam.py", name])

    def nodes() -> list[v4l2.Node]:
        return [node for node in v4l2.nodes() if name in node.label and _captures(node)]

    try:
        until(lambda: process.poll() is not None or bool(nodes()), "the webcam appears")
        yield UsbWebcam(nodes()[0].path, name, process)
    finally:
        process.kill()
        process.wait()


def _captures(node: v4l2.Node) -> bool:
    try:
        return v4l2.query(node.path).captures
    except FileNotFoundError:  # sysfs has it before /dev does, and after
        return False


def place(rgb: U8) -> float:
    """Where the left edge of its picture's bar is, in places of the loop."""
    bar = rgb[: rgb.shape[0] // 2, :, 0].mean(axis=0) > 100
    return float(np.argmax(bar) * LOOP / rgb.shape[1])
