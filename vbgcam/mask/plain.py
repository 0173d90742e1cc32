"""From a network's probability to 8 bits, and from there to the frame's size: what every mask goes through."""

from __future__ import annotations

import math

import cv2
import numpy as np

from vbgcam.errors import ModelError
from vbgcam.frames import U8, Mask, RawFrame, Size, read_only
from vbgcam.pixels import resize_alpha
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


def full(
    alpha: U8, frame: RawFrame, captured_at: float, *, hard: bool = False, part: tuple[slice, slice] | None = None
) -> Mask:
    """The mask at the frame's size. `hard` keeps a label mask binary. `part`: rows and columns outside which nobody
    is, if that is known."""
    size = frame.size
    height, width = alpha.shape
    if part is None or hard or size.width % width or size.height % height or size.width == width:
        return Mask(read_only(resize_alpha(alpha, size, smooth=not hard)), captured_at, frame.epoch)
    x, y = size.width // width, size.height // height
    rows, columns = part
    some = resize_alpha(
        np.ascontiguousarray(alpha[part]), Size(x * (columns.stop - columns.start), y * (rows.stop - rows.start))
    )
    out = np.zeros((size.height, size.width), np.uint8)
    out[y * rows.start : y * rows.stop, x * columns.start : x * columns.stop] = some
    return Mask(read_only(out), captured_at, frame.epoch)


def finish(probability: Probability, frame: RawFrame, *, hard: bool = False) -> Mask:
    """The mask of the frame that the probability was made from, without any of the steps. Raises ModelError."""
    return full(alpha_of(probability), frame, frame.captured_at, hard=hard)
