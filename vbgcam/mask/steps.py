"""The steps between a prediction and the mask of a frame: each takes the draft one step further.

Steps that know something from frame to frame are methods of the class that holds it and forgets it by `reset`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Mask, Prediction, RawFrame, Size, read_only
from vbgcam.mask import refine
from vbgcam.mask.flow import Field, Flow, coarse, is_cut
from vbgcam.mask.guard import Guard, size_of
from vbgcam.mask.plain import full_size
from vbgcam.mask.room_model import RoomModel
from vbgcam.pixels.workframe import Region, WorkFrame, cropped, region_around, resized, work_frame, work_size

# Where nothing moved, alpha goes this part of the way to a new one, each thirtieth of a second.
_LEAST_RATE: Final = 0.2
# What a network gives up to the first is nobody, from the second on the person, linearly between. Coarse networks are
# hazy far around: DeepLabV3 on room_static MAD .018 without, with it .013; the selfie network keeps its .006.
_NOBODY, _SOMEBODY = 0.07, 0.93
# A mask that is older than its frame is believed less where it was unsure: so much less is the person where nothing
# moved, and so much where it moved that far, in pixels of the guard's size. With .17 everywhere two_men leaks .0033 in
# the mean, not .0028, and red_shirt, which hardly moves, has an IoU of .987, not .988.
_DOUBT, _DOUBT_MOVED, _FAR = 0.045, 0.4, 4.0

_PIXEL: Final = np.ones((3, 3), np.uint8)
_NOTHING: Final = read_only(np.empty((0, 0), np.uint8))
_NO_FRAME: Final = WorkFrame(Size(1, 1), _NOTHING, _NOTHING, _NOTHING, 0.0)


@dataclass(slots=True)
class Draft:
    """A frame's mask in the making, which each step changes (as a value that is copied it takes 0.1 ms). All arrays are
    uint8 and read-only, at the working size, and empty until a step has filled them.

    `alpha`: what the steps have made so far, at first the prediction's; from `crop` to `uncrop` of the `region` alone.
    `last`, `last_alpha`: the frame before and its finished alpha, where there is one. `now`: the frame. `network`: the
    prediction's alpha, `seen` the frame that it was made from, `is_new` where no frame used it before. `carried`: as it
    is in this frame. `region`: where the person may be; None where nobody is. `compared`: the room was known.
    `outline`: where person and room meet, if that was looked for. `missed`, `familiar`, `unchanged`: see
    `guard.Believed`, None where the prediction is the frame's own. `mask`: the last step's. `outdated`: the prediction
    is of another scene, and there is no mask by it."""

    frame: RawFrame
    prediction: Prediction
    alpha: U8
    last: WorkFrame | None
    last_alpha: U8 | None
    now: WorkFrame = _NO_FRAME
    network: U8 = field(default_factory=lambda: _NOTHING)
    seen: WorkFrame = _NO_FRAME
    is_new: bool = False
    carried: U8 = field(default_factory=lambda: _NOTHING)
    region: Region | None = None
    compared: bool = False
    outline: refine.Outline | None = None
    missed: float = 0.0
    familiar: U8 | None = None
    unchanged: U8 | None = None
    mask: Mask | None = None
    outdated: bool = False

    @property
    def is_own(self) -> bool:
        """Whether the prediction is this frame's and not an earlier one's."""
        return self.prediction.frame is self.frame


Step = Callable[[Draft], None]


class AtWorkingSize:
    """Frame and prediction at the working size, and whether another scene begins."""

    def __init__(self, on_cut: Callable[[], None], long_side: int) -> None:
        """`on_cut`: called where a frame begins another scene. `long_side`: see `MaskOptions`."""
        self._on_cut, self._long_side = on_cut, long_side
        self.reset()

    def reset(self) -> None:
        """Another scene follows."""
        self._coarse: U8 | None = None
        self._not_before = -np.inf
        self._prediction: Prediction | None = None
        self._network, self._seen = _NOTHING, _NO_FRAME

    def bring(self, draft: Draft) -> None:
        """Fills in `now`, `network`, `seen` and `region`."""
        size = work_size(draft.frame.size, self._long_side)
        now = work_frame(draft.frame, size)
        before, here = self._coarse, coarse(now)
        if before is not None and is_cut(before, here):
            self._on_cut()
            self._not_before = now.captured_at
            draft.last = draft.last_alpha = None
        self._coarse = here
        prediction = draft.prediction
        if prediction.captured_at < self._not_before:
            draft.outdated = True
            return
        draft.is_new = prediction is not self._prediction
        if draft.is_new:
            alpha = prediction.alpha
            if not prediction.exact:
                # Every value is cut to a byte, at both ends.
                scale = 1 / (_SOMEBODY - _NOBODY)
                alpha = np.asarray(cv2.addWeighted(alpha, scale, alpha, 0, -255 * _NOBODY * scale), np.uint8)
            self._prediction, self._network = prediction, resized(alpha, size)
            self._seen = now if draft.is_own else work_frame(prediction.frame, size)
        draft.now, draft.seen = now, self._seen
        draft.alpha = draft.carried = draft.network = self._network
        draft.region = region_around(draft.network, draft.last_alpha)


class CarryByFlow:
    """A prediction that is older than the frame, carried to it by optical flow."""

    def __init__(self, *, fine: bool) -> None:
        self._fine = fine
        self.reset()

    def reset(self) -> None:
        """Another scene follows."""
        self._flow: Flow | None = None

    def came_from(self, size: Size) -> Field | None:
        """See `Flow.came_from`."""
        return self._flow.came_from(size) if self._flow is not None else None

    def carry(self, draft: Draft) -> None:
        """To this frame."""
        flow = self._flow = self._flow or Flow(draft.now.size, fine=self._fine)
        flow.follow(draft.now, draft.region, needed=not draft.is_own)
        if draft.is_own:
            flow.rest()
            return
        if draft.is_new:
            flow.begin(draft.seen, draft.region)
        else:
            flow.advance()
        if draft.region is not None:
            draft.alpha = draft.carried = flow.carried(draft.network, draft.region)
            draft.region = region_around(draft.carried, draft.last_alpha)

    def doubt(self, draft: Draft) -> None:
        """Less of the person where a prediction that is older than the frame was unsure, the less the more it moved."""
        from vbgcam.mask import kernels

        came_from = self.came_from(size_of(draft.frame.size))
        if draft.is_own or draft.region is None or came_from is None:
            return
        moved = np.empty(came_from.shape[:2], np.uint8)
        kernels.distance_moved(came_from, 255 / _FAR, moved)
        moved, (height, width) = np.asarray(cv2.dilate(moved, _PIXEL), np.uint8), draft.now.y.shape
        far = cropped(np.asarray(cv2.resize(moved, (width, height)), np.uint8), draft.region)
        out = np.empty_like(draft.alpha)
        kernels.lessen(draft.alpha.ravel(), far.ravel(), 255 * _DOUBT, _DOUBT_MOVED - _DOUBT, out.ravel())
        if draft.unchanged is not None:
            where = cv2.resize(draft.unchanged, (width, height), interpolation=cv2.INTER_NEAREST)
            cv2.copyTo(draft.alpha, cropped(np.asarray(where, np.uint8), draft.region), out)
        draft.alpha = read_only(out)


class Believe:
    """Of a mask that is not of its own frame, what there is evidence for."""

    def __init__(self, flow: CarryByFlow) -> None:
        self._flow, self._guard = flow, Guard()
        self.reset()

    def reset(self) -> None:
        """Another scene follows."""
        self._guard.reset()
        self._own: Prediction | None = None

    def check(self, draft: Draft) -> None:
        """Everything where the prediction is the frame's own."""
        if draft.is_own:
            self._own = draft.prediction
            return
        came_from = self._flow.came_from(size_of(draft.frame.size))
        rests = draft.prediction is self._own
        found = self._guard.believed(draft.frame, draft.prediction, draft.alpha, came_from, rests=rests)
        draft.carried, draft.alpha = draft.alpha, found.alpha
        draft.missed, draft.familiar, draft.unchanged = found.missed, found.familiar, found.unchanged


