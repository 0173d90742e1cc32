"""Where the network looks: at the person, with a margin, and now and then at the whole frame.

A network of 256x256 that sees the whole frame spends most of its pixels on the room. On the person alone the same
network makes a third of the mistakes (MAD .069 to .021 on a real clip with exact alphas), at the same cost.

The part stays where it is for as long as the person keeps within it and fills it: a part that breathes makes masks that
shimmer. It is left for a look at the whole frame when nobody is found in it, when the person reaches its border, when
the memory of the room says that somebody is elsewhere, and every two seconds: somebody else may have come in."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import U8, Planes, Prediction, RawFrame, Size, read_only
from vbgcam.mask.plain import alpha_of
from vbgcam.pixels.convert import crop
from vbgcam.pixels.workframe import grid_size
from vbgcam.segment import Segmenter

# Of the person's longer side: the part is chosen with the larger margin, and kept while the smaller one is in it. On
# the real clips 0.05 and 0.12 cost a tenth more mean error, and no margin at all cuts hands off.
_CHOSEN: Final = 0.07
_KEPT: Final = 0.03
# A part that is so much larger than would be chosen now is given up.
_WASTE: Final = 1.5
# Of the frame: a part as large as this is the whole frame, and one is never smaller than this on its short side.
_ALL: Final = 0.9
_SMALLEST: Final = 0.25
# Seconds between two looks at the whole frame.
_WHOLE_EVERY: Final = 2.0
# Of the frame's side: rows and columns with fewer pixels of the person are specks.
_SPECK: Final = 0.008
_PERSON: Final = 128
# Of the part's side: who is so near to its border reaches it. Whoever moves an arm does for a mask or two, and the next
# part is larger; who still does after so many is looked for in the whole frame. (To look again at once, at a larger
# part, costs a look and gains nothing: the larger part shows the person smaller.)
_TOUCH: Final = 0.01
_REACHED: Final = 4


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a frame, from 0 to 1 of its sides; `right` and `bottom` lie outside."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)

    def holds(self, other: Box) -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )

    def and_(self, other: Box) -> Box:
        """Both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def with_margin(self, share: float, frame: Size) -> Box:
        """`share`: of the longer side, in pixels, on all sides, as far as the frame goes."""
        longer = max((self.right - self.left) * frame.width, (self.bottom - self.top) * frame.height)
        x, y = share * longer / frame.width, share * longer / frame.height
        return Box(max(0.0, self.left - x), max(0.0, self.top - y), min(1.0, self.right + x), min(1.0, self.bottom + y))


WHOLE: Final = Box(0.0, 0.0, 1.0, 1.0)


def box_of(alpha: U8) -> Box | None:
    """Around what is more than half the person, to two pixels; None where that is nobody."""
    alpha = alpha[::2, ::2]
    height, width = alpha.shape
    person = np.asarray(alpha >= _PERSON, np.uint8)
    rows = np.flatnonzero(person.sum(1, dtype=np.int32) >= max(2.0, _SPECK * width))
    columns = np.flatnonzero(person.sum(0, dtype=np.int32) >= max(2.0, _SPECK * height))
    if not rows.size or not columns.size:
        return None
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return Box(left / width, top / height, right / width, bottom / height)


def chosen(box: Box, before: Box | None, frame: Size, *, square: bool) -> Box:
    """The part for a person in that box; `before`, the part until now, where it still serves. `square`: in pixels, or
    else the whole frame."""
    wanted = box.with_margin(_CHOSEN, frame)
    wanted = _grown(wanted, frame, square=square)
    if before is not None and before.holds(box.with_margin(_KEPT, frame)) and before.area <= _WASTE * wanted.area:
        return before
    return WHOLE if wanted.area >= _ALL else wanted


def _grown(box: Box, frame: Size, *, square: bool) -> Box:
    """Not below the smallest side, and a square where that is asked for."""
    low = min(frame.width, frame.height)
    width, height = (box.right - box.left) * frame.width, (box.bottom - box.top) * frame.height
    width, height = max(width, _SMALLEST * low), max(height, _SMALLEST * low)
    if square:
        width = height = max(width, height)
        if width > low:
            return WHOLE
    width, height = min(1.0, width / frame.width), min(1.0, height / frame.height)
    left = min(max(0.0, (box.left + box.right - width) / 2), 1 - width)
    top = min(max(0.0, (box.top + box.bottom - height) / 2), 1 - height)
    return Box(left, top, left + width, top + height)


def _reaches(box: Box, part: Box) -> bool:
    """Whether the person goes as far as the part does, within the frame."""
    x, y = _TOUCH * (part.right - part.left), _TOUCH * (part.bottom - part.top)
    return (
        0 < part.left > box.left - x
        or 0 < part.top > box.top - y
        or 1 > part.right < box.right + x
        or 1 > part.bottom < box.bottom + y
    )


