"""The model of the room: what stands behind the person, learned pixel by pixel, and how a frame differs from it.

A webcam mostly stands still. Where the network saw nobody, a pixel's colour becomes a candidate; one that has stayed
the same for a tenth of a second is the room from then on, and moves slowly with the light. What a frame shows otherwise
than the room is the person, as far as the network says that they are near:

    d = |Y - Y0| + 3 (|U - U0| + |V - V0|)
    log odds of the person = log odds of (d - limit) / ramp + log odds of the network's mask, blurred

with `limit` above the noise that the room shows in this frame. So a mask that is late or coarse still gives the
person's own outline. Where the room is not known yet, behind the person, the network's mask stands.

The room is forgotten where it is wrong. Where the network sees it free and a new colour stays, that is learned (a chair
was moved); where all of it is brighter or of another tint, it is changed alike (`segment.light`); where a part that
nothing of this explains does not fit, or its texture has shifted (the camera was moved), all is forgotten at once, and
the network's masks stand alone until a room has stood still for a while.

Beside the person nothing is learned while they stay, and what differs there would be theirs. Where the room around
changed, at once (a lamp, a chair at their shoulder) or bit by bit (the sun on a wall), the room beside them is
forgotten with it. Where it was kept, a lamp beside a real person leaked .0050 of the room; now .0008, as without a
room model.

It is never written anywhere, and gone with the session, a pause or another opening of the camera.
"""

import logging
import math
from functools import lru_cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Size, read_only
from vbgcam.mask.room_tuning import TUNING
from vbgcam.pixels.workframe import Region, WorkFrame, cropped
from vbgcam.segment.difference import limit_edges, room_limit
from vbgcam.segment.light import Light

log = logging.getLogger(__name__)

Samples = NDArray[np.float32]
"""(rows, columns, 3): means of y, u and v, or by how much they are off."""

_STEP: Final = TUNING.sample_step_px
_UNKNOWN: Final = 255
"""d of a sample whose room is not known; all others are less."""
_FAMILIAR: Final = np.uint8(math.ceil(255 * TUNING.prior_range[0]))
_NOTHING: Final = read_only(np.empty((0, 0), np.uint8))
_SLOPES: Final = np.array([1, 1 / 4, 1 / 4, 1 / 4, 1 / 2, 1 / 2, 1, 1 / 4, 1 / 4])


class _Sampled(NamedTuple):
    """See `kernels.sample`."""

    here: Samples
    person: U8
    somebody: U8
    free: U8
    distance: U8
    found: NDArray[np.int32]


@lru_cache(maxsize=16)
def _square(radius: int) -> U8:
    """A pixel or sample and so many around it, for `cv2.dilate`."""
    return read_only(np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))


