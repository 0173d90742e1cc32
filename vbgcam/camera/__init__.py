"""Where frames come from: a device, a file at its own pace, the drawn demo presenter.

A source is used by one thread (`live`'s capture worker): `open`, then `read` again and again, then `close`; it may be
opened again after `close` and after a CameraError. `close` may be called at any time, twice too, and returns within
half a second, also while `read` waits in another thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vbgcam.frames import Planes, Size
from vbgcam.specs import SourceSpec


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a camera; it may give something else. `format`: "auto", "mjpg" or "yuyv"."""

    size: Size
    fps: float = 30.0
    format: str = "auto"


@dataclass(frozen=True, slots=True)
class Got:
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

    def expected(self) -> Got | None:
        """What `open` will most likely give, found without opening a camera, in milliseconds; None where that cannot
        be known. Raises CameraError where opening would."""

    def open(self) -> Got:
        """Raises CameraError: not found, busy, no permission, no usable format; one line that lists what is there."""

    def read(self) -> Captured | None:
        """Waits for the next frame; None when the source has ended. Raises CameraError when it gives no frame within
        two seconds or is gone."""

    def dropped(self) -> int:
        """Frames since `open` that the source itself had to leave out to keep its pace."""

    def close(self) -> None: ...


def open_source(spec: SourceSpec, wanted: Wanted) -> Source:
    """The source that the spec names, not opened yet."""
    if spec.kind == "camera":
        from vbgcam.camera.device import DeviceSource

        return DeviceSource(spec.target, wanted)
    if spec.kind == "file":
        from vbgcam.camera.file import FileSource

        return FileSource(spec.target, loop=spec.loop, paced=spec.pace == "source")
    from vbgcam.camera.demo import DemoSource

    return DemoSource(wanted.size, wanted.fps)
