"""How a picture differs from the room without anybody, and what of it is the person's: one way for the clean plate,
which is given, and for the memory of the room (`mask.memory`), which is learned. Per pixel of the grid

    d = |Y - Y0| + 3 (|U - U0| + |V - V0|)

Chroma counts thrice since its range in a room is about a third of luma's. What d has to be for a person depends on the
noise of the frame, which its calmer parts show (`foot`), and at their edge on its surroundings (`share`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import U8, read_only
from vbgcam.pixels.workframe import Grid

# Above the frame's own noise. More noise than the loudest is none but a person who fills the picture (strong noise, 12
# of 255 in each colour, comes to 12).
_ABOVE: Final = 6
_LOUDEST: Final = 24
# At an edge, the person's own distance is looked for within two pixels.
_AROUND: Final = np.ones((5, 5), np.uint8)


def distance(now: Grid, room: Sequence[U8]) -> U8:
    """d, 255 at most, read-only. `room`: y, u and v as `now`'s."""
    from vbgcam.segment import kernels

    out = np.empty_like(now.y)
    y, u, v = (read_only(plane) for plane in room)
    kernels.differ(now.y, now.u, now.v, y, u, v, out)
    return read_only(out)


def foot(noise: int) -> int:
    """Up to which d a pixel is the room."""
    return _ABOVE + min(_LOUDEST, noise)


def share(alpha: U8, apart: U8, least: int, known: U8) -> U8:
    """`alpha`, and where person and room mix in one pixel no more than the person's share of it: d there over the
    largest within two pixels, which is the person's own. Without it a tenth of a person in strong contrast is taken for
    the whole, and they grow by two pixels, room and all. `apart`: d; `least`: see `foot`; `known`: 0 where the room is
    not known, and `alpha` stands."""
    from vbgcam.segment import kernels

    out = np.empty_like(alpha)
    inside = read_only(np.asarray(cv2.erode(alpha, _AROUND), np.uint8))
    largest = read_only(np.asarray(cv2.dilate(apart, _AROUND), np.uint8))
    kernels.share(read_only(alpha), inside, read_only(apart), largest, read_only(known), least, out)
    return out