class RoiSegmenter:
    """One network's. `predict` belongs to the network's thread; `update_roi` may be called by another, which knows
    better where the person is by now."""

    def __init__(self, segmenter: Segmenter, *, crop: bool) -> None:
        self._segmenter = segmenter
        self._crop = crop and segmenter.crops
        self._lock = threading.Lock()
        self._news: tuple[int, Box | None, bool] | None = None
        self._part: Box | None = None
        self._box: Box | None = None
        self._reached = 0
        self._looked = False
        self._epoch = -1
        self._size: Size | None = None
        self._whole_at = -np.inf

    def update_roi(self, epoch: int, box: Box | None, *, elsewhere: bool) -> None:
        """Where the newest mask has the person, and whether there may be somebody `elsewhere`."""
        with self._lock:
            self._news = epoch, box, elsewhere

    def reset(self) -> None:
        """Another scene follows."""
        self._segmenter.reset()
        self._part = None

    def predict(self, frame: RawFrame) -> Prediction:
        """Raises ModelError."""
        if not self._crop:
            return Prediction(frame, alpha_of(self._segmenter.probability(frame)), exact=self._segmenter.exact)
        if frame.epoch != self._epoch or frame.size != self._size or frame.captured_at < self._whole_at:
            self._epoch, self._size, self._part = frame.epoch, frame.size, None
        whole = None
        asked, at = self._heed(frame), self._whole_at
        if asked or frame.captured_at - self._whole_at >= _WHOLE_EVERY:
            whole = self._look_around(frame)
            if asked and frame.captured_at - at < _WHOLE_EVERY:
                # It comes besides: where it counted, a camera that shakes by a pixel had the worse masks with a memory
                # (room_static: dtSSD 8.94, without one 8.81, so 8.69).
                self._whole_at = at
        if not self._at_part and whole is None:
            whole = self._look_around(frame)
        if whole is not None and not self._at_part:
            return Prediction(frame, whole)
        alpha, box = self._look_at(frame, self._part)
        if box is None and whole is None:
            # Nobody is there any more.
            self._part = None
            whole = self._look_around(frame)
            if self._at_part:
                alpha, box = self._look_at(frame, self._part)
        if box is None or self._part is None:
            self._part = None
            return Prediction(frame, alpha if whole is None else whole)
        self._reached = self._reached + 1 if _reaches(box, self._part) else 0
        self._box, self._part = box, self._for(box)
        return Prediction(frame, alpha)

    @property
    def _at_part(self) -> bool:
        return self._part is not None and self._part is not WHOLE

    def _heed(self, frame: RawFrame) -> bool:
        """Takes up what `update_roi` was told. Whether the whole frame should be looked at."""
        with self._lock:
            news, self._news = self._news, None
        looked, self._looked = self._looked, False
        if news is None or news[0] != frame.epoch:
            return self._reached >= _REACHED
        _epoch, box, elsewhere = news
        if box is not None and self._part is not None:
            # A mask that was made before the last look at the whole frame may be cut where that look is not.
            self._box = box.and_(self._box) if looked and self._box is not None else box
            self._part = self._for(self._box)
        return elsewhere or self._reached >= _REACHED

    def _look_around(self, frame: RawFrame) -> U8:
        """The mask of the whole frame; where somebody is in it, the part is theirs, or holds them too."""
        aside = self._at_part
        whole = alpha_of(self._segmenter.glance(frame) if aside else self._segmenter.probability(frame))
        self._whole_at, self._reached = frame.captured_at, 0
        found = box_of(whole)
        if found is None:
            self._part = self._part if aside else None
            return whole
        self._looked = True
        if not aside or self._part is None:
            self._box, self._part = found, self._for(found)
        elif not self._part.holds(found):
            # Who is in the part is seen better by the look at it; whoever is outside makes it larger.
            self._box = found.and_(self._box or found)
            self._part = self._for(self._box)
        return whole

    def _for(self, box: Box) -> Box:
        assert self._size is not None
        return chosen(box, self._part, self._size, square=not self._segmenter.stretches)

    def _look_at(self, frame: RawFrame, part: Box | None) -> tuple[U8, Box | None]:
        """The mask of the whole frame at the grid's size, and where the person is in it. Nobody is outside the part."""
        assert part is not None
        size = frame.size
        left, top = int(part.left * size.width) & ~1, int(part.top * size.height) & ~1
        width = min(size.width - left, round((part.right - part.left) * size.width) + 1 & ~1)
        height = min(size.height - top, round((part.bottom - part.top) * size.height) + 1 & ~1)
        if not self._segmenter.stretches:
            width = height = min(width, height)
        planes: Planes = crop(frame.planes, left, top, Size(width, height)).frozen()
        inside = RawFrame(planes, frame.captured_at, frame.epoch, frame.number)
        answer = alpha_of(self._segmenter.probability(inside))
        whole = grid_size(size)
        x, y = whole.width / size.width, whole.height / size.height
        columns = slice(round(left * x), max(round(left * x) + 1, round((left + width) * x)))
        rows = slice(round(top * y), max(round(top * y) + 1, round((top + height) * y)))
        out = np.zeros((whole.height, whole.width), np.uint8)
        target = out[rows, columns]
        target[:] = cv2.resize(answer, (target.shape[1], target.shape[0]), interpolation=cv2.INTER_LINEAR)
        return read_only(out), box_of(out)
