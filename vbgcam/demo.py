"""What `vbgcam demo` adds around the chain: the two pictures it needs, written as files so that the demo takes the same
specs as everybody (`plate:FILE` and a background's path), and the before/after sheet at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vbgcam import pictures, pixels
from vbgcam.background.drawn import hills
from vbgcam.camera.demo import DemoCamera
from vbgcam.camera.drawn import room
from vbgcam.compose import Behind, Composer
from vbgcam.frames import U8, RawFrame, Size
from vbgcam.mask import Masker
from vbgcam.segment import Segmenter

CAPTIONS: Final = ("What the camera sees", "What the others see")

_PAPER: Final = (247, 245, 241)
_INK: Final = (64, 66, 74)
_WIDEST: Final = 960
"""Pixels that each of the two pictures has at most: side by side they still fit a page."""


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """`plate`: the drawn room with nobody in it, for `plate:FILE`. `background`: a picture to stand before."""

    plate: Path
    background: Path


def demo_files(folder: Path, size: Size) -> DemoFiles:
    """Writes both as PNG at that size into the folder, which is there. Raises MediaError."""
    files = DemoFiles(folder / "plate.png", folder / "background.png")
    pictures.write(files.plate, room(size))
    pictures.write(files.background, hills(size))
    return files


def before_after(segmenter: Segmenter, behind: Behind, size: Size, seconds: float, path: Path) -> None:
    """One moment of the demo before and after, side by side, each made as a call would make it: a camera frame with its
    noise, the segmenter's mask, the composed output. `behind` is of that size. Raises ModelError, MediaError."""
    camera = DemoCamera(size)
    frame = RawFrame(camera.frame(seconds, round(30 * seconds)), seconds)
    mask = Masker(segmenter).mask(frame)
    shown = Composer(size).compose(frame, mask, behind)
    pictures.write(path, sheet([pixels.to_rgb(frame.planes), pixels.to_rgb(shown.planes)], CAPTIONS))


def sheet(images: list[U8], captions: tuple[str, ...]) -> U8:
    """Pictures of one size, RGB, uint8, (height, width, 3), side by side on paper, a caption below each."""
    height, width = images[0].shape[:2]
    scale = min(1.0, _WIDEST / width)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    margin, text = max(8, round(0.030 * width)), max(10, round(0.026 * width))
    foot = round(2.0 * text)
    paper = Image.new("RGB", (len(images) * (width + margin) + margin, height + 2 * margin + foot), _PAPER)
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(text)
    corners = _rounded(width, height, max(2, round(0.012 * width)))
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left = margin + index * (width + margin)
        picture = Image.fromarray(image)
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        paper.paste(picture, (left, margin), corners)
        middle = left + width / 2, margin + height + (foot + margin) / 2
        draw.text(middle, caption, fill=_INK, font=font, anchor="mm")
    return np.asarray(paper, np.uint8)


def _rounded(width: int, height: int, radius: int) -> Image.Image:
    """The pictures' shape, with soft edges: drawn four times as large."""
    large = Image.new("L", (4 * width, 4 * height), 0)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, 4 * width - 1, 4 * height - 1), 4 * radius, fill=255)
    return large.resize((width, height), Image.Resampling.BOX)
