"""A camera's bytes become the house's planes, without a detour through RGB.

Milliseconds on one core, 1280x720 / 1920x1080: I420 0.05 / 0.1, NV12 0.2 / 0.5, YUYV 0.4 / 0.9, BGR 0.4 / 0.9; JPEG
2.5 to 3 / 5.5 to 7, of which 0.3 / 0.6 turn its full-range planes, for which libswscale takes 1.2 / 2.5.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from vbgcam.camera.base import Layout
from vbgcam.camera.choose import JPEG
from vbgcam.core.frames import U8, PlanePool, Planes, Size, read_only
from vbgcam.pixels.convert import from_av, rows_of, to_av

log = logging.getLogger(__name__)


class Unpacker(Protocol):
    """Belongs to one thread."""

    def planes(self, data: U8) -> Planes | None:
        """`data`: one picture as the camera sent it, one dimension. None where it is damaged."""


def unpacker(layout: Layout) -> Unpacker:
    """`layout.fourcc` is one of `choose.READABLE`; the sides of the size are even."""
    return _Jpeg(layout.size) if layout.fourcc in JPEG else _Raw(layout)


class _Raw:
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._fill, pixel, lines = _FORMATS[layout.fourcc]
        self._stride = max(layout.stride, layout.size.width * pixel)
        self._lines = int(layout.size.height * lines)
        self._pool = PlanePool()
        self._reformatter = VideoReformatter()

    def planes(self, data: U8) -> Planes | None:
        length = self._stride * self._lines
        if data.size < length:  # the camera broke off in the middle of a picture
            return None
        out = self._pool.take(self._layout.size)
        self._fill(data[:length].reshape(self._lines, self._stride), out)
        if not (self._layout.bt709 or self._layout.full) or self._layout.fourcc in ("BGR3", "RGB3", "GREY"):
            return out.frozen()
        frame = to_av(out)
        frame.colorspace = Colorspace.ITU709 if self._layout.bt709 else Colorspace.ITU601
        frame.color_range = ColorRange.JPEG if self._layout.full else ColorRange.MPEG
        return from_av(frame, self._reformatter).frozen()


# How many damaged pictures from the start on until the decoder forgives faults: some cameras send nothing but odd JPEG.
_ODD: Final = 30
# BT.601 from full to limited range: Y 0..255 to 16..235, chroma's 255 steps to 224 around 128.
# In 1/65536 and 1/256, for `kernels.scale`; the half rounds.
_LUMA_STEP: Final = round(65536 * 219 / 255)
_LUMA_ZERO: Final = 16 * 256 + 128
_CHROMA_STEP: Final = round(65536 * 224 / 255)
_CHROMA_ZERO: Final = round(256 * (128 - 128 * 224 / 255)) + 128


class _Jpeg:
    def __init__(self, size: Size) -> None:
        self._size = size
        self._pool = PlanePool()
        self._reformatter = VideoReformatter()
        self._good, self._damaged = False, 0
        self._decoder = _decoder("explode")

    def planes(self, data: U8) -> Planes | None:
        try:
            # To FFmpeg no bytes are the end of the stream, after which it would decode nothing any more.
            frames = self._decoder.decode(av.Packet(data.tobytes())) if data.size else []
        except FFmpegError:
            frames = []
        if len(frames) == 1 and (frames[0].width, frames[0].height) == (self._size.width, self._size.height):
            self._good = True
            return self._limited(frames[0]).frozen()
        self._damaged += 1
        if self._damaged == _ODD and not self._good:
            log.info("the camera's JPEG pictures are all faulty; they are shown as far as they can be read")
            self._decoder = _decoder("ignore_err")
        return None

    def _limited(self, frame: av.VideoFrame) -> Planes:
        halves = {"yuvj420p": 1, "yuvj422p": 2}.get(frame.format.name)
        if halves is None or frame.colorspace != Colorspace.ITU601:
            return from_av(frame, self._reformatter)
        from vbgcam.pixels import kernels

        out = self._pool.take(self._size)
        luma, *chroma = (read_only(rows_of(plane)) for plane in frame.planes)
        kernels.scale(luma, _LUMA_STEP, _LUMA_ZERO, out.y)
        for rows, target in zip(chroma, (out.u, out.v), strict=True):
            if halves == 1:
                kernels.scale(rows, _CHROMA_STEP, _CHROMA_ZERO, target)
            else:
                kernels.scale_line_pairs(rows, _CHROMA_STEP, _CHROMA_ZERO, target)
        return out


def _decoder(faults: str) -> av.VideoCodecContext:
    """`faults`: FFmpeg's err_detect. "explode" refuses a picture that breaks off (and does not mind a missing end mark,
    bytes behind it, or strange comments); by default FFmpeg fills what is missing with older pictures."""
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.thread_count = 1  # more threads each hold a picture back
    decoder.options = {"err_detect": faults}
    return decoder


# Each of these fills planes from `rows`, (lines, stride), whose lines may end in padding.


def _i420(rows: U8, out: Planes, u: int = 0) -> None:
    height, width = out.y.shape
    np.copyto(out.y, rows[:height, :width])
    chroma = rows[height:].reshape(2, height // 2, rows.shape[1] // 2)
    np.copyto(out.u, chroma[u, :, : width // 2])
    np.copyto(out.v, chroma[1 - u, :, : width // 2])


def _nv12(rows: U8, out: Planes, u_first: bool = True) -> None:
    from vbgcam.pixels import kernels

    height, width = out.y.shape
    np.copyto(out.y, rows[:height, :width])
    pairs = _words(rows[height:], width, "<u2")
    kernels.split_pairs(pairs, *((out.u, out.v) if u_first else (out.v, out.u)))


def _yuyv(rows: U8, out: Planes, luma_first: bool = True, u_first: bool = True) -> None:
    """Two lines share the mean of their chroma."""
    from vbgcam.pixels import kernels

    length = out.size.width * 2
    pairs, quads = _words(rows, length, "<u2"), _words(rows, length, "<u4")
    kernels.packed_422(pairs, quads, luma_first, u_first, out.y, out.u, out.v)


def _words(rows: U8, length: int, kind: str) -> NDArray[Any]:
    """The first `length` bytes of each line, as the loops take them: read-only words."""
    words = np.ascontiguousarray(rows[:, :length]).view(kind)
    words.flags.writeable = False
    return words


def _bgr(rows: U8, out: Planes, code: int = cv2.COLOR_BGR2YUV_I420) -> None:
    height, width = out.y.shape
    picture = rows[:, : width * 3].reshape(height, width, 3)
    cv2.cvtColor(picture, code, dst=out.data.reshape(height * 3 // 2, width))


def _grey(rows: U8, out: Planes) -> None:
    from vbgcam.pixels import kernels

    kernels.scale(read_only(rows), _LUMA_STEP, _LUMA_ZERO, out.y)
    out.u[:] = out.v[:] = 128


# How planes are filled, bytes of a pixel in a line, lines for each line of the picture.
_FORMATS: Final[dict[str, tuple[Callable[[U8, Planes], None], int, float]]] = {
    "YU12": (_i420, 1, 1.5),
    "YV12": (lambda rows, out: _i420(rows, out, u=1), 1, 1.5),
    "NV12": (_nv12, 1, 1.5),
    "NV21": (lambda rows, out: _nv12(rows, out, u_first=False), 1, 1.5),
    "YUYV": (_yuyv, 2, 1),
    "YVYU": (lambda rows, out: _yuyv(rows, out, u_first=False), 2, 1),
    "UYVY": (lambda rows, out: _yuyv(rows, out, luma_first=False), 2, 1),
    "BGR3": (_bgr, 3, 1),
    "RGB3": (lambda rows, out: _bgr(rows, out, cv2.COLOR_RGB2YUV_I420), 3, 1),
    "GREY": (_grey, 1, 1),
}
