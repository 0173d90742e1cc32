"""Chroma key: what has the key's hue is background, however dark or bright it is lit.

The rotated-axes keyer of the YCbCr plane (K. Jack, "Video Demystified", chapter on chroma keying): with x the part of a
pixel's chroma that points to the key and z the part across,

    k = x - |z| / tan(angle / 2)            0 outside the acceptance angle
    alpha = 1 - ramp(k / |key|)             1 up to 0.1, 0 from 0.4 on

Greys have no chroma and darkness has little, so both are the person. A screen lit to 40 % of the key's saturation is
still all background, which is what uneven light asks for. The green light that the screen throws on the person is taken
out by `compose`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vbgcam.errors import ModelError
from vbgcam.frames import RawFrame
from vbgcam.pixels import color_yuv
from vbgcam.segment import Probability

_NONE: Final = 0.10
_FULL: Final = 0.40
_ANGLE: Final = np.radians(90.0)
_LEAST_SATURATION: Final = 16.0


class ChromaKey:
    """See `vbgcam.segment.Segmenter`. Works at the chroma planes' resolution: there is no more to know about colour."""

    device = "cpu"

    def __init__(self, color: tuple[int, int, int], *, hard: bool = False) -> None:
        """`color`: RGB, 0 to 255. Raises ModelError for a colour that is too grey to be a key."""
        self.name = "chroma:#{:02x}{:02x}{:02x}".format(*color)
        _, u, v = color_yuv(color)
        key = np.array([u - 128, v - 128], np.float64)
        length = float(np.hypot(*key))
        if length < _LEAST_SATURATION:
            raise ModelError(f"{self.name}: this colour is too grey for a key", mend="take the screen's, as #00b140")
        self._hard = hard
        # Tables of what each step of u and v adds to x and z, so that a frame takes additions alone.
        steps = np.arange(256, dtype=np.float32) - 128
        along, across = (key / length).astype(np.float32), (np.array([-key[1], key[0]]) / length).astype(np.float32)
        self._x = [steps * along[0] / length, steps * along[1] / length]
        spread = np.float32(1 / np.tan(_ANGLE / 2))
        self._z = [steps * across[0] * spread / length, steps * across[1] * spread / length]

    def probability(self, frame: RawFrame) -> Probability:
        """At chroma size: float32, (height / 2, width / 2), rounded up."""
        u, v = frame.planes.u, frame.planes.v
        k = self._x[0][u] + self._x[1][v] - np.abs(self._z[0][u] + self._z[1][v])
        alpha = 1 - np.clip((k - _NONE) / (_FULL - _NONE), 0, 1)
        if self._hard:
            alpha = np.round(alpha)
        return np.asarray(alpha, np.float32)

    def reset(self) -> None:
        """Each frame stands for itself."""

    def close(self) -> None:
        """There is nothing to release."""
