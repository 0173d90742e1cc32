"""A town in the evening."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from art.backgrounds.brush import Colour, Field, blend, coarse, grown, places, ramp, rounded, soft, softened
from vbgcam.core.frames import U8, Size

_BLUE_HOUR: Final = (
    (0.00, (14, 22, 52)),
    (0.25, (30, 40, 84)),
    (0.45, (74, 70, 118)),
    (0.58, (150, 104, 122)),
    (0.66, (206, 140, 116)),
    (1.00, (70, 56, 80)),
)
_WARM: Final[tuple[Colour, ...]] = ((255, 172, 84), (255, 190, 110), (255, 150, 66), (255, 210, 150), (255, 182, 96))
_COOL: Final[tuple[Colour, ...]] = ((160, 210, 255), (120, 220, 220), (255, 120, 90))
_END: Final = (0.05, 0.68)
"""Where the street meets the horizon."""
_FRONT: Final[Colour] = (255, 226, 176)
_REAR: Final[Colour] = (255, 74, 52)


def city(size: Size) -> U8:
    """The lights of a town at the blue hour, far out of focus."""
    full, size = size, coarse(size, 720)
    x, y = places(size)
    picture = np.repeat(ramp(y, _BLUE_HOUR), size.width, 1)
    blend(picture, (255, 178, 122), 0.55 * np.exp(-(((x - _END[0]) / 0.75) ** 2) - ((y - 0.66) / 0.11) ** 2))
    light = _linear(picture)
    rng = np.random.default_rng(8)
    for row, (colour, low, high) in enumerate(
        (((112, 88, 122), 0.42, 0.60), ((58, 54, 92), 0.30, 0.66), ((20, 24, 50), 0.30, 0.84))
    ):
        blocks = []
        left = -2.4
        while left < 2.4:
            wide = float(rng.uniform(0.08, 0.20)) * (0.8 + 0.3 * row)
            middle = left + wide / 2
            # Low in the middle, where the street runs to the horizon and a head will be.
            sink = (0.10 + 0.12 * row) * float(np.exp(-(((middle - _END[0]) / (0.32 + 0.08 * row)) ** 4)))
            blocks.append((left, low + (high - low) * float(rng.uniform(0, 0.7)) + sink, wide))
            left += wide + float(rng.uniform(0.0, 0.06))
        share = np.zeros_like(light[..., 0])
        for left, top, wide in blocks:
            share = np.maximum(share, soft(wide / 2 - np.abs(x - left - wide / 2), 0.030) * soft(y - top, 0.030))
        blend(light, _linear(np.asarray(colour, np.float32)), 0.95 * share)
        for block in blocks:
            _windows(light, rng, block, row)
    # The street, wet from the rain: it gives back what shines on it.
    down = np.maximum(y - _END[1], 0)
    share = soft(2.1 * down - np.abs(x - _END[0]), 0.06 + 0.25 * down) * soft(down - 0.01, 0.02)
    blend(light, _linear(np.asarray((40, 34, 60), np.float32)), 0.92 * share)
    lamps = np.zeros_like(light)
    _street(lamps, rng)
    gleam = np.asarray(cv2.blur(lamps, (1, max(1, size.height // 4)), borderType=cv2.BORDER_CONSTANT), np.float32)
    light += 0.7 * share[..., None] * softened(gleam, 0.012)
    light += lamps
    light += 0.45 * softened(light, 0.022)
    picture = np.asarray(255 * (1 - np.exp(-1.05 * light)) ** (1 / 2.2), np.float32)
    return rounded(grown(picture, full))


def _linear(colour: Field) -> Field:
    return np.asarray((colour / 255) ** 2.2, np.float32)


def _windows(light: Field, rng: np.random.Generator, block: tuple[float, float, float], row: int) -> None:
    left, top, wide = block
    pitch = 0.019 + 0.009 * row
    usual = _WARM[int(rng.integers(len(_WARM)))]
    busy = float(rng.uniform(0.10, 0.42))
    for down in np.arange(top + 1.2 * pitch, 0.98, 1.25 * pitch):
        for across in np.arange(left + pitch, left + wide - 0.6 * pitch, pitch):
            if float(rng.random()) < busy:
                colour = usual if float(rng.random()) < 0.85 else _COOL[int(rng.integers(2))]
                quiet = 1 - 0.6 * float(np.exp(-((across / 0.32) ** 4)))
                power = quiet * (0.25 + 0.30 * row) * float(rng.uniform(0.15, 1.0)) ** 2
                _lamp(light, (float(across), float(down)), 0.0085 + 0.0022 * row, colour, power)


def _street(light: Field, rng: np.random.Generator) -> None:
    """Lamps and cars along a street that runs from below to the horizon."""
    end_x, end_y = _END
    for number in range(12):
        near = 1 / (1 + 0.8 * number)  # perspective
        for side in (-1, 1):
            place = end_x + side * 1.80 * near, end_y - 0.44 * near
            _lamp(light, place, 0.012 + 0.013 * near, _WARM[1], 0.25 + 0.75 * near**0.5)
    for number in range(30):
        near = 0.80 / (1 + 0.36 * number)
        colour, side = (_FRONT, -1) if number % 2 else (_REAR, 1)
        middle, down = end_x + side * float(rng.choice((0.42, 0.95))) * near, end_y + 0.34 * near
        power = float(rng.uniform(0.45, 0.75)) * (1 if number % 2 else 0.75) * (0.30 + 0.70 * min(1.0, 3 * near))
        for gap in (-0.11, 0.11):
            _lamp(light, (middle + gap * near, down), 0.011 + 0.018 * near, colour, power)


def _lamp(light: Field, place: tuple[float, float], radius: float, colour: Colour, power: float) -> None:
    """Adds a point of light (linear) as a lens shows it that is focused elsewhere: a disc, brighter at its rim."""
    height, width = light.shape[:2]
    at_x, at_y = place[0] * height + width / 2, place[1] * height
    reach = radius * height
    side = reach + 1.5
    left, right = max(0, int(at_x - side)), min(width, int(at_x + side) + 1)
    top, bottom = max(0, int(at_y - side)), min(height, int(at_y + side) + 1)
    if left >= right or top >= bottom:
        return
    across = (np.arange(left, right, dtype=np.float32) + 0.5 - at_x)[None, :]
    down = (np.arange(top, bottom, dtype=np.float32) + 0.5 - at_y)[:, None]
    distance = np.hypot(across, down)
    disc = soft(reach - distance, max(1.4, 0.12 * reach)) * (0.75 + 0.25 * np.minimum(distance / reach, 1) ** 5)
    light[top:bottom, left:right] += (power * disc)[..., None] * (np.asarray(colour, np.float32) / 255) ** 2.2
