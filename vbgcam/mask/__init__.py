"""What makes a mask good. For now one step: from the network's probability to an alpha of the frame's size."""

from __future__ import annotations

import math

import cv2
import numpy as np

from vbgcam.errors import ModelError
from vbgcam.frames import Mask, RawFrame
from vbgcam.pixels import resize_alpha
from vbgcam.segment import Probability


def finish(probability: Probability, frame: RawFrame, *, hard: bool = False) -> Mask:
    """The mask of the frame that the probability (float32, any size, 0 to 1) was made from. `hard` keeps a label mask
    binary. Raises ModelError where a value is not finite: such a mask must never be shown."""
    if probability.ndim != 2 or not probability.size:
        raise ModelError(f"the network gave a mask of shape {list(probability.shape)}, not height x width")
    # One value that is not finite makes the sum so, at a third of the time that looking at each one takes.
    if not math.isfinite(float(probability.sum(dtype=np.float64))):
        raise ModelError("the network gave a mask that is not finite (NaN or infinite values)")
    alpha = np.asarray(cv2.convertScaleAbs(np.maximum(probability, 0), alpha=255), np.uint8)
    full = resize_alpha(alpha, frame.size, smooth=not hard)
    full.flags.writeable = False
    return Mask(full, frame.captured_at, frame.epoch)
