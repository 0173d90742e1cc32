"""The tray icon's faces, drawn: no file to find, and crisp at every size. And the pictures in its menu.

A face is a tile with a person in it, readable on light and dark panels, since no desktop says which it has; only while
the room is visible it is a disc with an eye. Each has a shape of its own: colour is never the only difference. Edges
are on whole pixels.
"""

import io
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from PIL import Image, ImageColor, ImageDraw, ImageOps

from vbgcam.core.errors import VbgcamError
from vbgcam.desktop.menu import Face, MenuItem, Picture, Swatch

log = logging.getLogger(__name__)

Colour = tuple[int, int, int]

ACCENT: Final = (14, 145, 118)
_SLATE: Final = (86, 97, 112)
_AMBER: Final = (250, 176, 5)
_RED: Final = (208, 36, 36)
_INK: Final = (33, 37, 41)
_WHITE: Final = (255, 255, 255)
_QUIET: Final = (222, 227, 233)
_NOTHING: Final = (0, 0, 0, 0)
# Drawn so many times larger, then averaged: PIL's own edges are jagged.
_FINER: Final = 8
# Pixels: desktops show 16 to 24 of a menu's pictures, twice that on fine screens. Square, or 16 would make a picture 9
# pixels high.
_SIZE: Final = 48


def face(name: Face, size: int) -> Image.Image:
    """RGBA, square. `size`: pixels, from 16."""
    drawing = _Drawing(size)
    if name == "room":
        drawing.disc_plate(_RED)
        drawing.eye(_WHITE, _RED)
        return drawing.image()
    drawing.plate(ACCENT if name == "on air" else _SLATE)
    if name == "paused":
        drawing.bars(_WHITE)
    else:
        drawing.person(_WHITE if name == "on air" else _QUIET)
    if name == "idle":
        drawing.person(_SLATE, max(1, round(size / 14)))
    if name == "trouble":
        drawing.warning(max(1, size / 20))
    return drawing.image()


def opaque(image: Image.Image, ground: Colour) -> Image.Image:
    """The same without transparency, for panels that know none. RGB."""
    flat = Image.new("RGB", image.size, ground)
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def swatch(colour: Colour, size: int) -> Image.Image:
    """A tile of one colour, for a picker. RGBA, square; `size`: pixels, from 16."""
    drawing = _Drawing(size)
    drawing.plate(_SLATE)
    drawing.plate(colour, max(1, round(size / 16)))
    return drawing.image()


def beside(
    items: Iterable[MenuItem], before: Mapping[Picture, bytes], thumbnail: Callable[[str], bytes]
) -> dict[Picture, bytes]:
    """PNG files' bytes for what these menus show. `before`: what was made already; `thumbnail`: JPEG files' bytes of
    the gallery's pictures, by name."""
    wanted = {item.picture for menu in items for item in menu.items if item.picture is not None}
    made = {picture: before.get(picture) or _made(picture, thumbnail) for picture in wanted}
    return {picture: png for picture, png in made.items() if png}


def _made(picture: Picture, thumbnail: Callable[[str], bytes]) -> bytes:
    stream = io.BytesIO()
    try:
        if isinstance(picture, Swatch):
            colour = ImageColor.getrgb(picture.colour)
            swatch((colour[0], colour[1], colour[2]), _SIZE).save(stream, "PNG")
        else:
            with Image.open(io.BytesIO(thumbnail(picture.name)), formats=["JPEG"]) as image:
                ImageOps.fit(image.convert("RGB"), (_SIZE, _SIZE)).save(stream, "PNG")
    except (VbgcamError, OSError, ValueError) as exc:
        log.debug("no picture of %s: %s", picture, exc)
        return b""
    return stream.getvalue()


