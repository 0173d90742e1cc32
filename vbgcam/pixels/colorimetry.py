"""Between the matrices that videos are coded in and this program's BT.601: one compiled pass over the planes.

libswscale goes from matrix to matrix by way of RGB: 3.9 ms at 720p and up to 3 steps off; this takes 0.6 ms.
"""

import functools
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8

# AVColorSpace, as files tag it, which is ITU-T H.273's MatrixCoefficients.
BT709: Final = 1
BT470: Final = 5
BT601: Final = 6
BT601_WEIGHTS: Final = (0.299, 0.114)
"""Red and blue in luma."""
WEIGHTS: Final = {
    BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""The weights of red and blue in luma (H.273, table 4) of each matrix that is not BT.601's."""


def from_rgb_matrix(red: float, blue: float) -> NDArray[np.float64]:
    """RGB, 0 to 1, to Y (219 steps), Cb and Cr (224 steps), by the weights of red and blue in luma: (3, 3)."""
    luma = np.array([red, 1 - red - blue, blue])
    cb, cr = (np.array([0, 0, 1]) - luma) / (2 - 2 * blue), (np.array([1, 0, 0]) - luma) / (2 - 2 * red)
    return np.stack([219 * luma, 224 * cb, 224 * cr])


def _bt601_coefficients(red: float, blue: float) -> NDArray[np.int32]:
    change = from_rgb_matrix(*BT601_WEIGHTS) @ np.linalg.inv(from_rgb_matrix(red, blue))
    return np.round(change[:, 1:] * 65536).astype(np.int32)


BT601_COEFFICIENTS: Final = {matrix: _bt601_coefficients(*weights) for matrix, weights in WEIGHTS.items()}
"""For `to_bt601`, by matrix: int32, (3, 2), in 1/65536: what Cb and Cr add to Y, and the rows that make the new Cb and
the new Cr of them. Y has no part in the chroma, and its own weight is 1: grey stays grey."""


def to_bt601(y: U8, u: U8, v: U8, coefficients: NDArray[np.int32]) -> None:
    """Converts I420 planes in place, limited range: uint8, `y` (height, width), `u` and `v` half of that, rounded up.
    `coefficients`: one of BT601_COEFFICIENTS."""
    _compiled()(y, u, v, coefficients)


@functools.cache
def _compiled() -> Callable[..., None]:
    from numba import njit  # 0.4 s, which most videos need not wait for

    compiled: Callable[..., None] = njit(cache=True, nogil=True)(_convert)
    return compiled


def _convert(y: U8, u: U8, v: U8, coefficients: NDArray[np.int32]) -> None:
    """The four pixels of a chroma sample share it. 32-bit constants throughout and one line of sums beside
    the planes: with Python's own integers the compiler makes no vectors of it, and it takes five times as long."""
    height, width = y.shape
    y_cb, y_cr = coefficients[0, 0], coefficients[0, 1]
    u_cb, u_cr = coefficients[1, 0], coefficients[1, 1]
    v_cb, v_cr = coefficients[2, 0], coefficients[2, 1]
    half, shift, zero, most, middle = np.int32(32768), np.int32(16), np.int32(0), np.int32(255), np.int32(128)
    more = np.empty(2 * u.shape[1], np.int32)
    for row in range(u.shape[0]):
        for column in range(u.shape[1]):
            cb, cr = np.int32(u[row, column]) - middle, np.int32(v[row, column]) - middle
            luma = (y_cb * cb + y_cr * cr + half) >> shift
            more[2 * column] = luma
            more[2 * column + 1] = luma
            u[row, column] = min(max(((u_cb * cb + u_cr * cr + half) >> shift) + middle, zero), most)
            v[row, column] = min(max(((v_cb * cb + v_cr * cr + half) >> shift) + middle, zero), most)
        for line in range(2 * row, min(2 * row + 2, height)):
            for pixel in range(width):
                y[line, pixel] = min(max(np.int32(y[line, pixel]) + more[pixel], zero), most)
