"""What the network is given: the person with a margin (the region of interest), and now and then the whole frame.

A network of 256x256 that sees the whole frame spends most of its pixels on the room. On the person alone the same
network makes a third of the mistakes (MAD .069 to .021 on a real clip with exact alphas), at the same cost.

The region stays where it is for as long as the person keeps within it and fills it: one that breathes makes masks that
shimmer. The whole frame is given when nobody is found in the region, when the person reaches its border, when the model
of the room says that somebody is elsewhere, and every two seconds: somebody else may have come in."""

import threading
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import U8, Planes, Prediction, RawFrame, Size, read_only
from vbgcam.mask.looks import Looks
from vbgcam.mask.network_guard import NetworkGuard
from vbgcam.mask.plain import alpha_of
from vbgcam.pixels.convert import crop
from vbgcam.pixels.workframe import work_size
from vbgcam.segment import Segmenter

# Of the person's longer side: the region is chosen with the larger margin, and kept while the smaller one is in it. On
# the real clips 0.05 and 0.12 cost a tenth more mean error, and no margin at all cuts hands off.
_NEW_MARGIN: Final = 0.07
_KEPT_MARGIN: Final = 0.03
# A region that is so much larger than would be chosen now is given up.
_WASTE: Final = 1.5
# Of the frame: a region as large as this is the whole frame, and one is never smaller than this on its short side.
_ALL: Final = 0.9
_SMALLEST: Final = 0.25
_WHOLE_EVERY_S: Final = 2.0
# Of the frame's side: rows and columns with fewer pixels of the person are specks.
_SPECK: Final = 0.008
_PERSON: Final = 128
# Of the region's side: who is so near to its border reaches it. Whoever moves an arm does for a mask or two, and the
# next region is larger; who still does after so many is looked for in the whole frame. (To ask again at once, with a
# larger region, costs an inference and gains nothing: the larger region shows the person smaller.)
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
        """Of the frame."""
        return (self.right - self.left) * (self.bottom - self.top)

    def holds(self, other: "Box") -> bool:
        """Whether all of the other lies in it."""
        return self.union(other) == self

    def union(self, other: "Box") -> "Box":
        """The smallest that holds both."""
        low = min(self.left, other.left), min(self.top, other.top)
        return Box(*low, max(self.right, other.right), max(self.bottom, other.bottom))

    def with_margin(self, share: float, frame: Size) -> "Box":
        """`share`: of the longer side, in pixels, on all sides, as far as the frame goes."""
        longer = max((self.right - self.left) * frame.width, (self.bottom - self.top) * frame.height)
        x, y = share * longer / frame.width, share * longer / frame.height
        return Box(max(0.0, self.left - x), max(0.0, self.top - y), min(1.0, self.right + x), min(1.0, self.bottom + y))


WHOLE: Final = Box(0.0, 0.0, 1.0, 1.0)


