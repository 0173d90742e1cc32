"""The inner loops over pixels, compiled by numba: what NumPy and OpenCV would need several passes for.

Importing this module compiles them, or loads them from numba's cache (10 s in a fresh installation, 0.9 s after that,
most of it numba's own start), so it is imported when the first frame comes. No loop holds the interpreter's lock;
each runs in its caller's thread and writes to nothing but its last arguments. Planes are uint8, C-contiguous,
(height, width); inputs are read-only.

For the compiler to make vectors of a loop, each step says its width (NumPy's own integers would widen to 64 bits), and
indices are unsigned (a signed one could be negative, which Python lets count from the end): the blend takes 2.3 ms at
1080p without and 0.3 ms with both. Each function has one signature, since numba compiles anew for every mix of
read-only and writable arrays, in the middle of a call.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from vbgcam.core.frames import U8, read_only

# Any: to the type checker a step's result is what the step says, and to numba these are casts.
u8: Any = np.uint8
u16: Any = np.uint16
u32: Any = np.uint32
u64: Any = np.uint64
i16: Any = np.int16
i32: Any = np.int32
f32: Any = np.float32
up: Any = np.uintp

_raw_memcpy: Any = cgutils.raw_memcpy

_Loop = TypeVar("_Loop", bound=Callable[..., Any])

SEEN: Final = types.Array(types.uint8, 2, "C", readonly=True)
SEEN_WORDS: Final = types.Array(types.uint16, 2, "C", readonly=True)
_SEEN_QUADS: Final = types.Array(types.uint32, 2, "C", readonly=True)
_SEEN_FLAT: Final = types.Array(types.uint8, 1, "C", readonly=True)
_SEEN_FLAT_WORDS: Final = types.Array(types.uint16, 1, "C", readonly=True)
MADE: Final = types.Array(types.uint8, 2, "C")
MADE_FLAT: Final = types.Array(types.uint8, 1, "C")
MADE_FLOATS: Final = types.Array(types.float32, 3, "C")
SEEN_FLOATS: Final = types.Array(types.float32, 3, "C", readonly=True)
SEEN_EDGES: Final = types.Array(types.int32, 1, "C", readonly=True)

# What the blend does with two lines. (Finer decisions, by 64, 128 or 256 pixels, copy more and mix less, and take twice
# as long: each run that begins waits for the memory, which whole lines keep streaming.)
BACK: Final = 0
_FRONT: Final = 1
_MIXED: Final = 2


def loop(*arguments: types.Type) -> Callable[[_Loop], _Loop]:
    """A decorator: compiles for these arguments, so that no frame waits for it."""
    return cast("Callable[[_Loop], _Loop]", njit(types.void(*arguments), cache=True, nogil=True))


def part(function: _Loop) -> _Loop:
    """A decorator: a part of other loops, compiled with them."""
    return cast("_Loop", njit(nogil=True)(function))


def _copy_bytes_code(_context: Any, target: Any, source: Any, count: Any) -> Any:
    """The C library's memcpy, by addresses: it writes without reading the target first, as no loop can. With it the
    blend of a 1080p frame that lies in no cache takes 0.44 ms, with loops that copy 1.1."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        to, source, length = arguments
        _raw_memcpy(builder, builder.inttoptr(to, byte), builder.inttoptr(source, byte), length, 1)
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp, types.uintp), generate


_copy_bytes: Any = intrinsic(_copy_bytes_code)


@part
def _mix(front: U8, back: U8, alpha: U8, out: U8, start: int, end: int, alpha_start: int) -> None:
    """round((a * front + (255 - a) * back) / 255): with t the sum + 128, (t + (t >> 8)) >> 8 is exact, in 16 bits."""
    for place in range(start, end):
        a = u16(alpha[up(place - start + alpha_start)])
        t = u16(u16(front[place]) * a + u16(back[place]) * u16(u16(255) - a) + u16(128))
        out[place] = u8(u16(t + u16(t >> u16(8))) >> u16(8))


