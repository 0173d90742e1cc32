"""The outline: specks go, and at the edge the picture's own colours say where the person ends, at the working size and
again at the frame's own."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Fringe, Size, read_only
from vbgcam.pixels.workframe import Region, WorkFrame, resized

# Islands and holes are found at half the working size. Of its pixels: what is smaller is a speck, and an island of any
# size of which the network saw less than this part is somebody's chair.
_SPECK: Final = 0.001
_SEEN_SHARE: Final = 0.3
# A hole that the network saw as the person almost everywhere, up to this part of the picture, is none.
_HOLE: Final = 0.007
_HOLE_SHARE: Final = 0.7
_HALF: Final = 128
_NEAR: Final = np.ones((3, 3), np.uint8)
# The colours of person and room are means over so many cells of 4x4 pixels around, of pixels further than this from
# the other side.
_CELLS: Final = (5, 5)
_APART: Final = np.ones((5, 5), np.uint8)
# Pixels around, of the working size, and of it for the frame's own.
_REACH: Final = np.ones((5, 5), np.uint8)
FINE_REACH: Final = np.ones((3, 3), np.uint8)
# What is less than 5 % the person is surely the room, and the other way round.
_UNSURE: Final = 13
_LEAST: Final = np.where(np.arange(256) < 255 - _UNSURE, 0, np.arange(256)).astype(np.uint8)
_MOST: Final = np.where(np.arange(256) > _UNSURE, 255, np.arange(256)).astype(np.uint8)
_NOISE: Final = 20.0
_STRICTNESS: Final = 5.0


def without_specks(alpha: U8, network: U8, *, own: bool) -> U8:
    """Islands that the network saw nobody in, and holes that it saw the person in, are mistakes; so is what is tiny.
    `own`: the network saw this frame. What it saw in an earlier one fills no hole: there the room may be seen now."""
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
            wrong = (agreed < _SEEN_SHARE * areas) | (areas < _SPECK * ours.size)
        else:
            wrong = areas < _SPECK / 4 * ours.size
            if own:
                wrong |= (agreed > _HOLE_SHARE * areas) & (areas < _HOLE * ours.size)
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
    """Where person and room meet. `lines`: the line between their colours (see `kernels.lines`), float32 (rows,
    columns, 8), read-only, one to 4x4 pixels of a region of the work frame that begins at (`top`, `left`)."""

    lines: NDArray[np.float32]
    top: int
    left: int

    def bounds(self, alpha: U8, reach: U8) -> tuple[U8, U8]:
        """The least and the most that a pixel's colour may make of its alpha: nothing else than it is where all within
        `reach` is surely the room, or the person. Without that a fold of the curtain in the colour of the hair becomes
        a spike of it, ten pixels long. `alpha`: of the outline's region."""
        least, most = cv2.LUT(cv2.erode(alpha, reach), _LEAST), cv2.LUT(cv2.dilate(alpha, reach), _MOST)
        return read_only(np.asarray(least, np.uint8)), read_only(np.asarray(most, np.uint8))

    def edges(self, work: Size, frame: Size) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Where its cells begin, and the last one ends, in rows and columns of the frame. `work`: the working size."""
        rows, columns = (
            read_only(np.minimum((begin + 4 * np.arange(count + 1)) * side // small, side).astype(np.int32))
            for begin, count, side, small in (
                (self.top, self.lines.shape[0], frame.height, work.height),
                (self.left, self.lines.shape[1], frame.width, work.width),
            )
        )
        return rows, columns

    def fringe(self, work: Size, frame: Size) -> Fringe:
        """What the old room adds to the person's colours there."""
        return Fringe(read_only(np.ascontiguousarray(self.lines[..., 5:])), *self.edges(work, frame))


def outline(alpha: U8, here: WorkFrame, region: Region) -> Outline | None:
    """Of a region of the work frame; `alpha`, `here`: that region's. None where it is too small to have one."""
    from vbgcam.mask import kernels

    height, width = alpha.shape
    if min(height, width) < 8:
        return None
    front = _colours(here, cv2.erode(alpha, _APART), 230, 255)
    back = _colours(here, cv2.dilate(alpha, _APART), 0, 25)
    lines = np.zeros((height // 4, width // 4, 8), np.float32)
    kernels.lines(front, back, _NOISE, _STRICTNESS, lines)
    rows, columns = region
    return Outline(read_only(lines), rows.start, columns.start)


def by_colour(alpha: U8, here: WorkFrame, found: Outline) -> U8:
    """At the edge, the pixel's place between the colours of the person and of the room around it, as far as they
    differ: the compositing equation solved for alpha (Chuang et al., A Bayesian approach to digital matting, CVPR 2001,
    with one mean for each side)."""
    from vbgcam.mask import kernels

    out = alpha.copy()
    kernels.project(here.planes, alpha, *found.bounds(alpha, _REACH), found.lines, out)
    return read_only(out)


def _colours(here: WorkFrame, side: object, low: int, high: int) -> NDArray[np.float32]:
    from vbgcam.mask import kernels

    alpha = read_only(np.asarray(side, np.uint8))
    sums = np.empty((alpha.shape[0] // 4, alpha.shape[1] // 4, 5), np.float32)
    kernels.colours(here.planes, alpha, low, high, sums)
    return read_only(np.asarray(cv2.blur(sums, _CELLS, borderType=cv2.BORDER_CONSTANT), np.float32))


NO_OUTLINE: Final = Outline(read_only(np.empty((0, 0, 8), np.float32)), 0, 0)
"""No cells at all."""
