"""Rooms."""

from __future__ import annotations

from typing import Final

import numpy as np

from art.backgrounds.brush import (
    Colour,
    Field,
    blend,
    coarse,
    defocused,
    grown,
    paint,
    places,
    ramp,
    rounded,
    soft,
)
from vbgcam.core.frames import U8, Size


def studio(size: Size) -> U8:
    """A bright, calm room a little out of focus: the light of a window on a plain wall, a board with a few things."""
    full, size = size, coarse(size, 720)
    x, y = places(size)
    picture = np.repeat(
        ramp(y, ((0.0, (220, 215, 207)), (0.6, (232, 227, 219)), (1.0, (212, 205, 195)))), size.width, 1
    )
    picture *= (0.99 - 0.085 * np.tanh(1.2 * x))[..., None]
    # The panes of a window, fallen aslant on the wall.
    across, down = x + 0.47 - 0.28 * (y - 0.4), y - 0.36 - 0.10 * x
    pane = soft(0.30 - np.abs(across), 0.030) * soft(0.27 - np.abs(down), 0.030)
    pane *= 1 - 0.9 * soft(0.014 - np.abs(across), 0.022)
    pane *= 1 - 0.9 * soft(0.012 - np.abs(down + 0.04), 0.022)
    blend(picture, (255, 247, 228), 0.75 * pane)
    blur = 0.012
    for left, top, right, bottom, colour, width, share in (
        (0.315, 0.380, 1.6, 0.470, (168, 162, 155), 0.090, 0.45),
        (0.300, 0.370, 1.6, 0.394, (176, 134, 98), blur, 1.0),
        (0.300, 0.369, 1.6, 0.377, (206, 168, 132), 0.005, 1.0),
        (0.360, 0.230, 0.388, 0.370, (104, 136, 142), blur, 1.0),
        (0.388, 0.250, 0.418, 0.370, (214, 188, 148), blur, 1.0),
        (0.418, 0.215, 0.444, 0.370, (74, 96, 114), blur, 1.0),
        (0.444, 0.245, 0.474, 0.370, (166, 182, 168), blur, 1.0),
    ):
        inside = np.minimum(np.minimum(x - left, right - x), np.minimum(y - top, bottom - y))
        blend(picture, colour, share * soft(inside, width))
    # Spines are round: each book is darker at its edges, and so is the pot.
    for left, top, right in (
        (0.360, 0.230, 0.388),
        (0.388, 0.250, 0.418),
        (0.418, 0.215, 0.444),
        (0.444, 0.245, 0.474),
    ):
        paint(picture, (60, 50, 44), (right - 0.007, top, right, 0.370), 0.30)
        paint(picture, (255, 244, 226), (left, top, left + 0.008, 0.370), 0.22)
        paint(picture, (240, 222, 190), (left, top + 0.022, right, top + 0.030), 0.55)
    for leaf_x, leaf_y, high, turn, colour in (
        (0.602, 0.268, 0.066, -0.95, (96, 132, 100)),
        (0.718, 0.268, 0.066, 0.95, (96, 132, 100)),
        (0.624, 0.244, 0.080, -0.50, (116, 152, 116)),
        (0.696, 0.244, 0.080, 0.50, (108, 144, 110)),
        (0.660, 0.232, 0.090, 0.0, (128, 164, 124)),
    ):
        aside, down = x - leaf_x, y - leaf_y
        u, v = aside * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - aside * np.sin(turn)
        blend(picture, colour, soft(1 - np.hypot(u / 0.022, v / high), 0.45))
    pot = np.minimum(0.040 - np.abs(x - 0.660) - 0.10 * (y - 0.295), np.minimum(y - 0.295, 0.370 - y))
    blend(picture, (190, 112, 88), soft(pot, blur))
    blend(picture, (110, 56, 44), 0.6 * soft(pot, blur) * soft(x - 0.672, 0.05))
    blend(picture, (255, 220, 196), 0.3 * soft(pot, blur) * soft(0.640 - x, 0.04))
    # The edge of a desk, out of focus.
    blend(picture, (182, 142, 108), soft(y - 0.915, 0.020))
    blend(picture, (214, 178, 144), 0.8 * soft(0.012 - np.abs(y - 0.918), 0.022))
    return rounded(grown(defocused(picture, 0.007), full))


_BOOKS: Final[tuple[Colour, ...]] = (
    (150, 74, 56),
    (196, 150, 96),
    (92, 106, 108),
    (214, 196, 164),
    (60, 78, 86),
    (122, 92, 72),
    (168, 112, 78),
    (86, 98, 76),
    (206, 176, 132),
    (110, 62, 54),
)
_OAK: Final[Colour] = (140, 98, 64)
_BACK: Final[Colour] = (74, 60, 48)
_LAMP: Final = (-0.66, 0.545)
"""The middle of its shade."""