@part
def _mean_of_four(pairs: NDArray[np.uint16], start: int, end: int, step: int, out: U8) -> None:
    """A chroma sample's alpha. Neighbours are read as one word: every second byte alone makes no vectors."""
    for place in range(start, end):
        above, below = pairs[place], pairs[up(place + step)]
        total = u16(u16(above & u16(255)) + u16(above >> u16(8)) + u16(below & u16(255)) + u16(below >> u16(8)))
        out[up(place - start)] = u8(u16(total + u16(2)) >> u16(2))


@part
def kind_of(alpha: U8, top: int, low: int) -> Any:
    """Which of BACK, _FRONT and _MIXED two lines of an alpha are; `low` is `top` where there is only one."""
    some, every = u8(0), u8(255)
    for place in range(up(0), up(alpha.shape[1])):
        some = u8(some | u8(alpha[top, place] | alpha[low, place]))
        every = u8(every & u8(alpha[top, place] & alpha[low, place]))
    return u8(BACK) if some == 0 else (u8(_FRONT) if every == 255 else u8(_MIXED))


@loop(SEEN, MADE_FLAT)
def classify(alpha: U8, kinds: U8) -> None:
    """What `blend` does with each pair of lines: copies the background, copies the person, or mixes. `alpha`:
    (height, width); `kinds`: uint8, ((height + 1) // 2,), written."""
    last = up(alpha.shape[0] - 1)
    for pair in range(up(0), up(kinds.shape[0])):
        top = up(pair + pair)
        kinds[pair] = kind_of(alpha, top, min(up(top + up(1)), last))


@part
def _copy(kind: int, front: U8, back: U8, out: U8, start: int, end: int) -> None:
    source = up(back.ctypes.data) if kind == BACK else up(front.ctypes.data)
    _copy_bytes(up(up(out.ctypes.data) + start), up(source + start), up(end - start))


