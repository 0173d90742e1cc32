"""Clean plate: a camera that stands still, and a picture of the room without anybody. What differs is the person.

The work is done at the working size (`pixels.workframe`); what d is, and how a pixel at the edge is shared, stands in
`difference`. d becomes a probability along a ramp that begins above the noise of this frame. The plate is first made
as bright and as tinted as the frame (see `light`).

Light that changed in one place shows the wall it falls on, so it must not be taken for the person. It scales a pixel's
Y and its chroma alike: with r = Y / Y0 and e = |U - r U0| + |V - r V0| (Y from 16, U and V from 128), a pixel is room
where e is small and either r is a shadow's (a third of the light at most) or the plate's own texture is still there,
that is, the normalised cross-correlation of the two lumas around it is above 0.8. There an eighth of d counts.

Where the texture says that the camera was moved, or that the light changed over much of the room, nobody is shown at
all until it fits again: a plate that does not fit would show the room's outlines, or all of it.

On a real room of 640x360 with exact alphas the mean error is 0.0047, the IoU .979 and the boundary F .95, with no
network at all. One core takes 3.2 ms a frame, of any size.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.errors import MediaError, ModelError
from vbgcam.core.frames import U8, Planes, RawFrame, Size
from vbgcam.media import images
from vbgcam.media.atomic import whole
from vbgcam.pixels.convert import fit, from_rgb, to_rgb
from vbgcam.pixels.workframe import WorkFrame, resized, work_frame, work_size
from vbgcam.segment.base import FixedInput, Probability
from vbgcam.segment.difference import colour_distance, limit_edges, room_limit
from vbgcam.segment.light import UNCHANGED_TINT, UNCHANGED_TONE, Tint, Tone, tint_matrix, tone_curve

log = logging.getLogger(__name__)

F32 = NDArray[np.float32]

# The ramp is this wide, in steps of d.
_WIDTH: Final = 12
# A shadow takes up to a third of a pixel's light and leaves e below 4. A shadow of 25 % on the real clip's red curtains
# leaked 0.034 of the picture when the chroma had to stay as it was, and leaks 0.003 so.
_SHADOW: Final = 0.33
_SHADOW_CHROMA: Final = 4
_TEXTURE_CHROMA: Final = 10
_FORGIVEN: Final = np.arange(256, dtype=np.uint8) >> 3
# From this luma on a camera clips one colour before the others, and chroma says nothing.
_CLIPPED: Final = 215
# The texture is compared in so many cells, in windows of so many, and speaks where its variance is more than noise.
_CELLS: Final = 14400
_WINDOW: Final = (5, 5)
_VARIANCE: Final = 16
_CORRELATION: Final = 0.8
# The plate does not fit: the camera turned by more cells than this (3 pixels at 1280x720) and the texture is there so
# much better at that distance. Of 600 pictures of a still camera, with a person of 16 to 57 % of the picture before
# furnished and plain rooms, none is taken for turned...
_TURNED: Final = 0.4
_BETTER: Final = 1.3
_LEAST_TEXTURE: Final = 0.01
# ... or more than this share of the room's texture is lit by so much more or less; a shadow beside a person makes 0.04.
_RELIT: Final = 0.12
_RELIT_BY: Final = 10
# The light is judged by this share of the picture at least; from grey, a white balance moves most colours by less.
_LEAST_ROOM: Final = 0.05
_STRONGEST_TINT: Final = 25
# What was found unfit has to fit better by this to be believed again.
_AGAIN: Final = 0.75
# Of the picture, as a share: smaller holes and islands are mistakes. A hand at the edge of the picture is ten times it.
_SPECK: Final = 0.0013


class CleanPlate(FixedInput):
    """See `vbgcam.segment.Segmenter`. The plate is fitted to the frame's size as a camera's frame would be."""

    name = "plate"
    recurrent = True  # where the room was, which tells its light

    def __init__(self, planes: Planes, *, hard: bool = False) -> None:
        self._original = planes
        self._hard = hard
        self._plate: _Plate | None = None
        self._fitted: Size | None = None
        self._was_room: NDArray[np.bool_] | None = None
        self._unfit = self._told = False

    @classmethod
    def load(cls, path: Path, *, hard: bool = False) -> Self:
        """Raises ModelError."""
        try:
            return cls(from_rgb(images.read(path).rgb), hard=hard)
        except MediaError as exc:
            raise ModelError(
                f"the clean plate cannot be used: {exc.message}", fix="take one of the empty room with `vbgcam plate`"
            ) from exc

    def probability(self, frame: RawFrame) -> Probability:
        """At the working size: float32, (height, width). All 0 while the plate does not fit, which is logged once."""
        size = work_size(frame.size)
        if self._plate is None or self._fitted != frame.size:
            self._fitted = frame.size
            self._plate = _Plate(work_frame(RawFrame(fit(self._original, frame.size).frozen(), 0.0), size))
            self.reset()
        plate, seen = self._plate, work_frame(frame, size)
        plate.follow(seen, _first_room(plate, seen) if self._was_room is None else self._was_room)
        cells = _Cells(plate, seen)
        self._judge(cells)
        if self._unfit:
            return np.zeros((size.height, size.width), np.float32)
        apart = _apart(plate, seen, cells.same)
        # The noise: what the calmer part of the picture differs by.
        counts = np.cumsum(np.bincount(apart[::4, ::4].ravel(), minlength=256))
        least = room_limit(int(np.searchsorted(counts, 0.3 * counts[-1])))
        ramp = _u8(cv2.LUT(apart, _ramp(least)))
        alpha = _without_specks(_u8(cv2.medianBlur(limit_edges(ramp, apart, least, plate.known), 5)))
        self._was_room = alpha[:: plate.step, :: plate.step] < 64
        if self._hard:
            return np.asarray(alpha > 127, np.float32)
        return np.asarray(alpha * np.float32(1 / 255), np.float32)

    def reset(self) -> None:
        """Another scene: the light is judged anew."""
        self._was_room = None
        self._unfit = False

    def _judge(self, cells: _Cells) -> None:
        limit = _AGAIN if self._unfit else 1.0
        turned, relit = cells.turned() > limit * _TURNED, cells.relit() > limit * _RELIT
        self._unfit = turned or relit
        if self._unfit and not self._told:
            self._told = True
            log.warning(
                "the clean plate does not fit any more: %s. Nobody is shown until it does; take a new one with "
                "`vbgcam plate`",
                "the camera was moved" if turned else "the light has changed",
            )


class _Plate:
    """The plate at the working size, and `y`, `u`, `v` as bright and as tinted as the last frame.

    `low`: luma at chroma size, `light`: the same from black, `shadow`: its least in a shadow; `u_from`, `v_from`:
    chroma at that size from grey. `coarse`: luma of the `cells` (see `_Cells`), with `mean` and `variance` around each.
    `step`: the light is judged at every so many pixels, about 3,000 in all, `samples` of them down and across. `known`:
    255 everywhere."""

    def __init__(self, plate: WorkFrame) -> None:
        self.size = plate.size
        self.known = np.full(plate.y.shape, 255, np.uint8)
        self.step = max(2, round(math.sqrt(plate.size.pixels / 3000)))
        coarse = max(1.0, math.sqrt(plate.size.pixels / _CELLS))
        self.cells = Size(max(1, round(self.size.width / coarse)), max(1, round(self.size.height / coarse)))
        self._y = plate.y
        self._yuv = cv2.merge([plate.y, plate.u, plate.v])
        self._lumas = self._y[:: self.step, :: self.step]
        u, v = (plane[:: self.step, :: self.step].astype(np.float32) - 128 for plane in (plate.u, plate.v))
        self._features = np.stack([np.ones(u.shape, np.float32), self._lumas.astype(np.float32), u, v])
        self.samples = self._lumas.shape
        self._set(UNCHANGED_TONE, UNCHANGED_TINT)

    def follow(self, seen: WorkFrame, room: NDArray[np.bool_]) -> None:
        """`room`: where the frame shows the room, as far as is known, at every `step` pixels."""
        if np.count_nonzero(room) < _LEAST_ROOM * room.size:
            return  # a person who fills the picture says nothing of the light
        now = seen.y[:: self.step, :: self.step]
        new_tone = tone_curve(self._lumas[room], now[room])
        clear = room & (now < _CLIPPED)
        lumas, features = self._lumas[room], self._features[:, clear]
        new_tint = tint_matrix(features, *(plane[:: self.step, :: self.step][clear] for plane in (seen.u, seen.v)))
        if features.size and np.median(np.abs((new_tint - UNCHANGED_TINT) @ features)) > _STRONGEST_TINT:
            return  # no white balance does that: it is a person before a plain wall
        tone_apart, tint_apart = np.abs(new_tone - self._tone)[lumas], np.abs((new_tint - self._tint) @ features)
        # Under a steady light the medians differ by 1, and no new plate is made.
        if tone_apart.max() > 2 or tint_apart.max(initial=0) > 1:
            self._set(new_tone, new_tint)

    def _set(self, new_tone: Tone, new_tint: Tint) -> None:
        self._tone, self._tint = new_tone, new_tint
        self.y = _u8(cv2.LUT(self._y, np.clip(new_tone + 0.5, 0, 255).astype(np.uint8)))
        self.low = resized(self.y, self.size.chroma)
        constant = 128 + new_tint[:, 0] - 128 * (new_tint[:, 2] + new_tint[:, 3])
        moved = cv2.transform(self._yuv, np.column_stack([new_tint[:, 1:], constant]).astype(np.float64))
        self.u, self.v = (np.ascontiguousarray(moved[..., index], np.uint8) for index in range(2))
        self.u_from, self.v_from = (_from_grey(resized(plane, self.size.chroma)) for plane in (self.u, self.v))
        self.light = _light(self.low)
        self.shadow = (self.low - _SHADOW * self.light).astype(np.uint8)
        self.coarse = resized(self.y, self.cells).astype(np.float32)
        self.mean, self.variance = _moments(self.coarse)
        self.textured = self.variance > _VARIANCE


def _first_room(plate: _Plate, seen: WorkFrame) -> NDArray[np.bool_]:
    """What `_Plate.follow` needs before there was a mask: where the plate's texture is, whatever the light; in a room
    that has hardly any, all of the picture."""
    if np.count_nonzero(plate.textured) < _LEAST_ROOM * plate.textured.size:
        return np.ones(plate.samples, np.bool_)
    same = _Cells(plate, seen).same.astype(np.uint8)
    return np.asarray(cv2.resize(same, plate.samples[::-1], interpolation=cv2.INTER_NEAREST), np.bool_)


class _Cells:
    """The plate's texture in the frame, about 14,400 cells of equal size. `same`: where it is still there, bool."""

    def __init__(self, plate: _Plate, seen: WorkFrame) -> None:
        self._plate, self._seen = plate, seen
        self._now = resized(seen.y, plate.cells).astype(np.float32)
        self._mean, self._variance = _moments(self._now)
        self.same = self._like(plate.coarse, plate.mean, plate.variance)

    def turned(self) -> float:
        """By how many cells the camera turned: the peak of the phase correlation (Kuglin and Hines 1975), which light
        does not move. A person close by makes peaks of their own, so it is 0 where the texture is not there better at
        that distance, too."""
        if min(self._now.shape) < 16 or np.count_nonzero(self._plate.textured) < _LEAST_TEXTURE * self._now.size:
            return 0.0
        window = cv2.createHanningWindow((self._now.shape[1], self._now.shape[0]), cv2.CV_32F)
        # OpenCV multiplies the window into the arrays that it is given.
        (x, y), _ = cv2.phaseCorrelate(self._plate.coarse.copy(), self._now.copy(), window)
        far = math.hypot(x, y)
        if far <= _AGAIN * _TURNED:
            return 0.0
        by = np.array([[1, 0, x], [0, 1, y]])
        there = np.asarray(cv2.warpAffine(self._plate.coarse, by, self._now.shape[::-1]), np.float32)
        better = np.count_nonzero(self._like(there, *_moments(there)))
        return far if better > _BETTER * np.count_nonzero(self.same) + 0.01 * there.size else 0.0

    def relit(self) -> float:
        """The share of the room's texture that is there but brighter or darker. 0 where most is hidden: then it is a
        person close by, and what is taken for texture may be chance."""
        plate, seen, cells = self._plate, self._seen, self._plate.cells
        ratio = _light(self._now) / _light(plate.coarse)
        off = [
            np.abs(_from_grey(resized(now, cells)) - ratio * _from_grey(resized(then, cells)))
            for now, then in ((seen.u, plate.u), (seen.v, plate.v))
        ]
        same = self.same & (off[0] + off[1] < _TEXTURE_CHROMA)
        there = np.count_nonzero(same)
        if there < 0.5 * np.count_nonzero(plate.textured) or there < _LEAST_TEXTURE * same.size:
            return 0.0
        return float(np.count_nonzero(same & (np.abs(plate.mean - self._mean) > _RELIT_BY)) / there)

    def _like(self, then: F32, mean: F32, variance: F32) -> NDArray[np.bool_]:
        both = _average(then * self._now) - mean * self._mean
        return (variance > _VARIANCE) & (both * np.abs(both) > _CORRELATION**2 * variance * self._variance)


