"""A camera as a source: finds the one that is meant, waits for its pictures, and says in one line what is wrong.

`open` returns when the first good picture is there, so that whatever keeps a camera from sending is an error of `open`,
which `live` tries again at growing distances.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
from pathlib import Path
from typing import Final

from vbgcam.camera import choose
from vbgcam.camera.base import Broken, CameraInfo, Captured, Negotiated, Requested, Stream, System
from vbgcam.camera.unpack import Unpacker, unpacker
from vbgcam.core.errors import CameraError

log = logging.getLogger(__name__)

# Seconds without a good picture. Webcams take up to three for the first one.
_FIRST: Final = 5.0
_STALLED: Final = 2.0
# `close` waits for at most one of these and its own patience: together under half a second.
_SLICE: Final = 0.1
_CLOSE: Final = 0.4


def system() -> System:
    """This machine's cameras."""
    if platform.system() == "Linux":
        from vbgcam.camera.linux import Linux

        return Linux()
    from vbgcam.camera.elsewhere import Elsewhere

    return Elsewhere()


class DeviceSource:
    """`target`: a number, a path, a stable id, or part of a name; "0" is the default and takes any camera.

    `_lock` is held by whoever uses the stream; `read` looks at `_closing` several times a second, so that `close` gets
    the lock soon. Where it does not (a camera that takes its time to open), the one who holds it cleans up. After
    `close`, `read` says that the source has ended."""

    clocked = True

    def __init__(self, target: str, wanted: Requested, on: System | None = None) -> None:
        self._target = target
        self._wanted = wanted
        self._system = on if on is not None else system()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._said: set[str] = set()
        # By _lock:
        self._camera: CameraInfo | None = None
        self._stream: Stream | None = None
        self._unpacker: Unpacker | None = None
        self._first: Captured | None = None
        self._left_out = 0

    def expected(self) -> Negotiated | None:
        return self._system.expected(self.find(), self._wanted)

    def open(self) -> Negotiated:
        with self._lock:
            self._closing.clear()
            self._release()
            self._left_out = 0
            camera = self._camera = self.find()
            try:
                return self._start(camera)
            except Broken as exc:
                log.debug("%s: %s", camera, exc)
                self._release()
                raise self._system.refusal(camera) from exc
            except BaseException:
                self._release()
                raise

    def read(self) -> Captured | None:
        with self._lock:
            if self._stream is None or self._camera is None:
                return None
            first, self._first = self._first, None
            if first is not None:
                return first
            try:
                captured, damaged = self._next(self._stream, _STALLED)
            except Broken as exc:
                log.debug("%s: %s", self._camera, exc)
                raise self._system.loss(self._camera) from exc
            if captured is None and not self._closing.is_set():
                raise _silence(self._camera, _STALLED, damaged)
            if captured is None:
                self._release()
            return captured

    def dropped(self) -> int:
        stream = self._stream
        return self._left_out + (stream.skipped if stream is not None else 0)

    def close(self) -> None:
        self._closing.set()
        if self._lock.acquire(timeout=_CLOSE):
            try:
                self._release()
            finally:
                self._lock.release()

    def find(self) -> CameraInfo:
        """The camera that is meant. Raises CameraError where there is none."""
        target = self._target
        if target.startswith(("/", ".", "~", "\\\\")):
            return self._system.at(str(Path(target).expanduser()))
        cameras = self._system.cameras()
        if not target.isdecimal():
            return choose.by_name(target, cameras)
        camera = choose.by_index(int(target), cameras)
        if camera.path.startswith("/dev/") and camera.path != f"/dev/video{target}":
            self._say(f"/dev/video{target} is no camera; taking {camera}")
        return camera

    def _start(self, camera: CameraInfo) -> Negotiated:
        stream = self._stream = self._system.start(camera, self._wanted)
        layout = stream.layout
        if layout.fourcc not in choose.READABLE or layout.size.even != layout.size:
            raise CameraError(
                f"{camera} gives {layout.size} {layout.fourcc}, which cannot be used", fix="set another camera.size"
            )
        self._unpacker = unpacker(layout)
        self._first, damaged = self._next(stream, _FIRST)
        got = Negotiated(camera.name, layout.size, stream.fps, layout.fourcc)
        if self._closing.is_set():
            self._release()
            return got
        if self._first is None:
            if damaged:
                raise _silence(camera, _FIRST, damaged)
            raise Broken(f"no picture within {_FIRST:g} s")
        if stream.note:
            self._say(stream.note)
        return got

    def _next(self, stream: Stream, seconds: float) -> tuple[Captured | None, int]:
        """The next good picture, or None after so many seconds or when `close` is called; and how many damaged ones
        came before it."""
        assert self._unpacker is not None
        end, damaged = time.monotonic() + seconds, 0
        while not self._closing.is_set():
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