@loop(*[_SEEN_FLAT] * 3, _SEEN_FLAT_WORDS, _SEEN_FLAT, MADE_FLAT, types.uintp, types.uintp)
def blend(
    front: U8, back: U8, alpha: U8, pairs: NDArray[np.uint16], kinds: U8, out: U8, width: int, height: int
) -> None:
    """alpha * front + (1 - alpha) * back in all three planes, each rounded; a chroma sample's alpha is the rounded mean
    of its four. `front`, `back`, `out`: whole I420 blocks, as in `Planes.data`; `alpha`: uint8, (height * width,), 255
    is the person; `pairs`: alpha's neighbours, two to a word (see `as_pairs`); `kinds`: as `classify` makes them. Lines
    of one kind that follow each other are one run; one plane after the other, so that the processor sees few streams
    and fetches ahead."""
    half_width, half_height = up((width + up(1)) // up(2)), up((height + up(1)) // up(2))
    luma_end, to_v = up(width * height), up(half_width * half_height)
    half = np.empty(half_width, np.uint8)
    first = up(0)
    while first < half_height:
        kind = kinds[first]
        last = up(first + up(1))
        while last < half_height and kinds[last] == kind:
            last += up(1)
        start, end = up(first * up(2) * width), min(up(last * up(2) * width), luma_end)
        begin, stop = up(luma_end + first * half_width), up(luma_end + last * half_width)
        if kind == _MIXED:
            _mix(front, back, alpha, out, start, end, start)
            for row in range(first, last):
                pair, at = up(row * up(2) * half_width), up(luma_end + row * half_width)
                _mean_of_four(pairs, pair, up(pair + half_width), half_width, half)
                _mix(front, back, half, out, at, up(at + half_width), up(0))
                _mix(front, back, half, out, up(at + to_v), up(at + half_width + to_v), up(0))
        else:
            _copy(kind, front, back, out, start, end)
            _copy(kind, front, back, out, begin, stop)
            _copy(kind, front, back, out, up(begin + to_v), up(stop + to_v))
        first = last


@part
def _add_difference(plane: U8, line: int, column: int, difference: float, alpha: int) -> None:
    share = f32(alpha * (i32(255) - alpha)) * f32(1 / 65025)
    value = f32(plane[line, column]) + share * difference + f32(0.5)
    plane[line, column] = u8(min(max(value, f32(0)), f32(255)))


@loop(SEEN, SEEN_FLOATS, SEEN_EDGES, SEEN_EDGES, MADE, MADE, MADE)
def without_fringe(
    alpha: U8,
    difference: NDArray[np.float32],
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    out_y: U8,
    out_u: U8,
    out_v: U8,
) -> None:
    """Adds alpha (1 - alpha) (F - B) to a blended picture, with `difference` F - B: see `render.composer`.
    `difference`: float32, (rows, columns, 3), (y, u, v) of each cell of a grid; a cell of zeros is left as it is.
    `rows`, `columns`: int32, the cells' edges in pixels, one more than cells."""
    height, width = i32(alpha.shape[0]), i32(alpha.shape[1])
    for row in range(difference.shape[0]):
        for cell in range(difference.shape[1]):
            y, u, v = difference[row, cell, 0], difference[row, cell, 1], difference[row, cell, 2]
            if y == 0 and u == 0 and v == 0:
                continue
            for line in range(rows[row], rows[row + 1]):
                for column in range(columns[cell], columns[cell + 1]):
                    _add_difference(out_y, up(line), up(column), y, i32(alpha[up(line), up(column)]))
            for line in range((rows[row] + 1) >> 1, (rows[row + 1] + 1) >> 1):
                top, low = up(2 * line), up(min(2 * line + 1, height - 1))
                for column in range((columns[cell] + 1) >> 1, (columns[cell + 1] + 1) >> 1):
                    left, right = up(2 * column), up(min(2 * column + 1, width - 1))
                    total = i32(alpha[top, left]) + i32(alpha[top, right])
                    total += i32(alpha[low, left]) + i32(alpha[low, right])
                    mean = i32(i32(total + 2) >> 2)
                    _add_difference(out_u, up(line), up(column), u, mean)
                    _add_difference(out_v, up(line), up(column), v, mean)


@part
def _low_bytes(words: NDArray[np.uint16], out: U8, row: int) -> None:
    for column in range(up(0), up(out.shape[1])):
        out[row, column] = u8(words[row, column])


@part
def _high_bytes(words: NDArray[np.uint16], out: U8, row: int) -> None:
    for column in range(up(0), up(out.shape[1])):
        out[row, column] = u8(words[row, column] >> u16(8))


def _mean_byte_at(shift: int) -> Callable[[NDArray[np.uint32], int, int, U8, int], None]:
    """The mean of one byte of two lines' words. `shift` is a constant of the compiled loop: as a variable it costs
    three times as much, since it could be 32 and more."""

    @part
    def mean_byte(quads: NDArray[np.uint32], top: int, low: int, out: U8, row: int) -> None:
        for column in range(up(0), up(out.shape[1])):
            above, below = u32(quads[top, column] >> u32(shift)), u32(quads[low, column] >> u32(shift))
            out[row, column] = u8(u32(u32(above & u32(255)) + u32(below & u32(255)) + u32(1)) >> u32(1))

    return mean_byte


_mean_byte_0, _mean_byte_1, _mean_byte_2, _mean_byte_3 = (_mean_byte_at(8 * byte) for byte in range(4))


@loop(SEEN_WORDS, _SEEN_QUADS, types.boolean, types.boolean, *[MADE] * 3)
def packed_422(
    pairs: NDArray[np.uint16],
    quads: NDArray[np.uint32],
    luma_first: bool,
    u_first: bool,
    out_y: U8,
    out_u: U8,
    out_v: U8,
) -> None:
    """YUYV and its like to planes. `pairs`, `quads`: the lines as little-endian words of one pixel, uint16,
    (height, width), and of two, uint32, (height, width / 2). `luma_first`: YUYV and YVYU, not UYVY; `u_first`: not
    YVYU. Two lines share the mean of their chroma."""
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


@loop(SEEN_WORDS, MADE, MADE)
def split_pairs(pairs: NDArray[np.uint16], low: U8, high: U8) -> None:
    """NV12's chroma to planes: the low bytes of the little-endian words, uint16, (height, width), and the high ones."""
    for row in range(up(0), up(low.shape[0])):
        _low_bytes(pairs, low, row)
        _high_bytes(pairs, high, row)


@part
def _first_line(plane: U8, line: int, sums: NDArray[np.uint16]) -> None:
    for column in range(up(0), up(sums.shape[0])):
        sums[column] = plane[line, column]


@part
def _add_line(plane: U8, line: int, sums: NDArray[np.uint16]) -> None:
    for column in range(up(0), up(sums.shape[0])):
        sums[column] = u16(sums[column] + u16(plane[line, column]))


@part
def _part_of(value: Any, step: int) -> Any:
    """The upper half of a product of two 16-bit numbers: one instruction for 16 of them."""
    return u16(u32(u32(value) * u32(step)) >> u32(16))


@loop(SEEN, types.uint16, types.uint16, MADE)
def scale(plane: U8, step: int, constant: int, out: U8) -> None:
    """A range to another one: step * x + constant, with `step` in 1/65536 and `constant` in 1/256, each rounded down;
    what comes out must lie within 0 to 255."""
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            out[row, column] = u8(u16(_part_of(u16(u16(plane[row, column]) << u16(8)), step) + constant) >> u16(8))


@loop(SEEN, types.uint16, types.uint16, MADE)
def scale_line_pairs(plane: U8, step: int, constant: int, out: U8) -> None:
    """`scale` for the means of two lines each: `out` is (height // 2, width)."""
    for row in range(up(0), up(out.shape[0])):
        top = up(row + row)
        low = up(top + up(1))
        for column in range(up(0), up(out.shape[1])):
            total = u16(u16(u16(plane[top, column]) + u16(plane[low, column])) << u16(7))
            out[row, column] = u8(u16(_part_of(total, step) + constant) >> u16(8))


@loop(SEEN, types.uintp, MADE)
def reduce(plane: U8, factor: int, out: U8) -> None:
    """The rounded means of squares of `factor` (2 to 16) pixels: `out` is (height // factor, width // factor); what
    hangs over at the right and the bottom is left out."""
    sums = np.empty(out.shape[1] * factor, np.uint16)
    means = np.empty(sums.shape[0], np.uint8)
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
        elif factor == 3:
            # The mean around every pixel, of which each third is taken: three times the sums, but in vectors.
            for column in range(up(0), up(sums.shape[0] - 2)):
                wide = u32(u32(sums[column]) + u32(sums[up(column + up(1))]) + u32(sums[up(column + up(2))]))
                means[column] = u8(u32(u32(wide + u32(4)) * u32(7282)) >> u32(16))
            for column in range(up(0), up(out.shape[1])):
                out[row, column] = means[up(column * up(3))]
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


@part
def _one_color(y: U8, u: U8, v: U8, luma: int, of_u: int, of_v: int, constant: int, out: U8, row: int) -> None:
    for column in range(up(0), up(out.shape[1])):
        grey = i32(i32(luma * i32(y[row, column])) + constant)
        value = i32(i32(grey + i32(of_u * i32(u[row, column])) + i32(of_v * i32(v[row, column]))) >> i32(16))
        out[row, column] = u8(min(max(value, i32(0)), i32(255)))


@loop(SEEN, SEEN, SEEN, types.Array(types.int32, 1, "C", readonly=True), MADE, MADE, MADE)
def to_rgb(y: U8, u: U8, v: U8, coefficients: NDArray[np.int32], red: U8, green: U8, blue: U8) -> None:
    """Three planes of one size to three others. `coefficients`: int32, (8,), in 1/65536: what Y, and what V adds to R,
    U and V to G, U to B, and the three constants (`convert` makes them of ITU-R BT.601)."""
    luma, r_v, g_u = coefficients[0], coefficients[1], coefficients[2]
    g_v, b_u = coefficients[3], coefficients[4]
    r_0, g_0, b_0 = coefficients[5], coefficients[6], coefficients[7]
    for row in range(up(0), up(red.shape[0])):
        _one_color(y, v, v, luma, r_v, i32(0), r_0, red, row)
        _one_color(y, u, v, luma, g_u, g_v, g_0, green, row)
        _one_color(y, u, u, luma, b_u, i32(0), b_0, blue, row)


@part
def _between(rows: U8, above: int, below: int, part: int, out: U8, line: int, left: int) -> None:
    """`part`: how much of the lower line, 0 to 255 of 256."""
    b = u16(part)
    a = u16(u16(256) - b)
    for column in range(up(0), up(rows.shape[1])):
        total = u16(u16(rows[above, column]) * a + u16(rows[below, column]) * b + u16(128))
        out[line, up(column + left)] = u8(total >> u16(8))


@part
def stretched_line(rows: U8, number: int, height: int, out: U8, line: int, left: int) -> None:
    """Line `number` of the `height` lines that `rows` become, to `out` at (`line`, `left`)."""
    have = rows.shape[0]
    place = min(max((2 * number + 1) * have * 128 // height - 128, 0), (have - 1) * 256)
    above = place >> 8
    _between(rows, up(above), up(min(above + 1, have - 1)), u16(place & 255), out, up(line), up(left))


@loop(SEEN, MADE)
def stretch_rows(rows: U8, out: U8) -> None:
    """Stretches `rows`, (lines, width), to `out`, (height, width), by linear interpolation in steps of 1/256; pixel
    centres lie as in OpenCV's resize."""
    height = out.shape[0]
    for line in range(height):
        stretched_line(rows, line, height, out, line, 0)


@part
def _add_luma(y: U8, alpha: U8, line: int, sums: NDArray[np.uint32], weights: NDArray[np.uint16]) -> None:
    for column in range(up(0), up(sums.shape[0])):
        weight = u16(u16(255) - u16(alpha[line, column]))
        weights[column] = u16(weights[column] + weight)
        sums[column] = u32(sums[column] + u32(u16(u16(y[line, column]) * weight)))


@part
def _four_weights(pairs: NDArray[np.uint16], top: int, low: int, out: NDArray[np.uint16]) -> None:
    for column in range(up(0), up(out.shape[0])):
        above, below = pairs[top, column], pairs[low, column]
        total = u16(u16(above & u16(255)) + u16(above >> u16(8)) + u16(below & u16(255)) + u16(below >> u16(8)))
        out[column] = u16(u16(1020) - total)


@part
def _add_chroma(plane: U8, line: int, weights: NDArray[np.uint16], sums: NDArray[np.uint32]) -> None:
    for column in range(up(0), up(sums.shape[0])):
        sums[column] = u32(sums[column] + u32(u32(plane[line, column]) * u32(weights[column])))


@loop(SEEN, SEEN, SEEN, SEEN, SEEN_WORDS, MADE_FLOATS)
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
    """A plane, uint8, (height, width), two neighbours to a little-endian word: uint16, read-only, both sides rounded
    up; an odd last row or column is repeated."""
    height, width = plane.shape
    if height % 2 or width % 2:
        plane = np.pad(plane, ((0, height % 2), (0, width % 2)), "edge")
    return read_only(np.ascontiguousarray(plane).view("<u2"))