class _Drawing:
    """Shapes in pixels of the final size, each over those before it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._margin = max(1, round(size / 24))
        self._image = Image.new("RGBA", (size * _FINER, size * _FINER))
        self._draw = ImageDraw.Draw(self._image)

    def image(self) -> Image.Image:
        """As it is so far, in its final size."""
        return self._image.reduce(_FINER)

    def plate(self, colour: Colour, inset: int = 0) -> None:
        low, high = self._margin + inset, self._size - self._margin - inset
        self._block((low, low, high, high), colour, self._size * 0.2 - inset)

    def disc_plate(self, colour: Colour) -> None:
        self._disc(self._size / 2, self._size / 2, self._size / 2 - self._margin, colour)

    def eye(self, white: Colour, iris: Colour) -> None:
        """Wide open, in the middle: its lids are arcs of circles."""
        size, middle = self._size, self._size / 2
        half, tall = size * 0.40, size * 0.22
        radius = (half**2 + tall**2) / (2 * tall)
        wide = math.asin(half / radius)
        angles = [wide * step / 32 for step in range(-32, 33)]
        lid = [(radius * math.sin(angle), radius * math.cos(angle) - radius + tall) for angle in angles]
        lids = [*lid, *((x, -y) for x, y in reversed(lid))]
        self._draw.polygon([((middle + x) * _FINER, (middle + y) * _FINER) for x, y in lids], fill=white)
        self._disc(middle, middle, size * 0.15, iris)

    def person(self, colour: Colour, inset: float = 0) -> None:
        """Head and shoulders. `inset`: what is left inside a line of that width, which is open at the foot."""
        size, middle = self._size, self._size / 2
        top, foot = round(size * 0.6), size - self._margin - round(size * 0.08)
        self._disc(middle, size * 0.365, size * 0.175 - inset, colour)
        wide = size * 0.31 - inset
        shoulders = _finer(middle - wide, top + inset, middle + wide, 2 * foot - top - inset)
        self._draw.chord(shoulders, 180, 360, colour)

    def bars(self, colour: Colour) -> None:
        size = self._size
        wide, gap, top = max(2, round(size * 0.15)), max(2, round(size * 0.14)), round(size * 0.27)
        gap += (size - gap) % 2  # so that both lie on whole pixels
        for left in ((size - gap) / 2 - wide, (size + gap) / 2):
            self._block((left, top, left + wide, size - top), colour, wide * 0.25)

    def warning(self, gap: float) -> None:
        """A triangle in the lower right corner, with an exclamation mark and `gap` pixels of nothing around it."""
        size = self._size
        wide, tall, round_by = round(size * 0.66), round(size * 0.6), size * 0.07
        corners = [
            (size - wide / 2, size - tall + round_by),
            (size - round_by, size - round_by),
            (size - wide + round_by, size - round_by),
        ]
        self._rounded(corners, round_by + gap, _NOTHING)
        self._rounded(corners, round_by, _AMBER)
        thick = max(2, round(size * 0.09))
        left, foot = round(size - wide / 2 - thick / 2), size - round(size * 0.08)
        dot, space = max(2, round(size * 0.085)), max(1, round(size * 0.045))
        self._block((left, size - size * 0.4, left + thick, foot - dot - space), _INK, thick * 0.3)
        self._block((left, foot - dot, left + thick, foot), _INK, thick * 0.3)

    def _block(self, box: tuple[float, float, float, float], colour: Colour, round_by: float) -> None:
        self._draw.rounded_rectangle(_finer(*box), round_by * _FINER, fill=colour)

    def _disc(self, x: float, y: float, radius: float, colour: tuple[int, ...]) -> None:
        self._draw.ellipse(_finer(x - radius, y - radius, x + radius, y + radius), fill=colour)

    def _rounded(self, corners: list[tuple[float, float]], round_by: float, colour: tuple[int, ...]) -> None:
        """A polygon, grown by `round_by` all around."""
        points = [(x * _FINER, y * _FINER) for x, y in corners]
        self._draw.polygon(points, fill=colour)
        self._draw.line([*points, points[0]], fill=colour, width=round(2 * round_by * _FINER))
        for x, y in corners:
            self._disc(x, y, round_by, colour)


def _finer(left: float, top: float, right: float, foot: float) -> tuple[float, float, float, float]:
    """PIL's boxes hold their last pixel."""
    return left * _FINER, top * _FINER, right * _FINER - 1, foot * _FINER - 1
