"""The room of the drawn demo: a wall in daylight, a window, a lamp, plants, and a bookshelf. Nobody is in it.

A still picture, drawn once for each size: shapes first, then light. Lengths are those of `person`: heights of the
picture, x from its middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from art.presenter.shapes import (
    Colour,
    Move,
    Points,
    Shape,
    area,
    curve,
    ellipse,
    fill,
    mirrored,
    mixed,
    points,
    ribbon,
    shifted,
    smooth,
    stroke,
)
from vbgcam.core.frames import U8, Size

WALL: Final[Colour] = (158, 186, 178)
WHITE: Final[Colour] = (240, 240, 234)
WHITE_SHADE: Final[Colour] = (208, 213, 209)
WOOD: Final[Colour] = (98, 70, 56)
WOOD_LIGHT: Final[Colour] = (122, 90, 71)
WOOD_DEEP: Final[Colour] = (56, 40, 36)
CLOUD: Final[Colour] = (248, 250, 250)
PANE_SHADE: Final[Colour] = (184, 200, 208)
LEAF: Final[Colour] = (70, 124, 88)
LEAF_LIGHT: Final[Colour] = (98, 154, 106)
LEAF_DEEP: Final[Colour] = (46, 92, 72)
CLAY: Final[Colour] = (92, 100, 128)
CLAY_LIGHT: Final[Colour] = (122, 131, 160)
POT_WHITE: Final[tuple[Colour, Colour]] = (214, 214, 204), (188, 190, 182)
BRASS: Final[Colour] = (164, 138, 84)
SHADE: Final[Colour] = (246, 232, 196)

# Blues, greens and creams: red and skin would hide the jacket and the hands before them.
BOOKS: Final[tuple[Colour, ...]] = (
    (47, 84, 115),
    (88, 134, 156),
    (226, 219, 198),
    (54, 104, 98),
    (126, 160, 138),
    (186, 190, 184),
    (70, 74, 104),
    (206, 188, 128),
    (120, 108, 146),
    (36, 58, 80),
    (160, 190, 200),
)


@lru_cache(maxsize=4)
def room(size: Size) -> U8:
    """The empty room: RGB, uint8, (height, width, 3), read-only."""
    scale, origin = placement(size)
    samples = 2 if scale < 1000 else 1
    canvas = np.empty((size.height * samples, size.width * samples, 3), np.uint8)
    canvas[:] = WALL
    things = [*_wall(), *_window(), *_shelf(), *_picture(), *_sideboard(), *_lamp(), *_plants()]
    fill(canvas, things, scale=scale * samples, origin=(origin[0] * samples, origin[1] * samples))
    if samples > 1:
        canvas = np.asarray(cv2.resize(canvas, (size.width, size.height), interpolation=cv2.INTER_AREA))
    # A webcam is focused on the face: what is behind is a little soft.
    soft = cv2.GaussianBlur(canvas, (0, 0), max(0.3, 0.0016 * scale)).astype(np.float32)
    lit = soft * _light(size)
    dither = np.random.default_rng(7).random((size.height, size.width, 1), np.float32)
    picture: U8 = np.floor(np.clip(lit, 0, 254) + dither).astype(np.uint8)
    picture.flags.writeable = False
    return picture


def placement(size: Size) -> tuple[float, tuple[float, float]]:
    """Pixels to one length unit, and the pixel coordinates of its origin. A picture that is higher than wide shows
    the scene smaller, at its bottom, under more wall."""
    scale = float(min(size.height, size.width * 1.08))
    return scale, (size.width / 2, size.height - scale)


def _light(size: Size) -> NDArray[np.float32]:
    """What each pixel is multiplied by: daylight from the window, the lamp's warm glow, darker corners. Soft enough to
    be computed at a small size."""
    small = Size(max(2, size.width // 8), max(2, size.height // 8))
    scale, origin = placement(size)
    x, y = np.meshgrid(
        ((np.arange(small.width) + 0.5) * size.width / small.width - origin[0]) / scale,
        ((np.arange(small.height) + 0.5) * size.height / small.height - origin[1]) / scale,
    )
    day = np.exp(-(((x + 0.62) / 0.75) ** 2) - ((y - 0.35) / 0.70) ** 2)
    beam = _step(0.10, (y - 0.30) - 0.42 * (x + 0.30)) * _step(0.10, 0.30 - (y - 0.30) + 0.42 * (x + 0.30))
    beam *= _step(0.22, x + 0.36) * _step(0.30, 0.40 - x)
    glow = np.exp(-(((x + 0.315) / 0.17) ** 2) - ((y - 0.36) / 0.24) ** 2)
    corner = np.minimum((x / 1.25) ** 2 + ((y - 0.45) / 1.3) ** 2, 1.8)
    level = 0.93 + 0.16 * day + 0.055 * beam - 0.22 * corner
    light = np.stack([level + 0.24 * glow, level + 0.08 * glow, level - 0.07 * glow], 2)
    return np.asarray(
        cv2.resize(light.astype(np.float32), (size.width, size.height), interpolation=cv2.INTER_CUBIC), np.float32
    )


def _step(width: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip(x / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def _wall() -> Iterator[Shape]:
    """Panelling below a rail, as far as any picture reaches."""
    yield area(_box(-3, 0.735, 3, 1.1), _tone(WALL, 0.93))
    yield area(_box(-3, 0.722, 3, 0.738), _tone(WALL, 1.07))
    yield area(_box(-3, 0.738, 3, 0.744), _tone(WALL, 0.82))
    for k in range(-12, 13):
        yield area(_box(0.13 + 0.26 * k, 0.744, 0.136 + 0.26 * k, 1.1), _tone(WALL, 0.86))


def _window() -> Iterator[Shape]:
    pane = left, top, right, bottom = -0.80, 0.085, -0.455, 0.600
    yield area(_box(left - 0.050, top - 0.050, right + 0.050, bottom + 0.040), _tone(WALL, 0.90))
    yield area(_box(left - 0.036, top - 0.036, right + 0.036, bottom + 0.030), WHITE)
    for share in np.linspace(0, 1, 48, endpoint=False):
        colour = mixed((176, 212, 236), (240, 244, 240), share)
        yield area(_box(left, top + (bottom - top) * 0.8 * share, right, bottom), colour)
    for x, y, wide, high in ((-0.70, 0.21, 0.10, 0.018), (-0.66, 0.198, 0.05, 0.022), (-0.50, 0.30, 0.08, 0.014)):
        yield area(_inside(ellipse(x, y, wide, high), pane), CLOUD)
    for level, rise, turns, phase, colour in (
        (0.440, 0.030, 7.0, 0.3, (176, 206, 204)),
        (0.485, 0.024, 11.0, 1.9, (142, 184, 168)),
        (0.535, 0.016, 17.0, 4.0, (112, 160, 132)),
    ):
        along = np.linspace(left, right, 40)
        ridge = level - rise * np.sin(turns * along + phase) - rise * 0.4 * np.sin(2.7 * turns * along)
        yield area(np.concatenate([np.stack([along, ridge], 1), [(right, bottom), (left, bottom)]]), colour)
    for x, y, r in ((-0.745, 0.50, 0.040), (-0.705, 0.52, 0.030), (-0.51, 0.52, 0.034), (-0.478, 0.535, 0.024)):
        yield area(_inside(ellipse(x, y, r, r * 1.25), pane), (92, 142, 112))
    # The depth of the frame, its bars, its sill.
    yield area(_box(left, top, right, top + 0.010), PANE_SHADE)
    yield area(_box(left, top, left + 0.008, bottom), PANE_SHADE)
    middle, cross = (left + right) / 2, top + (bottom - top) * 0.36
    yield area(_box(middle - 0.011, top, middle + 0.011, bottom), WHITE)
    yield area(_box(middle + 0.007, top, middle + 0.011, bottom), WHITE_SHADE)
    yield area(_box(left, cross - 0.009, right, cross + 0.009), WHITE)
    yield area(_box(left, cross + 0.005, right, cross + 0.009), WHITE_SHADE)
    yield area(_box(left - 0.065, bottom + 0.022, right + 0.065, bottom + 0.048), WHITE)
    yield area(_box(left - 0.065, bottom + 0.043, right + 0.065, bottom + 0.052), _tone(WALL, 0.80))
    yield from _pot_plant(-0.685, 0.630, 0.9, POT_WHITE)
    # Curtains on a rail.
    yield area(_box(-1.02, 0.024, -0.36, 0.033), WOOD)
    for x in (-1.02, -0.36):
        yield area(ellipse(x, 0.0285, 0.013), WOOD)
    for start, end, folds in ((-1.00, -0.775, 5), (-0.455, -0.385, 2)):
        width = (end - start) / folds
        for x in np.linspace(start, end, folds, endpoint=False):
            for share, colour in ((0.0, (226, 222, 206)), (0.32, (240, 236, 222)), (0.68, (208, 204, 190))):
                yield area(_box(x + width * share, 0.036, x + width, 0.712), colour)


def _shelf() -> Iterator[Shape]:
    """Goes on below the picture, and to the right as far as most pictures reach."""
    left, top, right = 0.405, 0.075, 1.55
    boards = (top, 0.318, 0.560, 0.802, 1.044)
    uprights = (left, left + 0.40, left + 0.80, left + 1.13)
    yield area(_box(left - 0.022, top + 0.012, right, 1.1), _tone(WALL, 0.84))
    yield area(_box(left, top, right, 1.1), WOOD_DEEP)
    rng = np.random.default_rng(20)
    for row, (ceiling, floor) in enumerate(pairwise(boards)):
        for bay, (start, end) in enumerate(pairwise(uprights)):
            yield area(_box(start, ceiling, end, ceiling + 0.050), _tone(WOOD_DEEP, 0.80))
            inside = start + 0.024, ceiling + 0.022, end - 0.006, floor
            thing = _SHELF_THINGS.get((row, bay))
            if thing is None:
                yield from _books(rng, inside, gap=0.05)
            else:
                width, draw = thing
                yield from _books(rng, inside, gap=width)
                yield from draw(inside[2] - width / 2, floor)
    for upright in uprights:
        yield area(_box(upright, top, upright + 0.019, 1.1), WOOD)
        yield area(_box(upright, top, upright + 0.005, 1.1), WOOD_LIGHT)
    for board in boards:
        yield area(_box(left, board, right, board + 0.020), WOOD)
        yield area(_box(left, board, right, board + 0.006), WOOD_LIGHT)
    yield area(_box(left - 0.010, top - 0.014, right, top + 0.010), WOOD_LIGHT)


def _books(rng: np.random.Generator, inside: tuple[float, float, float, float], *, gap: float) -> Iterator[Shape]:
    """Upright from the left until `gap` is left; a small gap is filled by one that leans."""
    x, ceiling, end, floor = inside
    high = floor - ceiling
    kind = 0
    while x + (width := float(rng.uniform(0.015, 0.034))) <= end - gap:
        kind = (kind + int(rng.integers(1, len(BOOKS)))) % len(BOOKS)
        colour, height = BOOKS[kind], high * float(rng.uniform(0.66, 0.93))
        book = Move(x, floor)
        yield area(book(_box(0, -height, width, 0)), colour)
        yield area(book(_box(0, -height, width * 0.22, 0)), _tone(colour, 1.16))
        yield area(book(_box(width * 0.84, -height, width, 0)), _tone(colour, 0.74))
        label = _tone(colour, 0.6) if sum(colour) > 420 else (222, 208, 164)
        for share in ((0.16, 0.88), (0.85, 0.90), ())[int(rng.integers(3))]:
            yield area(book(_box(width * 0.2, -height * share, width * 0.84, -height * (share - 0.022))), label)
        if width > 0.022 and rng.random() < 0.6:
            yield area(book(_box(width * 0.32, -height * 0.70, width * 0.72, -height * 0.38)), label)
        x += width + 0.0012
    if gap < 0.1:
        book, colour = Move(x + 0.004, floor, 0.20), BOOKS[(kind + 4) % len(BOOKS)]
        yield area(book(_box(0.0, -high * 0.78, 0.022, 0.0)), colour)
        yield area(book(_box(0.0, -high * 0.78, 0.005, 0.0)), _tone(colour, 1.16))


def _globe(x: float, floor: float) -> Iterator[Shape]:
    yield area(shifted([(-0.028, 0), (0.028, 0), (0.010, -0.016), (-0.010, -0.016)], x, floor), BRASS)
    yield area(_box(x - 0.004, floor - 0.05, x + 0.004, floor), BRASS)
    yield area(ellipse(x, floor - 0.082, 0.050, steps=36), (92, 142, 168))
    for land in (
        [(-0.035, -0.100), (-0.008, -0.122), (0.004, -0.095), (-0.014, -0.062)],
        [(0.014, -0.085), (0.034, -0.095), (0.036, -0.066), (0.018, -0.052)],
    ):
        yield area(shifted(smooth(land), x, floor), (150, 176, 130))


def _vase(x: float, floor: float) -> Iterator[Shape]:
    outline = smooth(mirrored([(0.012, -0.150), (0.010, -0.125), (0.036, -0.080), (0.032, -0.030), (0.018, 0.0)]))
    yield area(shifted(outline, x, floor), (206, 204, 190))
    yield area(shifted(outline * (0.45, 0.94), x + 0.012, floor - 0.004), (180, 180, 170))


def _shelf_plant(x: float, floor: float) -> Iterator[Shape]:
    yield from _pot_plant(x, floor, 0.8, (CLAY_LIGHT, CLAY), wide=1.5)


_SHELF_THINGS: Final[dict[tuple[int, int], tuple[float, Callable[[float, float], Iterator[Shape]]]]] = {
    (0, 0): (0.13, _shelf_plant),
    (2, 0): (0.12, _globe),
    (1, 1): (0.13, _vase),
}
"""Row and bay of the compartments that do not hold books alone, how wide the thing is, and what it is."""


def _picture() -> Iterator[Shape]:
    left, top, right, bottom = 0.205, 0.105, 0.345, 0.300
    yield area(_box(left + 0.008, top + 0.012, right + 0.010, bottom + 0.014), _tone(WALL, 0.86))
    yield area(_box(left, top, right, bottom), WOOD)
    yield area(_box(left, top, right, top + 0.006), WOOD_LIGHT)
    yield area(_box(left + 0.010, top + 0.010, right - 0.010, bottom - 0.010), (238, 236, 226))
    inner = left + 0.026, top + 0.030, right - 0.026, bottom - 0.032
    yield area(_box(*inner), (190, 214, 218))
    yield area(ellipse(left + 0.088, top + 0.072, 0.017), (240, 214, 150))
    for peak, wide, high, colour in ((0.062, 0.07, 0.088, (110, 146, 156)), (0.095, 0.06, 0.060, (78, 116, 132))):
        mountain = shifted([(-wide, 0), (0, -high), (wide, 0)], left + peak, inner[3])
        yield area(_inside(mountain, inner), colour)


def _sideboard() -> Iterator[Shape]:
    """White, before the panelling, with three books lying on it."""
    left, right, top = -1.60, -0.335, 0.800
    yield area(_box(left, top + 0.03, right + 0.020, 1.1), _tone(WALL, 0.78))
    yield area(_box(left, top + 0.02, right - 0.012, 1.1), (222, 224, 218))
    yield area(_box(left, top, right, top + 0.024), WOOD_LIGHT)
    yield area(_box(left, top + 0.018, right, top + 0.026), WOOD)
    yield area(_box(left, top + 0.026, right - 0.012, top + 0.036), (192, 196, 192))
    for x in (-1.435, -1.16, -0.885, -0.61):
        yield area(_box(x, top + 0.046, x + 0.258, 1.1), (234, 235, 229))
        yield area(_box(x + 0.252, top + 0.046, x + 0.258, 1.1), (198, 202, 198))
        yield area(ellipse(x + 0.232, top + 0.120, 0.008), BRASS)
    for k, (width, colour) in enumerate(((0.150, BOOKS[0]), (0.135, BOOKS[7]), (0.118, BOOKS[3]))):
        book = Move(-0.565, top - 0.024 * k)
        yield area(book(_box(0, -0.024, width, 0)), colour)
        yield area(book(_box(0, -0.024, width, -0.019)), _tone(colour, 1.18))
        yield area(book(_box(0.030, -0.024, 0.040, 0)), _tone(colour, 0.72))


def _lamp() -> Iterator[Shape]:
    """A standing lamp between the window and the presenter."""
    x = -0.315
    yield area(_box(x - 0.005, 0.42, x + 0.005, 1.1), BRASS)
    yield area(_box(x + 0.001, 0.42, x + 0.005, 1.1), _tone(BRASS, 0.75))
    for outline, colour in (
        ([(-0.048, 0.290), (0.048, 0.290), (0.078, 0.430), (-0.078, 0.430)], SHADE),
        ([(-0.020, 0.290), (0.024, 0.290), (0.038, 0.430), (-0.034, 0.430)], (252, 242, 214)),
        ([(-0.0765, 0.422), (0.0765, 0.422), (0.078, 0.430), (-0.078, 0.430)], BRASS),
        ([(-0.048, 0.290), (0.048, 0.290), (0.0495, 0.296), (-0.0495, 0.296)], BRASS),
    ):
        yield area(shifted(outline, x, 0), colour)


def _plants() -> Iterator[Shape]:
    """The large one on the sideboard."""
    x, foot = -0.790, 0.802
    for turn, length, bend, colour in (
        (-1.15, 0.30, 0.30, LEAF_DEEP),
        (1.05, 0.27, -0.30, LEAF_DEEP),
        (-0.62, 0.36, 0.22, LEAF),
        (0.66, 0.33, -0.22, LEAF_DEEP),
        (-0.28, 0.40, 0.10, LEAF_LIGHT),
        (0.34, 0.37, -0.12, LEAF),
        (0.02, 0.43, 0.05, LEAF),
        (-0.90, 0.24, 0.30, LEAF_LIGHT),
        (0.92, 0.22, -0.30, LEAF_LIGHT),
    ):
        yield from _leaf(Move(x, foot - 0.115, turn), length, bend, colour)
    yield area(shifted([(-0.072, -0.135), (0.072, -0.135), (0.052, 0), (-0.052, 0)], x, foot), CLAY)
    yield area(shifted([(-0.060, -0.11), (-0.025, -0.11), (-0.020, 0), (-0.045, 0)], x, foot), CLAY_LIGHT)
    yield area(_box(x - 0.078, foot - 0.148, x + 0.078, foot - 0.120), _tone(CLAY, 1.12))


def _leaf(foot: Move, length: float, bend: float, colour: Colour) -> Iterator[Shape]:
    """A long leaf, upright from its foot; `bend` curves it outwards."""
    t = np.linspace(0, 1, 14)
    middle = foot(np.stack([-bend * length * t**2, -length * t], 1))
    left, right = ribbon(middle, 0.024 * np.sin(math.pi * t**0.75) ** 0.9)
    yield area(np.concatenate([left, right[::-1]]), colour)
    yield area(np.concatenate([middle, right[::-1]]), _tone(colour, 1.12))
    yield area(stroke(middle[:-1], 0.004), _tone(colour, 0.80))


def _pot_plant(
    x: float, foot: float, scale: float, pot: tuple[Colour, Colour], *, wide: float = 0.9
) -> Iterator[Shape]:
    """A small one. `pot`: its lit and its shaded colour; `wide`: how far the leaves turn to the sides, radians."""
    place = Move(x, foot, 0.0, scale)
    leaf = curve((0.0, 0.0), (0.018, -0.025), (0.014, -0.060), (0.0, -0.085), (-0.014, -0.060), (-0.018, -0.025))
    for k, turn in enumerate(np.linspace(-wide, wide, 8)):
        outline = Move(0.016 * turn, -0.066, turn, 0.95 + 0.15 * (k % 2))(leaf)
        yield area(place(outline), (LEAF_DEEP, LEAF, LEAF_LIGHT)[k % 3])
    yield area(place([(-0.040, -0.075), (0.040, -0.075), (0.030, 0.0), (-0.030, 0.0)]), pot[0])
    yield area(place([(0.012, -0.075), (0.040, -0.075), (0.030, 0.0), (0.010, 0.0)]), pot[1])


def _box(left: float, top: float, right: float, bottom: float) -> Points:
    return points([(left, top), (right, top), (right, bottom), (left, bottom)])


def _inside(outline: Points, box: tuple[float, float, float, float]) -> Points:
    return np.clip(outline, box[:2], box[2:])


def _tone(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(channel * factor)) for channel in colour)
    return red, green, blue
