"""Landscapes."""

from __future__ import annotations

from typing import Final

import numpy as np

from art.backgrounds.brush import (
    Colour,
    Field,
    blend,
    filled,
    places,
    ramp,
    ridge,
    rounded,
    soft,
    softened,
    trees,
)
from vbgcam.core.frames import U8, Size

_SKY: Final = (
    (0.00, (52, 66, 118)),
    (0.20, (100, 96, 152)),
    (0.38, (190, 134, 164)),
    (0.52, (244, 180, 154)),
    (0.66, (255, 216, 174)),
)
_HAZE: Final[Colour] = (250, 204, 176)
_DUSK: Final[Colour] = (128, 92, 142)
_NEAR: Final[Colour] = (34, 40, 72)
_SUN: Final = (-0.33, 0.445, 0.050)
"""Centre and radius of the sun in picture heights: x from the middle, y from the top."""


def hills(size: Size) -> U8:
    """Hills at dusk, one behind the other in the haze, under a low sun; the quiet, dark part is below, where a person
    will stand."""
    x, y = places(size)
    pixel = 1 / size.height
    picture = np.repeat(ramp(y, _SKY), size.width, 1)
    distance = np.hypot(x - _SUN[0], y - _SUN[1])
    for reach, strength in ((0.42, 0.16), (0.19, 0.30), (0.085, 0.35)):
        blend(picture, (255, 232, 192), strength * np.exp(-((distance / reach) ** 2)))
    blend(picture, (255, 248, 230), soft(_SUN[2] - distance, 3 * pixel))
    for level, middle, wide, thin, strength in (
        (0.185, -0.52, 0.34, 0.010, 0.38),
        (0.206, -0.30, 0.22, 0.006, 0.30),
        (0.262, 0.50, 0.40, 0.011, 0.42),
        (0.284, 0.72, 0.24, 0.007, 0.34),
        (0.352, 0.12, 0.30, 0.007, 0.34),
    ):
        # A bank of cloud: flat below, fading upwards and to its ends.
        up = level + 0.006 * ridge(x, 3.0, round(1000 * level)) - y
        bank = np.where(up > 0, np.exp(-((up / (2.2 * thin)) ** 2)), np.exp(-((up / (0.8 * thin)) ** 2)))
        blend(picture, (255, 202, 186), strength * bank * np.exp(-(((x - middle) / wide) ** 4)))
    layers = 7
    for index in range(layers):
        near = index / (layers - 1)
        top = 0.540 + 0.40 * near**1.25 - (0.050 + 0.035 * near) * ridge(x, 1.5 + 1.2 * near, 20 + index)
        if index >= layers - 2:
            top -= (0.020 + 0.026 * (index - layers + 2)) * trees(x, 40 + index)
        first = max(0, int((float(top.min()) - 0.01) * size.height))
        below = y[first:] - top
        far = (1 - near) ** 1.2
        colour = [
            h * far + n * (1 - far) + 0.9 * near * (1 - near) * (d - n)
            for h, n, d in zip(_HAZE, _NEAR, _DUSK, strict=True)
        ]
        colour = [0.94 * c if index == 0 else c for c in colour]
        # Haze gathers in the valleys, more of it under the sun.
        haze = np.clip(below / (0.10 + 0.05 * near), 0, 1) ** 1.3 * (0.42 * (1 - near) ** 0.8 + 0.03)
        haze *= 0.7 + 0.5 * np.exp(-(((x - _SUN[0]) / 0.6) ** 2))
        body: Field = np.empty((size.height - first, size.width, 3), np.float32)
        body[:] = colour
        blend(body, _HAZE, haze)
        blend(picture[first:], body, soft(below, 1.6 * pixel))
    picture *= (1 - 0.10 * np.minimum((x / 1.1) ** 2 + ((y - 0.5) / 0.9) ** 2, 2))[..., None]
    return rounded(picture)


_FOG: Final = (
    (0.00, (168, 186, 192)),
    (0.30, (206, 216, 214)),
    (0.55, (230, 230, 220)),
    (0.80, (206, 215, 212)),
    (1.00, (170, 186, 186)),
)
_FAR_FIR: Final[Colour] = (186, 200, 200)
_NEAR_FIR: Final[Colour] = (18, 38, 41)
_MORNING: Final[Colour] = (255, 244, 218)


