"""Cameras on Windows (Media Foundation, else DirectShow) and macOS (AVFoundation), through OpenCV.

OpenCV's `read` waits there for as long as it likes, and releasing a capture under it crashes. So one thread alone owns
the capture: it reads, keeps the newest picture, and releases the device when it is told to stop and `read` comes back.
"""

import logging
import platform
import threading
import time
from typing import Final

import cv2
import numpy as np

from vbgcam.camera import listing
from vbgcam.camera.base import CameraInfo, Layout, Negotiated, Requested, Stream, StreamError
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import U8, Size

log = logging.getLogger(__name__)

_RELEASE: Final = 0.3
# Media Foundation now and then fails to read although the camera goes on.
_FAILURES: Final = 10
_PAUSE: Final = 0.02
# What USB 2 carries uncompressed at 30 frames a second. DirectShow does not turn to MJPG by itself.
_RAW_PIXELS: Final = 640 * 480

_ALLOW: Final = {
    "Windows": "close other programs that use it, and allow it in Settings > Privacy & security > Camera",
    "Darwin": "close other programs that use it, and allow it in System Settings > Privacy & Security > Camera",
}


class OpencvBackend:
    """A `Backend`."""

    def expected(self, camera: CameraInfo, wanted: Requested) -> Negotiated | None:
        return None

    def start(self, camera: CameraInfo, wanted: Requested) -> Stream:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        for index, backend in camera.opens:
            capture = cv2.VideoCapture(index, backend)
            if capture.isOpened():
                return OpencvStream(capture, backend, wanted)
        raise StreamError(f"OpenCV opens none of {camera.opens}")

    def refusal(self, camera: CameraInfo) -> CameraError:
        fix = _ALLOW.get(platform.system(), "close other programs that use it")
        return self._failure(camera, "does not start: it is busy, or may not be used", fix)

    def loss(self, camera: CameraInfo) -> CameraError:
        return self._failure(camera, "has stopped sending pictures", "unplug it and plug it in again")

    def _failure(self, camera: CameraInfo, what: str, fix: str) -> CameraError:
        if all(camera.name != other.name for other in listing.enumerated()):
            what, fix = f"is gone: it was unplugged; {listing.listed(listing.cameras())}", "plug it in again"
        return CameraError(f'"{camera.name}" {what}', fix=fix)


class OpencvStream:
    """A `Stream`. Takes the opened capture over."""

    def __init__(self, capture: cv2.VideoCapture, backend: int, wanted: Requested) -> None:
        self.skipped = 0
        self.note = ""
        self._capture = capture
        self._changed = threading.Condition()
        self._newest: U8 | None = None  # both: by _changed
        self._ended = False
        self._stop = threading.Event()
        self._negotiate(backend, wanted)
        self._thread = threading.Thread(target=self._pump, name="camera", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> U8 | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._ended, seconds)
            picture, self._newest = self._newest, None
            if picture is None and self._ended:
                raise StreamError("OpenCV reads no more pictures")
        if picture is None:
            return None
        size = self.layout.size
        # A picture of another size than was agreed counts as damaged: too few bytes.
        return picture.reshape(-1) if picture.shape == (size.height, size.width, 3) else picture.reshape(-1)[:0]

    def release(self) -> None:
        self._stop.set()
        self._thread.join(_RELEASE)

    def _negotiate(self, backend: int, wanted: Requested) -> None:
        large = backend == cv2.CAP_DSHOW and wanted.size.pixels > _RAW_PIXELS
        if wanted.format == "mjpg" or (wanted.format == "auto" and large):
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        for key, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, wanted.size.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, wanted.size.height),
            (cv2.CAP_PROP_FPS, wanted.fps),
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ):
            self._capture.set(key, value)
        width, height = (int(self._capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        size = Size(width, height) if width > 0 and height > 0 else wanted.size
        if size != wanted.size:
            self.note = f"asked for {wanted.size}, got {size}"
        self.layout = Layout("BGR3", size)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if fps > 0 else wanted.fps

    def _pump(self) -> None:
        failures = 0
        while not self._stop.is_set() and failures < _FAILURES:
            try:
                good, picture = self._capture.read()
            except cv2.error as exc:
                log.debug("reading from the camera: %s", exc)
                break
            if not good:
                failures += 1
                time.sleep(_PAUSE)
                continue
            failures = 0
            with self._changed:
                self.skipped += self._newest is not None
                self._newest = np.asarray(picture, np.uint8)
                self._changed.notify()
        self._capture.release()
        with self._changed:
            self._ended = True
            self._changed.notify()