def box_of(alpha: U8) -> Box | None:
    """Around what is more than half the person, to two pixels; None where that is nobody."""
    from vbgcam.pixels import kernels

    height, width = ((side + 1) // 2 for side in alpha.shape)
    found = np.empty(4, np.int32)
    kernels.box(alpha, True, _PERSON, max(2.0, _SPECK * width), max(2.0, _SPECK * height), found)
    top, bottom, left, right = found.tolist()
    return Box(left / width, top / height, right / width, bottom / height) if bottom and right else None


def choose_roi(person: Box, before: Box | None, frame: Size, *, square: bool) -> Box:
    """The region for a person in that box; `before`, the region until now, where it still serves. `square`: in pixels,
    or else the whole frame."""
    roi = _at_least(person.with_margin(_NEW_MARGIN, frame), frame, square=square)
    if (
        before is not None
        and before.holds(person.with_margin(_KEPT_MARGIN, frame))
        and before.area <= _WASTE * roi.area
    ):
        return before
    return WHOLE if roi.area >= _ALL else roi


def _at_least(box: Box, frame: Size, *, square: bool) -> Box:
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


def _reaches(person: Box, roi: Box) -> bool:
    """Whether the person goes as far as the region does, within the frame."""
    x, y = _TOUCH * (roi.right - roi.left), _TOUCH * (roi.bottom - roi.top)
    return (
        0 < roi.left > person.left - x
        or 0 < roi.top > person.top - y
        or 1 > roi.right < person.right + x
        or 1 > roi.bottom < person.bottom + y
    )


class RoiSegmenter:
    """One network's. `predict` belongs to the network's thread; `update_roi` may be called by another, which knows
    better where the person is by now."""

    def __init__(
        self, segmenter: Segmenter, *, roi: bool, guard: NetworkGuard | None = None, looks: Looks | None = None
    ) -> None:
        """`roi`: the person's region may be given in place of the frame. `guard`: of the answers; without one they are
        believed, as those of single pictures are, in which nothing moves. `looks`: which frames are looked at; without
        it all are."""
        self._segmenter = segmenter
        self._guard, self._looks = (None, None) if segmenter.exact else (guard, looks)
        self._last: Prediction | None = None
        self._crops = roi and segmenter.croppable
        self._lock = threading.Lock()
        self._update: tuple[int, Box | None, bool, float | None] | None = (
            None  # guarded by _lock; all else is the network's thread's
        )
        self._roi: Box | None = None
        self._person: Box | None = None
        self._reached = 0
        self._just_found = False
        self._epoch = -1
        self._size: Size | None = None
        self._whole_at = -np.inf

    def update_roi(self, epoch: int, box: Box | None, *, elsewhere: bool, kept: float | None) -> None:
        """Where the newest mask has the person, whether there may be somebody `elsewhere`, and how much of them is
        `kept` (see `MaskTracker.kept`). Any thread."""
        with self._lock:
            self._update = epoch, box, elsewhere, kept

    def reset(self) -> None:
        """Another scene follows."""
        self._segmenter.reset()
        if self._guard is not None:
            self._guard.reset()
        self._roi = self._last = None

    def predict(self, frame: RawFrame, *, rest: bool = False) -> Prediction:
        """What the network says of the frame, from the person's region where there is one; what it said last, of an
        earlier frame, where no look is due. `rest`: none is, if that can be. Raises ModelError."""
        last, self._last = self._last, None  # what fails is asked again
        if last is not None and not self._is_due(frame, last, rest=rest):
            self._last = last
            return last
        alpha = self._predict(frame)
        doubt = self._guard.doubt if self._guard is not None else None
        self._last = Prediction(frame, alpha, self._segmenter.exact, doubt)
        return self._last

    def _is_due(self, frame: RawFrame, last: Prediction, *, rest: bool) -> bool:
        update = self._update
        if rest and self._looks is not None and last.epoch == frame.epoch and last.doubt is None:
            return False
        if self._looks is None or last.epoch != frame.epoch or (update is not None and update[2]):
            return True
        return self._looks.due(frame, last, None if update is None else update[3])

    def _predict(self, frame: RawFrame) -> U8:
        if not self._crops:
            return self._judged(frame, alpha_of(self._segmenter.probability(frame)))
        if frame.epoch != self._epoch or frame.size != self._size or frame.captured_at < self._whole_at:
            self._epoch, self._size, self._roi = frame.epoch, frame.size, None
        whole = None
        asked, at = self._take_update(frame), self._whole_at
        if asked or frame.captured_at - self._whole_at >= _WHOLE_EVERY_S:
            whole = self._segment_whole(frame)
            if asked and frame.captured_at - at < _WHOLE_EVERY_S:
                # It comes besides: where it counted, a camera that shakes by a pixel had the worse masks with a room
                # model (room_static: dtSSD 8.94, without one 8.81, so 8.69).
                self._whole_at = at
        if not self._has_roi and whole is None:
            whole = self._segment_whole(frame)
        if whole is not None and not self._has_roi:
            return whole
        alpha, person = self._segment_roi(frame, self._roi)
        if person is None and whole is None:
            # Nobody is there any more.
            self._roi = None
            whole = self._segment_whole(frame)
            if self._has_roi:
                alpha, person = self._segment_roi(frame, self._roi)
        if person is None or self._roi is None:
            self._roi = None
            return alpha if whole is None else whole
        self._reached = self._reached + 1 if _reaches(person, self._roi) else 0
        self._choose(person)
        return alpha

    def _judged(self, frame: RawFrame, answer: U8, alpha: U8 | None = None) -> U8:
        """Of the `answer`, which is the `alpha` of the whole frame, or a part of it, what is believed."""
        alpha = answer if alpha is None else alpha
        return alpha if self._guard is None else self._guard.judge(frame, answer, alpha)

    @property
    def _has_roi(self) -> bool:
        return self._roi is not None and self._roi is not WHOLE

    def _take_update(self, frame: RawFrame) -> bool:
        """Takes up what `update_roi` was given. Whether the whole frame is needed."""
        with self._lock:
            update, self._update = self._update, None
        just_found, self._just_found = self._just_found, False
        if update is None or update[0] != frame.epoch:
            return self._reached >= _REACHED
        _epoch, person, elsewhere, _kept = update
        if person is not None and self._roi is not None:
            # A mask that was made before the whole frame was last segmented may be cut where that one is not.
            self._choose(person.union(self._person) if just_found and self._person is not None else person)
        return elsewhere or self._reached >= _REACHED

    def _segment_whole(self, frame: RawFrame) -> U8:
        """The mask of the whole frame; where somebody is in it, the region is theirs, or holds them too."""
        had_roi = self._has_roi
        answer = alpha_of(self._segmenter.one_off(frame) if had_roi else self._segmenter.probability(frame))
        whole = self._judged(frame, answer)
        self._whole_at, self._reached = frame.captured_at, 0
        found = box_of(whole)
        if found is None:
            self._roi = self._roi if had_roi else None
            return whole
        self._just_found = True
        if not had_roi or self._roi is None:
            self._choose(found)
        elif not self._roi.holds(found):
            # Who is in the region is segmented better there; whoever is outside makes it larger.
            self._choose(found.union(self._person or found))
        return whole

    def _choose(self, person: Box) -> None:
        assert self._size is not None
        self._person = person
        self._roi = choose_roi(person, self._roi, self._size, square=not self._segmenter.any_aspect)

    def _segment_roi(self, frame: RawFrame, roi: Box | None) -> tuple[U8, Box | None]:
        """The mask of the whole frame at the working size, and where the person is in it. Nobody is outside the
        region."""
        assert roi is not None
        size = frame.size
        left, top = int(roi.left * size.width) & ~1, int(roi.top * size.height) & ~1
        width = min(size.width - left, round((roi.right - roi.left) * size.width) + 1 & ~1)
        height = min(size.height - top, round((roi.bottom - roi.top) * size.height) + 1 & ~1)
        if not self._segmenter.any_aspect:
            width = height = min(width, height)
        planes: Planes = crop(frame.planes, left, top, Size(width, height)).frozen()
        inside = RawFrame(planes, frame.captured_at, frame.epoch, frame.number)
        answer = alpha_of(self._segmenter.probability(inside))
        whole = work_size(size)
        x, y = whole.width / size.width, whole.height / size.height
        columns = slice(round(left * x), max(round(left * x) + 1, round((left + width) * x)))
        rows = slice(round(top * y), max(round(top * y) + 1, round((top + height) * y)))
        out = np.zeros((whole.height, whole.width), np.uint8)
        target = out[rows, columns]
        target[:] = cv2.resize(answer, (target.shape[1], target.shape[0]), interpolation=cv2.INTER_LINEAR)
        alpha = self._judged(frame, answer, read_only(out))
        return alpha, box_of(alpha)
