"""The inner loops over pixels, compiled by numba: what NumPy and OpenCV would need several passes for.

Importing this module compiles them, or loads them from numba's cache (10 s in a fresh installation, 0.9 s after that,
most of it numba's own start); rooms import it when their first picture comes. No loop holds the interpreter's lock.

For the compiler to make vectors of a loop, each step says its width (NumPy's own integers would widen to 64 bits), and
indices are unsigned (a signed one could be negative, which Python lets count from the end): the blend takes 2.3 ms at
1080p without and 0.3 ms with both. Each function has one signature, since numba compiles anew for every mix of
read-only and writable arrays, in the middle of a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from vbgcam.frames import U8

# Any: to the type checker a step's result is what the step says, and to numba these are casts.
u8: Any = np.uint8
u16: Any = np.uint16
u32: Any = np.uint32
u64: Any = np.uint64
i32: Any = np.int32
up: Any = np.uintp

_Loop = TypeVar("_Loop", bound=Callable[..., Any])

_SEEN: Final = types.Array(types.uint8, 2, "C", readonly=True)
_SEEN_WORDS: Final = types.Array(types.uint16, 2, "C", readonly=True)
_SEEN_QUADS: Final = types.Array(types.uint32, 2, "C", readonly=True)
_MADE: Final = types.Array(types.uint8, 2, "C")
_MADE_COLORS: Final = types.Array(types.uint8, 3, "C")
_MADE_FLOATS: Final = types.Array(types.float32, 3, "C")

# Pixels of two lines that share one decision, copy or blend. Shorter ones cost more decisions, longer ones blend more
# than they must: the blend of a person at 1080p takes 0.31 ms at 64, 0.27 at 128, 0.28 at 256 and 0.33 at 480.
_SEGMENT: Final = 128
_BACK: Final = 0
_FRONT: Final = 1
_MIXED: Final = 2
_NONE: Final = 3


def _loop(*arguments: types.Type) -> Callable[[_Loop], _Loop]:
    """Compiles for these arguments, so that no frame waits for it."""
    return cast("Callable[[_Loop], _Loop]", njit(types.void(*arguments), cache=True, nogil=True))


def _part(function: _Loop) -> _Loop:
    """A part of other loops, compiled with them."""
    return cast("_Loop", njit(nogil=True)(function))


@_part
def _some_and_every(alpha: U8, top: int, low: int, start: int, end: int) -> tuple[int, int]:
    """The bits that some pixel of a segment of two lines has, and those that every one has."""
    some, every = u8(0), u8(255)
    for column in range(start, end):
        some = u8(some | u8(alpha[top, column] | alpha[low, column]))
        every = u8(every & u8(alpha[top, column] & alpha[low, column]))
    return some, every


@_part
def _copy(source: U8, out: U8, row: int, start: int, end: int) -> None:
    for column in range(start, end):
        out[row, column] = source[row, column]


@_part
def _mix(front: U8, back: U8, alpha: U8, out: U8, row: int, alpha_row: int, start: int, end: int) -> None:
    """round((a * front + (255 - a) * back) / 255): with t the sum + 128, (t + (t >> 8)) >> 8 is exact, in 16 bits."""
    for column in range(start, end):
        a = u16(alpha[alpha_row, column])
        t = u16(u16(front[row, column]) * a + u16(back[row, column]) * u16(u16(255) - a) + u16(128))
        out[row, column] = u8(u16(t + u16(t >> u16(8))) >> u16(8))


@_part
def _mean_of_four(pairs: NDArray[np.uint16], top: int, low: int, out: U8, start: int, end: int) -> None:
    """A chroma sample's alpha. Neighbours are read as one word: every second byte alone makes no vectors."""
    for column in range(start, end):
        above, below = pairs[top, column], pairs[low, column]
        total = u16(u16(above & u16(255)) + u16(above >> u16(8)) + u16(below & u16(255)) + u16(below >> u16(8)))
        out[up(0), column] = u8(u16(total + u16(2)) >> u16(2))


