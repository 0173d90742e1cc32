"""The only place where a SafeFrame is made: the person before another background, the person before their own blurred
room, or the cover.

    out = alpha * frame + (1 - alpha) * behind        per plane, rounded integers; chroma takes the mean of its 4 alphas

The blend is one fused pass per plane compiled by numba (1080p: 0.5 ms against 3 ms for the same by OpenCV calls and
34-45 ms for NumPy floats on RGB); it holds no interpreter lock.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.frames import U8, Backdrop, Mask, PlanePool, Planes, RawFrame, SafeFrame, Size, claim_seal

_seal: Final = claim_seal()


@dataclass(frozen=True, slots=True)
class Blur:
    """The room itself, out of focus. `strength`: 0 to 1; 1 is a Gaussian whose sigma is 4 % of the frame's height."""

    strength: float


Behind = Backdrop | Blur

Key = tuple[int, int]
"""Chroma (u, v) of a key colour whose light falls on the person."""


class Composer:
    """Makes output frames of one size. One thread owns it; the frames it returns stay valid for as long as they are
    held. `mirror` flips the camera's picture, not the background. `key`: the key colour to take out of the person
    (spill), or None."""

    def __init__(self, size: Size, *, mirror: bool = False, key: Key | None = None) -> None:
        self.size: Final = size
        self.mirror = mirror
        self.key = key
        self._pool = PlanePool()

    def compose(self, frame: RawFrame, mask: Mask, behind: Behind) -> SafeFrame:
        """ValueError where a size is not the output's: callers fit frames and backdrops before they come here."""
        if frame.size != self.size or mask.size != self.size:
            raise ValueError(f"frame {frame.size} and mask {mask.size} do not fit the output's {self.size}")
        planes, alpha = frame.planes, np.ascontiguousarray(mask.alpha)
        if self.mirror:
            planes, alpha = _mirrored(planes), np.asarray(cv2.flip(alpha, 1), np.uint8)
        if isinstance(behind, Blur):
            back = _blurred(planes, alpha, behind.strength)
        elif behind.size != self.size:
            raise ValueError(f"backdrop {behind.size} does not fit the output's {self.size}")
        else:
            back = behind.planes
        out = self._pool.take(self.size)
        blend_luma, blend_chroma = _kernels()
        blend_luma(planes.y, back.y, alpha, out.y)
        chroma = (planes.u, planes.v) if self.key is None else _without_spill(planes, self.key)
        blend_chroma(chroma, (back.u, back.v), alpha, (out.u, out.v))
        return _seal(out, frame.captured_at, False)

    def cover(self, backdrop: Backdrop) -> SafeFrame:
        """The background with nobody in it, or the card."""
        if backdrop.size != self.size:
            raise ValueError(f"backdrop {backdrop.size} does not fit the output's {self.size}")
        out = self._pool.take(self.size)
        np.copyto(out.data, backdrop.planes.data)
        return _seal(out, None, True)


def warm_up() -> None:
    """Loads the compiled blend, or compiles it (2 s in a fresh installation, then cached on disk), so that no frame
    waits for it."""
    _kernels()


@functools.cache
def _kernels() -> tuple[Callable[..., None], Callable[..., None]]:
    """The blends of luma and chroma. One signature each: numba would compile anew for every mix of read-only and
    writable arrays, in the middle of a call. Imported late: numba takes 0.4 s, and the first cover needs none of it."""
    from numba import njit, types

    seen = types.Array(types.uint8, 2, "C", readonly=True)
    made = types.Array(types.uint8, 2, "C")
    two_seen, two_made = (types.UniTuple(plane, 2) for plane in (seen, made))  # type: ignore[no-untyped-call]
    compiled = functools.partial(njit, cache=True, nogil=True)
    return (
        compiled(types.void(seen, seen, seen, made))(_blend_luma),
        compiled(types.void(two_seen, two_seen, seen, two_made))(_blend_chroma),
    )


