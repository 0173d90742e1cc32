"""Backgrounds drawn by code, so that there is one to show before anybody has chosen a picture.

Both are pure functions of the size: RGB, uint8, (height, width, 3). Long gradients carry a little noise before they are
rounded (dithering), for without it a screen shows bands. A picture at 1280x720 takes about a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vbgcam.frames import U8, Size

_Field = NDArray[np.floating[Any]]

_Colour = tuple[int, int, int]

_SKY: Final = (
    (0.00, (52, 66, 118)),
    (0.20, (100, 96, 152)),
    (0.38, (190, 134, 164)),
    (0.52, (244, 180, 154)),
    (0.66, (255, 216, 174)),
)
_HAZE: Final[_Colour] = (250, 204, 176)
_DUSK: Final[_Colour] = (128, 92, 142)
_NEAR: Final[_Colour] = (34, 40, 72)
_SUN: Final = (-0.33, 0.445, 0.050)
"""Centre and radius of the sun in picture heights: x from the middle, y from the top."""


def hills(size: Size) -> U8:
    """Hills at dusk, one behind the other in the haze, under a low sun; the quiet, dark part is below, where a person
    will stand."""
    x, y = _places(size)
    pixel = 1 / size.height
    picture = np.repeat(_ramp(y, _SKY), size.width, 1)
    distance = np.hypot(x - _SUN[0], y - _SUN[1])
    for reach, strength in ((0.42, 0.16), (0.19, 0.30), (0.085, 0.35)):
        _blend(picture, (255, 232, 192), strength * np.exp(-((distance / reach) ** 2)))
    _blend(picture, (255, 248, 230), _soft(_SUN[2] - distance, 3 * pixel))
    for level, middle, wide, thin, strength in (
        (0.185, -0.52, 0.34, 0.010, 0.38),
        (0.206, -0.30, 0.22, 0.006, 0.30),
        (0.262, 0.50, 0.40, 0.011, 0.42),
        (0.284, 0.72, 0.24, 0.007, 0.34),
        (0.352, 0.12, 0.30, 0.007, 0.34),
    ):
        # A bank of cloud: flat below, fading upwards and to its ends.
        up = level + 0.006 * _ridge(x, 3.0, round(1000 * level)) - y
        bank = np.where(up > 0, np.exp(-((up / (2.2 * thin)) ** 2)), np.exp(-((up / (0.8 * thin)) ** 2)))
        _blend(picture, (255, 202, 186), strength * bank * np.exp(-(((x - middle) / wide) ** 4)))
    layers = 7
    for index in range(layers):
        near = index / (layers - 1)
        top = 0.540 + 0.40 * near**1.25 - (0.050 + 0.035 * near) * _ridge(x, 1.5 + 1.2 * near, 20 + index)
        if index >= layers - 2:
            top -= (0.020 + 0.026 * (index - layers + 2)) * _trees(x, 40 + index)
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
        body: _Field = np.empty((size.height - first, size.width, 3), np.float32)
        body[:] = colour
        _blend(body, _HAZE, haze)
        _blend(picture[first:], body, _soft(below, 1.6 * pixel))
    picture *= (1 - 0.10 * np.minimum((x / 1.1) ** 2 + ((y - 0.5) / 0.9) ** 2, 2))[..., None]
    return _rounded(picture)


def studio(size: Size) -> U8:
    """A bright, calm room a little out of focus: the light of a window on a plain wall, a board with a few things."""
    x, y = _places(size)
    picture = np.repeat(
        _ramp(y, ((0.0, (220, 215, 207)), (0.6, (232, 227, 219)), (1.0, (212, 205, 195)))), size.width, 1
    )
    picture *= (0.99 - 0.085 * np.tanh(1.2 * x))[..., None]
    # The panes of a window, fallen aslant on the wall.
    across, down = x + 0.47 - 0.28 * (y - 0.4), y - 0.36 - 0.10 * x
    pane = _soft(0.30 - np.abs(across), 0.030) * _soft(0.27 - np.abs(down), 0.030)
    pane *= 1 - 0.9 * _soft(0.014 - np.abs(across), 0.022)
    pane *= 1 - 0.9 * _soft(0.012 - np.abs(down + 0.04), 0.022)
    _blend(picture, (255, 247, 228), 0.75 * pane)
    blur = 0.012
    for left, top, right, bottom, colour, soft, share in (
        (0.315, 0.380, 1.6, 0.470, (168, 162, 155), 0.090, 0.45),
        (0.300, 0.370, 1.6, 0.394, (176, 134, 98), blur, 1.0),
        (0.300, 0.369, 1.6, 0.377, (206, 168, 132), 0.005, 1.0),
        (0.360, 0.230, 0.388, 0.370, (104, 136, 142), blur, 1.0),
        (0.388, 0.250, 0.418, 0.370, (214, 188, 148), blur, 1.0),
        (0.418, 0.215, 0.444, 0.370, (74, 96, 114), blur, 1.0),
        (0.444, 0.245, 0.474, 0.370, (166, 182, 168), blur, 1.0),
    ):
        inside = np.minimum(np.minimum(x - left, right - x), np.minimum(y - top, bottom - y))
        _blend(picture, colour, share * _soft(inside, soft))
    for leaf_x, leaf_y, high, turn, colour in (
        (0.602, 0.268, 0.066, -0.95, (96, 132, 100)),
        (0.718, 0.268, 0.066, 0.95, (96, 132, 100)),
        (0.624, 0.244, 0.080, -0.50, (116, 152, 116)),
        (0.696, 0.244, 0.080, 0.50, (108, 144, 110)),
        (0.660, 0.232, 0.090, 0.0, (128, 164, 124)),
    ):
        aside, down = x - leaf_x, y - leaf_y
        u, v = aside * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - aside * np.sin(turn)
        _blend(picture, colour, _soft(1 - np.hypot(u / 0.022, v / high), 0.45))
    pot = np.minimum(0.040 - np.abs(x - 0.660) - 0.10 * (y - 0.295), np.minimum(y - 0.295, 0.370 - y))
    _blend(picture, (190, 112, 88), _soft(pot, blur))
    # The edge of a desk, out of focus.
    _blend(picture, (182, 142, 108), _soft(y - 0.915, 0.020))
    _blend(picture, (214, 178, 144), 0.8 * _soft(0.012 - np.abs(y - 0.918), 0.022))
    return _rounded(picture)


def _places(size: Size) -> tuple[_Field, _Field]:
    """Each pixel's place in picture heights: x from the middle, (1, width), y from the top, (height, 1)."""
    x = (np.arange(size.width) + 0.5 - size.width / 2) / size.height
    y = (np.arange(size.height) + 0.5) / size.height
    return x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]


