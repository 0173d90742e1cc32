"""Linux's video devices, as far as both the camera and the virtual camera need them: which nodes there are, what a
driver says of itself, its format and rate, and who holds a node open.

A few ioctls by `fcntl` and `struct`, written out because the libraries for it are GPL-3.0-only or need a compiler. The
layouts are those of <linux/videodev2.h> on 64-bit machines (PyTorch runs on no other). Errors stay `OSError`: what an
errno means to a person depends on the caller, who translates it.

Linux only (`fcntl`): import it inside the functions that run there.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from stat import S_IRUSR, S_IWUSR
from typing import Final

from vbgcam.core.frames import U8, Size

SYSFS: Final = Path("/sys/class/video4linux")
PROC: Final = Path("/proc")
DEV: Final = Path("/dev")
GONE: Final = (errno.ENOENT, errno.ENODEV, errno.ENXIO)
"""What a node that was unplugged says to whoever opens or asks it."""


class Ioctl(Enum):
    """Requests of the video type 'V': who writes the payload (1 the program, 2 the driver, 3 both), and the number."""

    QUERYCAP = 2, 0
    ENUM_FMT = 3, 2
    G_FMT = 3, 4
    S_FMT = 3, 5
    REQBUFS = 3, 8
    QBUF = 3, 15
    STREAMON = 1, 18
    STREAMOFF = 1, 19
    G_PARM = 3, 21
    S_PARM = 3, 22
    ENUM_FRAMESIZES = 3, 74
    ENUM_FRAMEINTERVALS = 3, 75
    DQEVENT = 2, 89
    SUBSCRIBE_EVENT = 1, 90


CAPTURE: Final = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE: what a camera's reader asks for."""
OUTPUT: Final = 2
"""V4L2_BUF_TYPE_VIDEO_OUTPUT: what a virtual camera's writer asks for."""

CAP_CAPTURE: Final = 0x1
CAP_OUTPUT: Final = 0x2
CAP_DEVICE_CAPS: Final = 0x8000_0000
"""The driver says what the node alone can do."""


@dataclass(frozen=True, slots=True)
class Node:
    """One /dev/videoN. `label`: the name that the driver gave it in sysfs; apps show it."""

    path: Path
    label: str

    @property
    def number(self) -> int:
        return int(self.path.name.removeprefix("video"))


@dataclass(frozen=True, slots=True)
class Capability:
    """What a driver says of a node. `caps` are the node's own where the driver tells them from its whole device's: a
    webcam has a second node for metadata, which gives no pictures."""

    driver: str
    caps: int

    @property
    def captures(self) -> bool:
        return bool(self.caps & CAP_CAPTURE)

    @property
    def outputs(self) -> bool:
        return bool(self.caps & CAP_OUTPUT)