class RoomModel:
    """One thread's, for one scene at one working size. `somebody_elsewhere`: whether much of the last frame differs
    from the room where the network saw nobody."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._wait, self._forgot_all_at, self._trusted = 0.0, -np.inf, True
        self.forget()

    def forget(self) -> None:
        """All of the room."""
        height, width = self._size.height, self._size.width
        self._room = tuple(np.zeros((height, width), np.uint8) for _ in range(3))
        self._candidates = tuple(np.zeros((height, width), np.uint16) for _ in range(3))
        self._count, self._known = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
        self._pixels_known = 0
        self._texture: tuple[U8, U8] | None = None
        self.somebody_elsewhere = False
        self._limit = room_limit(0)
        self._learned_at = self._predicted_at = self._not_before = -np.inf
        self._forgot = np.full(self._known[::_STEP, ::_STEP].shape, -np.inf)
        self._forgot_at = -np.inf
        self._last: tuple[float, U8, int] | None = None
        self._means: Samples | None = None
        self._anchor: Samples | None = None

    @property
    def known(self) -> bool:
        """Whether there is any room to compare with, which has stood still for a while."""
        return self._pixels_known > 0 and self._trusted

    def learn(self, seen: WorkFrame, network: U8, finished: U8 | None) -> None:
        """`network`: the network's alpha of that frame; `finished`: what was made of it, where it is the same
        frame's. Both uint8, at the working size."""
        from vbgcam.mask import kernels

        if seen.captured_at < self._not_before:
            return  # a late mask, of a frame that the light or the camera has left behind
        interval = seen.captured_at - self._predicted_at
        self._predicted_at = seen.captured_at
        if 0 <= seen.captured_at - self._learned_at < TUNING.learn_every_s:
            return
        self._learned_at = seen.captured_at
        needed = 1
        if interval < TUNING.believed_after_s:
            needed += round(TUNING.believed_after_s / max(interval, TUNING.learn_every_s))
        grown = _square(TUNING.person_margin_px)
        person = _above(cv2.dilate(network, grown), TUNING.free_alpha)
        if finished is not None:
            # Where our own, sharper mask says so too, nobody is nearer to where the network saw somebody.
            near = _above(cv2.dilate(network, _square(1)), TUNING.half_alpha)
            closely = cv2.max(_above(cv2.dilate(finished, grown), TUNING.free_alpha), near)
            person = np.asarray(cv2.min(person, closely), np.uint8)
        if seen.captured_at < self._forgot_at:
            # A late mask, of a frame that shows what was forgotten there.
            late = np.where(self._forgot > seen.captured_at, np.uint8(255), np.uint8(0))
            person = np.asarray(cv2.max(person, self._to_pixels(late)), np.uint8)
        if self._pixels_known:
            self._doubt(seen, network)
        states = self._count, self._known, self._room
        kernels.learn(seen.planes, person, self._candidates, TUNING.same_d, needed, *states)
        self._pixels_known = cv2.countNonZero(self._known)
        self._note_texture()

    def check(self, now: WorkFrame, network: U8, finished: U8 | None = None) -> None:
        """Whether the room is still as it was, where the network's mask, brought to this frame, is nobody; follows the
        light, or forgets what does not fit. Before `compare`, and for every frame. `finished`: the mask of the frame
        before, where there is one."""
        from vbgcam.mask import kernels

        self._trusted = not now.captured_at < self._forgot_all_at + self._wait
        last, self._last = self._last, None
        sampled = self._sample(now, network, finished, TUNING.free_alpha // 2)
        free, *_shifts, noise = sampled.found.tolist()
        if free < TUNING.fewest_samples:
            return
        if self._follow_light(now, sampled):
            self._not_before = now.captured_at
            sampled = self._sample(now, network, finished, TUNING.free_alpha // 2)
            noise = int(sampled.found[-1])
        self._limit = room_limit(noise)
        at, before, limit = last or (now.captured_at, sampled.distance, 0)
        found, limits = np.empty(3, np.int32), (self._limit + TUNING.ramp_d, limit, limit + TUNING.jump_d)
        kernels.tell(sampled.free, sampled.distance, before, sampled.person, *limits, TUNING.half_alpha, found)
        differ, anew, beside = found.tolist()
        if differ > TUNING.unfit_share * free or self._camera_moved(now, sampled.somebody):
            self._forget_all(now.captured_at)
            return
        self._last = now.captured_at, sampled.distance, self._limit
        if last is not None and finished is not None:
            passed = min(3.0, max(1.0, 30 * (now.captured_at - at)))
            self._forget_drifts(now, sampled, passed)
            side = round(TUNING.jump_window * passed)
            possible = anew >= side**2 * TUNING.doubt_area / 255 and beside >= TUNING.jump_samples
            if possible and self._forget_jumps(now, sampled, last, side):
                return
        # A room that is not believed sends the network nowhere, either: its regions, and so its masks, would be others.
        many = differ > TUNING.somebody_share * sampled.free.size
        self.somebody_elsewhere = bool(self._trusted and many)

    def _sample(self, now: WorkFrame, network: U8, finished: U8 | None, below: int) -> _Sampled:
        from vbgcam.mask import kernels

        rows, columns = (-(-side // _STEP) for side in self._known.shape)
        person, somebody, free, distance = np.empty((4, rows, columns), np.uint8)
        here, found = np.empty((rows, columns, 3), np.float32), np.empty(5, np.int32)
        out = _Sampled(here, person, somebody, free, distance, found)
        other = network if finished is None else finished
        kernels.sample(now.planes, self._room, self._known, network, other, _STEP, below, *out)
        return out

    def compare(self, now: WorkFrame, alpha: U8, region: Region, familiar: U8 | None = None) -> U8:
        """The network's mask, brought to this frame, made sharp and current. `alpha`: of that region, as all that
        follows. `familiar`: of a late mask, 255 where the pixel is of the person's colours, else 0: there, to differ
        from the room makes no person."""
        from vbgcam.mask import kernels

        (rows, columns), late = region, familiar is not None
        least = _NOTHING if familiar is None else np.minimum(familiar, _FAMILIAR)
        distance, out = np.empty_like(alpha), np.empty_like(alpha)
        place, table = (rows.start, columns.start), _table(TUNING.late_prior if late else TUNING.prior_range[0])
        kernels.compare(now.planes, self._room, self._known, *place, alpha, least, table, self._limit, distance, out)
        limited = limit_edges(out, distance, self._limit, cropped(self._known, region))
        return read_only(np.asarray(cv2.medianBlur(limited, 3), np.uint8))

    def _forget_jumps(self, now: WorkFrame, sampled: _Sampled, last: tuple[float, U8, int], side: int) -> bool:
        """Forgets the room where it changed at once, further from the person than they can have come: a lamp was
        switched on, or a chair stands there now. True where it did. `last`: time, d and limit of the frame before;
        `side`: of a square that it must hold."""
        _at, before, limit = last
        distance = sampled.distance
        anew = (distance > limit) & (distance < _UNKNOWN) & (before <= limit)
        clearly = np.where(anew & (distance > limit + TUNING.jump_d), np.uint8(255), np.uint8(0))
        thick = _above(cv2.blur(clearly, (side, side)), TUNING.doubt_area) > 0
        beyond = (clearly > 0) & (cv2.dilate(sampled.person, _square(TUNING.jump_beyond)) < TUNING.half_alpha)
        if not thick.any() or np.count_nonzero(beyond) < TUNING.jump_samples:
            return False
        count, labels = cv2.connectedComponents(anew.astype(np.uint8), connectivity=8)
        jumped = np.bincount(labels[beyond], minlength=count) >= TUNING.jump_samples
        jumped &= np.bincount(labels[thick], minlength=count) > 0
        jumped[0] = False
        if not jumped.any():
            return False
        where = cv2.dilate(jumped[labels].astype(np.uint8), _square(TUNING.jump_reach))
        self._forget_at(where, now.captured_at)
        return True

    def _forget_drifts(self, now: WorkFrame, sampled: _Sampled, passed: float) -> None:
        """Forgets the room beside the person where the room around, which is learned all the time, became another
        bit by bit, and more so than the room as a whole, which `_follow_light` sees to."""
        from vbgcam.mask import kernels

        means = np.asarray(cv2.blur(sampled.here, (TUNING.drift_window, TUNING.drift_window)), np.float32)
        before, self._means = self._means, means
        if before is None or self._anchor is None:
            self._anchor = means.copy()
            return
        person = np.asarray(cv2.dilate(sampled.person, _square(TUNING.drift_beyond)), np.uint8)
        limits = TUNING.free_alpha, TUNING.drift_slow_d * passed, self._limit + TUNING.drift_d, TUNING.fewest_samples
        wide = np.empty_like(person)
        kernels.drifts(means, before, self._anchor, person, *limits, wide)
        if cv2.countNonZero(wide) >= TUNING.drift_samples:
            wide = np.asarray(cv2.dilate(wide, _square(TUNING.drift_reach)), np.uint8)
            self._anchor[wide > 0] = means[wide > 0]
            self._forget_at(wide, now.captured_at)

    def _forget_all(self, at: float) -> None:
        """And waits before a room is believed again: a camera that goes on moving shows one between any two frames."""
        log.debug("the room looks different: it is learned anew")
        again = at - self._forgot_all_at < TUNING.again * self._wait
        self._wait = min(2 * self._wait, TUNING.longest_wait_s) if again else TUNING.wait_s
        self.forget()
        self._not_before = self._forgot_all_at = at
        self._trusted = False

    def _forget_at(self, samples: object, at: float) -> None:
        """Forgets the room at those samples that are more than 0, as it was seen until then."""
        where = np.asarray(samples, np.uint8)
        around = self._to_pixels(where) > 0
        self._known[around] = 0
        self._count[around] = 0
        self._forgot[where > 0] = at
        self._forgot_at = max(self._forgot_at, at)
        self._note_texture()

    def _to_pixels(self, samples: U8) -> U8:
        """To the working size."""
        height, width = self._known.shape
        return np.asarray(cv2.resize(samples, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)

    def _doubt(self, seen: WorkFrame, network: U8) -> None:
        """Forgets the room around what looks different over an area that the network saw nobody in, in the same frame:
        the light has changed there, or a chair was moved. Near the person, where nothing is learned, it would stand
        for the person until they move."""
        sampled = self._sample(seen, network, None, TUNING.free_alpha)
        differs = (sampled.free > 0) & (sampled.distance > self._limit + TUNING.ramp_d)
        shown = differs.astype(np.uint8) * np.uint8(255)
        wide = _above(cv2.blur(shown, (TUNING.doubt_window, TUNING.doubt_window)), TUNING.doubt_area)
        if wide.any():
            self._forget_at(cv2.dilate(wide, _square(TUNING.doubt_reach)), seen.captured_at)

    def _follow_light(self, now: WorkFrame, sampled: _Sampled) -> bool:
        """Exposure and white balance: where the room as a whole became brighter or of another tint, so does the model.
        True where it did."""
        # Medians: a person whom a late mask does not cover is no change of light.
        by, by_u, by_v = np.abs(sampled.found[1:4]).tolist()
        if by <= TUNING.light_change and max(by_u, by_v) <= TUNING.light_change / 2:
            return False
        free = sampled.free > 0
        then, here = ([plane[::_STEP, ::_STEP][free] for plane in side] for side in (self._room, now.planes))
        light = Light.between(then, here)
        self._room = tuple(light.on(self._room))
        if self._anchor is not None:
            # Not rounded: it is changed again and again, and what is off by a half each time soon is a drift.
            moved = np.asarray(cv2.transform(self._anchor, light.matrix), np.float32)
            anchor = np.interp(self._anchor[..., 0], np.arange(256), light.tone)
            self._anchor = np.dstack([anchor.astype(np.float32), moved])
        for candidate, room in zip(self._candidates, self._room, strict=True):
            np.left_shift(room, 8, out=candidate, dtype=np.uint16)
        self._note_texture()
        self._count = np.where(self._known > 0, np.minimum(self._count, 2), 0).astype(np.uint8)
        return True

    def _camera_moved(self, now: WorkFrame, somebody: U8) -> bool:
        """Whether the room's texture lies elsewhere by more than a tenth of a cell, by the translation that explains
        most of the difference (least squares over the free cells; Lucas and Kanade, IJCAI 1981), or is not there at
        all: the slopes of both lumas, which light leaves as they are, have little in common."""
        from vbgcam.mask import kernels

        if self._texture is None:
            return False
        sums = np.zeros(9, np.int64)
        kernels.shifts(_cells(now.y), *self._texture, somebody, _STEP // TUNING.cell_px, sums)
        # Slopes are half of the difference of both neighbours.
        cells, a, b, c, d, e, change, alike, here = (sums * _SLOPES).tolist()
        determinant = a * c - b * b
        if a + c < TUNING.least_texture * max(1.0, cells) or determinant < 1e-3 * (a + c) ** 2:
            return False
        by_x, by_y = (c * d - b * e) / determinant, (a * e - b * d) / determinant
        # Somebody who comes in changes much, too, but no shift explains it, and most of the room is still there.
        explained = by_x * d + by_y * e > TUNING.explained_share * change
        shifted = math.hypot(by_x, by_y) > TUNING.shifted_cells and explained
        return bool(shifted or alike < TUNING.alike * math.sqrt((a + c) * here + 1e-9))

    def _note_texture(self) -> None:
        """What `_camera_moved` needs of the room: luma, and where it is known, over cells."""
        known = cv2.erode(_cells(self._known), _square(1))
        self._texture = _cells(self._room[0]), np.asarray(cv2.threshold(known, 254, 1, cv2.THRESH_BINARY)[1], np.uint8)


def _cells(plane: U8) -> U8:
    """Means of cells of `TUNING.cell_px` pixels."""
    from vbgcam.pixels import kernels

    cell = TUNING.cell_px
    out = np.empty((max(1, plane.shape[0] // cell), max(1, plane.shape[1] // cell)), np.uint8)
    kernels.reduce(plane, cell, out)
    return out


def _above(plane: object, least: int) -> U8:
    """255 where it is more than that."""
    return np.asarray(cv2.threshold(np.asarray(plane, np.uint8), least, 255, cv2.THRESH_BINARY)[1], np.uint8)


@lru_cache(maxsize=2)
def _table(least: float) -> U8:
    """The alpha for what d is above the limit, up to where it tells no more, and for each prior, 256 to a row; that
    counts as `least` at least."""
    likely = np.clip(np.arange(math.ceil(TUNING.ramp_d) + 1) / TUNING.ramp_d, *TUNING.likelihood_range)
    prior = np.clip(np.arange(256) / 255, least, TUNING.prior_range[1])
    odds = np.log(likely / (1 - likely))[:, None] + np.log(prior / (1 - prior))
    return read_only(np.round(255 / (1 + np.exp(-TUNING.log_odds_gain * odds))).astype(np.uint8).ravel())
