"""The inner loops over what differs from the room, compiled as `pixels.kernels`: one pass each over the work frame."""

from typing import Any

from numba import types

from vbgcam.core.frames import U8
from vbgcam.pixels.kernels import MADE, SEEN, f32, i16, i32, loop, part, u8, u16, up


@part
def apart(one: Any, other: Any) -> Any:
    """How far two bytes are from each other, in 16 bits."""
    return u16(max(one, other) - min(one, other))


@part
def distance_of(by_y: Any, by_u: Any, by_v: Any) -> Any:
    """d, of what `apart` gives."""
    return u8(min(u16(by_y + u16(u16(3) * u16(by_u + by_v))), u16(255)))


@loop(*[SEEN] * 6, MADE)
def colour_distance(y: U8, u: U8, v: U8, room_y: U8, room_u: U8, room_v: U8, out: U8) -> None:
    """d = |Y - Y0| + 3 (|U - U0| + |V - V0|), 255 at most; see `segment.difference`."""
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            by_u, by_v = apart(u[row, column], room_u[row, column]), apart(v[row, column], room_v[row, column])
            out[row, column] = distance_of(apart(y[row, column], room_y[row, column]), by_u, by_v)


@loop(SEEN, SEEN, SEEN, SEEN, SEEN, types.uint8, MADE)
def limit_edges(alpha: U8, inside: U8, distance: U8, largest: U8, known: U8, limit: int, out: U8) -> None:
    """The person's share of a pixel at their edge: how far it is from the room, over the largest distance around it
    (`largest`), which is the person's own; from a quarter on, and full at 0.7. Not where all around is the person
    (`inside` is 253 and more), and not where the room is unknown."""
    least = i16(limit)
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            above = f32(max(i16(i16(distance[row, column]) - least), i16(0)))
            most = f32(max(i16(i16(largest[row, column]) - least), i16(1)))
            # Of 255: (above / most - 1/4) / 0.45.
            part_of = min(max(above / most * f32(566.7) - f32(141.7), f32(0)), f32(255))
            cut = min(f32(alpha[row, column]), part_of)
            free = (known[row, column] == 0) | (inside[row, column] >= 253)
            out[row, column] = alpha[row, column] if free else u8(i32(cut))
