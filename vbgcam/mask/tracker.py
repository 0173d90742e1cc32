"""The mask of a frame, by what the network said of it or of an earlier one: a list of steps, each taken once.

    prediction -> working size -> carried here (flow) -> believed where it looks like the person (guard)
             -> compared with the room -> without specks -> held still where nothing moved
             -> by the colours at the outline -> the frame's size, where its own pixels say more

Which steps there are is decided once, by the options; `steps` tells what each does.
"""

from typing import Final

import cv2

from vbgcam.core.frames import U8, Mask, Prediction, RawFrame, Size
from vbgcam.core.options import MaskOptions
from vbgcam.mask.roi import Box, box_of
from vbgcam.mask.steps import (
    AtWorkingSize,
    Believe,
    CarryByFlow,
    Draft,
    HoldStill,
    KnownRoom,
    Step,
    crop,
    find_fringe,
    find_outline,
    full_mask,
    hard_mask,
    plain_mask,
    refine_edges,
    refined_mask,
    remove_specks,
    uncrop,
)
from vbgcam.pixels.workframe import WorkFrame

# Of 255, the mean of a mask in which nobody is: a five-hundredth of the frame.
_NOBODY: Final = 0.5


class MaskTracker:
    """One thread's. `box`: where the last mask has the person; `elsewhere`: whether the room shows somebody whom it has
    not; `kept`: how much of the person is shown, 0 to 1, None where nobody is."""

    def __init__(self, options: MaskOptions) -> None:
        self._at_working_size = AtWorkingSize(self._forget, options.long_side)
        self._flow, self._room, self._hold = CarryByFlow(fine=options.fine_flow), KnownRoom(), HoldStill()
        self._believe = Believe(self._flow)
        table = self._table(options)
        self._steps = [step for step, wanted, _ in table if wanted]
        self._exact_steps = [step for step, _, wanted in table if wanted]
        self.reset()

    def _table(self, options: MaskOptions) -> tuple[tuple[Step, bool, bool], ...]:
        """The steps, and whether each is taken with a network's guess, and with an alpha that is exact for its own
        frame: of that the outline alone can become finer."""
        if not options.any:
            return ((self._believe.check, True, False), (hard_mask if options.hard else full_mask, True, True))
        flow, room, refine, foreground = options.flow, options.room_model, options.refine, options.foreground
        return (
            (self._at_working_size.bring, True, True),
            (self._flow.carry, flow, flow),
            (self._believe.check, True, False),
            (crop, True, refine),
            (self._room.compare, room, False),
            (remove_specks, refine, False),
            (self._hold.smooth, options.temporal, False),
            (find_outline, refine or foreground, refine),
            (refine_edges, refine, refine),
            (self._flow.doubt, flow, False),
            (uncrop, True, refine),
            (self._room.learn, room, room),
            (refined_mask, refine, refine),
            (full_mask, not refine, False),
            (plain_mask, False, not refine),
            (find_fringe, foreground, foreground and refine),
        )

    def reset(self) -> None:
        """Forgets the room and all masks."""
        self.box: Box | None = None
        self.elsewhere = False
        self.kept: float | None = None
        self._scene: tuple[Size, int] | None = None
        self._captured_at = 0.0
        self._forget()

    def _forget(self) -> None:
        """Another scene follows."""
        for part in (self._at_working_size, self._flow, self._believe, self._room, self._hold):
            part.reset()
        self._last: WorkFrame | None = None
        self._last_alpha: U8 | None = None

    def mask(self, frame: RawFrame, prediction: Prediction) -> Mask | None:
        """The frame's mask, at its size. `prediction`: the newest, of the same epoch and size. None where another
        scene has begun since."""
        if (frame.size, frame.epoch) != self._scene or frame.captured_at < self._captured_at:
            self.reset()
        self._scene, self._captured_at = (frame.size, frame.epoch), frame.captured_at
        exact = prediction.exact and prediction.frame is frame
        draft = Draft(frame, prediction, prediction.alpha, self._last, None if exact else self._last_alpha)
        for step in self._exact_steps if exact else self._steps:
            step(draft)
            if draft.outdated:
                return None
        self._last, self._last_alpha = draft.now, draft.alpha
        self.box, self.elsewhere = box_of(draft.alpha), self._room.somebody_elsewhere
        self.kept = _kept(draft)
        return draft.mask


def _kept(draft: Draft) -> float | None:
    """See `MaskTracker.kept`."""
    seen = cv2.mean(draft.carried if draft.carried.size else draft.alpha)[0] + 255 * draft.missed
    if seen < _NOBODY:
        return None
    return 1.0 if draft.is_own else min(1.0, cv2.mean(draft.alpha)[0] / seen)