def crop(draft: Draft) -> None:
    """From here on the region alone is worked on."""
    if draft.region is not None:
        draft.alpha = cropped(draft.alpha, draft.region)


class KnownRoom:
    """The room behind the person, with which frames are compared and which learns from them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another scene follows."""
        self._room: RoomModel | None = None

    @property
    def somebody_elsewhere(self) -> bool:
        """Whether the room shows somebody whom the network has not seen."""
        return self._room is not None and self._room.somebody_elsewhere

    def compare(self, draft: Draft) -> None:
        """What differs from the room is the person. A late prediction first teaches the room, by its own frame."""
        room = self._room = self._room or RoomModel(draft.now.size)
        if draft.is_new and not draft.is_own:
            room.learn(draft.seen, draft.network, None)
        room.check(draft.now, draft.carried, draft.last_alpha)
        if draft.region is None or not room.known:
            return
        familiar = None
        if draft.familiar is not None:
            size = draft.now.size
            whole = cv2.resize(draft.familiar, (size.width, size.height), interpolation=cv2.INTER_NEAREST)
            familiar = cropped(np.asarray(whole, np.uint8), draft.region)
        draft.alpha, draft.compared = room.compare(draft.now, draft.alpha, draft.region, familiar), True

    def learn(self, draft: Draft) -> None:
        """From a frame that has a prediction of its own, once its mask is done."""
        room = self._room = self._room or RoomModel(draft.now.size)
        if draft.is_own:
            room.learn(draft.now, draft.network, draft.alpha)


