"""The outline: specks go, and at the edge the picture's own colours say where the person ends, on the grid and again at
the frame's own size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Fringe, Size, read_only
from vbgcam.pixels.workframe import Grid, Part, resized

# Islands and holes are found at half the grid. Of its pixels: what is smaller is a speck, and an island of any size of
# which the network saw less than this part is somebody's chair.
_SPECK: Final = 0.001
_SEEN: Final = 0.3
# A hole that the network saw as the person almost everywhere, up to this part of the picture, is none.
_HOLE: Final = 0.007
_SURE: Final = 0.7
_HALF: Final = 128
_NEAR: Final = np.ones((3, 3), np.uint8)
# The colours of person and room are means over so many cells of 4x4 pixels around, of pixels further than this from
# the other side.
_CELLS: Final = (5, 5)
_APART: Final = np.ones((5, 5), np.uint8)
# Pixels around of the grid, and of it for the frame's own.
_REACH: Final = np.ones((5, 5), np.uint8)
FINE_REACH: Final = np.ones((3, 3), np.uint8)
# What is less than 5 % the person is surely the room, and the other way round.
_UNSURE: Final = 13
_LEAST: Final = np.where(np.arange(256) < 255 - _UNSURE, 0, np.arange(256)).astype(np.uint8)
_MOST: Final = np.where(np.arange(256) > _UNSURE, 255, np.arange(256)).astype(np.uint8)
_NOISE: Final = 20.0
_STRICTNESS: Final = 5.0


def without_specks(alpha: U8, network: U8) -> U8:
    """Islands that the network saw nobody in, and holes that it saw the person in, are mistakes; so is what is tiny."""
    small = Size(max(1, alpha.shape[1] // 2), max(1, alpha.shape[0] // 2))
    ours, seen = resized(alpha, small), resized(network, small) >= _HALF
    out = alpha
    for person in (True, False):
        part = np.asarray(ours >= _HALF if person else ours < _HALF, np.uint8)
        count, labels = cv2.connectedComponents(part, connectivity=8)
        if count == 2:  # one, and all of it
            continue
        areas = np.bincount(labels.ravel(), minlength=count)
        agreed = np.bincount(labels[seen], minlength=count)
        if person:
            wrong = (agreed < _SEEN * areas) | (areas < _SPECK * ours.size)
        else:
            wrong = ((agreed > _SURE * areas) & (areas < _HOLE * ours.size)) | (areas < _SPECK / 4 * ours.size)
        wrong[0] = False
        if not wrong.any():
            continue
        # One pixel more, so that the rim goes with its speck.
        where = cv2.dilate((wrong.astype(np.uint8) * np.uint8(255))[labels], _NEAR)
        where = cv2.resize(where, alpha.shape[::-1], interpolation=cv2.INTER_NEAREST)
        out = np.asarray(cv2.subtract(out, where) if person else cv2.max(out, where), np.uint8)
    return read_only(out)


@dataclass(frozen=True, slots=True)
class Outline:
    """Where person and room meet: the line between their colours (`loops.lines`), one to 4x4 pixels of a part of the
    grid that begins at (`top`, `left`)."""

    between: NDArray[np.float32]
    top: int
    left: int

    def bounds(self, alpha: U8, reach: U8) -> tuple[U8, U8]:
        """How far a pixel's colour may move its alpha: not at all where all within `reach` is surely the room, or the
        person. Without that a fold of the curtain in the colour of the hair becomes a spike of it, ten pixels long.
        `alpha`: of that part."""
        least, most = cv2.LUT(cv2.erode(alpha, reach), _LEAST), cv2.LUT(cv2.dilate(alpha, reach), _MOST)
        return read_only(np.asarray(least, np.uint8)), read_only(np.asarray(most, np.uint8))

    def edges(self, grid: Size, frame: Size) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Where its cells begin, and the last one ends, in rows and columns of the frame."""
        rows, columns = (
            np.minimum((begin + 4 * np.arange(count + 1)) * side // small, side).astype(np.int32)
            for begin, count, side, small in (
                (self.top, self.between.shape[0], frame.height, grid.height),
                (self.left, self.between.shape[1], frame.width, grid.width),
            )
        )
        for edge in (rows, columns):
            edge.flags.writeable = False
        return rows, columns

    def fringe(self, grid: Size, frame: Size) -> Fringe:
        """What the old room adds to the person's colours there."""
        apart = np.ascontiguousarray(self.between[..., 5:])
        apart.flags.writeable = False
        return Fringe(apart, *self.edges(grid, frame))


def outline(alpha: U8, now: Grid, part: Part) -> Outline | None:
    """Of a part of the grid; `alpha`, `now`: that part. None where it is too small to have one."""
    from vbgcam.mask import kernels

    height, width = alpha.shape
    if min(height, width) < 8:
        return None
    front, back = (
        _colours(now, read_only(np.asarray(side, np.uint8)), low, high)
        for side, low, high in ((cv2.erode(alpha, _APART), 230, 255), (cv2.dilate(alpha, _APART), 0, 25))
    )
    between = np.zeros((height // 4, width // 4, 8), np.float32)
    kernels.lines(front, back, _NOISE, _STRICTNESS, between)
    between.flags.writeable = False
    rows, columns = part
    return Outline(between, rows.start, columns.start)


def by_colour(alpha: U8, now: Grid, found: Outline) -> U8:
    """At the edge, the pixel's place between the colours of the person and of the room around it, as far as they
    differ: the compositing equation solved for alpha (Chuang et al., A Bayesian approach to digital matting, CVPR 2001,
    with one mean for each side)."""
    from vbgcam.mask import kernels

    out = alpha.copy()
    kernels.project(now.y, now.u, now.v, alpha, *found.bounds(alpha, _REACH), found.between, out)
    return read_only(out)


def _colours(now: Grid, side: U8, low: int, high: int) -> NDArray[np.float32]:
    from vbgcam.mask import kernels

    sums = np.empty((side.shape[0] // 4, side.shape[1] // 4, 5), np.float32)
    kernels.colours(now.y, now.u, now.v, side, low, high, sums)
    out = np.asarray(cv2.blur(sums, _CELLS, borderType=cv2.BORDER_CONSTANT), np.float32)
    out.flags.writeable = False
    return out
