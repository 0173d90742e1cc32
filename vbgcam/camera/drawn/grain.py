"""The noise of a good webcam by daylight, so that taking a clean plate away has honest work to do.

Gaussian, sigma 1.3 of 255 in luma and 0.9 in chroma (of the full range, not of the video range). Each frame takes its
own part of a field that is made once: 0.4 ms a frame at 1280x720, where fresh noise would take 15.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Planes

SIGMA_LUMA: Final = 1.3 * 219 / 255
SIGMA_CHROMA: Final = 0.9 * 224 / 255

_SPARE: Final = 64
"""How far the field is larger than the plane: 4,096 different parts."""


def add_grain(planes: Planes, number: int) -> None:
    """Onto the planes themselves; the same for the same size and frame number."""
    places = np.random.default_rng(number).integers(_SPARE, size=6)
    for index, (plane, sigma) in enumerate(
        ((planes.y, SIGMA_LUMA), (planes.u, SIGMA_CHROMA), (planes.v, SIGMA_CHROMA))
    ):
        height, width = plane.shape
        top, left = places[2 * index : 2 * index + 2]
        # OpenCV adds 8-bit planes with saturation in one pass, but only unsigned ones: the field is kept as two.
        for change, part in zip((cv2.add, cv2.subtract), _field(height, width, sigma), strict=True):
            change(plane, part[top : top + height, left : left + width], dst=plane)


@lru_cache(maxsize=8)
def _field(height: int, width: int, sigma: float) -> tuple[U8, U8]:
    """What is added and what is taken away."""
    noise: NDArray[np.float32] = np.random.default_rng(5).standard_normal((height + _SPARE, width + _SPARE), np.float32)
    whole = np.rint(noise * sigma).astype(np.int8)
    return np.maximum(whole, 0).astype(np.uint8), np.maximum(-whole, 0).astype(np.uint8)
