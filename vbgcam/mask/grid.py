"""The size at which masks are worked on: a frame reduced to at most 640 pixels on its long side.

A webcam's picture of 1280x720 or 1920x1080 has hardly more detail than that, and the work on it is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vbgcam.frames import U8, RawFrame, Size, read_only
from vbgcam.pixels import shrink

LONGEST: Final = 640
# Against noise: of the two clips with exact alphas neither is better with twice as much.
_SIGMA: Final = 0.7


@dataclass(frozen=True, slots=True)
class Grid:
    """A frame at the grid's size, slightly softened: `y`, `u`, `v`, uint8, all (height, width), read-only. `captured_at`
    is the frame's."""

    size: Size
    y: U8
    u: U8
    v: U8
    captured_at: float


def grid_size(frame: Size) -> Size:
    """Never larger than the frame."""
    scale = min(1.0, LONGEST / max(frame.width, frame.height))
    return Size(max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))


def grid(frame: RawFrame, size: Size) -> Grid:
    planes = frame.planes
    y, u, v = (_soft(shrink(plane, size)) for plane in (planes.y, planes.u, planes.v))
    return Grid(size, y, u, v, frame.captured_at)


def _soft(plane: U8) -> U8:
    return read_only(np.asarray(cv2.GaussianBlur(plane, (3, 3), _SIGMA), np.uint8))


def resized(plane: U8, size: Size) -> U8:
    """By areas where it becomes smaller, else linearly; read-only."""
    if plane.shape == (size.height, size.width):
        return read_only(np.ascontiguousarray(plane))
    smaller = plane.shape[0] > size.height or plane.shape[1] > size.width
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return read_only(np.asarray(cv2.resize(plane, (size.width, size.height), interpolation=how), np.uint8))