@lru_cache(maxsize=32)
def _ramp(least: int) -> U8:
    """The alpha for each d."""
    return np.clip(np.round((np.arange(256) - least) / _WIDTH * 255), 0, 255).astype(np.uint8)


def _apart(plate: _Plate, seen: WorkFrame, same: NDArray[np.bool_]) -> U8:
    """d, with what the light has done taken out. e Y0 is compared in place of e: no division, and 16 bits, in which
    OpenCV limits what is too large."""
    half = plate.size.chroma
    low, low_u, low_v = (resized(plane, half) for plane in seen.planes)
    light = _light(low)
    off = cv2.add(
        cv2.absdiff(cv2.multiply(_from_grey(low_u), plate.light), cv2.multiply(plate.u_from, light)),
        cv2.absdiff(cv2.multiply(_from_grey(low_v), plate.light), cv2.multiply(plate.v_from, light)),
    )
    shaded = (low <= plate.low) & (low >= plate.shadow) & (off < _SHADOW_CHROMA * plate.light)
    there = _u8(cv2.resize(same.astype(np.uint8), (half.width, half.height), interpolation=cv2.INTER_NEAREST))
    room = shaded | ((there > 0) & (off < _TEXTURE_CHROMA * plate.light))
    # Light changes over an area; a line along the person's edge is theirs (boundary F .926 without, .943 with this).
    forgiven = cv2.morphologyEx(room.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    clipped = np.asarray((low >= _CLIPPED) & (plate.low >= _CLIPPED), np.uint8)
    size = (plate.size.width, plate.size.height)
    out = colour_distance(seen.planes, (plate.y, plate.u, plate.v)).copy()
    if clipped.any():
        luma = cv2.absdiff(seen.y, plate.y)
        cv2.copyTo(luma, cv2.resize(clipped, size, interpolation=cv2.INTER_NEAREST), out)
    cv2.copyTo(cv2.LUT(out, _FORGIVEN), cv2.resize(forgiven, size, interpolation=cv2.INTER_NEAREST), out)
    return out


def take(frames: Iterable[Planes], count: int) -> Planes:
    """The mean of `count` frames of the empty room. Raises ModelError where something moved, or frames ran out."""
    first, number = None, 0
    total: NDArray[np.float32] = np.zeros(1, np.float32)
    for planes in itertools.islice(frames, count):
        first = first or planes
        if planes.size != first.size or _moved(first, planes):
            raise ModelError(
                "the picture did not stand still while the plate was taken",
                fix="leave the picture, let nothing move in it, and run `vbgcam plate` again",
            )
        total = total + planes.data
        number += 1
    if first is None or number < count:
        raise ModelError(f"the camera gave {number} of the {count} frames that a plate needs")
    return Planes(first.size, (total / count + np.float32(0.5)).astype(np.uint8))


def save(planes: Planes, path: Path) -> None:
    """Writes the plate as a PNG that only its owner can read: it shows the room. Raises ModelError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path, mode=0o600) as part:
            ok, data = cv2.imencode(".png", to_rgb(planes)[..., ::-1])
            assert ok
            part.write_bytes(data.tobytes())
    except OSError as exc:
        raise ModelError(f"{path}: the plate cannot be written: {exc.strerror}") from exc


def _u8(picture: object) -> U8:
    return np.asarray(picture, np.uint8)


def _from_grey(plane: U8) -> NDArray[np.int16]:
    return np.subtract(plane, 128, dtype=np.int16)


def _light(luma: U8 | F32) -> NDArray[np.int16]:
    """Luma above black, 1 at least."""
    return np.subtract(np.maximum(luma, 17), 16).astype(np.int16)


def _average(cells: F32) -> F32:
    return np.asarray(cv2.blur(cells, _WINDOW), np.float32)


def _moments(cells: F32) -> tuple[F32, F32]:
    """Mean and variance around each cell."""
    mean = _average(cells)
    return mean, _average(cells * cells) - mean * mean


def _without_specks(alpha: U8) -> U8:
    """Holes in the person are filled and islands in the room removed, found at about 320x180."""
    height, width = alpha.shape
    coarse = max(1.0, math.sqrt(alpha.size / (4 * _CELLS)))
    small = Size(max(1, round(width / coarse)), max(1, round(height / coarse)))
    coarsely = resized(alpha, small)
    least = max(1, round(_SPECK * small.pixels))
    out = alpha
    for person in (True, False):
        _, part = cv2.threshold(coarsely, 127, 255, cv2.THRESH_BINARY if person else cv2.THRESH_BINARY_INV)
        _, labels, figures, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
        speck = (figures[:, cv2.CC_STAT_AREA] < least).astype(np.uint8) * np.uint8(255)
        speck[0] = 0
        if not speck.any():
            continue
        # One pixel more, so that the rim goes with its speck.
        where = cv2.dilate(speck[labels], np.ones((3, 3), np.uint8))
        where = cv2.resize(where, (width, height), interpolation=cv2.INTER_NEAREST)
        out = _u8(cv2.subtract(out, where) if person else cv2.max(out, where))
    return out


def _moved(first: Planes, planes: Planes) -> bool:
    """More than 1 % of the picture's blocks of 8x8 pixels changed by more than noise: 12 of 255 on average."""
    size = (max(1, first.size.width // 8), max(1, first.size.height // 8))
    before, now = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (first.y, planes.y))
    return bool(np.count_nonzero(cv2.absdiff(before, now) > 12) > 0.01 * before.size)
