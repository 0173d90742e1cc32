"""A mask that is older than its frame is carried to it by optical flow, from frame to frame.

Dense inverse search (Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016), computed around the
person alone. The flows of the frames since the mask are chained into one field, and the mask is moved once: a chain
lasts longer than one jump from the mask's own frame, which gives out past about 30 pixels, and a mask that is moved
once stays sharp."""

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Size, read_only
from vbgcam.pixels.convert import shrink
from vbgcam.pixels.workframe import Region, WorkFrame

Field = NDArray[np.float32]
"""(rows, columns, 2): where each pixel came from, x and y, in pixels of the flow's own size."""

# The width at which flow is computed, with one level of detail more than the preset. With all steps, true masks at 5 a
# second have on red_shirt a boundary F of .967 at 192 pixels, .970 at 256, .979 at 320; on room_static all are alike.
_WIDTH: Final = 192
_FINE_WIDTH: Final = 320
# Pixels of that size around the person, beyond the region that is worked on.
_MARGIN: Final = 8
_LEAST_SIDE: Final = 48
# Pixels of the working size that a mask is carried beyond the region: who moves fast leaves it (dances_anywhere,
# `fine`: boundary F .510 without, .521 with it).
_BEYOND: Final = 8
# Frames of flow that are kept: those that a mask which has just come is carried over.
_KEPT: Final = 64
# One map holds x and y together. (An empty array in the second one's place makes nonsense of it.)
_NO_SECOND: Final[Any] = None
# Two frames whose light and dark parts have so little to do with each other are two scenes.
_CUT: Final = 0.25
_CUT_CELL: Final = 16


