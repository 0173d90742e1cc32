"""The only place where a SafeFrame is made: the person before another background, the person before their own blurred
room, or the cover.

    out = alpha * frame + (1 - alpha) * behind    per plane, rounded integers; chroma's alpha is its 4's rounded mean

The blend is one fused pass over the planes (`loops.blend`); `vbgcam bench` measures it beside the usual ways.

A pixel of the outline is itself a mixture of person and room, C = alpha F + (1 - alpha) R: blended as it is, a fringe
of the old room goes along. Where the mask knows the means F' and R' of both colours around (`Mask.fringe`), the pixel's
deviation from their mixture is taken for the person's, F = C + (1 - alpha) (F' - R'), so that the blend gains

    alpha (1 - alpha) (F' - R')

which is nothing where alpha is 0: what is not the person is never shown by it.

On wish the background's light falls on the outline (light wrap, as in film compositing): the blurred background is laid
over the picture there, by the more the nearer the room is.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import (
    U8,
    Backdrop,
    Mask,
    PlanePool,
    Planes,
    RawFrame,
    SafeFrame,
    Size,
    claim_seal,
    read_only,
)
from vbgcam.core.options import Blur, Key, RenderOptions

_seal: Final = claim_seal()

# Pixels on a side below which there is no quarter size to blur, so that all is grey, and the sigma from which an eighth
# serves as well.
_SMALLEST: Final = 8
_COARSE: Final = 2.5
# Of the height: how far the background's light reaches around the outline.
_LIGHT_REACH: Final = 0.05


Behind = Backdrop | Blur


class Composer:
    """Makes output frames of one size. One thread owns it; the frames it returns stay valid for as long as they are
    held. `options`: of them `mirror`, `key` and `light_wrap` count; they may be changed between two frames."""

    def __init__(self, size: Size, options: RenderOptions = RenderOptions()) -> None:  # noqa: B008  # a frozen value
        self.size: Final = size
        self.options = options
        self._lit: tuple[U8, Planes] | None = None
        self._pool = PlanePool()
        self._turned = PlanePool(2)
        self._rooms = PlanePool(2)

    def compose(self, frame: RawFrame, mask: Mask, behind: Behind) -> SafeFrame:
        """ValueError where a size is not the output's: callers fit frames and backdrops before they come here."""
        if frame.size != self.size or mask.size != self.size:
            raise ValueError(f"frame {frame.size} and mask {mask.size} do not fit the output's {self.size}")
        planes, alpha, kinds, fringe = frame.planes, np.ascontiguousarray(mask.alpha), mask.kinds, mask.fringe
        if self.options.mirror:
            planes, alpha, kinds = self._mirrored(planes), np.asarray(cv2.flip(alpha, 1), np.uint8), None
            fringe = fringe and fringe.mirrored(self.size.width)
        alpha = read_only(alpha)
        if isinstance(behind, Blur):
            back = self._blurred(planes, alpha, behind.strength)
        elif behind.size != self.size:
            raise ValueError(f"backdrop {behind.size} does not fit the output's {self.size}")
        else:
            back = behind.planes
        if self.options.key is not None:
            planes = self._without_spill(planes, self.options.key)
        out = self._pool.take(self.size)
        _blend(planes, back, alpha, kinds, out)
        if fringe is not None:
            from vbgcam.pixels import kernels

            difference = fringe.foreground_minus_background
            kernels.without_fringe(alpha, difference, fringe.rows, fringe.columns, out.y, out.u, out.v)
        if self.options.light_wrap and not isinstance(behind, Blur):
            out = self._lit_by(behind, alpha, out)
        return _seal(out, frame.captured_at, False)

    def cover(self, backdrop: Backdrop) -> SafeFrame:
        """The background with nobody in it, or the card."""
        if backdrop.size != self.size:
            raise ValueError(f"backdrop {backdrop.size} does not fit the output's {self.size}")
        out = self._pool.take(self.size)
        np.copyto(out.data, backdrop.planes.data)
        return _seal(out, None, True)

    def _mirrored(self, planes: Planes) -> Planes:
        out = self._turned.take(planes.size)
        for source, target in ((planes.y, out.y), (planes.u, out.u), (planes.v, out.v)):
            cv2.flip(source, 1, dst=target)
        return out

    def _blurred(self, planes: Planes, alpha: U8, strength: float) -> Planes:
        """The room out of focus, without the person's colours bleeding into it: each pixel counts by 1 - alpha, before
        the picture is reduced to a quarter and blurred, and the sum is divided by the equally blurred weights
        (normalised convolution, Knutsson and Westin 1993). Where no room is near, deep inside the person, it is grey.
        """
        from vbgcam.pixels import kernels

        size = planes.size
        out = self._rooms.take(size)
        if min(size.width, size.height) < _SMALLEST:
            out.data[:] = 128
            return out
        sums = np.empty((size.height // 4, size.width // 4, 4), np.float32)
        y, u, v = (read_only(plane) for plane in (planes.y, planes.u, planes.v))
        kernels.weighted_quarter(y, u, v, alpha, kernels.as_pairs(alpha), sums)
        sigma = max(0.5, 0.04 * strength * sums.shape[0])
        if sigma > _COARSE:
            # So soft a picture loses nothing by it, and the blur takes a quarter of its time.
            half = (max(1, sums.shape[1] // 2), max(1, sums.shape[0] // 2))
            sums = np.asarray(cv2.resize(sums, half, interpolation=cv2.INTER_AREA), np.float32)
            sigma /= 2
        *blurred, near = cv2.split(_gaussian(sums, sigma))
        # 16 pixels, each at most 255: where less than half a pixel of room is near, there is nothing to be seen.
        there = near > 16 * 0.5
        for total, target in zip(blurred, (out.y, out.u, out.v), strict=True):
            soft = np.divide(total, near, out=np.full_like(near, 128), where=there)
            width = target.shape[1]
            plane = np.clip(soft + 0.5, 0, 255).astype(np.uint8)
            rows = np.asarray(cv2.resize(plane, (width, plane.shape[0]), interpolation=cv2.INTER_LINEAR), np.uint8)
            kernels.stretch_rows(read_only(rows), target)
        return out

    def _lit_by(self, behind: Backdrop, alpha: U8, picture: Planes) -> Planes:
        """The picture with the background's light on the outline: blurred, it covers a share of `light_wrap` times
        alpha times what of the surroundings is room."""
        from vbgcam.pixels import kernels

        small = (max(1, self.size.width // 4), max(1, self.size.height // 4))
        reach = max(3, round(_LIGHT_REACH * small[1])) | 1
        near = np.asarray(cv2.resize(alpha, small, interpolation=cv2.INTER_AREA), np.float32) / 255
        share = self.options.light_wrap * near * (1 - cv2.blur(near, (reach, reach)))
        weights = np.empty_like(alpha)
        wide = cv2.resize(cv2.convertScaleAbs(share, alpha=255), (self.size.width, small[1]))
        kernels.stretch_rows(read_only(np.asarray(wide, np.uint8)), weights)
        if self._lit is None or self._lit[0] is not behind.planes.data:
            self._lit = behind.planes.data, _softened(behind.planes, reach)
        out = self._pool.take(self.size)
        _blend(self._lit[1], picture, read_only(weights), None, out)
        return out

    def _without_spill(self, planes: Planes, key: Key) -> Planes:
        """The picture without the key's own light: with x the part of a pixel's chroma that points to the key and z
        the part across, x loses x - |z| / tan(75 degrees) where that is positive. Mixed edges turn grey; jeans, olive
        and sky blue, which lie across, stay as they are (with all of x taken, sky blue turns lilac)."""
        direction = np.array(key, np.float32) - 128
        length = float(np.hypot(*direction))
        if length < 1:
            return planes
        direction /= length
        u, v = planes.u.astype(np.float32) - 128, planes.v.astype(np.float32) - 128
        across = np.abs(v * direction[0] - u * direction[1])
        spill = np.maximum(u * direction[0] + v * direction[1] - across / np.float32(np.tan(np.radians(75))), 0)
        out = self._rooms.take(planes.size)
        np.copyto(out.y, planes.y)
        np.copyto(out.u, u - spill * direction[0] + 128.5, casting="unsafe")
        np.copyto(out.v, v - spill * direction[1] + 128.5, casting="unsafe")
        return out


def _blend(front: Planes, back: Planes, alpha: U8, kinds: U8 | None, out: Planes) -> None:
    from vbgcam.pixels import kernels  # numba takes 0.9 s, and the first cover needs none of it

    if kinds is None:
        kinds = np.empty((alpha.shape[0] + 1) // 2, np.uint8)
        kernels.classify(alpha, kinds)
    pairs = kernels.as_pairs(alpha).reshape(-1)
    blocks = read_only(front.data), read_only(back.data)
    kernels.blend(*blocks, alpha.reshape(-1), pairs, read_only(kinds), out.data, out.size.width, out.size.height)


def _softened(planes: Planes, reach: int) -> Planes:
    """Blurred at a quarter of its size, over `reach` pixels there."""
    out = Planes.empty(planes.size)
    for source, target, chroma in ((planes.y, out.y, 1), (planes.u, out.u, 2), (planes.v, out.v, 2)):
        height, width = source.shape
        small = cv2.resize(
            source, (max(1, width * chroma // 4), max(1, height * chroma // 4)), interpolation=cv2.INTER_AREA
        )
        cv2.resize(cv2.blur(small, (reach, reach)), (width, height), dst=target, interpolation=cv2.INTER_LINEAR)
    return out


def _gaussian(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Three boxes from sigma 2 on: their cost does not grow with it (sigma 10 at a quarter of 1080p: 1.5 ms, the
    Gaussian itself 15). A box of width n has the variance (n^2 - 1) / 12 (Wells 1986)."""
    if sigma < 2:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
    width = round(np.sqrt(4 * sigma**2 + 1)) | 1
    for _ in range(3):
        picture = np.asarray(cv2.blur(picture, (width, width)), np.float32)
    return picture
