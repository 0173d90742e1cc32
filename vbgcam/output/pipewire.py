"""A camera of PipeWire's, which needs no kernel module: a stream that any number of programs may read at once.

The session manager hands the stream to whoever asks for cameras, browsers by way of the desktop's portal. It goes to
"streaming" when the first program begins to read and back when the last one has left or was killed; a program that
merely lists it changes nothing. All readers have the pixel format that the first of them chose.

A picture is written once, under the lock of the library's loop, straight into the memory that the readers have mapped:
I420 as it is, converted on the way for a reader that takes none. Nothing waits for a reader: where all buffers are
still being read, the picture is dropped. All readers share the buffers, and one that hangs comes to keep all of them;
after a second they are taken from it, so that the others go on. The loop's thread calls back for the state and the
format, each over in microseconds; the library's thread for data never enters Python.

When PipeWire goes, `send` says so, and the camera is to be opened anew. Linux only.
"""

import ctypes
import logging
import shutil
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import U8, Planes, Size
from vbgcam.output import libpipewire, spa
from vbgcam.output.base import DEFAULT_NAME, ReaderMonitor
from vbgcam.system import linux_packages

log = logging.getLogger(__name__)

# A daemon that answers does so within 10 ms; one that does not must not hold up the picture for long.
_ANSWER: Final = 2.0
# Seconds without a buffer after which whoever keeps them has hung. Readers give them back within a frame's time or two.
_KEPT: Final = 1.0


def title(target: str) -> str:
    """The name as others see it: one line of at most 64 characters, "VBG Camera" where nothing is left."""
    plain = "".join(character if character.isprintable() else " " for character in target)
    return " ".join(plain.split())[:64].rstrip() or DEFAULT_NAME


def label(target: str) -> str:
    """The name as our own messages have it."""
    return f"{title(target)} (PipeWire)"


