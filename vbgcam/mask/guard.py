"""What evidence a mask of an earlier frame needs before it is believed in this one.

A mask that is carried to a later frame leaves a window to the room where the person was. So each pixel of it has to be
likely the person by what it looks like now, whatever the mask says:

    log odds = ln p(colour | person) / p(colour | room)  +  10 exp(-d / 20) - 1

The colours are those of the person and of the room in the frames that the network answered (`mask.colour_odds`). d is
the colour distance (`segment.difference`) to the pixel that the mask was carried from: what still looks like it is
still it. Both terms were fitted to twelve clips of real people, with perfect masks 200 to 400 ms old: within one nat of
the counted odds for all d and all colours, each independent of the other.

Some of that is taken back. Of a mask that was carried: where the optical flow is folded, two places now came from one,
and one of them is room that the person has uncovered, unless its colour is clearly theirs; and where the mask's own
frame shows nobody and still looks the same in this place, it is the room. Of a mask that was not: at its rim, since the
person's edge is anywhere then.

A pixel without evidence is not shown, unless it differs from a room that is known there (`room_model`) and is of a
colour that the person has: a door that opens behind them differs, too. How much of the mask is left tells whether the
person can be followed at all (`core.policy`).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Prediction, RawFrame, Size, read_only
from vbgcam.mask.colour_odds import EVEN, STEP, Colours
from vbgcam.mask.flow import Field, moved
from vbgcam.pixels.convert import shrink
from vbgcam.segment.difference import colour_distance
from vbgcam.segment.light import Light

# The width at which evidence is looked for. At 320 the twelve clips leak as much, of 2.8 times the pixels.
WIDTH: Final = 192
# Below and above, of 255, a prediction's pixel is surely the room, surely the person.
_ROOM, _PERSON = 13, 242
# So much more than even is asked for, since a shown room is worse than a hidden hand; the alpha goes from none to all
# of it within 1.7 around. What is taken back, in nats, at most: where the flow is folded (the mean leak of two_men is
# .0080 without, with it .0028), where the room stayed as it was (.0040 without), and outside of the rim of a mask that
# was not carried (hard labels .0059 without, .0029).
_ASKED: Final = 0.87
_ASKED_UNMOVED: Final = 2.6
_FOLDED: Final = 3.5
_STAYED: Final = 9.0
_RIM: Final = 12.0
_RAMP: Final = 0.6
# Within half a nat below this, colour becomes enough where the flow is folded: an arm that comes before the person
# folds it, too (IoU of two_men .959 with any colour doubted, with this .966).
_CLEARLY: Final = 3.5
# Something else stands where d is more than this; in a colour that is the person's by a nat, it is likely them.
_MOVED: Final = 45
# From so much more than even on a colour is the person's; even are those that nobody has shown yet.
_FAMILIAR: Final = EVEN + STEP // 5
# The light changed where the room's median luma did by more than this, or its chroma by half; one pixel of so many in
# both directions tells.
_LIGHT_CHANGE: Final = 2.0
_SAMPLE: Final = 3
# Pixels of that width: noise is averaged, and holes in the person so small are none (an eye that blinked).
_AROUND: Final = (3, 3)
_HOLE: Final = np.ones((5, 5), np.uint8)
# A pixel has changed where d is more than this; who is at rest changes less than this part of them. What has not
# changed is as it was: with a look at each fourth frame red_shirt has a boundary F of .941 so, .928 without.
_CHANGED: Final = 14
_CHANGE_REACH: Final = np.ones((3, 3), np.uint8)
_AT_REST: Final = 0.3
# For each byte: how much that distance is alike, 0 to 1; the nats of these odds; how much a fold takes of them.
_ALIKE: Final = np.exp(-np.arange(256, dtype=np.float32) / 20)
_NATS: Final = (np.arange(256, dtype=np.float32) - EVEN) / STEP
_IF_FOLDED: Final = _FOLDED * np.clip((_CLEARLY - _NATS) / np.float32(0.5), 0, 1)


class Believed(NamedTuple):
    """`alpha`: uint8, where there is evidence for it. `missed`: of the frame, the share that looks like somebody whom
    the prediction does not have. `familiar`: uint8, at `size_of` the frame, 255 where the colour is rather the
    person's. `unchanged`: likewise, where neither a pixel nor any around it has changed since the prediction's frame;
    None where more has changed than a person at rest does, or the network did not rest."""

    alpha: U8
    missed: float
    familiar: U8
    unchanged: U8 | None


class Guard:
    """One thread's, for one scene."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another scene follows."""
        self._seen: Prediction | None = None
        self._planes: tuple[U8, ...] = ()
        self._colours = Colours()
        self._room: NDArray[np.float32] = np.empty(0, np.float32)

    def believed(
        self, frame: RawFrame, prediction: Prediction, carried: U8, came_from: Field | None, *, rests: bool = False
    ) -> Believed:
        """`carried` (uint8, of any size): the alpha of an earlier frame's prediction as it is in this frame.
        `came_from`: where each pixel of the frame, at `size_of` it, was in the prediction's, x and y; None: where it is
        now. `rests`: the prediction was in time for its own frame, and the network has rested since."""
        from vbgcam.mask import kernels

        size = size_of(frame.size)
        if prediction is not self._seen:
            self._seen, self._planes = prediction, small_planes(prediction.frame, size)
            seen = shrink(prediction.alpha, size)
            self._colours.learn(self._planes, seen < _ROOM, seen > _PERSON)
            self._room = np.float32(1) - seen.astype(np.float32) * np.float32(1 / 255)
        now: Sequence[U8] = small_planes(frame, size)
        then = self._planes
        if came_from is not None:
            then = tuple(moved(plane, came_from) for plane in then)
        small = shrink(carried, size)
        nobody = small == 0
        now = _in_the_light_of(then, now, nobody)
        distance = cv2.blur(colour_distance(now, then), _AROUND)
        odds = cv2.blur(self._colours.odds(now), _AROUND)
        nats = cv2.LUT(distance, 10 * _ALIKE - 1) + cv2.LUT(odds, _NATS)
        in_place = distance if came_from is None else cv2.blur(colour_distance(now, self._planes), _AROUND)
        if came_from is None:
            nats -= _ASKED_UNMOVED + _RIM * (1 - cv2.blur(small, _AROUND).astype(np.float32) / 255)
        else:
            stayed = cv2.LUT(in_place, _STAYED * _ALIKE) * self._room
            nats -= _ASKED + cv2.LUT(odds, _IF_FOLDED) * _folded(came_from) + stayed
        evidence = np.asarray(cv2.convertScaleAbs(np.maximum(0.5 + _RAMP * nats, 0), alpha=255), np.uint8)
        missed = nobody & (distance > _MOVED) & (odds > EVEN + STEP)
        unchanged = _unchanged(np.asarray(in_place, np.uint8), int(np.count_nonzero(small))) if rests else None
        if unchanged is not None:
            evidence = np.asarray(cv2.max(evidence, unchanged), np.uint8)
        evidence[nobody] = 0
        evidence = np.asarray(cv2.morphologyEx(evidence, cv2.MORPH_CLOSE, _HOLE), np.uint8)
        fine = cv2.resize(evidence, carried.shape[::-1], interpolation=cv2.INTER_LINEAR)
        alpha = np.empty_like(carried)
        kernels.times(carried, np.asarray(fine, np.uint8), alpha)
        share = float(np.count_nonzero(missed)) / missed.size
        familiar = read_only(np.where(odds > _FAMILIAR, np.uint8(255), np.uint8(0)))
        return Believed(read_only(alpha), share, familiar, unchanged)


