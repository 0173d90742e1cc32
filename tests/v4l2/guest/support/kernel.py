"""The guest's kernel: its modules, and vivid, the webcam of most tests."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from vbgcam.system import v4l2

CAMERA: Final = Path("/dev/video10")
PATIENCE: Final = 60.0
"""Seconds after which something hangs, however busy the machine is."""
NOBODY: Final = 65534
VIVID: Final = "vivid-000-vid-cap"
_NEWER: Final = Path("/lib/modules/newer/v4l2loopback.ko")
_VIVID_NODES: Final = Path("/sys/bus/platform/devices/vivid.0/video4linux")
_VIVID_DRIVER: Final = Path("/sys/bus/platform/drivers/vivid")


def sh(*command: str | Path) -> str:
    """Runs a command that must succeed; its output."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
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
    if not _NEWER.exists():
        pytest.skip("Debian 13's v4l2loopback could not be fetched when the bench was built")
    unload_loopback()
    pairs = (text.partition("=") for text in parameters)
    quoted = [f'{name}="{value}"' if " " in value else f"{name}={value}" for name, _, value in pairs]
    sh("insmod", str(_NEWER), *quoted)
    until(CAMERA.exists, f"{CAMERA} appears")


def unload_loopback() -> None:
    if Path("/sys/module/v4l2loopback").exists():
        sh("modprobe", "-r", "v4l2loopback")


def vivid_nodes() -> list[Path]:
    """The webcam's nodes, by its bus: its number may change when it is plugged in again."""
    return [Path("/dev") / entry.name for entry in _VIVID_NODES.glob("video*")]


def vivid() -> Path:
    (node,) = vivid_nodes()
    return node


def plug_in_vivid() -> None:
    (_VIVID_DRIVER / "bind").write_text("vivid.0")
    until(lambda: any(node.exists() for node in vivid_nodes()), "vivid is there")


def unplug_vivid() -> None:
    node = vivid()
    (_VIVID_DRIVER / "unbind").write_text("vivid.0")
    until(lambda: not node.exists(), "vivid is gone")


@contextmanager
def vivid_unplugged() -> Iterator[None]:
    unplug_vivid()
    try:
        yield
    finally:
        plug_in_vivid()


def control(**values: int) -> None:
    """Sets controls of vivid, some of which are faults."""
    sh("v4l2-ctl", "-d", vivid(), *(f"--set-ctrl={name}={value}" for name, value in values.items()))


@contextmanager
def nobody() -> Iterator[None]:
    """This process as a user without any rights."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """The node with these permissions."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


@contextmanager
def another_program(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            yield process
        finally:
            process.kill()


# pyvirtualcam as it is, which leaves 0.12 without a writer when it ends.
PLAIN_PRODUCER = """
import time, numpy, pyvirtualcam
with pyvirtualcam.Camera(640, 480, 30, device="/dev/video10") as camera:
    for _ in range({frames}):
        camera.send(numpy.zeros((480, 640, 3), "u1"))
        time.sleep(0.03)
"""


def captures() -> bool:
    """Whether somebody feeds the virtual camera."""
    return v4l2.query(CAMERA).captures
