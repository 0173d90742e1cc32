"""Whose colour a pixel has: ln p(colour | person) / p(colour | room), as learned from what surely was either.

Histograms of y, u and v; colour alone tells person from room at areas under the ROC curve of .90 to .997 on twelve
clips of real people.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8

# Log odds are bytes, 128 is even, in steps of a twentieth; more than 6 either way is cut off.
EVEN: Final = 128
STEP: Final = 20
_MOST: Final = 6.0
# Steps of luma, 16 in 256, and of chroma, 64 in the middle half of its range, where all of it is that is seen indoors.
# With 32 steps of chroma the dancing man of room_static has an IoU of .933, with 64 .955.
_LUMA_STEPS, _CHROMA_STEPS = 16, 64
# Of what was learned before, how much counts beside the newest: a person keeps their colours.
_KEPT: Final = 0.9
# A colour that neither has shown yet tells nothing: this share of all pixels is added to both sides.
_UNSEEN: Final = 1e-5

_Histogram = NDArray[np.float32]


class Colours:
    """One thread's, for one scene."""

    def __init__(self) -> None:
        self._histograms: tuple[_Histogram, _Histogram] | None = None
        self._odds = np.empty(0, np.uint8)

    def learn(self, planes: Sequence[U8], room: NDArray[np.bool_], person: NDArray[np.bool_]) -> None:
        """`planes`: y, u and v, all of one shape; `room`, `person`, of that shape: where either surely is."""
        bins = _bins(planes)
        sides = []
        for number, where in enumerate((room, person)):
            counts = np.bincount(bins[where], minlength=_LUMA_STEPS * _CHROMA_STEPS**2).astype(np.float32)
            sides.append(counts if self._histograms is None else counts + _KEPT * self._histograms[number])
        self._histograms = sides[0], sides[1]
        nobody, somebody = (_smooth(side) / max(1.0, float(side.sum())) + _UNSEEN for side in sides)
        nats = np.clip(np.log(somebody / nobody), -_MOST, _MOST)
        self._odds = np.round(nats * STEP + EVEN).astype(np.uint8)

    def odds(self, planes: Sequence[U8]) -> U8:
        """Of each pixel, uint8: `EVEN`, and `STEP` more for each nat that its colour is rather the person's. Something
        must have been learned."""
        return self._odds[_bins(planes)]


def _bins(planes: Sequence[U8]) -> NDArray[np.int32]:
    """Of each pixel, the place of its colour in a flat histogram."""
    from vbgcam.mask import kernels

    out = np.empty(planes[0].shape, np.int32)
    kernels.bins(tuple(planes), _LUMA_STEPS, _CHROMA_STEPS, out)
    return out


def _smooth(counts: _Histogram) -> _Histogram:
    """With the neighbours in each of the three, 1 2 1."""
    bell, one = np.array([1, 2, 1], np.float32) / 4, np.ones(1, np.float32)
    over_chroma = cv2.sepFilter2D(counts.reshape(-1, _CHROMA_STEPS), -1, bell, bell)
    return np.asarray(cv2.sepFilter2D(over_chroma.reshape(_LUMA_STEPS, -1), -1, one, bell), np.float32).ravel()
