"""Between the program's planes and other pixels: FFmpeg's frames, RGB arrays, single planes of other sizes.

The program has one format, I420 in BT.601 limited range (see `core.frames`); whatever comes in is converted once.
FFmpeg's libswscale does the conversions (I420 at 1080p: 0.5 ms), OpenCV the resizing of planes.
"""

from typing import Final, Literal

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Planes, Size, read_only
from vbgcam.pixels.colorimetry import BT601_WEIGHTS, from_rgb_matrix

# What is left to OpenCV is small: a second thread gains nothing, and its waiting costs a tenth to a quarter of the
# processor's time (whole frames at 720p and 1080p, network included).
cv2.setNumThreads(1)

Fit = Literal["cover", "contain", "stretch"]
"""How a picture is brought to another size; see `fit`."""

BLACK: Final = (16, 128, 128)
"""(y, u, v)."""

# AVColorSpace of videos with BT.601's matrix; the enum of libswscale, which PyAV gives the names of, has only 5 for it.
_SMPTE170M: Final = 6

_EXACT: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_FAST: Final = Interpolation.BILINEAR

# For `kernels.to_rgb`: from limited range to full, in 1/65536; the half rounds.
_TO_RGB: Final = 255 * np.linalg.inv(from_rgb_matrix(*BT601_WEIGHTS))
_OFFSETS: Final = 0.5 - _TO_RGB @ (16, 128, 128)
_COEFFICIENTS: Final = read_only(
    np.round(65536 * np.array([_TO_RGB[0, 0], _TO_RGB[0, 2], *_TO_RGB[1, 1:], _TO_RGB[2, 1], *_OFFSETS])).astype(
        np.int32
    )
)


def from_av(frame: av.VideoFrame, reformatter: VideoReformatter | None = None) -> Planes:
    """New planes of the frame's own size, I420, BT.601, limited range. A frame that does not say its matrix is taken
    for BT.709 from 720 lines on and for BT.601 below, as players do; one that does not say its range is limited unless
    its format is a "yuvj" one.

    `reformatter`: one owned by the caller, so that a stream sets its scaler up once."""
    source = frame.colorspace if frame.colorspace != _SMPTE170M else Colorspace.ITU601
    if source not in (Colorspace.ITU601, Colorspace.ITU709, Colorspace.FCC, Colorspace.SMPTE240M):
        # 2 is "unspecified"; BT.2020 has no integer path in libswscale's fast converters and is near enough to 709.
        source = Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    plain = frame.format.name == "yuv420p" and source in (Colorspace.ITU601, Colorspace.FCC) and not full
    if not plain:
        frame = (reformatter or VideoReformatter()).reformat(
            frame,
            format="yuv420p",
            src_colorspace=source,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_FAST,
            threads=1,
        )
    out = Planes.empty(Size(frame.width, frame.height))
    for plane, target in zip(frame.planes, (out.y, out.u, out.v), strict=True):
        rows = rows_of(plane)
        np.copyto(target, rows[: target.shape[0], : target.shape[1]])
    return out


def to_av(planes: Planes) -> av.VideoFrame:
    """A new FFmpeg frame (yuv420p, tagged as BT.601, limited range) that holds a copy."""
    frame = av.VideoFrame(planes.size.width, planes.size.height, "yuv420p")
    for plane, source in zip(frame.planes, (planes.y, planes.u, planes.v), strict=True):
        rows = rows_of(plane)
        rows[: source.shape[0], : source.shape[1]] = source
    frame.colorspace, frame.color_range = Colorspace.ITU601, ColorRange.MPEG
    return frame