def _blend_luma(front: U8, back: U8, alpha: U8, out: U8) -> None:
    height, width = front.shape
    for row in range(height):
        for column in range(width):
            a = np.uint32(alpha[row, column])
            t = np.uint32(front[row, column]) * a + np.uint32(back[row, column]) * (np.uint32(255) - a) + np.uint32(128)
            out[row, column] = (t + (t >> np.uint32(8))) >> np.uint32(8)  # = round(t / 255), exact for all inputs


def _blend_chroma(front: tuple[U8, U8], back: tuple[U8, U8], alpha: U8, out: tuple[U8, U8]) -> None:
    front_u, front_v = front
    back_u, back_v = back
    out_u, out_v = out
    height, width = front_u.shape
    bottom, right = alpha.shape[0] - 1, alpha.shape[1] - 1
    for row in range(height):
        above, below = 2 * row, min(2 * row + 1, bottom)
        for column in range(width):
            left, beside = 2 * column, min(2 * column + 1, right)
            # Sum of the four alphas, 0 to 1020: the rounding division below is by 1020.
            a = (
                np.uint32(alpha[above, left])
                + np.uint32(alpha[above, beside])
                + np.uint32(alpha[below, left])
                + np.uint32(alpha[below, beside])
            )
            b = np.uint32(1020) - a
            u = np.uint32(front_u[row, column]) * a + np.uint32(back_u[row, column]) * b + np.uint32(510)
            v = np.uint32(front_v[row, column]) * a + np.uint32(back_v[row, column]) * b + np.uint32(510)
            out_u[row, column] = u // np.uint32(1020)
            out_v[row, column] = v // np.uint32(1020)


def _mirrored(planes: Planes) -> Planes:
    out = Planes.empty(planes.size)
    for source, target in ((planes.y, out.y), (planes.u, out.u), (planes.v, out.v)):
        cv2.flip(source, 1, dst=target)
    return out


def _blurred(planes: Planes, alpha: U8, strength: float) -> Planes:
    """The room out of focus, without the person's colours bleeding into it: each pixel counts by 1 - alpha, before the
    picture is reduced to a quarter and blurred, and the sum is divided by the equally blurred weights (normalised
    convolution, Knutsson and Westin 1993). Where no room is near, deep inside the person, nothing is seen of it."""
    size = planes.size
    small = (max(1, size.width // 4), max(1, size.height // 4))
    sigma = max(0.5, 0.04 * strength * small[1])
    weight = cv2.bitwise_not(alpha)
    out = Planes.empty(size)
    for source, target in ((planes.y, out.y), (planes.u, out.u), (planes.v, out.v)):
        height, width = source.shape
        if weight.shape != source.shape:
            weight = cv2.resize(weight, (width, height), interpolation=cv2.INTER_AREA)
        counted = cv2.multiply(source, weight, dtype=cv2.CV_16U)
        total = cv2.GaussianBlur(_reduced(counted, small), (0, 0), sigma)
        near = cv2.GaussianBlur(_reduced(weight, small), (0, 0), sigma)
        soft = np.divide(total, near, out=np.full_like(total, 128), where=near > 0.5)
        plane = np.clip(soft + 0.5, 0, 255).astype(np.uint8)
        cv2.resize(plane, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)
    return out


def _reduced(plane: object, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(np.asarray(plane), size, interpolation=cv2.INTER_AREA), np.float32)


def _without_spill(planes: Planes, key: Key) -> tuple[U8, U8]:
    """The chroma planes without the key's own light: with x the part of a pixel's chroma that points to the key and z
    the part across, x loses x - |z| / tan(75 degrees) where that is positive. Mixed edges turn grey; jeans, olive and
    sky blue, which lie across, stay as they are (with all of x taken, sky blue turns lilac)."""
    direction = np.array(key, np.float32) - 128
    length = float(np.hypot(*direction))
    if length < 1:
        return planes.u, planes.v
    direction /= length
    u, v = planes.u.astype(np.float32) - 128, planes.v.astype(np.float32) - 128
    across = np.abs(v * direction[0] - u * direction[1])
    spill = np.maximum(u * direction[0] + v * direction[1] - across / np.float32(np.tan(np.radians(75))), 0)
    clean_u, clean_v = u - spill * direction[0] + 128.5, v - spill * direction[1] + 128.5
    return clean_u.astype(np.uint8), clean_v.astype(np.uint8)