def remove_specks(draft: Draft) -> None:
    """Nothing is to be removed from a network's own answer to this frame."""
    if draft.region is not None and (draft.compared or not draft.is_own):
        network = cropped(draft.carried, draft.region)
        # Who is at rest is where the network saw them.
        draft.alpha = refine.without_specks(draft.alpha, network, own=draft.is_own or draft.unchanged is not None)


class HoldStill:
    """Alpha over time: where the picture stands still, it changes slowly."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another scene follows."""
        self._state: NDArray[np.uint16] | None = None
        self._region: Region | None = None

    def smooth(self, draft: Draft) -> None:
        """A part of the way to the draft's alpha, by how much the picture changed."""
        from vbgcam.mask import kernels

        region, now, last = draft.region, draft.now, draft.last
        if region is None:
            self._state = None
            return
        if self._state is None or last is None:
            self._state = np.zeros(now.y.shape, np.uint16)
            np.left_shift(draft.alpha, 8, out=self._state[region], dtype=np.uint16)
        else:
            if region != self._region:
                kept = self._state[region].copy()
                self._state.fill(0)
                self._state[region] = kept
            passed = 30 * max(0.0, now.captured_at - last.captured_at)
            least = round(256 * (1 - (1 - _LEAST_RATE) ** passed))
            place, out = (region[0].start, region[1].start), np.empty_like(draft.alpha)
            kernels.smooth(now.planes, last.planes, *place, draft.alpha, self._state, least, out)
            draft.alpha = read_only(out)
        self._region = region


def find_outline(draft: Draft) -> None:
    """Where the colours of person and room meet."""
    if draft.region is not None:
        draft.outline = refine.outline(draft.alpha, draft.now, draft.region)


def refine_edges(draft: Draft) -> None:
    """At the outline the picture's colours decide."""
    if draft.outline is not None:
        draft.alpha = refine.by_colour(draft.alpha, draft.now, draft.outline)


def uncrop(draft: Draft) -> None:
    """Nobody is outside of the region."""
    alpha = np.zeros_like(draft.carried)
    if draft.region is not None:
        alpha[draft.region] = draft.alpha
    draft.alpha = read_only(alpha)


def plain_mask(draft: Draft) -> None:
    """The prediction itself at the frame's size."""
    draft.mask = full_size(draft.prediction.alpha, draft.frame, draft.prediction.captured_at)


def hard_mask(draft: Draft) -> None:
    """The alpha as a label mask, 0 or 255."""
    alpha = read_only(np.asarray(cv2.threshold(draft.alpha, 127, 255, cv2.THRESH_BINARY)[1], np.uint8))
    draft.mask = full_size(alpha, draft.frame, draft.prediction.captured_at, hard=True)


def full_mask(draft: Draft, *, refined: bool = False) -> None:
    """The alpha at the frame's size; `refined`: at the outline by the frame's own pixels."""
    outline = draft.outline if refined else None
    at = draft.prediction.captured_at
    draft.mask = full_size(draft.alpha, draft.frame, at, region=draft.region, outline=outline)


refined_mask = partial(full_mask, refined=True)


def find_fringe(draft: Draft) -> None:
    """What the old room adds to the outline's colours."""
    if draft.mask is not None and draft.outline is not None:
        draft.mask = replace(draft.mask, fringe=draft.outline.fringe(draft.now.size, draft.frame.size))
