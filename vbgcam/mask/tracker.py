"""The mask of a frame, by what the network said of it or of an earlier one.

The steps' order, all on the grid (see `grid`):

    prediction -> carried here (motion) -> compared with the room (memory) -> without specks (edges)
             -> held still where nothing moved (time) -> by the colours at the outline (edges) -> the frame's
             size, where its own pixels say the same more finely
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Mask, Prediction, RawFrame, Size, read_only
from vbgcam.core.options import MaskOptions
from vbgcam.mask.flow import Flow, coarse, cut, too_far
from vbgcam.mask.plain import full
from vbgcam.mask.refine import Outline, by_colour, outline, without_specks
from vbgcam.mask.roi import Box, box_of
from vbgcam.mask.room_model import RoomModel
from vbgcam.pixels.workframe import Grid, Part, around, grid, grid_size, of, resized

# Where nothing moved, alpha goes this part of the way to a new one, each thirtieth of a second.
_LEAST: Final = 0.2
_AROUND: Final = (7, 7)
# What a network gives up to the first is nobody, from the second on the person, linearly between. Coarse networks are
# hazy far around: DeepLabV3 on room_static MAD .018 without, with it .013; the selfie network keeps its .006.
_NOBODY, _SOMEBODY = 0.07, 0.93
_DECIDED: Final = np.clip(np.round((np.arange(256) / 255 - _NOBODY) / (_SOMEBODY - _NOBODY) * 255), 0, 255).astype(
    np.uint8
)
# A mask that is older than its frame is believed less where it was unsure: so much less is the person, after so long.
# Without it a carried mask leaks twice as much (red_shirt, true masks at 5 a second: .0010, with it .0004).
_DOUBT: Final = 0.17
_DOUBT_AFTER: Final = 0.1


class MaskTracker:
    """One thread's. `box`: where the last mask has the person; `elsewhere`: whether the room shows somebody whom it has
    not."""

    def __init__(self, options: MaskOptions) -> None:
        self._options = options
        self.reset()

    def reset(self) -> None:
        """Forgets the room and all masks."""
        self.box: Box | None = None
        self.elsewhere = False
        self._size: Size | None = None
        self._epoch = -1
        self._memory: RoomModel | None = None
        self._motion: Flow | None = None
        self._prediction: Prediction | None = None
        self._seen: U8 | None = None
        self._far = 0.0
        self._last: Grid | None = None
        self._part: Part | None = None
        self._outline: Outline | None = None
        self._made_last: U8 | None = None
        self._state: NDArray[np.uint16] | None = None
        self._coarse: U8 | None = None
        self._not_before = -np.inf

    def mask(self, frame: RawFrame, prediction: Prediction) -> Mask | None:
        """`prediction`: the newest, of the same epoch and size. None where it cannot be brought to this frame: another
        scene has begun since, or the person is nowhere near where they were."""
        if not self._options.any:
            mask = full(prediction.alpha, frame, prediction.captured_at, hard=self._options.hard)
            self.box = box_of(prediction.alpha)
            return mask
        if frame.size != self._size or frame.epoch != self._epoch or self._turned_back(frame):
            self.reset()
            self._begin(frame)
        assert self._size is not None
        own = prediction.frame is frame
        size = grid_size(frame.size)
        now = grid(frame, size)
        before, self._coarse = self._coarse, coarse(now)
        if before is not None and cut(before, self._coarse):
            self._begin(frame)
            self._not_before = now.captured_at
        if prediction.captured_at < self._not_before:
            self._last = now
            return None
        network = self._here(frame, now, prediction, size)
        if too_far(self._far):
            return None
        finer = own and prediction.exact and not self._options.refine
        if finer:
            alpha, self._part, self._outline = network, None, None
        elif own and prediction.exact:
            alpha = self._outlined(now, network)
        else:
            alpha = self._made(now, network, own, prediction.captured_at)
        if self._memory is not None and own:
            self._memory.learn(now, network, alpha)
        self._last, self._made_last = now, alpha
        self.box = box_of(alpha)
        self.elsewhere = self._memory is not None and self._memory.elsewhere
        if finer:
            return full(prediction.alpha, frame, prediction.captured_at)
        found = self._outline
        mask = full(
            alpha, frame, prediction.captured_at, part=self._part, outline=found if self._options.refine else None
        )
        if found is None or not self._options.foreground:
            return mask
        return replace(mask, fringe=found.fringe(size, frame.size))

    def _made(self, now: Grid, network: U8, own: bool, made_at: float) -> U8:
        """All steps but the first, where the person may be."""
        memory = self._memory
        if memory is not None:
            memory.check(now, network, self._made_last)
        part = self._part if own else self._around(network)
        self._part = part
        out = np.zeros_like(network)
        if part is None:
            self._state = self._outline = None
            return read_only(out)
        here, predicted = now.part(part), of(network, part)
        alpha = predicted
        judged = False
        if memory is not None and memory.known:
            alpha, judged = memory.judge(here, alpha, part), True
        if self._options.refine and (judged or not own):
            alpha = without_specks(alpha, predicted)
        if self._options.temporal:
            alpha = self._steadied(alpha, now, part)
        alpha = self._by_colour(alpha, here, part)
        if not own and self._options.flow:
            alpha = _doubted(alpha, made_at, now.captured_at)
        out[part] = alpha
        return read_only(out)

    def _outlined(self, now: Grid, alpha: U8) -> U8:
        """What is done to an exact alpha."""
        part = self._part = around(alpha)
        out = np.zeros_like(alpha)
        if part is None:
            self._outline = None
        else:
            out[part] = self._by_colour(of(alpha, part), now.part(part), part)
        return read_only(out)

    def _by_colour(self, alpha: U8, here: Grid, part: Part) -> U8:
        self._outline = outline(alpha, here, part) if self._options.refine or self._options.foreground else None
        if self._outline is None or not self._options.refine:
            return alpha
        return by_colour(alpha, here, self._outline)

    def _begin(self, frame: RawFrame) -> None:
        size = grid_size(frame.size)
        self._size, self._epoch = frame.size, frame.epoch
        self._memory = RoomModel(size) if self._options.room_model else None
        self._motion = Flow(size, finely=self._options.fine_flow) if self._options.flow else None
        self._prediction, self._seen, self._last, self._state = None, None, None, None
        self._part, self._made_last = None, None
        self._far = 0.0

    def _turned_back(self, frame: RawFrame) -> bool:
        return self._last is not None and frame.captured_at < self._last.captured_at

    def _here(self, frame: RawFrame, now: Grid, prediction: Prediction, size: Size) -> U8:
        """The prediction's alpha, at the grid's size, as it is in this frame."""
        own, new = prediction.frame is frame, prediction is not self._prediction
        if new:
            self._prediction = prediction
            self._seen = resized(prediction.alpha if prediction.exact else _decided(prediction.alpha), size)
        assert self._seen is not None
        part = self._part = self._around(self._seen)
        if self._motion is not None:
            self._motion.follow(now, part, needed=not own)
        if own:
            self._far = 0.0
            if self._motion is not None:
                self._motion.rest()
            return self._seen
        if new:
            then = grid(prediction.frame, size)
            if self._memory is not None:
                self._memory.learn(then, self._seen, None)
            if self._motion is not None:
                self._motion.begin(then, part)
        elif self._motion is not None:
            self._motion.step()
        if self._motion is None or part is None:
            return self._seen
        alpha = self._motion.carried(self._seen, part)
        self._far = self._motion.far(alpha)
        return alpha

    def _around(self, alpha: U8) -> Part | None:
        """Where the person of this mask and of the last one may be now."""
        return around(alpha) if self._made_last is None else around(alpha, self._made_last)

    def _steadied(self, alpha: U8, now: Grid, part: Part) -> U8:
        from vbgcam.mask import kernels

        before, state = self._state, np.left_shift(alpha, 8, dtype=np.uint16)
        if before is None or self._last is None:
            self._state = np.zeros(now.y.shape, np.uint16)
        else:
            state = before[part].copy()
            changed = cv2.blur(cv2.absdiff(now.y[part], self._last.y[part]), _AROUND)
            passed = 30 * max(0.0, now.captured_at - self._last.captured_at)
            least = round(256 * (1 - (1 - _LEAST) ** passed))
            kernels.steady(alpha, read_only(np.asarray(changed, np.uint8)), state, least)
            alpha = read_only(np.asarray(cv2.convertScaleAbs(state, alpha=1 / 256), np.uint8))
            before.fill(0)
        assert self._state is not None
        self._state[part] = state
        return alpha


def _decided(alpha: U8) -> U8:
    """A network's haze is nobody, and its near certainty somebody."""
    return np.asarray(cv2.LUT(alpha, _DECIDED), np.uint8)


def _doubted(alpha: U8, made: float, now: float) -> U8:
    """Less of the person where a mask that is older than the frame was unsure."""
    doubt = round(8 * min(1.0, max(0.0, now - made) / _DOUBT_AFTER))
    return alpha if doubt == 0 else read_only(np.asarray(cv2.LUT(alpha, _doubts(doubt)), np.uint8))


@lru_cache(maxsize=9)
def _doubts(eighths: int) -> U8:
    least = _DOUBT * eighths / 8
    return read_only(np.clip(np.round((np.arange(256) / 255 - least) / (1 - least) * 255), 0, 255).astype(np.uint8))