def _ramp(y: _Field, stops: tuple[tuple[float, _Colour], ...]) -> _Field:
    """Colours by height: (height, 1, 3)."""
    at = [stop for stop, _ in stops]
    return np.stack([np.interp(y, at, [colour[k] for _, colour in stops]) for k in range(3)], 2).astype(np.float32)


def _blend(picture: _Field, colour: ArrayLike, share: _Field) -> None:
    """Moves the picture towards the colour, or towards another picture, by `share`: (height, width) or (height, 1).
    What would change by less than a fortieth of a step is left alone."""
    touched = share > 1e-4
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    if not rows.size:
        return
    if share.shape[1] == 1:
        columns = np.array([0, picture.shape[1] - 1])
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    aim = np.asarray(colour, np.float32)
    part = picture[box]
    part += ((aim[box] if aim.ndim == 3 else aim) - part) * share[box][..., None].astype(np.float32)


def _soft(inside: _Field, width: float) -> _Field:
    """0 to 1 over a soft edge of that width around 0."""
    t = np.clip(inside / np.float32(width) + np.float32(0.5), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _ridge(x: _Field, frequency: float, seed: int) -> _Field:
    """A line of hills, about -1 to 1, (1, width): waves of halving size and doubling frequency at random phases."""
    rng = np.random.default_rng(seed)
    line = np.zeros_like(x)
    for octave in range(5):
        turns = frequency * 2**octave * float(rng.uniform(0.85, 1.15))
        line += np.sin(2 * np.pi * turns * x / 2.2 + float(rng.uniform(0, 2 * np.pi))) * np.float32(0.52**octave)
    return line / np.float32(1.5)


def _trees(x: _Field, seed: int) -> _Field:
    """The tops of a forest, 0 to 1, (1, width): narrow spikes of many heights, the same at every size."""
    rng = np.random.default_rng(seed)
    line = np.zeros_like(x)
    for place in np.arange(-2.0, 2.0, 0.011):
        middle, high = place + float(rng.uniform(-0.006, 0.006)), float(rng.uniform(0.25, 1.0))
        line = np.maximum(line, high * np.clip(1 - np.abs(x - middle) / (0.006 + 0.006 * high), 0, 1) ** 0.8)
    return line


def _rounded(picture: _Field) -> U8:
    """Triangular noise of one step either way, then rounding: no bands, and no pattern that the eye finds."""
    height, width = picture.shape[:2]
    rng = np.random.default_rng(11)
    noise = rng.random((height, width, 1), np.float32) - rng.random((height, width, 1), np.float32)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


DRAWN: Final[dict[str, Callable[[Size], U8]]] = {"Hills at dusk": hills, "Bright studio": studio}
"""All of them, by their names for people."""
