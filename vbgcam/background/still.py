"""Backgrounds that stand still: a colour, a picture, and the card.

The card is what a call sees while there is no picture of its own to cover with (the background is the blurred room, or
the room itself, and there is no mask). It says that something will follow, and never why it does not yet: the reason
is for the person who runs the program and stands in the status.
"""

from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vbgcam.core.frames import U8, Backdrop, Planes, Size
from vbgcam.pixels.convert import Fit, fit, from_rgb

_CARD: Final = (0x1C, 0x23, 0x2B)
_GLYPH: Final = (0x6F, 0x7F, 0x90)
_TEXT: Final = (0xB8, 0xC2, 0xCC)
_WORDS: Final = "One moment"

_SMOOTH: Final = 4  # the glyph is drawn so many times larger and scaled down: Pillow's shapes have hard edges


class Still:
    """A Background that is the same at all times; converted once."""

    __slots__ = ("_backdrop",)

    moves = False

    def __init__(self, planes: Planes) -> None:
        """`planes`: at the output's size."""
        self._backdrop = Backdrop(planes.frozen())

    def at(self, _seconds: float) -> Backdrop:
        return self._backdrop

    def close(self) -> None:
        """Holds nothing open."""


def card(size: Size) -> Still:
    """Calm and dark: a camera and two words."""
    image = Image.new("RGB", (size.width, size.height), _CARD)
    short = min(size.width, size.height)
    glyph = _camera(max(1, short // 5))
    top = round(size.height / 2 - glyph.height * 0.95)
    image.paste(_GLYPH, ((size.width - glyph.width) // 2, top), glyph)
    at = size.width / 2, top + glyph.height * 1.75
    ImageDraw.Draw(image).text(at, _WORDS, _TEXT, ImageFont.load_default(max(1, short / 16)), anchor="mm")
    return Still(from_rgb(np.asarray(image)))


def fitted(rgb: U8, size: Size, how: Fit) -> Planes:
    """A picture, uint8, (height, width, 3), at `size`. One that is larger is made smaller first, by area: each pixel of
    it counts, so that fine patterns do not shimmer, and few remain to be converted."""
    height, width = rgb.shape[:2]
    ratios = size.width / width, size.height / height
    if how == "stretch":
        smaller = min(width, size.width), min(height, size.height)
    else:
        scale = min(1.0, max(ratios) if how == "cover" else min(ratios))
        smaller = max(1, round(width * scale)), max(1, round(height * scale))
    if smaller != (width, height):
        rgb = np.asarray(cv2.resize(rgb, smaller, interpolation=cv2.INTER_AREA), np.uint8)
    return fit(from_rgb(rgb), size, how)


def _camera(height: int) -> Image.Image:
    """A film camera's outline as a mask (mode L): the body, rounded, and the lens before it."""
    unit = height * _SMOOTH
    mask = Image.new("L", (unit * 8 // 5, unit))
    draw = ImageDraw.Draw(mask)
    draw.rounded_rectangle((0, 0, round(1.08 * unit), unit - 1), radius=unit // 5, fill=255)
    lens = ((1.16, 0.44), (1.6, 0.12), (1.6, 0.88), (1.16, 0.56))
    draw.polygon([(x * unit, y * unit) for x, y in lens], fill=255)
    return mask.resize((height * 8 // 5, height), Image.Resampling.BOX)
