"""From a network's probability to 8 bits, and from there to the frame's size: what every mask goes through."""

import math

import cv2
import numpy as np

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Mask, RawFrame, Size, read_only
from vbgcam.mask.refine import NO_OUTLINE, Outline
from vbgcam.pixels.convert import resize_alpha
from vbgcam.pixels.workframe import Region
from vbgcam.segment import Probability


def alpha_of(probability: Probability) -> U8:
    """The probability (float32, any size, 0 to 1) as uint8, read-only. Raises ModelError where a value is not finite:
    such a mask must never be shown."""
    if probability.ndim != 2 or not probability.size:
        raise ModelError(f"the network gave a mask of shape {list(probability.shape)}, not height x width")
    # One value that is not finite makes the sum so, at a third of the time that looking at each one takes.
    if not math.isfinite(float(probability.sum(dtype=np.float64))):
        raise ModelError("the network gave a mask that is not finite (NaN or infinite values)")
    return read_only(np.asarray(cv2.convertScaleAbs(np.maximum(probability, 0), alpha=255), np.uint8))


def full_size(
    alpha: U8,
    frame: RawFrame,
    captured_at: float,
    *,
    hard: bool = False,
    region: Region | None = None,
    outline: Outline | None = None,
) -> Mask:
    """The mask at the frame's size, of an alpha (uint8) of any size. `captured_at`: of the frame that the alpha was
    made from. `hard` keeps a label mask binary. `region`: outside of it nobody is, if that is known. `outline`: at the
    edge, the pixels of the frame itself have the last word."""
    size = frame.size
    height, width = alpha.shape
    if hard or height >= size.height or width > size.width:
        return Mask(read_only(resize_alpha(alpha, size, smooth=not hard)), captured_at, frame.epoch)
    from vbgcam.mask import kernels

    rows, columns = slice(0, height), slice(0, width)
    if region is not None and size.width % width == 0 and size.height % height == 0:
        rows, columns = region
    left, right = (at * size.width // width for at in (columns.start, columns.stop))
    top, bottom = (at * size.height // height for at in (rows.start, rows.stop))
    # Lines are stretched by OpenCV while there are few, columns after that, as in `resize_alpha`.
    few = resize_alpha(np.ascontiguousarray(alpha[rows, columns]), Size(right - left, rows.stop - rows.start))
    out = np.empty((size.height, size.width), np.uint8)
    kinds = np.empty((size.height + 1) // 2, np.uint8)
    planes = tuple(read_only(plane) for plane in (frame.planes.y, frame.planes.u, frame.planes.v))
    cells = outline or NO_OUTLINE
    edges = cells.edges(Size(width, height), size)
    place = left, top, bottom - top
    kernels.stretch(read_only(few), *place, planes, cells.lines, *cells.bounds(alpha), *edges, out, kinds)
    return Mask(read_only(out), captured_at, frame.epoch, read_only(kinds))


def finish(probability: Probability, frame: RawFrame, *, hard: bool = False) -> Mask:
    """The mask of the frame that the probability was made from, without any of the steps. Raises ModelError."""
    return full_size(alpha_of(probability), frame, frame.captured_at, hard=hard)