class Flow:
    """What moved between the frames that came, and since the mask that is carried. One thread's."""

    def __init__(self, size: Size, *, fine: bool) -> None:
        """`size`: the working size. `fine`: at a larger size, which takes longer."""
        width = min(size.width, _FINE_WIDTH if fine else _WIDTH)
        self._small = Size(width, max(1, round(size.height * width / size.width)))
        self._possible = min(self._small.width, self._small.height) >= _LEAST_SIDE
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._dis.setFinestScale(1)
        if not fine:
            # Patches at every fifth pixel in place of the fourth: two thirds of the time, boundary F .974 to .969.
            self._dis.setPatchStride(5)
        x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in (self._small.width, self._small.height)))
        self._positions = np.dstack([x, y])
        self._scale = np.array([size.width / self._small.width, size.height / self._small.height], np.float32)
        self._flows: list[tuple[float, Field, Region]] = []
        self._field: Field | None = None
        self._last: WorkFrame | None = None
        self._last_small: U8 | None = None

    def follow(self, now: WorkFrame, region: Region | None, *, needed: bool) -> None:
        """The next frame. `region`: where the person was. `needed`: masks older than it will be asked for."""
        small = None
        if needed and self._last is not None and self._possible:
            before = self._last_small if self._last_small is not None else shrink(self._last.y, self._small)
            small = shrink(now.y, self._small)
            self._flows.append((self._last.captured_at, *self._between(small, before, region)))
            del self._flows[:-_KEPT]
        else:
            self._flows.clear()
        self._last, self._last_small = now, small

    def begin(self, since: WorkFrame, region: Region | None) -> None:
        """A mask of that frame is carried from now on."""
        later = [flow for flow in self._flows if flow[0] >= since.captured_at]
        self._field = None
        if not self._possible or self._last is None:
            return
        if not later or later[0][0] != since.captured_at:
            # The frame was not among those that came: one jump.
            now, then = (shrink(plane, self._small) for plane in (self._last.y, since.y))
            later = [(since.captured_at, *self._between(now, then, region))]
        for _start, flow, where in later:
            self._chain(flow, where)

    def rest(self) -> None:
        """The newest frame has a mask of its own: what is carried begins there."""
        self._field = None

    def advance(self) -> None:
        """The mask that is carried is one frame further now."""
        if self._flows:
            self._chain(*self._flows[-1][1:])

    def carried(self, alpha: U8, region: Region) -> U8:
        """The alpha of `begin`'s frame (uint8, at the working size) as it is in the frame that came last; nobody is
        further than a few pixels outside the region."""
        from vbgcam.mask import kernels

        if self._field is None:
            return alpha
        (height, width), (rows, columns) = alpha.shape, region
        top, bottom = max(0, rows.start - _BEYOND), min(height, rows.stop + _BEYOND)
        left, right = max(0, columns.start - _BEYOND), min(width, columns.stop + _BEYOND)
        kinds, out = np.empty([(side + 3) // 4 for side in alpha.shape], np.uint8), np.zeros_like(alpha)
        kernels.cells(alpha, kinds)
        field, (x, y) = self._field.reshape(self._small.height, -1), self._scale.tolist()
        kernels.carry(alpha, kinds, field, x, y, top, bottom, left, right, out)
        return read_only(out)

    def came_from(self, size: Size) -> Field | None:
        """Of each pixel of a frame of that size, where it was in `begin`'s frame, x and y; None: where it is now."""
        if self._field is None:
            return None
        positions = np.asarray(cv2.add(self._positions, self._field), np.float32)
        if size == self._small:
            return positions
        scale = np.array([size.width / self._small.width, size.height / self._small.height], np.float32)
        centres = np.asarray((positions + np.float32(0.5)) * scale - np.float32(0.5), np.float32)
        return np.asarray(cv2.resize(centres, (size.width, size.height)), np.float32)

    def _chain(self, flow: Field, where: Region) -> None:
        if where[0].stop <= where[0].start:
            return
        if self._field is None:
            self._field = flow
            return
        some, out = flow[where], np.zeros_like(flow)
        positions = cv2.add(self._positions[where], some)
        border = cv2.BORDER_REPLICATE
        out[where] = cv2.remap(self._field, positions, _NO_SECOND, cv2.INTER_LINEAR, borderMode=border)
        out[where] += some
        self._field = out

    def _between(self, now: U8, then: U8, region: Region | None) -> tuple[Field, Region]:
        """From each pixel now to where it was then, around the person, and where that is; elsewhere nothing moves."""
        out = np.zeros((self._small.height, self._small.width, 2), np.float32)
        if region is None:
            return out, (slice(0, 0), slice(0, 0))
        (rows, columns), (x, y) = region, self._scale.tolist()
        where = _span(rows, y, self._small.height), _span(columns, x, self._small.width)
        one, other = (np.ascontiguousarray(plane[where]) for plane in (now, then))
        out[where] = self._dis.calc(one, other, None)  # type: ignore[call-overload]  # begins from nothing
        return out, where


def moved(plane: U8, came_from: Field) -> U8:
    """The plane with each pixel taken from where it came from."""
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(plane, came_from, _NO_SECOND, cv2.INTER_LINEAR, borderMode=border), np.uint8)


def coarse(now: WorkFrame) -> U8:
    """Luma as `is_cut` compares it: means of cells of 16x16 pixels, uint8."""
    from vbgcam.pixels import kernels

    cell = max(1, min(_CUT_CELL, min(now.y.shape) // 4))
    if cell == 1:
        return now.y
    out = np.empty((now.y.shape[0] // cell, now.y.shape[1] // cell), np.uint8)
    kernels.reduce(now.y, cell, out)
    return out


def is_cut(before: U8, now: U8) -> bool:
    """Whether another scene begins: by the normalised correlation of both lumas (as `coarse` makes them), which more
    light leaves as it is."""
    from vbgcam.mask import kernels

    sums = np.empty(5, np.int64)
    kernels.correlate(before, now, sums)
    one, other, one_squared, other_squared, both = sums.tolist()
    many = before.size
    power = (one_squared - one * one / many) * (other_squared - other * other / many)
    if power < many**2:  # hardly any light or dark in one of them
        return False
    return both - one * other / many < _CUT * math.sqrt(power)


def _span(span: slice, scale: float, side: int) -> slice:
    start, stop = max(0, int(span.start / scale) - _MARGIN), min(side, int(span.stop / scale) + 1 + _MARGIN)
    if stop - start < _LEAST_SIDE:
        start = max(0, min(start, side - _LEAST_SIDE))
        stop = min(side, start + _LEAST_SIDE)
    return slice(start, stop)
