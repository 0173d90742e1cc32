"""A camera that needs no camera: the drawn presenter at the pace of a real one."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from vbgcam.camera.base import Captured, Negotiated
from vbgcam.camera.drawn import MARGIN, Patch, frame, moving, room
from vbgcam.camera.drawn.grain import add_grain
from vbgcam.core.frames import PlanePool, Planes, Size
from vbgcam.pixels import convert

LABEL: Final = "drawn presenter"

_SEAM: Final = MARGIN // 2
"""Pixels at the rim of a patch whose chroma a conversion of the patch alone gets wrong: a bicubic filter that halves
reaches 4 pixels. The rim shows the room, which is there already."""


class DemoCamera:
    """The planes of each frame, as a webcam with a little noise sends them. One thread owns it.

    A frame at 1280x720 takes 8 ms on one core: 1.5 for the presenter's shapes, 3 to fill them, 1.5 for light and edges,
    2 for the conversion of the part that moves."""

    def __init__(self, size: Size, *, noise: bool = True) -> None:
        self.size: Final = size
        self._noise = noise
        self._pool = PlanePool()
        self._room = convert.from_rgb(room(size))

    def frame(self, seconds: float, number: int) -> Planes:
        """The presenter at that time, read-only; `number` chooses the noise. Without noise it is, to the digit,
        `pixels.from_rgb(drawn.frame(size, seconds))`."""
        out = self._pool.take(self.size)
        if self.size == self.size.even:
            np.copyto(out.data, self._room.data)
            _paste(moving(self.size, seconds), out)
        else:  # libswscale spreads the chroma of an odd side over all of it: a part converted alone would not fit in
            np.copyto(out.data, convert.from_rgb(frame(self.size, seconds)).data)
        if self._noise:
            add_grain(out, number)
        return out.frozen()


def _paste(patch: Patch, onto: Planes) -> None:
    part, whole = convert.from_rgb(patch.pixels), onto.size
    right, bottom = patch.left + part.size.width, patch.top + part.size.height
    rows = slice(patch.top and patch.top + _SEAM, bottom if bottom == whole.height else bottom - _SEAM)
    columns = slice(patch.left and patch.left + _SEAM, right if right == whole.width else right - _SEAM)
    for target, source, share in ((onto.y, part.y, 1), (onto.u, part.u, 2), (onto.v, part.v, 2)):
        y, x = patch.top // share, patch.left // share
        top, bottom, left, right = (edge // share for edge in (rows.start, rows.stop, columns.start, columns.stop))
        target[top:bottom, left:right] = source[top - y : bottom - y, left - x : right - x]


class DemoSource:
    """The presenter, from the greeting on, at `fps`. Frame n is due n periods after `open`; one that is not asked for
    before the next is due is left out.

    `clock` and `wait` (of an event, for at most so many seconds; True where it is set) are there for tests."""

    clocked = True

    def __init__(
        self,
        size: Size,
        fps: float,
        *,
        noise: bool = True,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._size, self._fps, self._noise = size, fps, noise
        self._clock, self._wait = clock, wait
        self._closed = threading.Event()
        self._closed.set()
        self._camera: DemoCamera | None = None
        self._start = 0.0
        self._next = 0
        self._dropped = 0

    def expected(self) -> Negotiated:
        """Exactly what `open` gives."""
        return Negotiated(LABEL, self._size, self._fps)

    def open(self) -> Negotiated:
        """Draws the room (0.2 s at 1280x720) before the clock starts."""
        if self._camera is None:
            self._camera = DemoCamera(self._size, noise=self._noise)
            self._camera.frame(0.0, 0)
        self._next = self._dropped = 0
        self._closed.clear()
        self._start = self._clock()
        return self.expected()

    def read(self) -> Captured | None:
        """None after `close`, also when that comes while this waits."""
        if self._camera is None or self._closed.is_set():
            return None
        newest = math.floor((self._clock() - self._start) * self._fps)
        if newest > self._next:
            self._dropped += newest - self._next
            self._next = newest
        number, self._next = self._next, self._next + 1
        # Drawn ahead of its time, so that the work does not show as delay.
        planes = self._camera.frame(number / self._fps, number)
        remaining = self._start + number / self._fps - self._clock()
        if self._wait(self._closed, max(0.0, remaining)):
            return None
        return Captured(planes, self._clock())

    def dropped(self) -> int:
        return self._dropped

    def close(self) -> None:
        self._closed.set()
