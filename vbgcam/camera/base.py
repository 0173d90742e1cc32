"""Where frames come from: a device, a file at its own pace, the drawn demo presenter.

A source is used by one thread (`live`'s capture worker): `open`, then `read` again and again, then `close`; it may be
opened again after `close` and after a CameraError. `close` may be called at any time, twice too, and returns within
half a second, also while `read` waits in another thread.
"""

from dataclasses import dataclass
from typing import Protocol

from vbgcam.core.errors import CameraError
from vbgcam.core.frames import U8, Planes, Size


@dataclass(frozen=True, slots=True)
class Mode:
    """`format`: the pixel format's four characters, such as "MJPG". `rates`: frames a second, the fastest first; ()
    where the camera does not say."""

    format: str
    size: Size
    rates: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """`path`: the device (/dev/video0; elsewhere what the system calls it). `id` stays the same when numbers change,
    "" where there is none. `problem`: the errno of opening it, whose modes are then unknown. `bus`: what its USB port
    carries, Mbit/s, 0 where that is unknown or no matter. `opens`: OpenCV's (index, backend), the best first; only
    where there are no device files."""

    name: str
    path: str
    id: str
    driver: str
    modes: tuple[Mode, ...] = ()
    problem: int = 0
    bus: int = 0
    opens: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        return f'"{self.name}" ({self.path})' if self.path else f'"{self.name}"'


@dataclass(frozen=True, slots=True)
class Layout:
    """How a picture arrives. `stride`: bytes from one line to the next (of luma, where planes are apart), 0 where
    lines do not apply. `bt709`: BT.709's matrix rather than BT.601's. `full`: Y from 0 to 255."""

    fourcc: str
    size: Size
    stride: int = 0
    bt709: bool = False
    full: bool = False


@dataclass(frozen=True, slots=True)
class Requested:
    """What is asked of a camera; it may give something else. `format`: "auto", "mjpg" or "yuyv"."""

    size: Size
    fps: float = 30.0
    format: str = "auto"


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What an opened source gives. `label`: its name for people. `format`: the camera's pixel format in words, such as
    "MJPG"; "" where there is none."""

    label: str
    size: Size
    fps: float
    format: str = ""


@dataclass(frozen=True, slots=True)
class Captured:
    """`captured_at`: seconds on time.monotonic(), stamped when the frame arrived."""

    planes: Planes
    captured_at: float


class Source(Protocol):
    """`clocked`: frames arrive by themselves (a camera, a file at its own pace), so that one which nobody took in time
    is lost. A source that is not clocked (`pace=max`) waits for its reader instead."""

    clocked: bool

    def expected(self) -> Negotiated | None:
        """What `open` will most likely give, found without opening a camera, in milliseconds; None where that cannot
        be known. Raises CameraError where opening would."""

    def open(self) -> Negotiated:
        """Raises CameraError: not found, busy, no permission, no usable format; one line that lists what is there."""

    def read(self) -> Captured | None:
        """Waits for the next frame; None when the source has ended. Raises CameraError when it gives no frame within
        two seconds or is gone, and has closed its device before: a webcam that is plugged in again while its old node
        is still open gets another number."""

    def dropped(self) -> int:
        """Frames since `open` that the source itself had to leave out to keep its pace."""

    def close(self) -> None:
        """Ends a `read` or `open` that waits, and releases the device. Called by another thread just before `open`, it
        counts for that one: nothing is opened, and `read` says that the source has ended."""


class StreamError(Exception):
    """The camera does not start, or has stopped by itself. The text is for the debug log; `Backend` says what it means
    to a person."""


class Stream(Protocol):
    """A camera that sends pictures. No two of its methods are called at a time. `skipped` counts the pictures that
    were left out for a newer one; `note` is what a person should know of the negotiation, "" for nothing."""

    layout: Layout
    fps: float
    skipped: int
    note: str

    def wait(self, seconds: float) -> U8 | None:
        """The newest picture that nobody has seen yet, in one dimension and laid out as `layout` says; None where none
        comes in time. `seconds` is at most a few tenths: `close` waits for it. Raises StreamError."""

    def release(self) -> None:
        """Closes the device within a few tenths of a second; never raises."""


class Backend(Protocol):
    """How this system opens cameras."""

    def expected(self, camera: CameraInfo, wanted: Requested) -> Negotiated | None:
        """What `start` will most likely give; None where that cannot be known. Raises CameraError."""

    def start(self, camera: CameraInfo, wanted: Requested) -> Stream:
        """Raises CameraError and StreamError."""

    def refusal(self, camera: CameraInfo) -> CameraError:
        """Why a camera that was just asked to start sends nothing. Nobody holds it any more."""

    def loss(self, camera: CameraInfo) -> CameraError:
        """Why a camera that sent pictures, and was closed, has stopped."""
