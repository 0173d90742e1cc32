"""A camera that needs no camera: a clip of a drawn presenter, again and again, at the pace of a real one.

`packaging/art` drew the clip, its empty room and its alpha.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

from vbgcam.camera.base import Captured, Negotiated
from vbgcam.camera.file import FileSource
from vbgcam.core.frames import U8, Planes, Size
from vbgcam.media.video_reader import AlphaVideo, VideoReader
from vbgcam.pixels.convert import fit

LABEL: Final = "drawn presenter"

_FOLDER: Final = Path(__file__).parent / "presenter"
CLIP: Final = _FOLDER / "clip.mp4"
"""1280x720, 30 frames a second, 12.5 s; its end leads to its beginning."""
ALPHA: Final = _FOLDER / "alpha.mp4"
"""The presenter's alpha in each frame of the clip: see `AlphaVideo`."""
PLATE: Final = _FOLDER / "plate.jpg"
"""The clip's room with nobody in it."""


def frames(numbers: range) -> list[tuple[Planes, U8]]:
    """Frames of the clip, read-only, and the presenter's alpha in each: uint8, (720, 1280)."""
    with VideoReader(CLIP) as clip, AlphaVideo(ALPHA) as alpha:
        both = islice(zip(clip, alpha, strict=True), numbers.start, numbers.stop, numbers.step)
        return [(frame.planes, matte.planes.y) for frame, matte in both]


class DemoSource:
    """Implements `camera.Source`. The clip, filled into `size`, at `fps`. Frame n is due n periods after `open`; one
    that is not asked for before the next is due is left out.

    `clock` and `wait` (of an event, for at most so many seconds; True where it is set) are there for tests."""

    clocked = True

    def __init__(
        self,
        size: Size,
        fps: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._size, self._fps = size, fps
        self._clock, self._wait = clock, wait
        self._clip = FileSource(CLIP, loop=True, paced=False)
        self._closed = threading.Event()
        self._closed.set()
        self._start = self._rate = self._ahead = 0.0
        self._next = self._dropped = 0
        self._planes: Planes | None = None

    def expected(self) -> Negotiated:
        """Exactly what `open` gives."""
        return Negotiated(LABEL, self._size, self._fps)

    def open(self) -> Negotiated:
        """Raises CameraError where the clip is gone."""
        self._rate = self._clip.open().fps
        self._ahead = 1.0  # the first frame of the clip is the first to be read
        self._next = self._dropped = 0
        self._closed.clear()
        self._start = self._clock()
        return self.expected()

    def read(self) -> Captured | None:
        """None after `close`, also when that comes while this waits. Raises CameraError."""
        if self._closed.is_set():
            return None
        late = max(0, math.floor((self._clock() - self._start) * self._fps) - self._next)
        self._dropped += late
        self._next += late
        # Read ahead of its time, so that the work does not show as delay. After a long stop the clip goes on where it
        # was, rather than to be read through.
        self._ahead += min(late / self._fps, 1.0) * self._rate
        while self._ahead >= 1:
            captured = self._clip.read()
            if captured is None:
                return None
            self._planes = captured.planes
            self._ahead -= 1
        assert self._planes is not None
        planes = fit(self._planes, self._size).frozen()
        remaining = self._start + self._next / self._fps - self._clock()
        self._ahead += self._rate / self._fps
        self._next += 1
        if self._wait(self._closed, max(0.0, remaining)):
            return None
        return Captured(planes, self._clock())

    def dropped(self) -> int:
        return self._dropped

    def close(self) -> None:
        self._closed.set()
        self._clip.close()
