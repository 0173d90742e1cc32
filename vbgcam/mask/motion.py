"""To the present: a mask that is older than its frame is carried over by optical flow, from frame to frame.

Dense inverse search (Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016). A chain of flows lasts
longer than one jump from the mask's own frame, which gives out past about 30 pixels."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.frames import U8, Size, read_only
from vbgcam.mask.grid import Grid, resized

Flow = NDArray[np.float32]

# The width at which flow is computed. At 256x144 with one more level of detail than the preset it takes 1.6 times as
# long as the preset's 320x180 and carries twice as well (red_shirt, true masks at 5 a second, boundary F .957 to .981);
# finer yet is .986 for 2.6 times.
_WIDTH: Final = 256
_FINE_WIDTH: Final = 320
# Frames of flow that are kept: those that a mask which has just come is carried over.
_KEPT: Final = 64
# Of the grid's width: a person who moved further since the mask was made is not where any flow says.
_FURTHEST: Final = 0.35
# Two frames whose light and dark parts have so little to do with each other are two scenes.
_CUT: Final = 0.25
_CUT_SIZE: Final = (40, 24)


class Motion:
    """What moved between the frames that came. One thread's."""

    def __init__(self, size: Size, *, finely: bool) -> None:
        width = min(size.width, _FINE_WIDTH if finely else _WIDTH)
        self._small = Size(width, max(16, round(size.height * width / size.width)))
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._dis.setFinestScale(1)
        x, y = np.meshgrid(np.arange(size.width, dtype=np.float32), np.arange(size.height, dtype=np.float32))
        self._x, self._y = x, y
        self._size = size
        self._flows: list[tuple[float, float, Flow]] = []
        self._last: tuple[float, U8] | None = None

    def follow(self, now: Grid, *, needed: bool) -> None:
        """The next frame. `needed`: masks older than it will be asked for."""
        small = resized(now.y, self._small)
        if self._last is not None and needed:
            self._flows.append((self._last[0], now.captured_at, self._between(small, self._last[1])))
            del self._flows[:-_KEPT]
        elif not needed:
            self._flows.clear()
        self._last = now.captured_at, small

    def carry(self, alpha: U8, since: Grid, now: Grid) -> tuple[U8, float]:
        """The alpha of the frame `since` as it is `now`, the frame that came last; and how far the person moved, in
        widths of the grid."""
        chain = [flow for start, _end, flow in self._flows if start >= since.captured_at]
        whole = bool(chain) and any(start == since.captured_at for start, _end, _flow in self._flows)
        if not whole:
            # The frame was not among those that came: one jump.
            chain = [self._between(resized(now.y, self._small), resized(since.y, self._small))]
        far = 0.0
        for flow in chain:
            alpha = self._moved(alpha, flow)
            far += self._distance(alpha, flow)
        return alpha, far

    def step(self, alpha: U8) -> tuple[U8, float]:
        """An alpha of the frame before as it is in the one that came last."""
        if not self._flows:
            return alpha, 0.0
        flow = self._flows[-1][2]
        out = self._moved(alpha, flow)
        return out, self._distance(out, flow)

    def _between(self, now: U8, then: U8) -> Flow:
        """From each pixel now to where it was then."""
        return np.asarray(self._dis.calc(now, then, None), np.float32)  # type: ignore[call-overload]  # no flow to begin with

    def _moved(self, alpha: U8, flow: Flow) -> U8:
        # Only around the person is there anything to move.
        rows, columns = _around(alpha, 0.06)
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return alpha
        scale = self._size.width / self._small.width, self._size.height / self._small.height
        top, bottom = int(rows.start / scale[1]), int(np.ceil(rows.stop / scale[1]))
        left, right = int(columns.start / scale[0]), int(np.ceil(columns.stop / scale[0]))
        part = flow[top:bottom, left:right] * np.array(scale, np.float32)
        y0, y1 = round(top * scale[1]), min(self._size.height, round(bottom * scale[1]))
        x0, x1 = round(left * scale[0]), min(self._size.width, round(right * scale[0]))
        part = np.asarray(cv2.resize(part, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR), np.float32)
        x, y = cv2.add(self._x[y0:y1, x0:x1], part[..., 0]), cv2.add(self._y[y0:y1, x0:x1], part[..., 1])
        out = alpha.copy()
        out[y0:y1, x0:x1] = cv2.remap(alpha, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return read_only(out)

    def _distance(self, alpha: U8, flow: Flow) -> float:
        small = cv2.resize(alpha, (self._small.width // 4, self._small.height // 4), interpolation=cv2.INTER_NEAREST)
        person = small > 127
        if not person.any():
            return 0.0
        coarse = cv2.resize(flow, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_NEAREST)[person]
        return float(np.hypot(*coarse.mean(0))) / self._small.width


def too_far(distance: float) -> bool:
    return distance > _FURTHEST


def cut(before: U8, now: U8) -> bool:
    """Whether another scene begins: the normalised correlation of both lumas, which more light leaves as it is."""
    one, other = (cv2.resize(plane, _CUT_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32) for plane in (before, now))
    one, other = one - one.mean(), other - other.mean()
    powers = float((one * one).sum()) * float((other * other).sum())
    if powers < one.size**2:  # hardly any light or dark in one of them
        return False
    return float((one * other).sum()) < _CUT * np.sqrt(powers)


def _around(alpha: U8, margin: float) -> tuple[slice, slice]:
    """Where the person is, with a margin (of the sides)."""
    x, y, width, height = cv2.boundingRect(alpha)
    if not width:
        return slice(0, 0), slice(0, 0)
    more_x, more_y = round(margin * alpha.shape[1]), round(margin * alpha.shape[0])
    rows = slice(max(0, y - more_y), min(alpha.shape[0], y + height + more_y))
    return rows, slice(max(0, x - more_x), min(alpha.shape[1], x + width + more_x))
