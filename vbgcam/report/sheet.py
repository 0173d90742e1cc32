"""Pictures side by side on paper, a caption below each: what the demo and an evaluation end with."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vbgcam.core.frames import U8

_PAPER: Final = (247, 245, 241)
_INK: Final = (64, 66, 74)


def sheet(images: Sequence[U8], captions: Sequence[str], widest: int = 960) -> U8:
    """Pictures of one size, RGB, uint8, (height, width, 3), side by side on paper, a caption below each; each at most
    `widest` pixels wide (two of 960 still fit a page)."""
    height, width = images[0].shape[:2]
    scale = min(1.0, widest / width)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    margin, text = max(8, round(0.030 * width)), max(10, round(0.026 * width))
    foot = round(2.0 * text)
    paper = Image.new("RGB", (len(images) * (width + margin) + margin, height + 2 * margin + foot), _PAPER)
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(text)
    # The pictures' shape, with soft edges: drawn four times as large.
    large = Image.new("L", (4 * width, 4 * height), 0)
    corner = 4 * max(2, round(0.012 * width))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, 4 * width - 1, 4 * height - 1), corner, fill=255)
    shape = large.resize((width, height), Image.Resampling.BOX)
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left = margin + index * (width + margin)
        picture = Image.fromarray(image)
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        paper.paste(picture, (left, margin), shape)
        middle = left + width / 2, margin + height + (foot + margin) / 2
        draw.text(middle, caption, fill=_INK, font=font, anchor="mm")
    return np.asarray(paper, np.uint8)
