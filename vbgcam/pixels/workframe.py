"""The working size, at which masks are made: a frame reduced to at most 640 pixels on its long side.

A webcam's picture of 1280x720 or 1920x1080 has hardly more detail than that, and the work on it is the same."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import U8, RawFrame, Size, read_only
from vbgcam.pixels.convert import resize_alpha, shrink

LONG_SIDE: Final = 640
# An alpha below this, of 255, is nobody; and so many pixels is what a person may move from frame to frame.
_SOMEBODY: Final = 13
_MARGIN: Final = 24

Region = tuple[slice, slice]
"""Rows and columns of a work frame."""


@dataclass(frozen=True, slots=True)
class WorkFrame:
    """A frame at the working size, slightly softened: `y`, `u`, `v`, uint8, all (height, width), read-only.
    `captured_at`: the frame's, in seconds."""

    size: Size
    y: U8
    u: U8
    v: U8
    captured_at: float

    @property
    def planes(self) -> tuple[U8, U8, U8]:
        """y, u and v."""
        return self.y, self.u, self.v


def cropped(plane: U8, region: Region) -> U8:
    """A copy of a region of a plane, read-only."""
    return read_only(np.ascontiguousarray(plane[region]))


def region_around(alpha: U8, other: U8 | None = None) -> Region | None:
    """The region to be worked on: where the person is in either of these (uint8, at the working size), with a margin
    that they may move in, in whole cells of 8 pixels. None where nobody is."""
    from vbgcam.pixels import kernels

    found = np.empty((2, 4), np.int32)
    for plane, box in zip((alpha, alpha if other is None else other), found, strict=True):
        kernels.box(plane, False, _SOMEBODY, 1, 1, box)
    boxes = [box for box in found.tolist() if box[1]]
    if not boxes:
        return None
    tops, bottoms, lefts, rights = zip(*boxes, strict=True)
    height, width = alpha.shape
    return _with_margin(min(tops), max(bottoms), height), _with_margin(min(lefts), max(rights), width)


def _with_margin(start: int, stop: int, side: int) -> slice:
    return slice(max(0, start - _MARGIN) & ~7, min(side, (stop + _MARGIN + 7) & ~7))


def work_size(frame: Size, long_side: int = LONG_SIDE) -> Size:
    """The working size of frames of that size; never larger than the frame."""
    scale = min(1.0, long_side / max(frame.width, frame.height))
    return Size(max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))


def work_frame(frame: RawFrame, size: Size) -> WorkFrame:
    """The frame at `size`, which is its `work_size`, softened against noise: of the two clips with exact alphas neither
    is better with twice as much."""
    planes, half = frame.planes, frame.size.chroma
    u, v = (
        # Chroma that has to grow is softened while it is small; the other has more pixels than are needed.
        read_only(resize_alpha(_soft(plane), size)) if half.width < size.width else shrink(plane, size)
        for plane in (planes.u, planes.v)
    )
    return WorkFrame(size, _soft(shrink(planes.y, size)), u, v, frame.captured_at)


def _soft(plane: U8) -> U8:
    from vbgcam.pixels import kernels

    out = np.empty_like(plane)
    kernels.soften(plane, out)
    return read_only(out)


def resized(plane: U8, size: Size) -> U8:
    """The plane at that size, read-only: by areas where it becomes smaller, else linearly."""
    if plane.shape[0] <= size.height and plane.shape[1] <= size.width:
        return read_only(resize_alpha(np.ascontiguousarray(plane), size))
    return read_only(np.asarray(cv2.resize(plane, (size.width, size.height), interpolation=cv2.INTER_AREA), np.uint8))
