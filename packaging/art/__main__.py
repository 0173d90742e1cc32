"""Makes all pictures again, in their places in the package. Takes a minute."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from PIL import Image

from art import presenter
from art.backgrounds import DRAWN
from vbgcam.background import gallery
from vbgcam.camera import demo
from vbgcam.core.frames import U8, Size
from vbgcam.pixels.convert import from_rgb, to_av

_RATE: Final = 30
_CLIP: Final = Size(1280, 720)
_BACKGROUND: Final = Size(1920, 1080)


def main() -> None:
    for name, draw in DRAWN.items():
        _write(gallery.SHIPPED / f"{name}.jpg", draw(_BACKGROUND), quality=95)
    _write(demo.PLATE, presenter.room(_CLIP), quality=95)
    times = [number / _RATE for number in range(round(presenter.LENGTH * _RATE))]
    _film(demo.CLIP, (to_av(from_rgb(presenter.frame(_CLIP, at))) for at in times), crf=16)
    _film(demo.ALPHA, (_gray(presenter.presenter(_CLIP, at)[1]) for at in times), crf=0)  # exactly


def _write(path: Path, rgb: U8, *, quality: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path, quality=quality, subsampling="4:2:0", optimize=True, progressive=True)


def _gray(alpha: U8) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(alpha), format="gray")
    frame.color_range = ColorRange.JPEG
    return frame


def _film(path: Path, frames: Iterable[av.VideoFrame], *, crf: int) -> None:
    """H.264; one keyframe, since the program reads it from the beginning alone."""
    with av.open(str(path), "w", container_options={"movflags": "+faststart"}) as file:
        stream: VideoStream | None = None
        for number, frame in enumerate(frames):
            if stream is None:
                options = {"preset": "veryslow", "crf": str(crf), "g": "100000", "keyint_min": "100000"}
                stream = file.add_stream("libx264", _RATE, options=options)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
                assert stream.codec_context is not None
                stream.codec_context.color_range = frame.color_range
                stream.codec_context.colorspace = frame.colorspace
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            file.mux(stream.encode(frame))
        if stream is not None:
            file.mux(stream.encode(None))


if __name__ == "__main__":
    main()
