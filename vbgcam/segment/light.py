"""What the camera's exposure and white balance made of a clean plate's colours since it was taken.

Two curves are learned from pixels that show the room in both pictures: one of luma, of any shape (exposure, gamma,
clipped highlights), and an affine one of chroma, since a white balance moves bright pixels more than dark ones:

    Y' = tone(Y)                    (U', V') = 128 + tint (1, Y, U - 128, V - 128)

Both are robust: a person among the pixels, or a lamp that was switched on, is outvoted as long as the room prevails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8

Tone = NDArray[np.float32]
"""(256,): what each luma has become, not rounded and not limited to 0 to 255."""
Tint = NDArray[np.float32]
"""(2, 4): rows for U' - 128 and V' - 128, columns for 1, Y, U - 128, V - 128."""

UNCHANGED_TONE: Final[Tone] = np.arange(256, dtype=np.float32)
UNCHANGED_TINT: Final[Tint] = np.array([[0, 0, 1, 0], [0, 0, 0, 1]], np.float32)

# Luma in 16 ranges of 16; a range speaks from so large a share of the pixels on.
_RANGES: Final = 16
_LEAST: Final = 0.004
_FEWEST: Final = 16
_GAINS: Final = (0.3, 3.0)
# Chroma: pixels further off than this from what most do are no room; the second look is stricter.
_OUTLIERS: Final = (20.0, 8.0)
# Pull towards "as it was", as pixels of so much weight each: 1 against the offset, so that a room of one colour, which
# cannot tell an offset from a slope, takes the offset.
_RIDGE: Final = np.diag(np.array([0.05, 5, 5, 5], np.float32))


def tone_curve(then: U8, now: U8) -> Tone:
    """The curve through the medians of what each range of the plate's luma has become, straight between them and
    outside as steep as overall. `then`, `now`: (n,), the same pixels in the plate and in the frame."""
    if then.size < _FEWEST:
        return UNCHANGED_TONE
    rows = then.astype(np.intp) // (256 // _RANGES) * 256
    before, after = _counted(rows + then), _counted(rows + now)
    known = after[:, -1] >= max(_FEWEST // 2, _LEAST * then.size)
    if not known.any():
        return UNCHANGED_TONE
    x, y = _medians(before[known]), np.maximum.accumulate(_medians(after[known]))
    gain = float(np.clip((y[-1] - y[0]) / (x[-1] - x[0]), *_GAINS)) if x[-1] - x[0] > 40 else 1.0
    x = np.concatenate([[x[0] - 256], x, [x[-1] + 256]])
    y = np.concatenate([[y[0] - 256 * gain], y, [y[-1] + 256 * gain]])
    return np.interp(UNCHANGED_TONE, x, y).astype(np.float32)


def tint_matrix(features: NDArray[np.float32], u: U8, v: U8) -> Tint:
    """Least squares over the pixels that most agree with. `features`: (4, n), each pixel's 1, Y, U - 128, V - 128 in
    the plate; `u`, `v`: (n,), the same pixels' chroma in the frame."""
    if u.size < _FEWEST:
        return UNCHANGED_TINT
    target = np.stack([u, v]).astype(np.float32) - 128 - features[2:]
    change, middle = np.zeros((2, 4), np.float32), np.median(target, axis=1, keepdims=True)
    for limit in _OUTLIERS:
        agree = (np.abs(target - change @ features - middle) < limit).all(0)
        some = features[:, agree]
        weights = some @ some.T + _RIDGE * (1 + some.shape[1])
        change = np.linalg.solve(weights, some @ target[:, agree].T).T
        middle = np.zeros((2, 1), np.float32)
    return UNCHANGED_TINT + change


@dataclass(frozen=True, slots=True)
class Light:
    """Both changes. `matrix`: float64, (2, 4), from y, u, v and 1 to u and v."""

    tone: Tone
    matrix: NDArray[np.float64]

    @classmethod
    def between(cls, then: Sequence[U8], now: Sequence[U8]) -> Self:
        """`then`, `now`: y, u and v of the same pixels, each (n,)."""
        y, u, v = then
        features = np.stack([np.ones(y.size), y, u.astype(np.float32) - 128, v.astype(np.float32) - 128])
        change = tint_matrix(features.astype(np.float32), now[1], now[2])
        offset = 128 + change[:, 0] - 128 * (change[:, 2] + change[:, 3])
        return cls(tone_curve(y, now[0]), np.column_stack([change[:, 1:], offset]).astype(np.float64))

    def on(self, planes: Sequence[U8]) -> list[U8]:
        """y, u and v of a picture, each (height, width), as it looks in the new light."""
        luma = cv2.LUT(planes[0], np.clip(self.tone + 0.5, 0, 255).astype(np.uint8))
        chroma = cv2.transform(cv2.merge(list(planes)), self.matrix)
        return [np.asarray(luma, np.uint8), *(np.ascontiguousarray(chroma[..., i], np.uint8) for i in (0, 1))]


def _counted(cells: NDArray[np.intp]) -> NDArray[np.intp]:
    """Running counts of luma, (range, luma)."""
    return np.cumsum(np.bincount(cells, minlength=_RANGES * 256).reshape(_RANGES, 256), axis=1)


def _medians(running: NDArray[np.intp]) -> NDArray[np.float32]:
    return np.asarray((2 * running >= running[:, -1:]).argmax(1), np.float32)
