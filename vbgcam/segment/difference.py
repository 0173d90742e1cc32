"""How a picture differs from the room without anybody, and what of it is the person's: one way for the clean plate,
which is given, and for the model of the room (`mask.room_model`), which is learned. Per pixel of the work frame

    d = |Y - Y0| + 3 (|U - U0| + |V - V0|)

Chroma counts thrice since its range in a room is about a third of luma's. What d has to be for a person depends on the
noise of the frame, which its calmer parts show (`room_limit`), and at their edge on its surroundings (`limit_edges`).
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import U8, read_only

# Above the frame's own noise. More noise than the loudest is none but a person who fills the picture (strong noise, 12
# of 255 in each colour, comes to 12).
_ABOVE_NOISE: Final = 6
_LOUDEST: Final = 24
# At an edge, the person's own distance is looked for within two pixels.
_AROUND: Final = np.ones((5, 5), np.uint8)


def colour_distance(planes: Sequence[U8], room: Sequence[U8]) -> U8:
    """d, 255 at most, uint8, read-only. `planes`, `room`: y, u and v, all of one shape."""
    from vbgcam.segment import kernels

    out = np.empty_like(planes[0])
    (y, u, v), (room_y, room_u, room_v) = ([read_only(plane) for plane in side] for side in (planes, room))
    kernels.colour_distance(y, u, v, room_y, room_u, room_v, out)
    return read_only(out)


def room_limit(noise: int) -> int:
    """Up to which d a pixel is the room. `noise`: the d that the room's calmer parts have."""
    return _ABOVE_NOISE + min(_LOUDEST, noise)


def limit_edges(alpha: U8, distance: U8, limit: int, known: U8) -> U8:
    """`alpha`, and where person and room mix in one pixel no more than the person's share of it: d there over the
    largest within two pixels, which is the person's own. Without it a tenth of a person in strong contrast is taken for
    the whole, and they grow by two pixels, room and all. `distance`: d; `limit`: see `room_limit`; `known`: 0 where the
    room is not known, and `alpha` stands. All uint8, of one shape."""
    from vbgcam.segment import kernels

    out = np.empty_like(alpha)
    inside = read_only(np.asarray(cv2.erode(alpha, _AROUND), np.uint8))
    largest = read_only(np.asarray(cv2.dilate(distance, _AROUND), np.uint8))
    kernels.limit_edges(read_only(alpha), inside, read_only(distance), largest, read_only(known), limit, out)
    return out
