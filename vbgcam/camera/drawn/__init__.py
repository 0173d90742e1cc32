"""The demo's world, drawn by code: a room, and a presenter who moves and talks in it, with the exact alpha.

Everything is a pure function of the size and the time, so that a test, an evaluation and two runs see the same. At any
size and time

    frame = round(alpha * presenter + (1 - alpha) * room)          with alpha from 0 to 255 taken as 0 to 1

to the last digit. Pictures are RGB, uint8, (height, width, 3), alphas uint8, (height, width); times are in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.camera.drawn.interior import placement, room
from vbgcam.camera.drawn.person import figure
from vbgcam.camera.drawn.shapes import Patch, paint
from vbgcam.core.frames import U8, Size

__all__ = ["MARGIN", "Patch", "frame", "moving", "presenter", "room"]

MARGIN: Final = 8
"""Pixels of unchanged room around what `moving` shows: more than any filter of a chroma conversion reaches."""

_LIGHT_ONE: Final = 236
"""The value of `_light` that leaves a colour as it is."""


def presenter(size: Size, seconds: float) -> tuple[U8, U8]:
    """The presenter's own colours (not multiplied by alpha; black where alpha is 0), and the alpha."""
    cut = _cut_out(size, seconds)
    whole = np.zeros((size.height, size.width, 3), np.uint8)
    matte = np.zeros((size.height, size.width), np.uint8)
    whole[cut.colours.where], matte[cut.colours.where] = cut.colours.pixels, cut.alpha
    return whole, matte


def frame(size: Size, seconds: float) -> U8:
    """The presenter in the room, as a perfect camera sees them."""
    whole = room(size).copy()
    patch = moving(size, seconds)
    whole[patch.where] = patch.pixels
    return whole


def moving(size: Size, seconds: float) -> Patch:
    """The part of the frame in which it may differ from the empty room: the presenter with a margin. Its sides lie on
    even pixels or on the picture's own edge."""
    cut = _cut_out(size, seconds)
    rows, columns = cut.colours.where
    left, top = max(0, columns.start - MARGIN) & ~1, max(0, rows.start - MARGIN) & ~1
    right, bottom = columns.stop + MARGIN + 1 & ~1, rows.stop + MARGIN + 1 & ~1
    around = room(size)[top:bottom, left:right].copy()
    behind = around[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    # The soft edge is a hundredth of the patch: only there is anything to compute.
    a, colours = cut.alpha[cut.edge].astype(np.uint32)[:, None], cut.colours.pixels
    mixed = (
        a * colours[cut.edge] + (255 - a) * behind[cut.edge] + 127
    ) // 255  # = round(sum / 255): 255 is odd, no ties
    cv2.copyTo(colours, cut.alpha, behind)
    behind[cut.edge] = mixed
    return Patch(left, top, around)


@dataclass(frozen=True, slots=True)
class _CutOut:
    """`edge`: rows and columns, within the patch, where alpha is neither 0 nor 255."""

    colours: Patch
    alpha: U8
    edge: tuple[NDArray[np.intp], NDArray[np.intp]]


def _cut_out(size: Size, seconds: float) -> _CutOut:
    scale, origin = placement(size)
    painted = paint(figure(seconds), size, scale=scale, origin=origin)
    alpha = np.ascontiguousarray(painted.pixels[..., 3])
    lit = cv2.cvtColor(painted.pixels, cv2.COLOR_RGBA2RGB)
    cv2.multiply(lit, _light(size)[painted.where], dst=lit, scale=1 / _LIGHT_ONE)
    rows, columns = np.divmod(np.flatnonzero(alpha - np.uint8(1) < 254), alpha.shape[1])
    a = alpha[rows, columns].astype(np.uint32)[:, None]
    lit[rows, columns] = np.minimum((lit[rows, columns] * np.uint32(255) + a // 2) // a, 255)
    return _CutOut(Patch(painted.left, painted.top, np.asarray(lit, np.uint8)), alpha, (rows, columns))


@lru_cache(maxsize=2)
def _light(size: Size) -> U8:
    """How much light falls on somebody in the middle of the room: from the window on the left, less towards the shelf
    and the floor."""
    scale, origin = placement(size)
    x = (np.arange(size.width) + 0.5 - origin[0]) / scale
    y = (np.arange(size.height) + 0.5 - origin[1]) / scale
    level = 1 - 0.070 * np.tanh(3.2 * x)[None, :] - 0.06 * (np.clip(y, 0, 1) ** 2)[:, None] + 0.01
    return np.repeat(np.rint(np.minimum(level * _LIGHT_ONE, 255)).astype(np.uint8)[..., None], 3, 2)