def from_rgb(rgb: U8) -> Planes:
    """New planes of full range RGB: uint8, (height, width, 3)."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = frame.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG,
        interpolation=_EXACT,
    )
    # The converted frame carries no tags, and from 720 lines on `from_av` would take it for BT.709 and convert again.
    frame.colorspace, frame.color_range = Colorspace.ITU601, ColorRange.MPEG
    return from_av(frame)


def to_rgb(planes: Planes) -> U8:
    """Full range RGB: uint8, (height, width, 3), a new array."""
    frame = to_av(planes).reformat(
        format="rgb24",
        src_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.MPEG,
        interpolation=_EXACT,
    )
    return np.asarray(frame.to_ndarray(), np.uint8)


def color_yuv(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """One full range colour, 0 to 255 each, as (y, u, v) in limited range (ITU-R BT.601)."""
    red, green, blue = rgb
    of_red, of_blue = BT601_WEIGHTS
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    u = 128 + 112 / 255 * (blue - luma) / (1 - of_blue)
    v = 128 + 112 / 255 * (red - luma) / (1 - of_red)
    return round(16 + luma * 219 / 255), round(u), round(v)


def small_rgb(planes: Planes, size: Size) -> U8:
    """The picture as a network of that input size sees it: full range RGB, uint8, (height, width, 3), stretched to
    `size`. The planes are resized first, so that the full picture is never converted."""
    from vbgcam.pixels import kernels

    y, u, v = (shrink(plane, size) for plane in (planes.y, planes.u, planes.v))
    red, green, blue = np.empty((3, size.height, size.width), np.uint8)
    kernels.to_rgb(y, u, v, _COEFFICIENTS, red, green, blue)
    return np.asarray(cv2.merge((red, green, blue)), np.uint8)


def shrink(plane: U8, size: Size) -> U8:
    """A plane, uint8, (height, width), at `size`, read-only. First means of whole squares, then linear interpolation
    over the rest, less than 2: from 1080p to 256x256 0.3 ms for the three planes, where OpenCV's INTER_AREA takes 7."""
    from vbgcam.pixels import kernels

    height, width = plane.shape
    factor = min(height // size.height, width // size.width, 16)
    if factor > 1:
        means = np.empty((height // factor, width // factor), np.uint8)
        kernels.reduce(read_only(plane), factor, means)
        plane = means
    if (2 * plane.shape[0], 2 * plane.shape[1]) == (3 * size.height, 3 * size.width):
        out = np.empty((size.height, size.width), np.uint8)
        kernels.three_to_two(read_only(plane), out)
        plane = out
    elif plane.shape != (size.height, size.width):
        plane = np.asarray(cv2.resize(plane, (size.width, size.height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return read_only(plane)


def resize(planes: Planes, size: Size) -> Planes:
    """Stretched to `size`: by area where both sides shrink, else linearly. The same planes where that is their size."""
    if planes.size == size:
        return planes
    out = Planes.empty(size)
    np.copyto(out.y, _resized(planes.y, size))
    np.copyto(out.u, _resized(planes.u, size.chroma))
    np.copyto(out.v, _resized(planes.v, size.chroma))
    return out


def fit(planes: Planes, size: Size, how: Fit = "cover", border: tuple[int, int, int] = BLACK) -> Planes:
    """Brought to `size`: `cover` fills `size` and cuts what hangs over, `contain` shows all and adds bars (letterbox),
    `stretch` distorts. `border`: the bars' (y, u, v). Offsets are even, so that luma and chroma stay on each other."""
    source = planes.size
    if how == "stretch" or source == size:
        return resize(planes, size)
    ratios = size.width / source.width, size.height / source.height
    if how == "cover":
        scale = max(ratios)
        wide, high = max(1, round(size.width / scale)), max(1, round(size.height / scale))
        part = Size(min(source.width, wide), min(source.height, high))
        left, top = (source.width - part.width) // 2, (source.height - part.height) // 2
        return resize(crop(planes, left, top, part), size)
    scale = min(ratios)
    inner = Size(max(1, round(source.width * scale)), max(1, round(source.height * scale)))
    left, top = (size.width - inner.width) // 2 & ~1, (size.height - inner.height) // 2 & ~1
    out, small = Planes.filled(size, border), resize(planes, inner)
    out.y[top : top + inner.height, left : left + inner.width] = small.y
    left, top, half = left // 2, top // 2, inner.chroma
    out.u[top : top + half.height, left : left + half.width] = small.u
    out.v[top : top + half.height, left : left + half.width] = small.v
    return out


def crop(planes: Planes, left: int, top: int, size: Size) -> Planes:
    """New planes with the part of that size, which must lie within; `left` and `top` are rounded down to even."""
    left, top = left & ~1, top & ~1
    out, half = Planes.empty(size), size.chroma
    np.copyto(out.y, planes.y[top : top + size.height, left : left + size.width])
    for source, target in ((planes.u, out.u), (planes.v, out.v)):
        part = source[top // 2 : top // 2 + half.height, left // 2 : left // 2 + half.width]
        np.copyto(target, part)
    return out


def resize_alpha(alpha: NDArray[np.uint8], size: Size, *, smooth: bool = True) -> U8:
    """An alpha, uint8, (height, width), stretched to `size`; `smooth=False` keeps a label mask binary."""
    height, width = alpha.shape
    if (height, width) == (size.height, size.width):
        return alpha
    if not smooth:
        return np.asarray(cv2.resize(alpha, (size.width, size.height), interpolation=cv2.INTER_NEAREST), np.uint8)
    if height > size.height:
        return _resized(alpha, size)
    from vbgcam.pixels import kernels

    # Lines are stretched while there are few, columns after that: 0.3 ms to 1080p, OpenCV alone takes 0.9.
    lines = alpha
    if width < size.width and size.width % width == 0:
        lines = np.empty((height, size.width), np.uint8)
        kernels.widen(read_only(alpha), lines)
    elif width != size.width:
        lines = _resized(alpha, Size(size.width, height))
    if height == size.height:
        return lines
    out = np.empty((size.height, size.width), np.uint8)
    kernels.stretch_rows(read_only(np.ascontiguousarray(lines)), out)
    return out


def rows_of(plane: av.video.plane.VideoPlane) -> U8:
    """FFmpeg's own memory: (lines, line_size), writable where FFmpeg lets it; lines may end in padding."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)


def _resized(plane: U8, size: Size) -> U8:
    height, width = plane.shape
    if (width, height) == (size.width, size.height):
        return plane
    shrinks = size.width < width and size.height < height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (size.width, size.height), interpolation=how), np.uint8)
