"""The outline: specks go, and at the edge the picture's own colours say where the person ends, at the working size and
again at the frame's own."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Fringe, Size, read_only
from vbgcam.pixels.workframe import Region, WorkFrame

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
# the other side. So far an alpha reaches at the outline, too.
_CELLS: Final = (5, 5)
_REACH: Final = np.ones((5, 5), np.uint8)
# And so far at the frame's own size, in pixels of the working size.
_FINE_REACH: Final = np.ones((3, 3), np.uint8)
_NOISE: Final = 20.0
_STRICTNESS: Final = 5.0

_NOTHING: Final = read_only(np.empty((0, 0), np.uint8))


def without_specks(alpha: U8, network: U8, *, own: bool) -> U8:
    """Islands that the network saw nobody in, and holes that it saw the person in, are mistakes; so is what is tiny.
    `own`: the network saw this frame. What it saw in an earlier one fills no hole: there the room may be seen now."""
    from vbgcam.mask import kernels

    if min(alpha.shape) < 2:
        return alpha
    small = np.empty([side // 2 for side in alpha.shape], np.uint8)
    kernels.halve(alpha, network, _HALF, small)
    ours, out = small & 1, alpha
    for person in (True, False):
        count, labels = cv2.connectedComponents(ours if person else ours ^ 1, connectivity=8)
        if count <= 2:  # one, and all of it
            continue
        found = np.zeros((count, 2), np.int32)
        kernels.areas(np.asarray(labels, np.int32), small, found)
        areas, agreed = found.T
        if person:
            wrong = (agreed < _SEEN_SHARE * areas) | (areas < _SPECK * ours.size)
        else:
            wrong = areas < _SPECK / 4 * ours.size
            if own:
                wrong |= (agreed > _HOLE_SHARE * areas) & (areas < _HOLE * ours.size)
        wrong[0] = False
        if not wrong.any():
            continue
        marks = np.empty_like(small)
        kernels.marked(np.asarray(labels, np.int32), wrong * np.uint8(255), marks)
        # One pixel more, so that the rim goes with its speck.
        where = cv2.resize(cv2.dilate(marks, _NEAR), alpha.shape[::-1], interpolation=cv2.INTER_NEAREST)
        out = np.asarray(cv2.subtract(out, where) if person else cv2.max(out, where), np.uint8)
    return read_only(out)


@dataclass(frozen=True, slots=True)
class Outline:
    """Where person and room meet. `lines`: the line between their colours, float32 (rows, columns, 5), and `apart`, by
    how much they differ (rows, columns, 3; see `kernels.lines`), one to 4x4 pixels of a region of the work frame that
    begins at (`top`, `left`). `inside`, `around`: the least and the largest alpha within reach of its pixels. All
    read-only."""

    lines: NDArray[np.float32]
    apart: NDArray[np.float32]
    top: int
    left: int
    inside: U8
    around: U8

    def bounds(self, alpha: U8) -> tuple[U8, U8]:
        """`inside` and `around` for the frame's own size. `alpha`: uint8, at the working size, after the outline."""
        height, width = self.lines.shape[:2]
        part = np.ascontiguousarray(alpha[self.top : self.top + 4 * height, self.left : self.left + 4 * width])
        return _bounds(part, _FINE_REACH) if part.size else (_NOTHING, _NOTHING)

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
        return Fringe(self.apart, *self.edges(work, frame))


def outline(alpha: U8, now: WorkFrame, region: Region) -> Outline | None:
    """Of a region of the work frame, which `alpha` is of. None where it is too small to have one."""
    from vbgcam.mask import kernels

    height, width = (side // 4 for side in alpha.shape)
    if min(height, width) < 2:
        return None
    kinds = np.empty((height, width), np.uint8)
    kernels.cells(alpha, kinds)
    # Cells whose pixels have others than their own within reach, here and at the frame's own size; and those whose
    # colours tell theirs.
    least, most = _bounds(kinds, _REACH)
    near = np.asarray(cv2.min(most, cv2.bitwise_not(least)), np.uint8)
    wanted = np.asarray(cv2.dilate(near, _REACH), np.uint8)
    (rows, columns), (inside, around) = region, _bounds(alpha, _REACH)
    front, back = np.zeros((2, height, width, 5), np.float32)
    kernels.colours(now.planes, rows.start, columns.start, inside, around, wanted, front, back)
    front, back = (cv2.blur(side, _CELLS, borderType=cv2.BORDER_CONSTANT) for side in (front, back))
    lines, apart = np.zeros((height, width, 5), np.float32), np.zeros((height, width, 3), np.float32)
    kernels.lines(front, back, near, _NOISE, _STRICTNESS, lines, apart)
    return Outline(read_only(lines), read_only(apart), rows.start, columns.start, inside, around)


def by_colour(alpha: U8, now: WorkFrame, found: Outline) -> U8:
    """At the edge, the pixel's place between the colours of the person and of the room around it, as far as they
    differ: the compositing equation solved for alpha (Chuang et al., A Bayesian approach to digital matting, CVPR 2001,
    with one mean for each side). `alpha`: what the outline was found in."""
    from vbgcam.mask import kernels

    out = alpha.copy()
    kernels.project(now.planes, found.top, found.left, alpha, found.inside, found.around, found.lines, out)
    return read_only(out)


def _bounds(alpha: U8, reach: U8) -> tuple[U8, U8]:
    inside, around = cv2.erode(alpha, reach), cv2.dilate(alpha, reach)
    return read_only(np.asarray(inside, np.uint8)), read_only(np.asarray(around, np.uint8))


_NO_CELLS: Final = read_only(np.empty((0, 0, 5), np.float32))
NO_OUTLINE: Final = Outline(_NO_CELLS, _NO_CELLS, 0, 0, _NOTHING, _NOTHING)
"""No cells at all."""
