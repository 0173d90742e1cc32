"""A camera as a source: finds the one that is meant, waits for its pictures, and says in one line what is wrong.

`open` returns when the first good picture is there, so that whatever keeps a camera from sending is an error of `open`,
which `live` tries again at growing distances.
"""

import logging
import platform
import threading
import time
from pathlib import Path
from typing import Final

from vbgcam.camera import choose, listing
from vbgcam.camera.base import Backend, CameraInfo, Captured, Negotiated, Requested, Stream, StreamError
from vbgcam.camera.unpack import Unpacker, unpacker
from vbgcam.core.errors import CameraError

log = logging.getLogger(__name__)

# Seconds without a good picture. Webcams take up to three for the first one.
_FIRST: Final = 5.0
_STALLED: Final = 2.0
# `close` waits for at most one of these and its own patience: together under half a second.
_SLICE: Final = 0.1
_CLOSE: Final = 0.4


def backend() -> Backend:
    """This machine's cameras."""
    if platform.system() == "Linux":
        from vbgcam.camera.v4l2_camera import V4l2Backend

        return V4l2Backend()
    from vbgcam.camera.opencv_camera import OpencvBackend

    return OpencvBackend()


class DeviceSource:
    """`target`: a number, a path, a stable id, or part of a name; "0" is the default and takes any camera. Once it was
    open, the same camera is looked for by its id: one that is plugged in again often gets another number.

    `_lock` is held by whoever uses the stream; `read` looks at `_closed_by` several times a second, so that `close`
    gets the lock soon. Where it does not (a camera that takes its time to open), the one who holds it cleans up. After
    `close`, `read` says that the source has ended."""

    clocked = True

    def __init__(self, target: str, wanted: Requested, on: Backend | None = None) -> None:
        self._target = target
        self._wanted = wanted
        self._backend = on if on is not None else backend()
        self._said: set[str] = set()
        self._lock = threading.Lock()
        # By _lock; `_known`: the camera that was open last; `_twins`: the paths of those that were beside it with the
        # same id: two webcams of one model may have no serial number.
        self._known: CameraInfo | None = None
        self._twins: set[str] = set()
        self._stream: Stream | None = None
        self._unpacker: Unpacker | None = None
        self._first: Captured | None = None
        self._left_out = 0
        self._mark = threading.Lock()
        # Written by _mark: the thread that has called `close` since the last `open`.
        self._closed_by: int | None = None

    def expected(self) -> Negotiated | None:
        return self._backend.expected(self.find(), self._wanted)

    def open(self) -> Negotiated:
        with self._lock:
            with self._mark:
                called_off = self._closed_by not in (None, threading.get_ident())
                self._closed_by = None
            self._release()
            self._left_out = 0
            if called_off:
                return Negotiated(self._target, self._wanted.size, self._wanted.fps)
            camera = self.find()
            twins = {other.path for other in listing.cameras() if other.id == camera.id} - {camera.path}
            try:
                got = self._start(camera)
            except StreamError as exc:
                log.debug("%s: %s", camera, exc)
                self._release()
                raise self._backend.refusal(camera) from exc
            except BaseException:
                self._release()
                raise
            self._known, self._twins = camera, twins
            return got

    def read(self) -> Captured | None:
        with self._lock:
            if self._stream is None or self._known is None:
                return None
            first, self._first = self._first, None
            if first is not None:
                return first
            try:
                captured, damaged = self._next(self._stream, _STALLED)
            except StreamError as exc:
                log.debug("%s: %s", self._known, exc)
                self._release()
                raise self._backend.loss(self._known) from exc
            if captured is None:
                self._release()
                if self._closed_by is None:
                    raise _silence(self._known, _STALLED, damaged)
            return captured

    def dropped(self) -> int:
        stream = self._stream
        return self._left_out + (stream.skipped if stream is not None else 0)

    def close(self) -> None:
        with self._mark:
            self._closed_by = threading.get_ident()
        if self._lock.acquire(timeout=_CLOSE):
            try:
                self._release()
            finally:
                self._lock.release()

    def find(self) -> CameraInfo:
        """The camera that was open last, whatever its number is now; where there is none or it is gone, the one that
        the target names. Raises CameraError."""
        known = self._known
        if known is None or not known.id:
            return self._named()
        same = [camera for camera in listing.cameras() if camera.id == known.id and camera.path not in self._twins]
        again = min(same, key=lambda camera: camera.path != known.path, default=None)
        if again is None:
            camera = self._named()
            self._say(f"{known} is gone; taking {camera}")
            return camera
        if again.path != known.path:
            self._say(f'"{again.name}" is {again.path} now')
        return again

    def _named(self) -> CameraInfo:
        """The one that the target names. Raises CameraError where there is none."""
        target = self._target
        if target.startswith(("/", ".", "~", "\\\\")):
            path = str(Path(target).expanduser())
            found = listing.camera_at(path)
            if found is None:
                raise choose.not_found(f"there is no camera at {path}", listing.cameras())
            return found
        cameras = listing.cameras()
        if not target.isdecimal():
            return choose.by_name(target, cameras)
        camera = choose.by_index(int(target), cameras)
        if camera.path.startswith("/dev/") and camera.path != f"/dev/video{target}":
            self._say(f"/dev/video{target} is no camera; taking {camera}")
        return camera

    def _start(self, camera: CameraInfo) -> Negotiated:
        stream = self._stream = self._backend.start(camera, self._wanted)
        layout = stream.layout
        if layout.fourcc not in choose.READABLE or layout.size.even != layout.size:
            raise CameraError(
                f"{camera} gives {layout.size} {layout.fourcc}, which cannot be used", fix="set another camera.size"
            )
        self._unpacker = unpacker(layout)
        self._first, damaged = self._next(stream, _FIRST)
        got = Negotiated(camera.name, layout.size, stream.fps, layout.fourcc)
        if self._closed_by is not None:
            self._release()
            return got
        if self._first is None:
            if damaged:
                raise _silence(camera, _FIRST, damaged)
            raise StreamError(f"no picture within {_FIRST:g} s")
        if stream.note:
            self._say(stream.note)
        return got

    def _next(self, stream: Stream, seconds: float) -> tuple[Captured | None, int]:
        """The next good picture, or None after so many seconds or when `close` is called; and how many damaged ones
        came before it."""
        assert self._unpacker is not None
        end, damaged = time.monotonic() + seconds, 0
        while self._closed_by is None:
            left = end - time.monotonic()
            if left <= 0:
                break
            data = stream.wait(min(_SLICE, left))
            arrived = time.monotonic()
            if data is None:
                continue
            planes = self._unpacker.planes(data)
            if planes is not None:
                return Captured(planes, arrived), damaged
            damaged += 1
            self._left_out += 1
        return None, damaged

    def _release(self) -> None:
        stream, self._stream = self._stream, None
        self._first = self._unpacker = None
        if stream is not None:
            stream.release()
            self._left_out += stream.skipped

    def _say(self, text: str) -> None:
        """Once for each text: a camera that is tried again and again does not repeat itself."""
        if text not in self._said:
            self._said.add(text)
            log.info("%s", text)


def _silence(camera: CameraInfo, seconds: float, damaged: int) -> CameraError:
    if damaged:
        return CameraError(
            f"{camera} has sent only damaged pictures ({damaged}) for {seconds:g} seconds",
            fix="try another cable or port, or `--set camera.format=yuyv`",
        )
    return CameraError(f"{camera} has sent no picture for {seconds:g} seconds", fix="unplug it and plug it in again")