@_loop(*[_SEEN] * 7, _SEEN_WORDS, *[_MADE] * 3)
def blend(
    front_y: U8, front_u: U8, front_v: U8, back_y: U8, back_u: U8, back_v: U8, alpha: U8, pairs: NDArray[np.uint16],
    out_y: U8, out_u: U8, out_v: U8,
) -> None:  # fmt: skip
    """alpha * front + (1 - alpha) * back in all three planes, each rounded; a chroma sample's alpha is the rounded mean
    of its four. An odd last line is left out. `alpha`: uint8 (height, width); `pairs`: the same, two neighbours to a
    word (see `as_pairs`). Runs of segments that are one side's alone are copied.

    Copying is written out twice: as a function of its own, or with the side chosen before, it takes 0.05 ms more."""
    width = up(front_y.shape[1])
    half = np.empty((1, out_u.shape[1]), np.uint8)
    for row in range(up(0), up(front_y.shape[0] // 2)):
        top = up(row + row)
        low = up(top + up(1))
        start, at, kind = up(0), up(0), _BACK
        while start < width:
            following, after = _NONE, at
            if at < width:
                after = min(up(at + up(_SEGMENT)), width)
                some, every = _some_and_every(alpha, top, low, at, after)
                following = _BACK if some == 0 else (_FRONT if every == 255 else _MIXED)
            if following != kind and at > start:
                half_start, half_end = up(start // up(2)), up((at + up(1)) // up(2))
                if kind == _BACK:
                    _copy(back_y, out_y, top, start, at)
                    _copy(back_y, out_y, low, start, at)
                    _copy(back_u, out_u, row, half_start, half_end)
                    _copy(back_v, out_v, row, half_start, half_end)
                elif kind == _FRONT:
                    _copy(front_y, out_y, top, start, at)
                    _copy(front_y, out_y, low, start, at)
                    _copy(front_u, out_u, row, half_start, half_end)
                    _copy(front_v, out_v, row, half_start, half_end)
                else:
                    _mix(front_y, back_y, alpha, out_y, top, top, start, at)
                    _mix(front_y, back_y, alpha, out_y, low, low, start, at)
                    _mean_of_four(pairs, top, low, half, half_start, half_end)
                    _mix(front_u, back_u, half, out_u, row, up(0), half_start, half_end)
                    _mix(front_v, back_v, half, out_v, row, up(0), half_start, half_end)
                start = at
            kind, at = following, after


@_loop(*[_SEEN] * 7, _SEEN_WORDS, *[_MADE] * 3)
def blend_last_line(
    front_y: U8, front_u: U8, front_v: U8, back_y: U8, back_u: U8, back_v: U8, alpha: U8, pairs: NDArray[np.uint16],
    out_y: U8, out_u: U8, out_v: U8,
) -> None:  # fmt: skip
    """`blend` for the last line of an odd height."""
    last, row = up(front_y.shape[0] - 1), up(out_u.shape[0] - 1)
    width, half_width = up(front_y.shape[1]), up(out_u.shape[1])
    half = np.empty((1, out_u.shape[1]), np.uint8)
    _mix(front_y, back_y, alpha, out_y, last, last, up(0), width)
    _mean_of_four(pairs, last, up(last + up(1)), half, up(0), half_width)
    _mix(front_u, back_u, half, out_u, row, up(0), up(0), half_width)
    _mix(front_v, back_v, half, out_v, row, up(0), up(0), half_width)


@_part
def _low_bytes(words: NDArray[np.uint16], out: U8, row: int) -> None:
    for column in range(up(0), up(out.shape[1])):
        out[row, column] = u8(words[row, column])


@_part
def _high_bytes(words: NDArray[np.uint16], out: U8, row: int) -> None:
    for column in range(up(0), up(out.shape[1])):
        out[row, column] = u8(words[row, column] >> u16(8))


def _mean_byte_at(shift: int) -> Callable[[NDArray[np.uint32], int, int, U8, int], None]:
    """The mean of one byte of two lines' words. `shift` is a constant of the compiled loop: as a variable it costs
    three times as much, since it could be 32 and more."""

    @_part
    def mean_byte(quads: NDArray[np.uint32], top: int, low: int, out: U8, row: int) -> None:
        for column in range(up(0), up(out.shape[1])):
            above, below = u32(quads[top, column] >> u32(shift)), u32(quads[low, column] >> u32(shift))
            out[row, column] = u8(u32(u32(above & u32(255)) + u32(below & u32(255)) + u32(1)) >> u32(1))

    return mean_byte


_mean_byte_0, _mean_byte_1, _mean_byte_2, _mean_byte_3 = (_mean_byte_at(8 * byte) for byte in range(4))


@_loop(_SEEN_WORDS, _SEEN_QUADS, types.boolean, types.boolean, *[_MADE] * 3)
def packed_422(
    pairs: NDArray[np.uint16],
    quads: NDArray[np.uint32],
    luma_first: bool,
    u_first: bool,
    out_y: U8,
    out_u: U8,
    out_v: U8,
) -> None:
    """YUYV and its like to planes. `pairs`, `quads`: the lines as little-endian words of one and of two pixels.
    `luma_first`: YUYV and YVYU, not UYVY; `u_first`: not YVYU. Two lines share the mean of their chroma."""
    first, second = (out_u, out_v) if u_first else (out_v, out_u)
    for row in range(up(0), up(out_u.shape[0])):
        top = up(row + row)
        low = up(top + up(1))
        if luma_first:
            _low_bytes(pairs, out_y, top)
            _low_bytes(pairs, out_y, low)
            _mean_byte_1(quads, top, low, first, row)
            _mean_byte_3(quads, top, low, second, row)
        else:
            _high_bytes(pairs, out_y, top)
            _high_bytes(pairs, out_y, low)
            _mean_byte_0(quads, top, low, first, row)
            _mean_byte_2(quads, top, low, second, row)


@_loop(_SEEN_WORDS, _MADE, _MADE)
def split_pairs(pairs: NDArray[np.uint16], low: U8, high: U8) -> None:
    """NV12's chroma to planes: the low bytes of the little-endian words, and the high ones."""
    for row in range(up(0), up(low.shape[0])):
        _low_bytes(pairs, low, row)
        _high_bytes(pairs, high, row)


@_part
def _first_line(plane: U8, line: int, sums: NDArray[np.uint16]) -> None:
    for column in range(up(0), up(sums.shape[0])):
        sums[column] = plane[line, column]


@_part
def _add_line(plane: U8, line: int, sums: NDArray[np.uint16]) -> None:
    for column in range(up(0), up(sums.shape[0])):
        sums[column] = u16(sums[column] + u16(plane[line, column]))


@_loop(_SEEN, types.uintp, _MADE)
def reduce(plane: U8, factor: int, out: U8) -> None:
    """The rounded means of squares of `factor` (2 to 16) pixels; what hangs over at the right and the bottom is left
    out."""
    sums = np.empty(out.shape[1] * factor, np.uint16)
    pairs, quads = sums[: sums.shape[0] & ~1].view(np.uint32), sums[: sums.shape[0] & ~3].view(np.uint64)
    area = u32(factor * factor)
    # total / area as a product: the error stays below 2^16 / 2^24, far from the next whole number's half.
    share, half = u32(u32(u32(1 << 24) // area) + u32(1)), u32(area >> u32(1))
    for row in range(up(0), up(out.shape[0])):
        first = up(row * factor)
        _first_line(plane, first, sums)
        for line in range(up(first + up(1)), up(first + factor)):
            _add_line(plane, line, sums)
        if factor == 2:
            for column in range(up(0), up(out.shape[1])):
                word = pairs[column]
                out[row, column] = u8(u32(u32(word & u32(0xFFFF)) + u32(word >> u32(16)) + u32(2)) >> u32(2))
        elif factor == 4:
            for column in range(up(0), up(out.shape[1])):
                four = quads[column]
                two = u64(u64(four & u64(0x0000FFFF0000FFFF)) + u64(u64(four >> u64(16)) & u64(0x0000FFFF0000FFFF)))
                total = u32(u32(two) + u32(two >> u64(32)))
                out[row, column] = u8(u32(total + u32(8)) >> u32(4))
        else:
            for column in range(up(0), up(out.shape[1])):
                total = half
                for step in range(up(0), factor):
                    total = u32(total + u32(sums[up(column * factor + step)]))
                out[row, column] = u8(u64(u64(total) * u64(share)) >> u64(24))


@_loop(_SEEN, _SEEN, _SEEN, types.Array(types.int32, 1, "C", readonly=True), _MADE_COLORS)
def to_rgb(y: U8, u: U8, v: U8, steps: NDArray[np.int32], out: U8) -> None:
    """Three planes of one size to RGB, (height, width, 3). `steps`, in 1/65536: what Y, and what V adds to R, U and V
    to G, U to B, and the three constants."""
    luma, r_v, g_u, g_v, b_u = steps[0], steps[1], steps[2], steps[3], steps[4]
    r_0, g_0, b_0 = steps[5], steps[6], steps[7]
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            grey = i32(luma * i32(y[row, column]))
            cb, cr = i32(u[row, column]), i32(v[row, column])
            red = i32(i32(grey + i32(r_v * cr) + r_0) >> i32(16))
            green = i32(i32(grey + i32(g_u * cb) + i32(g_v * cr) + g_0) >> i32(16))
            blue = i32(i32(grey + i32(b_u * cb) + b_0) >> i32(16))
            out[row, column, up(0)] = u8(min(max(red, i32(0)), i32(255)))
            out[row, column, up(1)] = u8(min(max(green, i32(0)), i32(255)))
            out[row, column, up(2)] = u8(min(max(blue, i32(0)), i32(255)))


@_part
def _between(rows: U8, above: int, below: int, part: int, out: U8, line: int) -> None:
    """`part`: how much of the lower line, 0 to 255 of 256."""
    b = u16(part)
    a = u16(u16(256) - b)
    for column in range(up(0), up(out.shape[1])):
        total = u16(u16(rows[above, column]) * a + u16(rows[below, column]) * b + u16(128))
        out[line, column] = u8(total >> u16(8))


@_loop(_SEEN, _MADE)
def stretch_rows(rows: U8, out: U8) -> None:
    """Lines between lines, by linear interpolation in steps of 1/256; pixel centres lie as in OpenCV's resize."""
    have, height = rows.shape[0], out.shape[0]
    for line in range(height):
        place = min(max((2 * line + 1) * have * 128 // height - 128, 0), (have - 1) * 256)
        above = place >> 8
        _between(rows, up(above), up(min(above + 1, have - 1)), u16(place & 255), out, up(line))


@_part
def _add_luma(y: U8, alpha: U8, line: int, sums: NDArray[np.uint32], weights: NDArray[np.uint16]) -> None:
    for column in range(up(0), up(sums.shape[0])):
        weight = u16(u16(255) - u16(alpha[line, column]))
        weights[column] = u16(weights[column] + weight)
        sums[column] = u32(sums[column] + u32(u16(u16(y[line, column]) * weight)))


@_part
def _four_weights(pairs: NDArray[np.uint16], top: int, low: int, out: NDArray[np.uint16]) -> None:
    for column in range(up(0), up(out.shape[0])):
        above, below = pairs[top, column], pairs[low, column]
        total = u16(u16(above & u16(255)) + u16(above >> u16(8)) + u16(below & u16(255)) + u16(below >> u16(8)))
        out[column] = u16(u16(1020) - total)


@_part
def _add_chroma(plane: U8, line: int, weights: NDArray[np.uint16], sums: NDArray[np.uint32]) -> None:
    for column in range(up(0), up(sums.shape[0])):
        sums[column] = u32(sums[column] + u32(u32(plane[line, column]) * u32(weights[column])))


@_loop(_SEEN, _SEEN, _SEEN, _SEEN, _SEEN_WORDS, _MADE_FLOATS)
def weighted_quarter(y: U8, u: U8, v: U8, alpha: U8, pairs: NDArray[np.uint16], out: NDArray[np.float32]) -> None:
    """What stands behind the person, at a quarter of the sides: sums over 4x4 pixels of y * w, u * w, v * w and w, with
    w = 255 - alpha, to `out`, float32 (height // 4, width // 4, 4). `pairs` as for `blend`."""
    height, width = up(out.shape[0]), up(out.shape[1])
    lumas, weights = np.empty(width * 4, np.uint32), np.empty(width * 4, np.uint16)
    us, vs, fours = np.empty(width * 2, np.uint32), np.empty(width * 2, np.uint32), np.empty(width * 2, np.uint16)
    for row in range(up(0), height):
        lumas[:], weights[:], us[:], vs[:] = 0, 0, 0, 0
        for line in range(up(row * up(4)), up(row * up(4) + up(4))):
            _add_luma(y, alpha, line, lumas, weights)
        for line in range(up(row * up(2)), up(row * up(2) + up(2))):
            top = up(line + line)
            _four_weights(pairs, top, up(top + up(1)), fours)
            _add_chroma(u, line, fours, us)
            _add_chroma(v, line, fours, vs)
        for column in range(up(0), width):
            first, half = up(column * up(4)), up(column * up(2))
            luma, near = u32(0), u32(0)
            for step in range(up(0), up(4)):
                luma = u32(luma + lumas[up(first + step)])
                near = u32(near + u32(weights[up(first + step)]))
            out[row, column, up(0)] = luma
            out[row, column, up(1)] = u32(us[half] + us[up(half + up(1))])
            out[row, column, up(2)] = u32(vs[half] + vs[up(half + up(1))])
            out[row, column, up(3)] = near


def as_pairs(plane: U8) -> NDArray[np.uint16]:
    """Two neighbours to a little-endian word, read-only; an odd last row or column is repeated."""
    height, width = plane.shape
    if height % 2 or width % 2:
        plane = np.pad(plane, ((0, height % 2), (0, width % 2)), "edge")
    pairs = np.ascontiguousarray(plane).view("<u2")
    pairs.flags.writeable = False
    return pairs