def library(size: Size) -> U8:
    """A room in the evening, out of focus: on the left a lamp, on the right the shelves of books that it lights."""
    full, size = size, coarse(size, 720)
    x, y = places(size)
    picture = np.repeat(ramp(y, ((0.0, (104, 122, 114)), (1.0, (92, 108, 102)))), size.width, 1)
    _bookcase(picture, 0.44, 1.40)
    # A framed print: a hill, and a sun above it.
    for wide, high, colour in (
        (0.112, 0.142, (58, 46, 38)),
        (0.101, 0.131, (226, 216, 198)),
        (0.066, 0.092, (198, 176, 146)),
    ):
        paint(picture, colour, (-0.36 - wide, 0.27 - high, -0.36 + wide, 0.27 + high))
    inside = np.minimum(0.066 - np.abs(x + 0.36), 0.092 - np.abs(y - 0.27))
    blend(picture, (204, 120, 84), soft(np.minimum(inside, 0.026 - np.hypot(x + 0.345, y - 0.245)), 0.003))
    blend(
        picture,
        (98, 104, 92),
        soft(np.minimum(inside, y - 0.290 - 0.9 * (x + 0.36) ** 2 / 0.066 - 0.2 * (x + 0.36)), 0.003),
    )
    paint(picture, (126, 86, 56), (-2.0, 0.845, 0.34, 2.0))
    for edge in (-1.30, -0.80, -0.30, 0.20):
        paint(picture, (84, 56, 36), (edge, 0.868, edge + 0.006, 2.0))
    paint(picture, (182, 132, 88), (-2.0, 0.822, 0.36, 0.848))
    for left, top, right, colour in (
        (-0.52, 0.806, -0.36, (150, 74, 56)),
        (-0.51, 0.788, -0.37, (214, 196, 164)),
        (-0.50, 0.774, -0.38, (60, 78, 86)),
    ):
        paint(picture, colour, (left, top, right, top + 0.017))
    paint(picture, (150, 118, 72), (_LAMP[0] - 0.009, 0.60, _LAMP[0] + 0.009, 0.72))
    bowl = 1 - np.hypot((x - _LAMP[0]) / 0.054, (y - 0.758) / 0.066)
    blend(picture, (198, 190, 174), soft(bowl, 0.06))
    blend(picture, (84, 74, 64), 0.75 * soft(bowl, 0.06) * np.clip(np.abs(x - _LAMP[0] + 0.010) / 0.054, 0, 1) ** 2)
    picture = _lit(picture, x, y)
    picture = defocused(picture, 0.008)
    picture = 255 * (1 - np.exp(-picture)) ** (1 / 2.2)
    return rounded(grown(np.asarray(picture, np.float32), full))


def _bookcase(picture: Field, left: float, right: float) -> None:
    rng = np.random.default_rng(3)
    paint(picture, _BACK, (left, -1, right, 2))
    step, board = 0.232, 0.020
    for shelf in range(5):
        floor = 0.115 + step * shelf
        at = left + 0.022
        while at < right:
            if float(rng.random()) < 0.07:
                at += _between(picture, rng, at, floor)
                continue
            wide, high = float(rng.uniform(0.016, 0.036)), float(rng.uniform(0.125, 0.185))
            colour = np.asarray(_BOOKS[int(rng.integers(len(_BOOKS)))], np.float32) * float(rng.uniform(0.75, 1.1))
            paint(picture, colour, (at, floor - high, at + wide, floor))
            paint(picture, 0.62 * colour, (at + 0.78 * wide, floor - high, at + wide, floor))
            if float(rng.random()) < 0.5:
                band = floor - high * float(rng.uniform(0.70, 0.85))
                paint(picture, (226, 190, 124), (at, band, at + 0.78 * wide, band + 0.010), 0.7)
            at += wide + 0.0015
        # The board above keeps the light off.
        for depth in range(10):
            top = floor - step + board + 0.010 * depth
            paint(picture, (14, 10, 8), (left, top, right, top + 0.010), 0.62 * (1 - depth / 10) ** 1.5)
        paint(picture, _OAK, (left, floor, right, floor + board))
        paint(picture, (190, 140, 94), (left, floor, right, floor + 0.004))
    paint(picture, _OAK, (left - 0.004, -1, left + 0.020, 2))
    paint(picture, (44, 34, 28), (left + 0.020, -1, left + 0.026, 2), 0.6)


def _between(picture: Field, rng: np.random.Generator, at: float, floor: float) -> float:
    """Something else than a standing book; how wide it is."""
    if float(rng.random()) < 0.5:
        wide = float(rng.uniform(0.11, 0.14))
        for layer in range(int(rng.integers(2, 5))):
            colour = _BOOKS[int(rng.integers(len(_BOOKS)))]
            inset = float(rng.uniform(0, 0.016))
            top = floor - 0.022 * (layer + 1)
            paint(picture, colour, (at + inset, top, at + wide - inset, top + 0.020))
        return wide + 0.008
    height, width = picture.shape[:2]
    x, y = places(Size(width, height))
    jar = np.hypot((x - at - 0.055) / 0.040, (y - floor + 0.048) / 0.050)
    blend(picture, (198, 184, 160) if float(rng.random()) < 0.5 else (86, 116, 116), soft(1 - jar, 0.1))
    paint(picture, (150, 138, 120), (at + 0.040, floor - 0.112, at + 0.070, floor - 0.090))
    return 0.11


def _lit(picture: Field, x: Field, y: Field) -> Field:
    """By the lamp and by what the evening leaves: linear light of what reflects as `picture` says."""
    aside, down = x - _LAMP[0], y - _LAMP[1]
    distance = np.hypot(aside, down)
    shade = soft(0.075 + 0.42 * (down + 0.085) * 0.5 - np.abs(aside), 0.006) * soft(0.085 - np.abs(down), 0.006)
    # Up and down through the shade's openings, a little through its cloth.
    slope = np.abs(aside) / (np.abs(down) + 0.10)
    cone = soft(1.05 - slope, 1.1) * soft(np.abs(down) - 0.06, 0.10)
    lamp = (0.30 + 1.5 * cone) / (0.10 + (distance / 0.30) ** 2) + 0.50 / (0.5 + (distance / 0.9) ** 2)
    light = np.asarray((0.12, 0.135, 0.16), np.float32) + lamp[..., None] * np.asarray((0.62, 0.40, 0.20), np.float32)
    lit = (picture / 255) ** 2.2 * light
    glow = np.asarray((3.4, 1.9, 0.80), np.float32) * (1.15 - 0.55 * np.abs(down / 0.085)[..., None])
    lit += (glow - lit) * shade[..., None]
    return np.asarray(lit, np.float32)
