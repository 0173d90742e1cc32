"""The memory of the room: what stands behind the person, learned pixel by pixel, and how a frame differs from it.

A webcam mostly stands still. Where the network saw nobody, a pixel's colour becomes a candidate; one that has stayed
the same for a tenth of a second is the room from then on, and moves slowly with the light. What a frame shows otherwise
than the room is the person, as far as the network says that they are near:

    d = |Y - Y0| + 3 (|U - U0| + |V - V0|)
    log odds of the person = log odds of (d - foot) / width + log odds of the network's mask, blurred

with `foot` above the noise that the room shows in this frame. So a mask that is late or coarse still gives the person's
own outline. Where the room is not known yet, behind the person, the network's mask stands.

The memory lets go where it is wrong. Of the room that the network sees free: where a new colour stays, it is learned in
the place of the old one (a chair was moved); where the whole of it is brighter or of another tint, it is changed alike
(`segment.light`); and where a part that nothing of this explains does not fit, or its texture has shifted (the camera
was moved), all is forgotten at once, and the network's masks stand alone until a room has stood still for a while.

Beside the person nothing is learned while they stay, and what differs there would be theirs. That room is only as good
as the room around it: where that changed, at once (a lamp was switched on, a chair stands at their shoulder) or bit by
bit (the sun on a wall), the room beside them is forgotten with it, and the network's mask stands there. Where it was
kept, a lamp switched on beside a real person leaked .0050 of the room; now .0008, as without a memory.

It is never written anywhere, and gone with the session, a pause or another opening of the camera.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Size, read_only
from vbgcam.pixels.workframe import Grid, Part, of
from vbgcam.segment.difference import distance, foot, share
from vbgcam.segment.light import tint, tone

log = logging.getLogger(__name__)

# The ramp of d is so wide.
_WIDTH: Final = 14
# What the two sides of the log odds are cut to, and the gain of their sum.
_LIKELY: Final = (0.01, 0.99)
_PRIOR: Final = (0.05, 0.985)
_GAIN: Final = 3.0
_SOFT: Final = (13, 13)
# A candidate: alike within so much (in d), believed after so many seconds, or at the first sight where the network
# gives fewer than ten masks a second. It is looked at this often.
_SAME: Final = 14
_BELIEVED: Final = 0.1
_EVERY: Final = 0.1
# Nobody: where the network's mask, grown by four pixels, is below a tenth; or ours and by less than half the network's.
# Grown by three, hair that the network does not see becomes the room (red_shirt nearer: dtSSD 1.04, with this .98,
# without a memory .98).
_GROWN: Final = np.ones((9, 9), np.uint8)
_FREE: Final = 25
_HALF: Final = 127
_NEAR: Final = np.ones((3, 3), np.uint8)
# Samples for light and fit: at every so many pixels; of the known room at least so many.
_STEP: Final = 8
_FEWEST: Final = 150
# The light changed where the median sample did by more than this.
_DIM: Final = 2.0
# Of the free room, the part that may not fit; and the cells by which its texture may be off.
_UNFIT: Final = 0.3
_CELL: Final = 4
_SHIFTED: Final = 0.10
_LEAST_TEXTURE: Final = 4.0
_EXPLAINED: Final = 0.3
_ALIKE: Final = 0.5
# Of a square of five samples, the part that must differ for its room to be doubted, of 255; and how far around, in
# samples: an arm that the network missed is thinner.
_AREA: Final = 200
_REACH: Final = np.ones((9, 9), np.uint8)
# A difference that is somebody whom the network has not seen: of the grid, at least.
_SOMEBODY: Final = 0.01
# What changed at once, between two frames at 30 a second, is nobody where it holds a square of so many samples, by more
# than the noise and this, and has so many samples beyond so many from the person (32 pixels): nobody comes as fast. All
# that hangs together with it is forgotten, and six samples around, which is as far as the person and a little more.
_JUMP: Final = 5
_ANEW: Final = 4
_FAR: Final = 8
_APART: Final = np.ones((9, 9), np.uint8)
_NEXT: Final = np.ones((13, 13), np.uint8)
# d of a sample whose room is not known.
_UNKNOWN: Final = 32000
# What changed bit by bit: by the means of so many samples, whose middle is further than so many from the person (40
# pixels); not by more than this in a frame, as whoever the network missed does (true masks at 5 a second on
# room_static: boundary F .725, where 12 counts, too, .708); since it was near the person last, by more than the noise
# and this; at so many samples (deeplab on room_static: where one is enough MAD .0138, now .0136). Forgotten is as much
# around: two samples less, and a lamp that takes 0.3 s leaks twice as much (red_shirt, .0012 to .0006); two more, and
# boundary F on room_static is .722. Not looked for at all, that lamp leaks .0050, and room_static has .732.
_MEANS: Final = (5, 5)
_BESIDE: Final = np.ones((11, 11), np.uint8)
_SLOW: Final = 8
_DRIFT: Final = 3
_MANY: Final = 3
_ROUND: Final = np.ones((13, 13), np.uint8)
_WEIGHTS: Final = np.array([[1, 3, 3]], np.float64)
# A room that was forgotten is believed again after so many seconds, and after twice as many each time that it has to be
# forgotten again within four times as many. Believed at once, a pan of 2 pixels a frame shimmers more than without a
# memory (red_shirt, dtSSD 3.87 to 3.72); after 0.6 s, a knock costs more (room_static, true masks at 5 a second:
# boundary F .589, with this .637).
_WAIT: Final = 0.3
_LONGEST_WAIT: Final = 2.0
_AGAIN: Final = 4

Samples = NDArray[np.float32]
"""(rows, columns, 3): means of y, u and v, or by how much they are off."""


class RoomModel:
    """One thread's, for one scene at one size. `elsewhere`: whether much of the last frame differs from the room where
    the network saw nobody."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._wait, self._let_go_at, self._trusted = 0.0, -np.inf, True
        self.forget()

    def forget(self) -> None:
        """All of it."""
        height, width = self._size.height, self._size.width
        self._room = [np.zeros((height, width), np.uint8) for _ in range(3)]
        self._kept = [np.zeros((height, width), np.uint16) for _ in range(3)]
        self._count, self._seen = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
        self._rate, self._sure = np.empty((height, width), np.uint8), np.empty((height, width), np.uint8)
        self._known = 0
        self._coarse: tuple[NDArray[np.float32], ...] | None = None
        self.elsewhere = False
        self._foot = foot(0)
        self._learned_at = -np.inf
        self._sighted_at = -np.inf
        self._not_before = -np.inf
        self._forgot = np.full(self._seen[::_STEP, ::_STEP].shape, -np.inf)
        self._forgot_at = -np.inf
        self._last: tuple[float, NDArray[np.int16], int] | None = None
        self._means: Samples | None = None
        self._anchor: Samples | None = None

    @property
    def known(self) -> bool:
        """Whether there is any room to compare with, which has stood still for a while."""
        return self._known > 0 and self._trusted

    def learn(self, seen: Grid, alpha: U8, ours: U8 | None) -> None:
        """`alpha`: the network's for that frame; `ours`: what was made of it, where it is the same frame's."""
        from vbgcam.mask import kernels

        if seen.captured_at < self._not_before:
            return  # a late mask, of a frame that the light or the camera has left behind
        interval = seen.captured_at - self._sighted_at
        self._sighted_at = seen.captured_at
        if seen.captured_at - self._learned_at < _EVERY and seen.captured_at >= self._learned_at:
            return
        self._learned_at = seen.captured_at
        needed = 1 if not interval < _BELIEVED else 1 + round(_BELIEVED / max(interval, _EVERY))
        person = _above(cv2.dilate(alpha, _GROWN), _FREE)
        if ours is not None:
            # Where our own, sharper mask says so too, nobody is nearer to where the network saw somebody.
            closely = cv2.max(_above(cv2.dilate(ours, _GROWN), _FREE), _above(cv2.dilate(alpha, _NEAR), _HALF))
            person = np.asarray(cv2.min(person, closely), np.uint8)
        if seen.captured_at < self._forgot_at:
            # A late mask, of a frame that shows what was forgotten there.
            late = np.where(self._forgot > seen.captured_at, np.uint8(255), np.uint8(0))
            person = np.asarray(cv2.max(person, self._pixels(late)), np.uint8)
        person = read_only(person)
        if self._known:
            self._doubt(seen, alpha)
        kept_y, kept_u, kept_v = self._kept
        kernels.recognise(
            *(seen.y, seen.u, seen.v, person),
            *(kept_y, kept_u, kept_v),
            _SAME,
            needed,
            *(self._count, self._seen, self._rate, self._sure),
        )
        rate, sure = read_only(self._rate), read_only(self._sure)
        for plane, kept, room in zip((seen.y, seen.u, seen.v), self._kept, self._room, strict=True):
            kernels.learn(plane, rate, sure, kept, room)
        self._known = cv2.countNonZero(self._seen)
        self._look_back()

    def check(self, now: Grid, alpha: U8, ours: U8 | None = None) -> None:
        """Whether the room is still as it was, where the network's mask, brought to this frame, is nobody; follows the
        light, or forgets what does not fit. Before `judge`, and for every frame. `ours`: the mask of the frame before,
        where there is one."""
        self._trusted = not now.captured_at < self._let_go_at + self._wait
        seen = self._seen[::_STEP, ::_STEP] > 0
        somebody = cv2.dilate(np.ascontiguousarray(alpha[::_STEP, ::_STEP]), _NEAR)
        free = np.asarray(somebody < _FREE // 2) & seen
        last, self._last = self._last, None
        if np.count_nonzero(free) < _FEWEST:
            return
        off = self._sampled(now)
        if self._follow(now, free, off):
            self._not_before = now.captured_at
            off = self._sampled(now)
        apart = np.abs(off[0]) + 3 * (np.abs(off[1]) + np.abs(off[2]))
        usual = apart[free]
        self._foot = foot(_median(usual))
        differs = apart > self._foot + _WIDTH
        if np.count_nonzero(differs & free) > _UNFIT * usual.size or self._moved(now, somebody):
            self._let_go(now.captured_at)
            return
        apart[~seen] = _UNKNOWN
        self._last = now.captured_at, apart, self._foot
        if last is not None and ours is not None:
            person = np.asarray(cv2.max(alpha[::_STEP, ::_STEP], ours[::_STEP, ::_STEP]), np.uint8)
            passed = min(3.0, max(1.0, 30 * (now.captured_at - last[0])))
            self._drifted(now, person, passed)
            if self._jumped(now, apart, last, person, passed):
                return
        # A room that is not believed sends the network nowhere, either: its looks, and so its masks, would be others.
        self.elsewhere = bool(self._trusted and np.count_nonzero(differs & free) > _SOMEBODY * free.size)

    def _jumped(
        self, now: Grid, apart: NDArray[np.int16], last: tuple[float, NDArray[np.int16], int], person: U8, passed: float
    ) -> bool:
        """Forgets the room where it changed at once, further from the person than they can have come: a lamp was
        switched on, or a chair stands there now. True where it did. `apart`, `person`: d and the mask, at the samples;
        `last`: time, d and foot of the frame before; `passed`: thirtieths of a second since."""
        _at, before, foot = last
        anew = (apart > foot) & (apart < _UNKNOWN) & (before <= foot)
        side = round(_JUMP * passed)
        if np.count_nonzero(anew) < side**2 * _AREA / 255:
            return False
        clearly = np.where(anew & (apart > foot + _ANEW), np.uint8(255), np.uint8(0))
        thick = _above(cv2.blur(clearly, (side, side)), _AREA) > 0
        far = (clearly > 0) & (cv2.dilate(person, _APART) < _HALF)
        if not thick.any() or np.count_nonzero(far) < _FAR:
            return False
        count, labels = cv2.connectedComponents(anew.astype(np.uint8), connectivity=8)
        jumped = np.bincount(labels[far], minlength=count) >= _FAR
        jumped &= np.bincount(labels[thick], minlength=count) > 0
        jumped[0] = False
        if not jumped.any():
            return False
        self._forget_at(cv2.dilate(jumped[labels].astype(np.uint8), _NEXT), now.captured_at)
        return True

    def _drifted(self, now: Grid, person: U8, passed: float) -> None:
        """Forgets the room beside the person where the room around, which is learned all the time, became another
        bit by bit, and more so than the room as a whole, which `_follow` sees to."""
        here = _samples(now)
        before, self._means = self._means, here
        if before is None or self._anchor is None:
            self._anchor = here.copy()
            return
        again = (cv2.dilate(person, _BESIDE) >= _FREE) | (_weighed(here - before) > _SLOW * passed)
        self._anchor[again] = here[again]
        off = here - self._anchor
        some = off[~again]
        if len(some) < _FEWEST:
            return
        common = np.median(some[:: 1 + len(some) // _FEWEST], axis=0)
        wide = (_weighed(off - common.astype(np.float32)) > self._foot + _DRIFT).astype(np.uint8)
        if np.count_nonzero(wide) >= _MANY:
            wide = np.asarray(cv2.dilate(wide, _ROUND), np.uint8)
            self._anchor[wide > 0] = here[wide > 0]
            self._forget_at(wide, now.captured_at)

    def _let_go(self, at: float) -> None:
        """Forgets all, and waits before a room is believed again: a camera that goes on moving shows one between any
        two frames."""
        log.debug("the room looks different: it is learned anew")
        again = at - self._let_go_at < _AGAIN * self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT) if again else _WAIT
        self.forget()
        self._not_before = self._let_go_at = at
        self._trusted = False

    def _forget_at(self, samples: object, at: float) -> None:
        """Forgets the room at those samples that are more than 0, as it was seen until then."""
        where = np.asarray(samples, np.uint8)
        around = self._pixels(where) > 0
        self._seen[around] = 0
        self._count[around] = 0
        self._forgot[where > 0] = at
        self._forgot_at = max(self._forgot_at, at)
        self._look_back()

    def _pixels(self, samples: U8) -> U8:
        """To the grid's size."""
        height, width = self._seen.shape
        return np.asarray(cv2.resize(samples, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)

    def judge(self, now: Grid, alpha: U8, part: Part) -> U8:
        """The network's mask, brought to this frame, made sharp and current; `now` and `alpha` are that part of the
        grid."""
        from vbgcam.mask import kernels

        prior = read_only(np.asarray(cv2.blur(alpha, _SOFT), np.uint8))
        apart, seen = distance(now, [of(plane, part) for plane in self._room]), of(self._seen, part)
        out = np.empty_like(alpha)
        kernels.judge(apart, prior, alpha, seen, _table(self._foot), out)
        return read_only(np.asarray(cv2.medianBlur(share(out, apart, self._foot, seen), 3), np.uint8))

    def _doubt(self, seen: Grid, alpha: U8) -> None:
        """Forgets the room around what looks different over an area that the network saw nobody in, in the same frame:
        the light has changed there, or a chair was moved. Near the person, where nothing is learned, it would stand
        for the person until they move."""
        off = self._sampled(seen)
        apart = np.abs(off[0]) + 3 * (np.abs(off[1]) + np.abs(off[2]))
        free = (cv2.dilate(np.ascontiguousarray(alpha[::_STEP, ::_STEP]), _NEAR) < _FREE) & (
            self._seen[::_STEP, ::_STEP] > 0
        )
        differs = np.where(free & (apart > self._foot + _WIDTH), np.uint8(255), np.uint8(0))
        wide = _above(cv2.blur(differs, (5, 5)), _AREA)
        if not wide.any():
            return
        self._forget_at(cv2.dilate(wide, _REACH), seen.captured_at)

    def _sampled(self, now: Grid) -> list[NDArray[np.int16]]:
        """By how much y, u and v are more than the room's, at every `_STEP` pixels."""
        return [
            np.subtract(seen[::_STEP, ::_STEP], room[::_STEP, ::_STEP], dtype=np.int16)
            for seen, room in zip((now.y, now.u, now.v), self._room, strict=True)
        ]

    def _follow(self, now: Grid, sample: NDArray[np.bool_], off: list[NDArray[np.int16]]) -> bool:
        """Exposure and white balance: where the room as a whole became brighter or of another tint, so does what is
        remembered. True where it did."""
        # Medians: a person whom a late mask does not cover is no change of light.
        by, by_u, by_v = (abs(_median(part[sample])) for part in off)
        if by <= _DIM and max(by_u, by_v) <= _DIM / 2:
            return False
        y, u, v = (plane[::_STEP, ::_STEP][sample] for plane in self._room)
        now_y, now_u, now_v = (plane[::_STEP, ::_STEP][sample] for plane in (now.y, now.u, now.v))
        exactly = tone(y, now_y)
        curve = np.clip(exactly + 0.5, 0, 255).astype(np.uint8)
        features = np.stack([np.ones(y.size), y, u.astype(np.float32) - 128, v.astype(np.float32) - 128])
        change = tint(features.astype(np.float32), now_u, now_v)
        offset = 128 + change[:, 0] - 128 * (change[:, 2] + change[:, 3])
        matrix = np.column_stack([change[:, 1:], offset]).astype(np.float64)
        moved = cv2.transform(cv2.merge(self._room), matrix)
        self._room[0] = np.asarray(cv2.LUT(self._room[0], curve), np.uint8)
        for index in (1, 2):
            self._room[index] = np.ascontiguousarray(moved[..., index - 1], np.uint8)
        if self._anchor is not None:
            # Not rounded: it is changed again and again, and what is off by a half each time soon is a drift.
            moved = np.asarray(cv2.transform(self._anchor, matrix), np.float32)
            luma = np.interp(self._anchor[..., 0], np.arange(256), exactly)
            self._anchor = np.dstack([luma.astype(np.float32), moved])
        for kept, room in zip(self._kept, self._room, strict=True):
            np.left_shift(room, 8, out=kept, dtype=np.uint16)
        self._look_back()
        self._count = np.where(self._seen > 0, np.minimum(self._count, 2), 0).astype(np.uint8)
        return True

    def _moved(self, now: Grid, somebody: object) -> bool:
        """Whether the camera did: the room's texture lies elsewhere by more than a tenth of a cell, by the translation
        that explains most of the difference (least squares over the free cells; Lucas and Kanade, IJCAI 1981), or is
        not there at all: the slopes of both lumas, which light leaves as they are, have little in common."""
        if self._coarse is None:
            return False
        then, x, y, sure = self._coarse
        free = cv2.resize(np.asarray(somebody, np.uint8), then.shape[::-1], interpolation=cv2.INTER_NEAREST) < 1
        weight = np.where(free, sure, np.float32(0))
        cells = _cells(now.y)
        change = ((cells - then) * weight).ravel()
        here = np.concatenate([(slope * weight).ravel() for slope in _slopes(cells)])
        x, y = (x * weight).ravel(), (y * weight).ravel()
        a, b, c, d, e = (float(np.dot(*pair)) for pair in ((x, x), (x, y), (y, y), (x, change), (y, change)))
        determinant = a * c - b * b
        if a + c < _LEAST_TEXTURE * max(1.0, float(weight.sum())) or determinant < 1e-3 * (a + c) ** 2:
            return False
        alike = float(np.dot(np.concatenate([x, y]), here)) / float(np.sqrt((a + c) * np.dot(here, here) + 1e-9))
        by_x, by_y = (c * d - b * e) / determinant, (a * e - b * d) / determinant
        # Somebody who comes in changes much, too, but no shift explains it, and most of the room is still there.
        explained = by_x * d + by_y * e
        shifted = np.hypot(by_x, by_y) > _SHIFTED and explained > _EXPLAINED * float(np.dot(change, change))
        return bool(shifted or alike < _ALIKE)

    def _look_back(self) -> None:
        """What `_moved` needs of the room: luma, its slopes and where it is known, over cells."""
        then = _cells(self._room[0])
        x, y = _slopes(then)
        known = cv2.erode(_cells(self._seen), _NEAR)
        self._coarse = then, x, y, np.float32(1) * (known > 254)


def _samples(now: Grid) -> Samples:
    """Means of y, u and v around every `_STEP` pixels."""
    some = [np.ascontiguousarray(plane[::_STEP, ::_STEP]) for plane in (now.y, now.u, now.v)]
    return np.asarray(cv2.blur(cv2.merge(some).astype(np.float32), _MEANS), np.float32)


def _weighed(off: Samples) -> NDArray[np.float32]:
    """d, (rows, columns)."""
    return np.asarray(cv2.transform(np.abs(off), _WEIGHTS), np.float32)


def _cells(plane: U8) -> NDArray[np.float32]:
    """Means of 4x4 pixels."""
    from vbgcam.pixels import kernels

    out = np.empty((max(1, plane.shape[0] // _CELL), max(1, plane.shape[1] // _CELL)), np.uint8)
    kernels.reduce(read_only(plane), _CELL, out)
    return out.astype(np.float32)


def _slopes(cells: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """To the right and down."""
    x, y = (cv2.Sobel(cells, cv2.CV_32F, *axis, ksize=1, scale=0.5) for axis in ((1, 0), (0, 1)))
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _median(values: NDArray[np.int16]) -> int:
    return int(np.partition(values, values.size // 2)[values.size // 2])


def _above(plane: object, least: int) -> U8:
    """255 where it is more than that."""
    return np.asarray(cv2.threshold(np.asarray(plane, np.uint8), least, 255, cv2.THRESH_BINARY)[1], np.uint8)


@lru_cache(maxsize=64)
def _table(least: int) -> U8:
    """The alpha for each distance and prior."""
    likely = np.clip((np.arange(256) - least) / _WIDTH, *_LIKELY)
    prior = np.clip(np.arange(256) / 255, *_PRIOR)
    odds = np.log(likely / (1 - likely))[:, None] + np.log(prior / (1 - prior))
    return read_only(np.round(255 / (1 + np.exp(-_GAIN * odds))).astype(np.uint8))
