"""The size at which masks are worked on: a frame reduced to at most 640 pixels on its long side.

A webcam's picture of 1280x720 or 1920x1080 has hardly more detail than that, and the work on it is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import U8, RawFrame, Size, read_only
from vbgcam.pixels.convert import resize_alpha, shrink

LONGEST: Final = 640
# Against noise: of the two clips with exact alphas neither is better with twice as much.
_SIGMA: Final = 0.7
# Less than this of 255 is nobody, and so many pixels is what a person may move from frame to frame.
_SOME: Final = 12
_MARGIN: Final = 24


@dataclass(frozen=True, slots=True)
class Grid:
    """A frame at the grid's size, slightly softened: `y`, `u`, `v`, uint8, all (height, width), read-only.
    `captured_at` is the frame's."""

    size: Size
    y: U8
    u: U8
    v: U8
    captured_at: float

    def part(self, part: Part) -> Grid:
        """A copy of a part of it."""
        rows, columns = part
        y, u, v = (of(plane, part) for plane in (self.y, self.u, self.v))
        return Grid(Size(columns.stop - columns.start, rows.stop - rows.start), y, u, v, self.captured_at)


Part = tuple[slice, slice]
"""Rows and columns of a grid."""


def of(plane: U8, part: Part) -> U8:
    """A copy of a part, read-only."""
    return read_only(np.ascontiguousarray(plane[part]))


def around(*alphas: U8) -> Part | None:
    """The part of the grid to be worked on: where the person is in any of these, with a margin that they may move in.
    None where nobody is."""
    boxes = []
    for alpha in alphas:
        left, top, width, height = cv2.boundingRect(cv2.threshold(alpha, _SOME, 255, cv2.THRESH_BINARY)[1])
        if width:
            boxes.append((left, top, left + width, top + height))
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    height, width = alphas[0].shape
    return _wider(min(tops), max(bottoms), height), _wider(min(lefts), max(rights), width)


def _wider(start: int, stop: int, side: int) -> slice:
    """Whole cells of 8 pixels."""
    return slice(max(0, start - _MARGIN) & ~7, min(side, (stop + _MARGIN + 7) & ~7))


def grid_size(frame: Size) -> Size:
    """Never larger than the frame."""
    scale = min(1.0, LONGEST / max(frame.width, frame.height))
    return Size(max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))


def grid(frame: RawFrame, size: Size) -> Grid:
    planes = frame.planes
    half = frame.size.chroma
    u, v = (
        # Chroma that has to grow is softened while it is small; the other has more pixels than are needed.
        read_only(resize_alpha(_soft(plane), size)) if half.width < size.width else shrink(plane, size)
        for plane in (planes.u, planes.v)
    )
    return Grid(size, _soft(shrink(planes.y, size)), u, v, frame.captured_at)


def _soft(plane: U8) -> U8:
    return read_only(np.asarray(cv2.GaussianBlur(plane, (3, 3), _SIGMA), np.uint8))


def resized(plane: U8, size: Size) -> U8:
    """By areas where it becomes smaller, else linearly; read-only."""
    if plane.shape == (size.height, size.width):
        return read_only(np.ascontiguousarray(plane))
    smaller = plane.shape[0] > size.height or plane.shape[1] > size.width
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return read_only(np.asarray(cv2.resize(plane, (size.width, size.height), interpolation=how), np.uint8))
