"""Colour and light alone."""

from __future__ import annotations

from typing import Final

import numpy as np

from art.backgrounds.brush import Colour, Field, blend, coarse, grown, places, ramp, rounded, soft
from vbgcam.core.frames import U8, Size

_NIGHT: Final = (
    (0.00, (7, 12, 34)),
    (0.45, (12, 26, 62)),
    (1.00, (6, 11, 30)),
)


def aurora(size: Size) -> U8:
    """Veils of light in a deep blue, brightest at the sides."""
    full, size = size, coarse(size, 540)
    x, y = places(size)
    picture = np.repeat(ramp(y, _NIGHT), size.width, 1)
    for middle_x, middle_y, reach, colour, strength in (
        (-0.75, 0.95, 0.60, (28, 92, 150), 0.55),
        (0.80, 0.10, 0.62, (74, 48, 140), 0.60),
        (0.25, 0.70, 0.55, (16, 70, 116), 0.40),
    ):
        glow = np.exp(-(((x - middle_x) / (1.3 * reach)) ** 2) - ((y - middle_y) / reach) ** 2)
        blend(picture, colour, strength * glow)
    for level, tilt, bend, phase, fall, strength, colours in (
        (0.20, -0.16, 0.10, 0.4, 0.26, 0.55, ((120, 88, 214), (58, 128, 226))),
        (0.42, -0.24, 0.13, 1.7, 0.34, 0.50, ((64, 104, 224), (40, 178, 204))),
        (0.66, -0.20, 0.11, 2.9, 0.30, 0.62, ((40, 140, 222), (52, 214, 190))),
        (0.92, -0.26, 0.09, 4.2, 0.24, 0.50, ((52, 92, 204), (38, 170, 214))),
    ):
        edge = level + tilt * x + bend * np.sin(2.3 * x + phase) + 0.35 * bend * np.sin(5.1 * x + 2.2 * phase)
        up = edge - y
        # A veil: its lower hem is bright and sharp, and it fades upwards; folds run through it.
        veil = np.where(up > 0, np.exp(-np.maximum(up, 0) / (0.45 * fall)), np.exp(-((up / (0.05 * fall)) ** 2)))
        folds = 0.72 + 0.28 * np.sin(9 * x + 3 * up / fall + 2 * phase + 1.5 * np.sin(3.1 * x + phase))
        sides = 0.35 + 0.65 * soft(np.abs(x + 0.05 * phase - 0.1) - 0.45, 0.9)
        t = soft(x - 0.4 * np.sin(phase), 2.2)[..., None]
        tint = np.asarray(colours[0], np.float32) * (1 - t) + np.asarray(colours[1], np.float32) * t
        share = strength * veil * folds * sides
        blend(picture, np.broadcast_to(tint, picture.shape), share)
    return rounded(grown(picture, full))


_SHEETS: Final[tuple[tuple[float, float, float, float, Colour], ...]] = (
    (-1.02, 1.10, 0.98, 0.3, (223, 220, 206)),
    (1.06, -0.12, 0.88, 2.2, (240, 220, 200)),
    (-1.04, 1.12, 0.80, 1.5, (182, 196, 186)),
    (1.08, -0.14, 0.70, 3.6, (232, 192, 164)),
    (-1.06, 1.14, 0.62, 2.9, (122, 156, 152)),
    (1.10, -0.16, 0.52, 5.1, (214, 148, 118)),
    (-1.08, 1.16, 0.43, 4.4, (58, 102, 108)),
    (1.12, -0.18, 0.33, 0.6, (176, 98, 78)),
)
"""Middle, radius and phase of each sheet's edge, the lowest first."""


def paper(size: Size) -> U8:
    """Sheets of coloured paper, cut in curves, one above the other in two corners; the rest is plain."""
    x, y = places(size)
    pixel = 1 / size.height
    picture = np.repeat(ramp(y, ((0.0, (247, 242, 234)), (1.0, (238, 231, 220)))), size.width, 1)
    for middle_x, middle_y, radius, phase, colour in _SHEETS:
        inside = _cut(x - middle_x, y - middle_y, radius, phase)
        # The light comes from above on the left.
        fallen = _cut(x - middle_x - 0.008, y - middle_y - 0.014, radius, phase)
        blend(picture, (70, 52, 40), 0.34 * soft(fallen, 0.075))
        blend(picture, (70, 52, 40), 0.16 * soft(fallen, 0.020))
        sheet = np.empty_like(picture)
        sheet[:] = colour
        sheet *= (1.04 - 0.10 * np.clip(inside / radius, 0, 1))[..., None]
        blend(sheet, (255, 252, 246), 0.40 * soft(0.0022 - np.abs(inside - 0.0014), 1.6 * pixel))
        blend(picture, sheet, soft(inside, 1.6 * pixel))
    return rounded(picture)


def _cut(x: Field, y: Field, radius: float, phase: float) -> Field:
    """How far inside of a sheet: a circle whose edge swings."""
    angle = np.arctan2(y, x)
    swing = 0.085 * np.sin(4 * angle + phase) + 0.035 * np.sin(7 * angle + 2.1 * phase)
    return np.asarray(radius * (1 + swing) - np.hypot(x, y), np.float32)
