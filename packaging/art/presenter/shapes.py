"""Curves and polygons for the drawn demo: shapes in free units, and one canvas that fills them with soft edges.

Shapes are built without a size in mind, so that the picture is the same at every size. The canvas is supersampled and
premultiplied: painting an opaque shape with a soft edge over another one, channel by channel, is then exactly the
"over" operator (Porter and Duff 1984), and the fourth channel ends up as the alpha of everything painted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vbgcam.core.frames import U8, Size

Points = NDArray[np.float64]
"""(n, 2): x to the right, y down."""

Colour = tuple[int, int, int]

_ARC: Final = np.linspace(-1, 1, 10)

_SHIFT: Final = 8
"""Fractional bits of the coordinates handed to OpenCV: 1/256 of a sample, so that slow movements do not step."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A filled area: its outline, or several, of which those inside another are holes."""

    outlines: tuple[Points, ...]
    colour: Colour


def area(outline: Points, colour: Colour) -> Shape:
    """A shape without holes."""
    return Shape((outline,), colour)


def points(pairs: ArrayLike) -> Points:
    return np.asarray(pairs, np.float64).reshape(-1, 2)


def mirrored(half: ArrayLike) -> Points:
    """A half outline, from top to bottom at x >= 0, closed with its mirror image at x = 0. Points on the axis are not
    doubled."""
    right = points(half)
    left = right[::-1] * (-1, 1)
    return np.concatenate([right, left[left[:, 0] < 0]])


def smooth(control: ArrayLike, *, steps: int = 4, closed: bool = True) -> Points:
    """The curve through the control points (uniform Catmull-Rom), `steps` points for each stretch."""
    p = points(control)
    if closed:
        padded = np.concatenate([p[-1:], p, p[:2]])
    else:
        padded = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    knots = np.stack([padded[i : len(padded) - 3 + i] for i in range(4)])
    curve = np.tensordot(_catmull_rom(steps), knots, 1).transpose(1, 0, 2).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


@cache
def curve(*control: tuple[float, float], closed: bool = True) -> Points:
    """`smooth` for a curve that is the same at all times: drawn up once."""
    return _kept(smooth(control, closed=closed))


@cache
def brush(*control: tuple[float, float], width: float, taper: float = 0.25) -> Points:
    """`stroke` along such a curve."""
    return _kept(stroke(smooth(control, closed=False), width, taper=taper))


def _kept(array: Points) -> Points:
    array.flags.writeable = False
    return array


def shifted(shape: ArrayLike, x: float, y: float) -> Points:
    moved: Points = points(shape) + np.array([x, y])
    return moved


def ellipse(x: float, y: float, rx: float, ry: float | None = None, *, steps: int = 24) -> Points:
    return _circle(steps) * (rx, rx if ry is None else ry) + (x, y)


def capsule(start: Points, end: Points, r_start: float, r_end: float) -> Points:
    """The hull of two circles: a limb, a finger."""
    dx, dy = end - start
    length = math.hypot(dx, dy)
    if length <= abs(r_start - r_end):
        x, y = start if r_start > r_end else end
        return ellipse(float(x), float(y), max(r_start, r_end))
    axis = math.atan2(dy, dx)
    half = math.acos((r_start - r_end) / length)
    angle = np.concatenate([axis + half * _ARC, axis + math.pi + (math.pi - half) * _ARC])
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([end + r_end * circle[: len(_ARC)], start + r_start * circle[len(_ARC) :]])


def stroke(line: Points, width: float, *, taper: float = 0.25) -> Points:
    """A brush stroke along an open line. `taper`: the width at its ends as a share of the width in the middle."""
    along = np.linspace(-1, 1, len(line))
    left, right = ribbon(line, width / 2 * (taper + (1 - taper) * (1 - along**2)))
    return np.concatenate([left, right[::-1]])