@dataclass(frozen=True, slots=True)
class Format:
    """`fourcc`: four characters such as "YUYV", "MJPG", "YU12" (I420)."""

    size: Size
    fourcc: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a node open. `write_only`: as pyvirtualcam does it; readers ask for more."""

    pid: int
    name: str
    write_only: bool = False

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def nodes(sysfs: Path = SYSFS) -> list[Node]:
    """The video nodes in the order of their numbers, without opening any. [] where the kernel has no video devices."""
    found = []
    for entry in sysfs.glob("video*"):
        try:
            label = (entry / "name").read_text(errors="replace").rstrip("\n")
        except OSError:  # unplugged between the listing and the look
            continue
        if entry.name.removeprefix("video").isdecimal():
            found.append(Node(DEV / entry.name, label))
    return sorted(found, key=lambda node: node.number)


def holders(path: Path | str, proc: Path = PROC) -> list[Holder]:
    """Who has the node open, by a look through /proc/*/fd (9 ms); processes of other users stay unseen without root."""
    found = []
    for process in proc.iterdir():
        if not process.name.isdecimal():
            continue
        try:
            modes = [write_only for _fd, write_only in descriptors(process, path)]
            if modes:
                name = (process / "comm").read_text(errors="replace").rstrip("\n")
                found.append(Holder(int(process.name), name, any(modes)))
        except OSError:  # it has ended meanwhile, or it is another user's
            continue
    return sorted(found, key=lambda holder: holder.pid)


def descriptors(process: Path, path: Path | str) -> Iterator[tuple[int, bool]]:
    """A process's descriptors of the node, and whether each is for writing alone: the permissions of the link in
    /proc/PID/fd are the access mode (proc(5)). Raises OSError where the process may not be asked, or has ended."""
    for entry in (process / "fd").iterdir():
        with suppress(OSError):  # closed meanwhile, as in this process the descriptor of the listing itself
            if str(entry.readlink()) == str(path):
                mode = entry.lstat().st_mode
                yield int(entry.name), bool(mode & S_IWUSR) and not mode & S_IRUSR


@contextmanager
def opened(path: Path | str) -> Iterator[int]:
    """The node's file descriptor, opened for reading and writing without waiting. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def query(path: Path | str) -> Capability:
    """Opens the node for a moment, which lights no camera's LED. Raises OSError."""
    with opened(path) as fd:
        return capability(fd)


def capability(fd: int) -> Capability:
    """What the driver says of itself and of this node. Raises OSError."""
    reply = exchange(fd, Ioctl.QUERYCAP, bytes(104))
    driver, caps, device_caps = struct.unpack_from("16s68x2I", reply)
    name = driver.partition(b"\0")[0].decode(errors="replace")
    return Capability(name, device_caps if caps & CAP_DEVICE_CAPS else caps)


def get_format(fd: int, kind: int) -> Format | None:
    """The pictures that are agreed on; None where nothing is agreed yet. `kind`: CAPTURE or OUTPUT. Raises OSError."""
    reply = exchange(fd, Ioctl.G_FMT, struct.pack("I204x", kind))
    width, height, fourcc = struct.unpack_from("II4s", reply, 8)
    if not (width and height):  # v4l2loopback before its first writer
        return None
    return Format(Size(width, height), fourcc.decode("ascii", errors="replace"))


def get_rate(fd: int, kind: int) -> float:
    """Frames a second; 0.0 where the driver does not say."""
    return rate_at(exchange(fd, Ioctl.G_PARM, struct.pack("I200x", kind)), 12)


def set_rate(fd: int, kind: int, fps: float) -> float:
    """Asks for a rate and returns the one that the driver took."""
    interval = 1 / Fraction(fps).limit_denominator(1001)
    ask = struct.pack("5I184x", kind, 0, 0, interval.numerator, interval.denominator)
    return rate_at(exchange(fd, Ioctl.S_PARM, ask), 12)


def write(fd: int, frame: U8) -> int:
    """Hands a picture to the driver, without the interpreter's lock; how many bytes it took. Raises OSError."""
    return os.write(fd, frame.data)


def stream_on(fd: int, kind: int) -> None:
    """Starts sending or taking pictures. Raises OSError."""
    exchange(fd, Ioctl.STREAMON, struct.pack("i", kind))


def stream_off(fd: int, kind: int) -> None:
    """Stops it. Raises OSError."""
    exchange(fd, Ioctl.STREAMOFF, struct.pack("i", kind))


def subscribe(fd: int, event: int) -> None:
    """With the state as it is now as the first event. Raises OSError where the driver has none such."""
    exchange(fd, Ioctl.SUBSCRIBE_EVENT, struct.pack("3I20x", event, 0, 1))  # V4L2_EVENT_SUB_FL_SEND_INITIAL


def event(fd: int) -> tuple[int, bytes]:
    """The next event: its type and its 64 bytes of payload. Raises OSError where none waits."""
    reply = exchange(fd, Ioctl.DQEVENT, bytes(136))
    return int(struct.unpack_from("I", reply)[0]), reply[8:72]


def exchange(fd: int, ioctl: Ioctl, payload: bytes) -> bytes:
    """Sends `payload`, whose length is part of the request's number, and returns what the driver made of it. Raises
    OSError."""
    direction, number = ioctl.value
    request = direction << 30 | len(payload) << 16 | ord("V") << 8 | number
    buffer = bytearray(payload)
    while True:
        try:
            fcntl.ioctl(fd, request, buffer)
        except InterruptedError:  # fcntl.ioctl does not try again by itself after a signal
            continue
        return bytes(buffer)


def rate_at(reply: bytes, offset: int) -> float:
    """An interval in seconds, a fraction, as frames a second; 0.0 where the driver does not say."""
    numerator, denominator = struct.unpack_from("II", reply, offset)
    return round(denominator / numerator, 3) if numerator else 0.0