@dataclass(slots=True)
class _State:
    """The stream's state as the loop's thread hears of it; also a `ReaderMonitor`. `changed` guards the others; `lost`:
    why there is no connection any more, for good."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    now: int = libpipewire.UNCONNECTED
    lost: str = ""
    _told: bool = False

    def becomes(self, state: int, error: str) -> None:
        with self.changed:
            self.now = state
            if state in (libpipewire.ERROR, libpipewire.UNCONNECTED) and not self.lost:
                self.lost = error or "connection lost"
            self.changed.notify_all()

    def settled(self, timeout: float) -> bool:
        """Whether the camera is there; False also where the answer takes longer."""
        with self.changed:
            self.changed.wait_for(lambda: self.now >= libpipewire.PAUSED or bool(self.lost), timeout)
            return self.now >= libpipewire.PAUSED and not self.lost

    def watched(self, timeout: float) -> bool:
        with self.changed:
            self.changed.wait_for(lambda: self._read() != self._told, timeout)
            self._told = self._read()
            return self._told

    def close(self) -> None:
        """There is nothing to release."""

    def _read(self) -> bool:
        return self.now == libpipewire.STREAMING and not self.lost


class PipeWireDevice:
    """A connection with its stream; see `output.base.Device`. One thread uses it; what the loop's thread shares is
    `state`, and by the loop's lock `_layout`, how pictures are laid out, None while no reader has chosen, and
    `_readers`, where each buffer's number of readers stands."""

    def __init__(self, target: str, size: Size, fps: float) -> None:
        """Raises OutputError."""
        self.label = label(target)
        self.state = _State()
        self._name = title(target)
        self._lib = library = libpipewire.load()
        self._offered = spa.layouts(size)
        self._layout: spa.Layout | None = None
        self._readers: dict[int, int] = {}
        self._took = 0.0
        self._sent = 0
        # The library keeps pointers to these.
        self._events = libpipewire.Events(
            version=libpipewire.Events.VERSION,
            state_changed=libpipewire.StateChanged(self._on_state),
            param_changed=libpipewire.ParamChanged(self._on_param),
            add_buffer=libpipewire.BufferChanged(self._on_buffer),
            remove_buffer=libpipewire.BufferChanged(self._on_buffer_end),
        )
        self._stream: int | None = None
        self._loop: int | None = library.pw_thread_loop_new(b"vbgcam", None)
        if not self._loop:
            raise OutputError("PipeWire's library gives no loop")
        try:
            self._connect(fps)
        except BaseException:
            self.close()
            raise

    def reader_monitor(self) -> ReaderMonitor:
        """By the stream's state, which is "streaming" while somebody reads."""
        return self.state

    def _connect(self, fps: float) -> None:
        library, loop = self._lib, self._loop
        said = {
            "media.class": "Video/Source",
            "media.role": "Camera",
            "node.name": "vbgcam" if self._name == DEFAULT_NAME else f"vbgcam.{self._name}",
            "node.description": self._name,
        }
        properties = library.pw_properties_new(None)  # the stream takes them over
        for key, value in said.items():
            library.pw_properties_set(properties, key.encode(), value.encode())
        library.pw_thread_loop_lock(loop)
        try:
            made = library.pw_stream_new_simple(
                library.pw_thread_loop_get_loop(loop),
                self._name.encode(),
                properties,
                ctypes.byref(self._events),
                None,
            )
            if not made:
                raise _absent()
            self._stream = made
            offers, count = libpipewire.pods([spa.offer(layout, fps) for layout in self._offered])
            flags = libpipewire.DRIVER | libpipewire.MAP_BUFFERS
            direction, anybody = libpipewire.DIRECTION_OUTPUT, libpipewire.ANY
            if library.pw_stream_connect(made, direction, anybody, flags, offers, count) < 0:
                raise _absent()
            if library.pw_thread_loop_start(loop) < 0:
                raise OutputError("PipeWire's library starts no thread")
        finally:
            library.pw_thread_loop_unlock(loop)
        if not self.state.settled(_ANSWER):
            raise OutputError(
                f"PipeWire takes no camera ({self.state.lost or f'no answer in {_ANSWER:g} s'})",
                fix="systemctl --user restart pipewire.service wireplumber.service",
            )
        log.debug("%s: %s at %g fps", self._name, self._offered[0].size, fps)

    def send(self, planes: Planes, at: float) -> None:
        """A moment's look while nobody reads. Raises OutputError when PipeWire has gone."""
        state = self.state
        if state.lost:
            raise OutputError(f"PipeWire has gone ({state.lost})", fix=linux_packages.START_PIPEWIRE)
        if state.now != libpipewire.STREAMING:
            return
        library, loop = self._lib, self._loop
        library.pw_thread_loop_lock(loop)
        try:
            if self._layout is None:
                return
            buffer = self._buffer(time.monotonic())
            if buffer is None:
                return
            try:
                self._fill(buffer.contents.buffer.contents, self._layout, planes, at)
            finally:
                library.pw_stream_queue_buffer(self._stream, buffer)
            library.pw_stream_trigger_process(self._stream)
        finally:
            library.pw_thread_loop_unlock(loop)

    def _buffer(self, now: float) -> Any:
        """One that nobody reads; None where there is none."""
        for _ in range(spa.MOST_BUFFERS):  # one that is read goes to the end of the queue
            buffer = self._lib.pw_stream_dequeue_buffer(self._stream)
            if buffer:
                self._took = now
                return buffer
        if now - self._took >= _KEPT:
            log.debug("%s: a reader keeps all buffers", self._name)
            self._take_back()
            self._took = now
        return None

    def _take_back(self) -> None:
        for place in self._readers.values():
            ctypes.c_uint32.from_address(place).value = 0

    def _fill(self, buffer: libpipewire.SpaBuffer, layout: spa.Layout, planes: Planes, at: float) -> None:
        self._sent += 1
        place = libpipewire.meta(buffer, spa.META_HEADER, spa.HEADER_BYTES)
        if place is not None:
            ctypes.memmove(place, spa.header(at, self._sent), spa.HEADER_BYTES)
        if not buffer.n_datas:
            return
        data = buffer.datas[0]
        chunk = data.chunk.contents
        chunk.offset, chunk.stride, chunk.size, chunk.flags = 0, layout.stride, 0, libpipewire.CORRUPTED
        if data.data and data.maxsize >= layout.bytes:
            block = (ctypes.c_uint8 * layout.bytes).from_address(data.data)
            write(planes, layout, np.frombuffer(memoryview(block), np.uint8))
            chunk.size, chunk.flags = layout.bytes, 0

    def close(self) -> None:
        """No callback is at work after this."""
        library, loop, stream = self._lib, self._loop, self._stream
        self._loop = self._stream = None
        if loop:
            library.pw_thread_loop_stop(loop)
        if stream:
            library.pw_stream_destroy(stream)
        if loop:
            library.pw_thread_loop_destroy(loop)

    # In the loop's thread, with its lock held. An exception here would be lost in C.

    def _on_state(self, _data: object, _before: int, now: int, error: bytes | None) -> None:
        if now == libpipewire.PAUSED:
            self._take_back()  # who was killed gave nothing back
        self.state.becomes(now, " ".join((error or b"").decode(errors="replace").split()))

    def _on_param(self, _data: object, kind: int, address: int | None) -> None:
        if kind != spa.PARAM_FORMAT:
            return
        self._layout = None
        if not address:
            return
        try:
            layout = spa.agreed(libpipewire.pod_at(address), self._offered)
            pods, count = libpipewire.pods(spa.buffers(layout))
            self._lib.pw_stream_update_params(self._stream, pods, count)
        except ValueError as exc:
            log.warning("%s: a reader asks for %s", self._name, exc)
            return
        self._layout, self._took = layout, time.monotonic()
        log.debug("%s: read as %s", self._name, layout.name)

    def _on_buffer(self, _data: object, buffer: Any) -> None:
        place = libpipewire.meta(buffer.contents.buffer.contents, spa.META_BUSY, spa.BUSY_BYTES)
        if place is not None:
            self._readers[ctypes.addressof(buffer.contents)] = place + spa.BUSY_COUNT

    def _on_buffer_end(self, _data: object, buffer: Any) -> None:
        self._readers.pop(ctypes.addressof(buffer.contents), None)


def write(planes: Planes, layout: spa.Layout, block: U8) -> None:
    """Writes the picture (I420, BT.601 limited range) into `block`, (layout.bytes,), as `layout` says."""
    width, height = layout.size.width, layout.size.height
    if layout.name == "I420":
        np.copyto(block, planes.data)
    elif layout.name == "YUY2":
        lines = block.reshape(height, 2 * width)
        lines[:, ::2] = planes.y
        for plane, first in ((planes.u, 1), (planes.v, 3)):
            lines[::2, first::4] = lines[1::2, first::4] = plane
    else:
        stacked = planes.data.reshape(height * 3 // 2, width)
        cv2.cvtColor(stacked, cv2.COLOR_YUV2BGRA_I420, dst=block.reshape(height, width, 4))


def _absent() -> OutputError:
    """Nobody answers at PipeWire's socket."""
    if shutil.which("pipewire") is None:
        return OutputError("PipeWire is not installed", fix=linux_packages.install("pipewire wireplumber"))
    return OutputError("PipeWire does not run in this session", fix=linux_packages.START_PIPEWIRE)
