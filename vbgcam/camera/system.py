"""What a platform has to offer so that `device` can make a source of it. Implemented by `linux` and `elsewhere`, and by
the tests' stand-in."""

from __future__ import annotations

from typing import Protocol

from vbgcam.camera import Got, Wanted
from vbgcam.camera.listing import CameraInfo, Layout
from vbgcam.errors import CameraError
from vbgcam.frames import U8


class Broken(Exception):  # noqa: N818  # no error for people: `System` says what it means
    """The camera does not start, or has stopped by itself. The text is for the debug log."""


class Stream(Protocol):
    """A camera that sends pictures. No two of its methods are called at a time. `skipped` counts the pictures that
    were left out for a newer one; `note` is what a person should know of the negotiation, "" for nothing."""

    layout: Layout
    fps: float
    skipped: int
    note: str

    def wait(self, seconds: float) -> U8 | None:
        """The newest picture that nobody has seen yet, in one dimension and laid out as `layout` says; None where none
        comes in time. `seconds` is at most a few tenths: `close` waits for it. Raises Broken."""

    def release(self) -> None:
        """Within a few tenths of a second, never raises."""


class System(Protocol):
    def cameras(self) -> list[CameraInfo]:
        """Those that may be chosen by number or name: no virtual ones. Raises CameraError."""

    def at(self, path: str) -> CameraInfo:
        """Raises CameraError where there is no camera."""

    def expected(self, camera: CameraInfo, wanted: Wanted) -> Got | None:
        """What `start` will most likely give; None where that cannot be known. Raises CameraError."""

    def start(self, camera: CameraInfo, wanted: Wanted) -> Stream:
        """Raises CameraError and Broken."""

    def refusal(self, camera: CameraInfo) -> CameraError:
        """Why a camera that was just asked to start sends nothing. Nobody holds it any more."""

    def loss(self, camera: CameraInfo) -> CameraError:
        """Why a camera that sent pictures has stopped."""
