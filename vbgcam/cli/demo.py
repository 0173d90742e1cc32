"""What `vbgcam demo` adds around the chain: the two pictures it needs, written as files so that the demo takes the same
specs as everybody (`plate:FILE` and a background's path), and the before/after sheet at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vbgcam.background.drawn import hills
from vbgcam.camera.demo import DemoCamera
from vbgcam.camera.drawn import room
from vbgcam.core.frames import RawFrame, Size
from vbgcam.mask import Masker
from vbgcam.media import images
from vbgcam.pixels import convert
from vbgcam.render.composer import Behind, Composer
from vbgcam.report.sheet import sheet
from vbgcam.segment import Segmenter

CAPTIONS: Final = ("What the camera sees", "What the others see")


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """`plate`: the drawn room with nobody in it, for `plate:FILE`. `background`: a picture to stand before."""

    plate: Path
    background: Path


def demo_files(folder: Path, size: Size) -> DemoFiles:
    """Writes both as PNG at that size into the folder, which is there. Raises MediaError."""
    files = DemoFiles(folder / "plate.png", folder / "background.png")
    images.write(files.plate, room(size))
    images.write(files.background, hills(size))
    return files


def before_after(segmenter: Segmenter, behind: Behind, size: Size, seconds: float, path: Path) -> None:
    """One moment of the demo before and after, side by side, each made as a call would make it: a camera frame with its
    noise, the segmenter's mask, the composed output. `behind` is of that size. Raises ModelError, MediaError."""
    camera = DemoCamera(size)
    frame = RawFrame(camera.frame(seconds, round(30 * seconds)), seconds)
    mask = Masker(segmenter).mask(frame)
    shown = Composer(size).compose(frame, mask, behind)
    images.write(path, sheet([convert.to_rgb(frame.planes), convert.to_rgb(shown.planes)], CAPTIONS))