def forest(size: Size) -> U8:
    """Firs in the morning's fog, darker the nearer they stand; a clearing in the middle, with the light behind it."""
    x, y = places(size)
    picture = np.repeat(ramp(y, _FOG), size.width, 1)
    light = np.exp(-(((x - 0.08) / 0.66) ** 2) - ((y - 0.34) / 0.42) ** 2)
    blend(picture, _MORNING, 0.80 * light)
    for index, (level, hue) in enumerate(((0.47, (206, 214, 211)), (0.53, (194, 205, 203)))):
        # Wooded slopes far behind, all but gone.
        top = level - 0.045 * ridge(x, 1.1, 90 + index) - 0.022 * trees(0.8 * x, 92 + index) - 0.05 * np.abs(x)
        blend(picture, hue, (0.75 - 0.45 * light) * soft(y - top, 0.006) * (1 - soft(y - level - 0.12, 0.26)))
    layers = 8
    for index in range(layers):
        near = index / (layers - 1)
        foot = 0.66 + 0.44 * near
        share: Field = filled(_firs(near, foot, 60 + index), size)
        ground = foot + 0.016 * ridge(x, 0.8, 70 + index) - (0.02 + 0.07 * near) * x**2
        share = np.maximum(share, soft(y - ground - 0.02, 0.10))
        share = softened(share, 0.0014 + 0.0030 * near**4)
        far = (1 - near) ** 1.45
        colour = [f * far + n * (1 - far) for f, n in zip(_FAR_FIR, _NEAR_FIR, strict=True)]
        # Fog stands between the trunks: a tree is clearest at its top.
        share *= 1 - (0.80 - 0.60 * near) * soft(y - (foot - 0.07), 0.34)
        blend(picture, colour, share)
        drift = np.exp(-(((y - foot + 0.01 - 0.02 * ridge(x, 0.7, 80 + index)) / (0.07 + 0.05 * near)) ** 2))
        blend(picture, (228, 231, 224), 0.55 * (1 - near) ** 0.7 * drift)
        blend(picture, _MORNING, 0.12 * (1 - near) * light)
    picture *= (1 - 0.16 * np.minimum(0.6 * x**2 + np.maximum(y - 0.75, 0), 1))[..., None]
    return rounded(picture)


def _firs(near: float, foot: float, seed: int) -> list[Field]:
    """A row of them. Far ones stand everywhere, near ones at the sides alone, and the tallest at the very sides."""
    rng = np.random.default_rng(seed)
    firs: list[Field] = []
    step = 0.022 + 0.095 * near
    for place in np.arange(-2.2, 2.2, step):
        middle = float(place) + float(rng.uniform(-0.45, 0.45)) * step
        grown = float(rng.uniform(0.55, 1.0))
        lean, wide = float(rng.uniform(-0.008, 0.008)), float(rng.uniform(0.15, 0.20))
        reach = rng.uniform(0.62, 1.12, (2, round(13 + 19 * near)))
        bare = 0.30 + 0.30 * near + 0.05 * float(rng.uniform(-1, 1))  # the clearing's half width
        aside = (abs(middle) - bare) / 0.42
        if aside > 0 or near == 0:
            tall = grown * (0.14 + 0.34 * near + 0.62 * near**0.8 * min(max(aside, 0), 1.0))
            fir = _fir(tall, wide * (1 - 0.25 * near), reach)
            fir[:, 0] += middle - lean * fir[:, 1] / tall
            fir[:, 1] += foot
            firs.append(fir)
    return firs


def _fir(tall: float, wide: float, reach: Field) -> Field:
    """One tree's outline, its foot at 0. `wide`: how far the lowest branches reach, in its heights; `reach`: how much
    of that each tier has, (2, tiers), left and right."""
    tiers = reach.shape[1]
    down = ((np.arange(tiers) + 0.6) / tiers) ** 1.12
    sides = []
    for side, ends in zip((-1, 1), reach, strict=True):
        out = side * wide * down**0.8 * ends
        tips = np.stack((out, down + 0.35 * wide * down * ends - 1), 1)
        forks = np.stack((0.45 * out, down + 0.05 / tiers - 1), 1)
        sides.append(np.stack((tips, forks), 1).reshape(-1, 2))
    return np.asarray(tall * np.concatenate(([[0.0, -1.0]], sides[1], sides[0][::-1])), np.float64)