def ribbon(line: Points, half: NDArray[np.float64]) -> tuple[Points, Points]:
    """The two lines beside a line, at the distance `half`, one value for each point."""
    around = np.concatenate([2 * line[:1] - line[1:2], line, 2 * line[-1:] - line[-2:-1]])
    tangent = around[2:] - around[:-2]
    length = np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)
    aside = tangent[:, ::-1] * (half / length)[:, None] * (-1, 1)
    return line + aside, line - aside


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """`share` 0 is `a`, 1 is `b`."""
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


class Move:
    """Turn (radians) and scale about the origin, then shift: where a part of the body is."""

    __slots__ = ("_matrix", "_shift")

    def __init__(self, x: float, y: float, turn: float = 0.0, scale: float = 1.0) -> None:
        c, s = scale * math.cos(turn), scale * math.sin(turn)
        self._matrix = np.array([[c, s], [-s, c]])
        self._shift = np.array([x, y])

    def __call__(self, shape: ArrayLike) -> Points:
        moved: Points = points(shape) @ self._matrix + self._shift
        return moved

    def after(self, x: float, y: float) -> Move:
        """The same move of what was shifted by (x, y) before."""
        other = Move.__new__(Move)
        other._matrix = self._matrix
        other._shift = self._shift + np.array([x, y]) @ self._matrix
        return other


@dataclass(frozen=True, slots=True)
class Patch:
    """A part of a picture: `pixels`, (height, width, channels), with its corner at (left, top)."""

    left: int
    top: int
    pixels: U8

    @property
    def where(self) -> tuple[slice, slice]:
        height, width = self.pixels.shape[:2]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def paint(shapes: Sequence[Shape], size: Size, *, scale: float, origin: tuple[float, float]) -> Patch:
    """The shapes, first to last, on a picture of that size, as premultiplied RGBA, uint8; the patch is as large as they
    need and as the picture has. A point p lies at pixel coordinate origin + scale * p."""
    samples = 3 if scale < 300 else 2  # with 1, OpenCV's own soft edge wobbles visibly along fine lines
    outlines = [outline for shape in shapes for outline in shape.outlines]
    every = np.concatenate(outlines) * scale + origin
    low, high = every.min(0), every.max(0)
    left, top = max(0, math.floor(low[0]) - 1), max(0, math.floor(low[1]) - 1)
    right, bottom = min(size.width, math.ceil(high[0]) + 1), min(size.height, math.ceil(high[1]) + 1)
    width, height = max(1, right - left), max(1, bottom - top)
    canvas = np.zeros((height * samples, width * samples, 4), np.uint8)
    _fill(canvas, shapes, (every - (left, top)) * samples)
    if samples > 1:
        canvas = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return Patch(left, top, canvas)


def fill(canvas: U8, shapes: Sequence[Shape], *, scale: float, origin: tuple[float, float]) -> None:
    """Paints onto the canvas: uint8, (height, width, 3)."""
    _fill(canvas, shapes, np.concatenate([outline for shape in shapes for outline in shape.outlines]) * scale + origin)


def _fill(canvas: U8, shapes: Sequence[Shape], every: Points) -> None:
    """`every`: the points of all outlines of all shapes, in samples of the canvas. They count from the picture's
    corner, OpenCV's from the middle of the first sample."""
    fixed = np.rint((every - 0.5) * (1 << _SHIFT)).astype(np.int32)
    start = 0
    for shape in shapes:
        contours = []
        for outline in shape.outlines:
            contours.append(fixed[start : start + len(outline)])
            start += len(outline)
        cv2.fillPoly(canvas, contours, (*shape.colour, 255), cv2.LINE_AA, _SHIFT)


@cache
def _catmull_rom(steps: int) -> NDArray[np.float64]:
    t = np.arange(steps) / steps
    basis = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    return np.stack([np.ones_like(t), t, t**2, t**3], 1) @ basis


@cache
def _circle(steps: int) -> Points:
    angle = np.linspace(0, 2 * math.pi, steps, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], 1)
