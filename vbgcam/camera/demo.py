"""A camera that needs no camera: a clip of a drawn presenter, again and again, at its own 30 frames a second.

`packaging/art` drew the clip, its empty room and its alpha.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
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
    """Implements `camera.Source`: the clip at its own pace, filled into `size`."""

    def __init__(self, size: Size, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(CLIP, loop=True, clock=clock)
        self._size = size

    def _negotiated(self, video: VideoReader) -> Negotiated:
        return Negotiated(LABEL, self._size, float(video.rate))

    def _next(self) -> TimedFrame | None:
        """Filled ahead of its time, so that the work does not show as delay."""
        shot = super()._next()
        return None if shot is None else replace(shot, planes=fit(shot.planes, self._size).frozen())
