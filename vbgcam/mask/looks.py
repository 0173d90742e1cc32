"""Which frames the network looks at: a look takes the most of all that is done for a frame, and an earlier frame's mask
does for one in which little has moved since.

    a look is due   where more has changed since the last one than a share of the person's area,
                    while the answers are doubted, or the mask of the last frame lacked evidence,
                    and every so often

Change is measured as everything else here, by colours, above the noise that the frame's calmer half shows.
"""

from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import Prediction, RawFrame
from vbgcam.mask.guard import size_of, small_planes
from vbgcam.pixels.convert import shrink
from vbgcam.segment.difference import colour_distance

# d of a pixel that has changed: this and so many times the frame's median, which is its noise up to the loudest. With
# 12 and no noise red_shirt, a man talking, has a look at 44 % of its frames, with 20 at 23 %, for .001 of its IoU.
_LEAST, _NOISE, _LOUDEST = 20, 2, 24
# Of the person's area, that of a person of the smallest share of the frame at least. With .2 red_shirt has a look at
# 13 %, and lost .0018 of IoU and .013 of boundary F more.
_CHANGED: Final = 0.1
_SMALLEST: Final = 0.02
# Seconds without a look, at most.
_LONGEST_S: Final = 0.5
# Of the last mask, what had evidence.
_BELIEVED: Final = 0.95
_PERSON: Final = 127


class Looks:
    """One network thread's."""

    def __init__(self) -> None:
        self._last: Prediction | None = None

    def due(self, frame: RawFrame, last: Prediction, kept: float | None) -> bool:
        """Whether the network is to look at the frame. `last`: what it said last. `kept`: see `MaskTracker.kept`."""
        if last.doubt is not None or last.frame.size != frame.size:
            return True
        if not 0 <= frame.captured_at - last.captured_at < _LONGEST_S or (kept is not None and kept < _BELIEVED):
            return True
        size = size_of(frame.size)
        if last is not self._last:
            self._last, self._then = last, small_planes(last.frame, size)
            person = int(np.count_nonzero(shrink(last.alpha, size) > _PERSON))
            self._most = _CHANGED * max(float(person), _SMALLEST * size.width * size.height)
        distance = cv2.blur(colour_distance(small_planes(frame, size), self._then), (3, 3))
        median = int(np.searchsorted(np.cumsum(np.bincount(distance.ravel())), distance.size // 2))
        return bool(np.count_nonzero(distance > _LEAST + _NOISE * min(_LOUDEST, median)) > self._most)