def _unchanged(distance: U8, person: int) -> U8 | None:
    """See `Believed`. `person`: their pixels."""
    changed = np.asarray(cv2.threshold(distance, _CHANGED, 255, cv2.THRESH_BINARY)[1], np.uint8)
    if cv2.countNonZero(changed) > _AT_REST * person:
        return None
    return read_only(np.asarray(cv2.bitwise_not(cv2.dilate(changed, _CHANGE_REACH)), np.uint8))


def _in_the_light_of(then: Sequence[U8], now: Sequence[U8], nobody: NDArray[np.bool_]) -> Sequence[U8]:
    """`now` as if exposure and white balance were as in `then`, by what is beside the person: a camera follows them."""
    from vbgcam.mask import kernels

    medians = np.empty((2, 3))
    for side, out in zip((then, now), medians, strict=True):
        kernels.medians(tuple(side), nobody.view(np.uint8), _SAMPLE, out)
    by, by_u, by_v = np.abs(medians[0] - medians[1]).tolist()
    if by <= _LIGHT_CHANGE and max(by_u, by_v) <= _LIGHT_CHANGE / 2:
        return now
    room = nobody[::_SAMPLE, ::_SAMPLE]
    before, after = ([plane[::_SAMPLE, ::_SAMPLE][room] for plane in side] for side in (then, now))
    return [read_only(plane) for plane in Light.between(after, before).on(now)]


def size_of(frame: Size) -> Size:
    """At which evidence is looked for, of frames of that size."""
    width = min(WIDTH, frame.width)
    return Size(width, max(1, round(frame.height * width / frame.width)))


def small_planes(frame: RawFrame, size: Size) -> tuple[U8, ...]:
    """y, u and v at that size."""
    planes = frame.planes
    return tuple(shrink(plane, size) for plane in (planes.y, planes.u, planes.v))


def _folded(came_from: Field) -> NDArray[np.float32]:
    """0 where each place came from one of its own, 1 where many came from one or their order is reversed: one minus the
    field's Jacobian determinant."""
    if min(came_from.shape[:2]) < 3:  # no pixel has neighbours on all sides
        return np.zeros(came_from.shape[:2], np.float32)
    x, y = cv2.split(cv2.blur(came_from, _AROUND))
    (x_across, x_down), (y_across, y_down) = (
        (plane[1:-1, 2:] - plane[1:-1, :-2], plane[2:, 1:-1] - plane[:-2, 1:-1]) for plane in (x, y)
    )
    folded = np.clip(1 - (x_across * y_down - y_across * x_down) / 4, 0, 1)
    return np.asarray(cv2.copyMakeBorder(folded, 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.float32)
