"""A camera that needs no camera: a clip of a drawn presenter, again and again, at the pace of a real one.

`packaging/art` drew the clip, its empty room and its alpha.
"""

import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

from vbgcam.camera.base import Negotiated
from vbgcam.camera.file import FileSource
from vbgcam.core.frames import U8, Planes, Size
from vbgcam.media.video_reader import AlphaVideo, TimedFrame, VideoReader
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


class DemoSource(FileSource):
    """Implements `camera.Source`: the clip, filled into `size`, at `fps`. Frame n is what the clip shows n periods
    after its beginning. `paced`: as a camera gives it, not as fast as it is read."""

    def __init__(
        self, size: Size, fps: float, *, paced: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(CLIP, loop=True, paced=paced, clock=clock)
        self._size, self._period = size, 1 / Fraction(fps)
        self._due = Fraction(0)
        self._planes: Planes | None = None

    def open(self) -> Negotiated:
        """Raises CameraError where the clip is gone."""
        self._due = Fraction(0)
        return super().open()

    def _negotiated(self, video: VideoReader) -> Negotiated:
        return Negotiated(LABEL, self._size, float(1 / self._period))

    def _next(self) -> TimedFrame | None:
        """Filled ahead of its time, so that the work does not show as delay."""
        shot = None
        while self._end + self._offset <= self._due:
            shot = super()._next()
            if shot is None:
                return None
        if shot is not None:
            self._planes = fit(shot.planes, self._size).frozen()
        if self._planes is None or self._closed.is_set():
            return None
        due, self._due = self._due, self._due + self._period
        return TimedFrame(self._planes, due - self._offset, self._period)
