"""Chroma key: what has the key's hue is background, however dark or bright it is lit.

The rotated-axes keyer of the YCbCr plane (K. Jack, "Video Demystified", chapter on chroma keying): with x the part of a
pixel's chroma that points to the key and z the part across,

    k = (x - |z| / tan(angle / 2)) / |key|      0 outside the acceptance angle
    alpha = 1 - ramp(k / light)                 1 up to 0.12, 0 from 0.4 on

`light` is the pixel's luma by the key's (both from black), since a screen in the shade has less chroma in the same
measure as less luma; 0.5 at least, so that dark pixels, whose chroma is noise, stay the person, and 1 at most. On the
real clip before a screen lit from 30 to 60 % of the key, 0.023 of the picture is screen that stays without it, 0.001
with it. Greys have no chroma and are the person. The green light that the screen throws on the person is taken out by
`compose`.
"""

from typing import Final

import cv2
import numpy as np

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import RawFrame
from vbgcam.pixels.convert import color_yuv
from vbgcam.segment.base import FixedInput, Probability

_NONE: Final = 0.12
_FULL: Final = 0.40
_ANGLE: Final = np.radians(90.0)
_LIGHTS: Final = (0.5, 1.0)
_LEAST_SATURATION: Final = 16.0


class ChromaKey(FixedInput):
    """See `vbgcam.segment.Segmenter`. Works at the chroma planes' resolution: there is no more to know about colour."""

    def __init__(self, color: tuple[int, int, int], *, hard: bool = False) -> None:
        """`color`: RGB, 0 to 255. Raises ModelError for a colour that is too grey to be a key."""
        self.name = "chroma:#{:02x}{:02x}{:02x}".format(*color)
        luma, *chroma = color_yuv(color)
        key = np.array(chroma, np.float64) - 128
        length = float(np.hypot(*key))
        if length < _LEAST_SATURATION:
            raise ModelError(f"{self.name}: this colour is too grey for a key", fix="take the screen's, as #00b140")
        self._hard = hard
        # k of every pair of u and v, and 1 / light of every luma: a frame takes two look-ups (0.9 ms at 1280x720).
        u, v = np.meshgrid(np.arange(256) - 128, np.arange(256) - 128, indexing="ij")
        along, across = (u * key[0] + v * key[1]) / length, (v * key[0] - u * key[1]) / length
        self._k = ((along - np.abs(across) / np.tan(_ANGLE / 2)) / length).astype(np.float32).ravel()
        lights = np.clip((np.arange(256) - 16) / max(1, luma - 16), *_LIGHTS)
        self._per_light = (1 / lights).astype(np.float32)

    def probability(self, frame: RawFrame) -> Probability:
        """At chroma size: float32, (height / 2, width / 2), rounded up."""
        planes = frame.planes
        height, width = planes.u.shape
        luma = np.asarray(cv2.resize(planes.y, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        k = self._k.take(planes.u.astype(np.uint16) << 8 | planes.v) * self._per_light.take(luma)
        alpha = np.clip((_FULL - k) / (_FULL - _NONE), 0, 1)
        return np.asarray(np.round(alpha) if self._hard else alpha, np.float32)
