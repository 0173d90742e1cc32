"""The tray icon's faces and the program's own icon, drawn: no file to find, and crisp at every size.

A tile with a person in it, readable on light and dark panels, since no desktop says which it has. Each face has a shape
of its own: colour is never the only difference. Edges are on whole pixels.
"""

from __future__ import annotations

from typing import Final, Literal

from PIL import Image, ImageChops, ImageDraw

Face = Literal["on air", "idle", "paused", "trouble"]
Colour = tuple[int, int, int]

ACCENT: Final = (14, 145, 118)
_BRIGHT: Final = (38, 178, 148)
_SLATE: Final = (86, 97, 112)
_AMBER: Final = (250, 176, 5)
_INK: Final = (33, 37, 41)
_WHITE: Final = (255, 255, 255)
_QUIET: Final = (222, 227, 233)
# Drawn so many times larger, then averaged: PIL's own edges are jagged.
_FINER: Final = 8


def face(name: Face, size: int) -> Image.Image:
    """RGBA, square. `size`: pixels, from 16."""
    drawing = _Drawing(size)
    drawing.fill(_plate(size), ACCENT if name == "on air" else _SLATE)
    if name == "paused":
        drawing.fill(_bars(size), _WHITE)
    else:
        drawing.fill(_person(size), _WHITE if name == "on air" else _QUIET)
    if name == "idle":
        drawing.fill(_person(size, max(1, round(size / 14))), _SLATE)
    if name == "trouble":
        drawing.clear(_triangle(size, max(1, size / 20)))
        drawing.fill(_triangle(size), _AMBER)
        drawing.fill(_exclamation(size), _INK)
    return drawing.image


def app(size: int) -> Image.Image:
    """The program's own, for menus and lists of programs. RGBA, square; `size`: pixels, from 16."""
    drawing = _Drawing(size)
    plate = _plate(size)
    drawing.fill(plate, ACCENT)
    drawing.fill(ImageChops.multiply(plate, _hills(size)), _BRIGHT)
    drawing.fill(_person(size), _WHITE)
    return drawing.image


def opaque(image: Image.Image, ground: Colour) -> Image.Image:
    """The same without transparency, for panels that know none. RGB."""
    flat = Image.new("RGB", image.size, ground)
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def swatch(colour: Colour, size: int) -> Image.Image:
    """A tile of one colour, for a picker. RGBA, square; `size`: pixels, from 16."""
    drawing = _Drawing(size)
    drawing.fill(_plate(size), _SLATE)
    drawing.fill(_plate(size, max(1, round(size / 16))), colour)
    return drawing.image


class _Drawing:
    """`image` so far, RGBA. Masks are `_FINER` times its size."""

    def __init__(self, size: int) -> None:
        self.image = Image.new("RGBA", (size, size))

    def fill(self, mask: Image.Image, colour: Colour) -> None:
        layer = Image.new("RGBA", self.image.size, colour)
        layer.putalpha(mask.reduce(_FINER))
        self.image.alpha_composite(layer)

    def clear(self, mask: Image.Image) -> None:
        left = ImageChops.subtract(self.image.getchannel("A"), mask.reduce(_FINER))
        self.image.putalpha(left)


class _Mask:
    """Shapes in pixels of the final size; `image` is finer."""

    def __init__(self, size: int) -> None:
        self.image = Image.new("L", (size * _FINER, size * _FINER))
        self._draw = ImageDraw.Draw(self.image)

    def block(self, left: float, top: float, right: float, foot: float, *, round_by: float = 0, ink: int = 255) -> None:
        # PIL's boxes hold their last pixel.
        box = (left * _FINER, top * _FINER, right * _FINER - 1, foot * _FINER - 1)
        self._draw.rounded_rectangle(box, round_by * _FINER, fill=ink)

    def disc(self, x: float, y: float, radius: float) -> None:
        box = ((x - radius) * _FINER, (y - radius) * _FINER, (x + radius) * _FINER - 1, (y + radius) * _FINER - 1)
        self._draw.ellipse(box, fill=255)

    def polygon(self, corners: list[tuple[float, float]], round_by: float = 0) -> None:
        points = [(x * _FINER, y * _FINER) for x, y in corners]
        self._draw.polygon(points, fill=255)
        if round_by:
            self._draw.line([*points, points[0]], fill=255, width=round(2 * round_by * _FINER))
            for x, y in corners:
                self.disc(x, y, round_by)


def _margin(size: int) -> int:
    return max(1, round(size / 24))


def _plate(size: int, inset: int = 0) -> Image.Image:
    mask = _Mask(size)
    low, high = _margin(size) + inset, size - _margin(size) - inset
    mask.block(low, low, high, high, round_by=size * 0.2 - inset)
    return mask.image


def _person(size: int, inset: float = 0) -> Image.Image:
    """Head and shoulders. `inset`: what is left inside a line of that width, which is open at the foot."""
    mask = _Mask(size)
    middle, top, foot = size / 2, round(size * 0.6), size - _margin(size) - round(size * 0.08)
    mask.disc(middle, size * 0.365, size * 0.175 - inset)
    wide = size * 0.31 - inset
    mask.block(middle - wide, top + inset, middle + wide, 2 * foot - top, round_by=wide * 0.9)
    mask.block(0, foot, size, size, ink=0)
    return mask.image


def _bars(size: int) -> Image.Image:
    mask = _Mask(size)
    wide, gap, top = max(2, round(size * 0.15)), max(2, round(size * 0.14)), round(size * 0.27)
    gap += (size - gap) % 2  # so that both lie on whole pixels
    for left in ((size - gap) / 2 - wide, (size + gap) / 2):
        mask.block(left, top, left + wide, size - top, round_by=wide * 0.25)
    return mask.image


def _triangle(size: int, grown: float = 0) -> Image.Image:
    """The warning's, in the lower right corner. `grown`: so much larger all around, in pixels."""
    mask = _Mask(size)
    wide, tall, round_by = round(size * 0.66), round(size * 0.6), size * 0.07
    corners = [
        (size - wide / 2, size - tall + round_by),
        (size - round_by, size - round_by),
        (size - wide + round_by, size - round_by),
    ]
    mask.polygon(corners, round_by + grown)
    return mask.image


def _exclamation(size: int) -> Image.Image:
    """In the middle of the warning's triangle."""
    mask = _Mask(size)
    wide, thick = round(size * 0.66), max(2, round(size * 0.09))
    left = round(size - wide / 2 - thick / 2)
    foot = size - round(size * 0.08)
    dot, gap = max(2, round(size * 0.085)), max(1, round(size * 0.045))
    mask.block(left, size - size * 0.4, left + thick, foot - dot - gap, round_by=thick * 0.3)
    mask.block(left, foot - dot, left + thick, foot, round_by=thick * 0.3)
    return mask.image


def _hills(size: int) -> Image.Image:
    """Another place behind the person."""
    mask = _Mask(size)
    mask.disc(size * 0.79, size * 0.25, size * 0.09)
    mask.polygon([(0, size), (0, size * 0.62), (size * 0.24, size * 0.4), (size * 0.62, size)])
    mask.polygon([(size * 0.4, size), (size * 0.78, size * 0.5), (size, size * 0.7), (size, size)])
    return mask.image
