"""The inner loops over pixels, compiled by numba: what NumPy and OpenCV would need several passes for.

Importing this module compiles them, or loads them from numba's cache (15 s in a fresh installation, 0.9 s after that,
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
SEEN_FLAT: Final = types.Array(types.uint8, 1, "C", readonly=True)
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


@loop(*[SEEN_FLAT] * 3, _SEEN_FLAT_WORDS, SEEN_FLAT, MADE_FLAT, types.uintp, types.uintp)
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


def _means_of(factor: int) -> Callable[[NDArray[np.uint16], U8, int], None]:
    """The rounded means of squares, of the sums of their columns. `factor` is a constant of the compiled loop, as a
    variable it makes no vectors."""
    area = factor * factor
    # total / area as a product, at most 255.5 * 2^24: the error stays below 2^16 / 2^24, far from the next half.
    share, half = (1 << 24) // area + 1, area >> 1

    @part
    def means(sums: NDArray[np.uint16], out: U8, row: int) -> None:
        for column in range(up(0), up(out.shape[1])):
            place, total = up(column * up(factor)), u32(half)
            for step in range(up(0), up(factor)):
                total = u32(total + u32(sums[up(place + step)]))
            out[row, column] = u8(u32(total * u32(share)) >> u32(24))

    return means


_means_2, _means_3, _means_4, _means_5, _means_6 = (_means_of(factor) for factor in range(2, 7))


@part
def _means(sums: NDArray[np.uint16], factor: int, out: U8, row: int) -> None:
    area = u32(factor * factor)
    share, half = u32(u32(u32(1 << 24) // area) + u32(1)), u32(area >> u32(1))
    for column in range(up(0), up(out.shape[1])):
        total = half
        for step in range(up(0), factor):
            total = u32(total + u32(sums[up(column * factor + step)]))
        out[row, column] = u8(u32(total * u32(share)) >> u32(24))


@loop(SEEN, types.uintp, MADE)
def reduce(plane: U8, factor: int, out: U8) -> None:
    """The rounded means of squares of `factor` (2 to 16) pixels: `out` is (height // factor, width // factor); what
    hangs over at the right and the bottom is left out."""
    sums = np.empty(out.shape[1] * factor, np.uint16)
    for row in range(up(0), up(out.shape[0])):
        first = up(row * factor)
        _first_line(plane, first, sums)
        for line in range(up(first + up(1)), up(first + factor)):
            _add_line(plane, line, sums)
        if factor == 2:
            _means_2(sums, out, row)
        elif factor == 3:
            _means_3(sums, out, row)
        elif factor == 4:
            _means_4(sums, out, row)
        elif factor == 5:
            _means_5(sums, out, row)
        elif factor == 6:
            _means_6(sums, out, row)
        else:
            _means(sums, factor, out, row)


@part
def _three_to_two(sums: NDArray[np.uint16], even: U8, odd: U8, out: U8, line: int) -> None:
    for column in range(up(0), up(even.shape[0])):
        place = up(column * up(3))
        middle = u16(sums[up(place + up(1))] + u16(8))
        even[column] = u8(u16(u16(sums[place] * u16(3)) + middle) >> u16(4))
        odd[column] = u8(u16(u16(sums[up(place + up(2))] * u16(3)) + middle) >> u16(4))
    for column in range(up(0), up(even.shape[0])):
        out[line, up(column + column)], out[line, up(column + column + up(1))] = even[column], odd[column]


@loop(SEEN, MADE)
def three_to_two(plane: U8, out: U8) -> None:
    """Linear interpolation to two thirds of both sides, which must be whole: of 3x3 pixels 2x2. An eighth of the time
    that OpenCV takes for it."""
    width = plane.shape[1]
    upper, lower = np.empty(width, np.uint16), np.empty(width, np.uint16)
    even, odd = np.empty(width // 3, np.uint8), np.empty(width // 3, np.uint8)
    for pair in range(up(0), up(out.shape[0] // 2)):
        top = up(pair * up(3))
        middle, low = up(top + up(1)), up(top + up(2))
        for column in range(up(0), up(width)):
            shared = u16(plane[middle, column])
            upper[column] = u16(u16(u16(plane[top, column]) * u16(3)) + shared)
            lower[column] = u16(u16(u16(plane[low, column]) * u16(3)) + shared)
        _three_to_two(upper, even, odd, out, up(pair + pair))
        _three_to_two(lower, even, odd, out, up(pair + pair + up(1)))


@part
def _soften_across(plane: U8, row: int, out: NDArray[np.uint16]) -> None:
    last = up(out.shape[0] - 1)
    for column in range(up(1), last):
        side = u16(u16(plane[row, up(column - up(1))]) + u16(plane[row, up(column + up(1))]))
        out[column] = u16(u16(side * u16(54)) + u16(u16(plane[row, column]) * u16(148)))
    near = min(up(1), last)
    out[0] = u16(u16(plane[row, near]) * u16(108) + u16(plane[row, up(0)]) * u16(148))
    out[last] = u16(u16(plane[row, up(last - near)]) * u16(108) + u16(plane[row, last]) * u16(148))


@part
def _soften_down(
    above: NDArray[np.uint16], here: NDArray[np.uint16], below: NDArray[np.uint16], out: U8, row: int
) -> None:
    for column in range(up(0), up(here.shape[0])):
        side = u32(u32(above[column]) + u32(below[column]))
        out[row, column] = u8(u32(u32(side * u32(54)) + u32(u32(here[column]) * u32(148)) + u32(1 << 15)) >> u32(16))


@loop(SEEN, MADE)
def soften(plane: U8, out: U8) -> None:
    """OpenCV's GaussianBlur of 3x3 pixels with sigma 0.7, in a third of its time."""
    last = plane.shape[0] - 1
    lines = np.empty((3, plane.shape[1]), np.uint16)
    _soften_across(plane, up(0), lines[0])
    for row in range(last + 1):
        if row < last:
            _soften_across(plane, up(row + 1), lines[(row + 1) % 3])
        above, below = abs(row - 1), last - abs(last - row - 1)
        _soften_down(lines[min(above, last) % 3], lines[row % 3], lines[max(below, 0) % 3], out, up(row))


def _box_of(step: int) -> Callable[[U8, int, float, float, NDArray[np.int32]], None]:
    """`step` is a constant of the compiled loop, as in `_means_of`."""

    @part
    def box(alpha: U8, least: int, in_row: float, in_column: float, found: NDArray[np.int32]) -> None:
        columns = np.zeros((alpha.shape[1] + step - 1) // step, np.uint16)
        for row in range(up(0), up((alpha.shape[0] + step - 1) // step)):
            line, here = up(row * up(step)), u16(0)
            for column in range(up(0), up(columns.shape[0])):
                person = u16(alpha[line, up(column * up(step))] >= least)
                columns[column] = u16(columns[column] + person)
                here = u16(here + person)
            if here >= in_row:
                found[0] = found[0] if found[1] > 0 else i32(row)
                found[1] = i32(row + up(1))
        for column in range(columns.shape[0]):
            if columns[column] >= in_column:
                found[2] = found[2] if found[3] > 0 else i32(column)
                found[3] = i32(column + 1)

    return box


_box_1, _box_2 = _box_of(1), _box_of(2)


@loop(SEEN, types.boolean, types.uint8, types.float64, types.float64, types.Array(types.int32, 1, "C"))
def box(alpha: U8, half: bool, least: int, in_row: float, in_column: float, found: NDArray[np.int32]) -> None:
    """The first row and the one after the last, and the same of columns, in which so many pixels are `least` and more;
    0 where there is none. `half`: of every second pixel of every second line, by their numbers."""
    found[:] = 0
    if half:
        _box_2(alpha, least, in_row, in_column, found)
    else:
        _box_1(alpha, least, in_row, in_column, found)


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
def _mix_neighbours(plane: U8, row: int, share: int, out: U8, start: int) -> None:
    """`share`, of 256: how much of each pixel from the second on, beside the one before it."""
    other = u16(u16(256) - u16(share))
    for column in range(up(0), up(plane.shape[1] - 1)):
        two = u16(u16(plane[row, column]) * other + u16(plane[row, up(column + up(1))]) * u16(share))
        out[up(column + start)] = u8(u16(two + u16(128)) >> u16(8))


@loop(SEEN, MADE)
def widen(plane: U8, out: U8) -> None:
    """Stretches lines to a whole multiple of their length by linear interpolation in steps of 1/256, as OpenCV's
    resize, in a third of its time."""
    width = plane.shape[1]
    times = out.shape[1] // width
    some = np.empty((times, width), np.uint8)
    for row in range(up(0), up(plane.shape[0])):
        for number in range(times):
            # By how much its centre lies beyond that of the pixel before.
            share = ((2 * number + 1) * 128 // times + 128) & 255
            later = 2 * number + 1 >= times
            _mix_neighbours(plane, row, u16(share), some[number], up(not later))
            end = width - 1 if later else 0
            some[number, end] = plane[row, end]
        if times == 2:
            for column in range(up(0), up(width)):
                place = up(column + column)
                out[row, place], out[row, up(place + up(1))] = some[up(0), column], some[up(1), column]
        elif times == 3:
            for column in range(up(0), up(width)):
                place = up(column * up(3))
                out[row, place], out[row, up(place + up(1))] = some[up(0), column], some[up(1), column]
                out[row, up(place + up(2))] = some[up(2), column]
        else:
            for number in range(up(0), up(times)):
                for column in range(up(0), up(width)):
                    out[row, up(column * up(times) + number)] = some[number, column]


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
