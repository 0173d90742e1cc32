"""The demo's clip: a room, and a presenter who moves and talks in it, with the exact alpha.

Pictures are RGB, uint8, (height, width, 3), alphas uint8, (height, width); times are in seconds. At any size and time

    frame = round(alpha * presenter + (1 - alpha) * room)          with alpha from 0 to 255 taken as 0 to 1
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from art.presenter.interior import placement, room
from art.presenter.person import LENGTH, figure
from art.presenter.shapes import paint
from vbgcam.core.frames import U8, Size

__all__ = ["LENGTH", "frame", "presenter", "room"]

_LIGHT_ONE: Final = 236
"""The value of `_light` that leaves a colour as it is."""


def presenter(size: Size, seconds: float) -> tuple[U8, U8]:
    """The presenter's own colours (not multiplied by alpha; black where alpha is 0), and the alpha."""
    scale, origin = placement(size)
    painted = paint(figure(seconds), size, scale=scale, origin=origin)
    alpha = painted.pixels[..., 3].astype(np.uint32)[..., None]
    lit = painted.pixels[..., :3].astype(np.float32) * _light(size)[painted.where] / _LIGHT_ONE
    colours = np.minimum((np.rint(lit).astype(np.uint32) * 255 + alpha // 2) // np.maximum(alpha, 1), 255)
    whole = np.zeros((size.height, size.width, 3), np.uint8)
    matte = np.zeros((size.height, size.width), np.uint8)
    whole[painted.where], matte[painted.where] = np.where(alpha, colours, 0), alpha[..., 0]
    return whole, matte


def frame(size: Size, seconds: float) -> U8:
    """The presenter in the room, as a perfect camera sees them."""
    colours, matte = presenter(size, seconds)
    alpha = matte.astype(np.uint32)[..., None]
    return np.asarray((alpha * colours + (255 - alpha) * room(size) + 127) // 255, np.uint8)


@lru_cache(maxsize=1)
def _light(size: Size) -> U8:
    """How much light falls on somebody in the middle of the room: from the window on the left, less towards the shelf
    and the floor. (height, width, 1)."""
    scale, origin = placement(size)
    x = (np.arange(size.width) + 0.5 - origin[0]) / scale
    y = (np.arange(size.height) + 0.5 - origin[1]) / scale
    level = 1 - 0.070 * np.tanh(3.2 * x)[None, :] - 0.06 * (np.clip(y, 0, 1) ** 2)[:, None] + 0.01
    return np.asarray(np.rint(np.minimum(level * _LIGHT_ONE, 255))[..., None], np.uint8)
