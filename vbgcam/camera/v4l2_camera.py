"""Cameras on Linux: Video4Linux says what there is, OpenCV streams it.

How OpenCV 5 behaves here, as measured on a webcam:

- `read` waits 10 s for a picture. `waitAny` polls with a limit of ours, lets other threads run meanwhile, and raises at
  once when the camera is unplugged. But until the first `grab` has started the stream it waits like `read`: that wait
  is turned off by an environment variable which OpenCV reads once, when it first has to wait.
- Four buffers, its default, are kept. One would give the newest picture by itself; but OpenCV hands a buffer back
  before it has copied it, so that with one the camera writes into what is being read. The queue is emptied down to
  the newest picture instead.
- It says neither why a camera does not open nor why it does not start: `refusal` tries again by hand and looks.
"""

import errno
import grp
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vbgcam.camera import choose, listing, v4l2_modes
from vbgcam.camera.base import CameraInfo, Layout, Mode, Negotiated, Requested, Stream, StreamError
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import U8, Size
from vbgcam.system import v4l2

log = logging.getLogger(__name__)

os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = "0"

_BUFFERS: Final = 4
# A picture that was there at once had been waiting in the queue, perhaps not alone.
_AT_ONCE: Final = 0.001


class V4l2Backend:
    """A `Backend`."""

    def expected(self, camera: CameraInfo, wanted: Requested) -> Negotiated:
        mode, fps, _faster = self._choice(camera, wanted)
        return Negotiated(camera.name, mode.size, fps, mode.format)

    def start(self, camera: CameraInfo, wanted: Requested) -> Stream:
        mode, fps, faster = self._choice(camera, wanted)
        note = f"{camera.name} gives {mode.size} at {fps:.4g} frames a second at most; {faster} would be faster"
        return V4l2Stream(camera.path, mode, fps, f"{note} (camera.size)" if faster else "")

    def refusal(self, camera: CameraInfo) -> CameraError:
        return self._answer(camera, v4l2_modes.try_start) or CameraError(
            f"{camera} starts but sends no usable picture", fix="unplug it and plug it in again"
        )

    def loss(self, camera: CameraInfo) -> CameraError:
        return self._answer(camera, v4l2.capability) or CameraError(
            f"{camera} has stopped: it was unplugged, or its driver failed", fix="plug it in again"
        )

    def in_use(self, camera: CameraInfo) -> CameraError | None:
        """Whether another program uses it, or why it could not be asked; lights no LED."""
        return self._answer(camera, v4l2_modes.try_reserve)

    def _answer(self, camera: CameraInfo, ask: Callable[[int], object]) -> CameraError | None:
        """What it means that the driver refuses; None where it does as it is asked."""
        try:
            with v4l2.opened(camera.path) as fd:
                ask(fd)
        except OSError as exc:
            return self._translated(camera, exc.errno or 0)
        return None

    def _choice(self, camera: CameraInfo, wanted: Requested) -> tuple[Mode, float, Size | None]:
        if camera.problem:
            raise self._translated(camera, camera.problem)
        return choose.best_mode(camera, wanted)

    def _translated(self, camera: CameraInfo, number: int) -> CameraError:
        """What an errno means."""
        here = listing.listed(listing.cameras())
        if number in v4l2.GONE:
            message, fix = f"is gone: it was unplugged; {here}", "plug it in again"
        elif number in (errno.EACCES, errno.EPERM):
            message = "may not be opened: no permission"
            fix = f"run `sudo usermod -aG {_group(camera.path)} $USER` and log in again"
        elif number == errno.EBUSY:
            others = [str(holder) for holder in v4l2.holders(camera.path) if holder.pid != os.getpid()]
            by = ", ".join(others) or "another program"
            message = f"is busy: {by} uses it; {here}"
            fix = "close that program or choose another camera"
        elif number == errno.ENOSPC:
            message = "gets no room on its USB bus, which other devices fill"
            fix = "plug it in elsewhere, or ask for less with `--set camera.size=640x480`"
        else:
            message, fix = f"does not start: {os.strerror(number)}", "unplug it and plug it in again"
        return CameraError(f"{camera} {message}", fix=fix)


class V4l2Stream:
    """A `Stream`. Raises StreamError where OpenCV cannot open or set up the camera."""

    def __init__(self, path: str, mode: Mode, fps: float, note: str = "") -> None:
        self.skipped = 0
        self.note = note
        # Its lines would stand between ours; what matters of them is said in our own words.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise StreamError(f"OpenCV does not open {path}")
        try:
            self._negotiate(path, mode, fps)
        except cv2.error as exc:
            self._capture.release()
            raise StreamError(str(exc)) from exc

    def wait(self, seconds: float) -> U8 | None:
        data = None
        for _ in range(_BUFFERS):
            # 0 would mean for ever; OpenCV rounds up to a millisecond.
            longest = max(1, int(seconds * 1e9)) if data is None else 1
            asked = time.monotonic()
            try:
                signal, ready = cv2.VideoCapture.waitAny([self._capture], longest)
            except cv2.error as exc:
                raise StreamError(str(exc)) from exc
            if not signal:
                break
            if not len(ready):
                raise StreamError("the device hung up")
            at_once = time.monotonic() - asked < _AT_ONCE
            self.skipped += data is not None
            data = self._capture.retrieve()[1]
            if not at_once:
                break
        return None if data is None else np.asarray(data, np.uint8).reshape(-1)

    def release(self) -> None:
        self._capture.release()

    def _negotiate(self, path: str, mode: Mode, fps: float) -> None:
        for key, value in (
            (cv2.CAP_PROP_CONVERT_RGB, 0),  # the camera's own bytes, please
            (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*mode.format)),
            (cv2.CAP_PROP_FRAME_WIDTH, mode.size.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, mode.size.height),
            (cv2.CAP_PROP_FPS, fps),
        ):
            self._capture.set(key, value)
        self.layout = self._layout(path)
        self.fps = self._capture.get(cv2.CAP_PROP_FPS)
        if not self.fps > 0:
            self.fps = fps
        if (self.layout.fourcc, self.layout.size) != (mode.format, mode.size):
            self.note = f"asked for {mode.size} {mode.format}, got {self.layout.size} {self.layout.fourcc}"
        log.debug("%s: asked for %s at %.4g, got %s at %.4g", path, mode, fps, self.layout, self.fps)
        self._capture.grab()  # starts the stream; whether there is a picture already does not matter

    def _layout(self, path: str) -> Layout:
        try:
            with v4l2.opened(path) as fd:
                return v4l2_modes.layout(fd)
        except OSError as exc:  # a driver that lets nobody open a camera twice
            log.debug("%s: its layout is taken for the usual one: %s", path, exc)
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        width, height = (int(self._capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        return Layout(code.to_bytes(4, "little").decode("ascii", errors="replace"), Size(width, height))


def _group(path: str) -> str:
    """The group that may open the device: "video" on every distribution, if udev has done its work."""
    try:
        name = grp.getgrgid(Path(path).stat().st_gid).gr_name
    except (OSError, KeyError):  # the device is gone, or its group has no name
        return "video"
    return name if name != "root" else "video"
