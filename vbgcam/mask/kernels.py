"""The mask's inner loops, compiled as those of `vbgcam.pixels.kernels`: one pass each over the work frame."""

from typing import Any, Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from vbgcam.core.frames import U8
from vbgcam.pixels.kernels import (
    BACK,
    MADE,
    MADE_FLAT,
    MADE_FLOATS,
    SEEN,
    SEEN_EDGES,
    SEEN_FLOATS,
    f32,
    i32,
    kind_of,
    loop,
    part,
    stretched_line,
    u8,
    u16,
    u32,
    up,
)

_STATE: Final = types.Array(types.uint16, 2, "C")
_three: Any = types.UniTuple
_PLANES: Final = _three(SEEN, 3)
_STATES: Final = _three(_STATE, 3)

Planes = tuple[U8, ...]
States = tuple[NDArray[np.uint16], ...]
Lines = NDArray[np.float32]
Edges = NDArray[np.int32]


@loop(*[SEEN] * 5, MADE)
def compare(distance: U8, prior: U8, carried: U8, known: U8, table: U8, out: U8) -> None:
    """Where the room is known (`known` > 0) what `table` says for (distance, prior), elsewhere `carried`."""
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            said = table[distance[row, column], prior[row, column]]
            out[row, column] = said if known[row, column] > 0 else carried[row, column]


@loop(SEEN, SEEN, _STATE, types.uint16)
def smooth(alpha: U8, changed: U8, state: NDArray[np.uint16], least: int) -> None:
    """`state` (8.8) goes to `alpha` by a share: `least` of 256 where the picture stands still, all of it where it
    changed by 8 or more; where `alpha` is sure, near 0 or 255, by 4 already. Where it is surely nobody, three quarters
    of the way at least: what is no longer the person is the room."""
    for row in range(up(0), up(alpha.shape[0])):
        for column in range(up(0), up(alpha.shape[1])):
            a, moved = alpha[row, column], u16(changed[row, column])
            unsure = u16(max(moved, u16(4)) - u16(4)) * u16(64)
            sure = u16(max(moved, u16(2)) - u16(2)) * u16(128)
            rate = max(sure if u8(a + u8(8)) < u8(16) else unsure, least, u16(192) if a < u8(8) else u16(0))
            rate = u32(min(rate, u16(256)))
            wanted, before = u32(u32(a) << u32(8)), u32(state[row, column])
            after = u32(u32(wanted * rate) + u32(before * u32(u32(256) - rate)) + u32(128))
            state[row, column] = u16(after >> u32(8))


@part
def _moved_by(now: Any, kept: Any) -> Any:
    """In sixteenths, which three of them leave within 16 bits."""
    wide = u16(u16(now) << u16(8))
    return u16(u16(max(wide, kept) - min(wide, kept)) >> u16(4))


@loop(_PLANES, SEEN, _STATES, types.uint16, types.uint8, *[MADE] * 4)
def recognise(
    planes: Planes, person: U8, candidates: States, same: int, needed: int, count: U8, known: U8, rate: U8, sure: U8
) -> None:
    """Where nobody is (`person` is 0): whether a pixel looks as its candidate (8.8), which was seen `count` times.
    `rate`, of 255: how far the candidate goes to the pixel, all the way where it is another one. `sure`: 255 where it
    has been there `needed` times, with `known` set, else 0."""
    (y, u, v), (kept_y, kept_u, kept_v) = planes, candidates
    for row in range(up(0), up(y.shape[0])):
        for column in range(up(0), up(y.shape[1])):
            in_u, in_v = _moved_by(u[row, column], kept_u[row, column]), _moved_by(v[row, column], kept_v[row, column])
            off = u16(_moved_by(y[row, column], kept_y[row, column]) + u16(3) * u16(in_u + in_v))
            times = count[row, column]
            alike = u16(off < u16(u16(same) << u16(4))) & u16(times > 0)
            nobody = u16(person[row, column] == 0)
            # 1 / (times + 1), in steps
            slow = u16(128) if times < 2 else (u16(64) if times < 5 else (u16(32) if times < 11 else u16(16)))
            rate[row, column] = u8((slow if alike else u16(255)) if nobody else u16(0))
            again = u8(min(u16(times) + u16(1), u16(255))) if alike else u8(1)
            times = again if nobody else times
            count[row, column] = times
            now_known = u8(255) if nobody & u16(times >= needed) else u8(0)
            sure[row, column] = now_known
            known[row, column] = u8(known[row, column] | now_known)


@loop(SEEN, SEEN, SEEN, _STATE, MADE)
def learn(plane: U8, rate: U8, sure: U8, candidate: NDArray[np.uint16], room: U8) -> None:
    """One plane of what `recognise` decided: the candidates move, and those that are sure are the room from now on."""
    for row in range(up(0), up(room.shape[0])):
        for column in range(up(0), up(room.shape[1])):
            step = u32(rate[row, column])
            step = u32(step + u32(step == u32(255)))
            wanted, before = u32(u32(plane[row, column]) << u32(8)), u32(candidate[row, column])
            after = u16(u32(u32(wanted * step) + u32(before * u32(u32(256) - step)) + u32(128)) >> u32(8))
            candidate[row, column] = after
            new, known = u8(u16(after + u16(128)) >> u16(8)), sure[row, column]
            room[row, column] = u8(u8(new & known) | u8(room[row, column] & u8(u8(255) - known)))


@loop(_PLANES, SEEN, types.uint8, types.uint8, MADE_FLOATS)
def colours(planes: Planes, alpha: U8, low: int, high: int, sums: Lines) -> None:
    """Over cells of 4x4 pixels whose alpha is from `low` to `high`: how many there are, the sums of y, 2 (u - 128) and
    2 (v - 128), and of the squares of all three; to `sums`, float32 (height // 4, width // 4, 5)."""
    y, u, v = planes
    for row in range(up(0), up(sums.shape[0])):
        for column in range(up(0), up(sums.shape[1])):
            n, s_y, s_u, s_v, squares = i32(0), i32(0), i32(0), i32(0), i32(0)
            for line in range(up(row * up(4)), up(row * up(4) + up(4)), up(2)):
                for place in range(up(column * up(4)), up(column * up(4) + up(4)), up(2)):
                    a = alpha[line, place]
                    if a >= low and a <= high:
                        c_y = i32(y[line, place])
                        c_u = (i32(u[line, place]) - i32(128)) * i32(2)
                        c_v = (i32(v[line, place]) - i32(128)) * i32(2)
                        n += i32(1)
                        s_y += c_y
                        s_u += c_u
                        s_v += c_v
                        squares += c_y * c_y + c_u * c_u + c_v * c_v
            sums[row, column, up(0)] = n
            sums[row, column, up(1)] = s_y
            sums[row, column, up(2)] = s_u
            sums[row, column, up(3)] = s_v
            sums[row, column, up(4)] = squares


@loop(SEEN_FLOATS, SEEN_FLOATS, types.float32, types.float32, MADE_FLOATS)
def lines(front: Lines, back: Lines, noise: float, strictness: float, out: Lines) -> None:
    """The line between both sides' colours, where both are near. With F and B their means, a pixel's place between them
    is (C - B) (F - B) / |F - B|^2; of 255, and steeper by 1 / 0.7, `out` has it as k_y y + k_u u + k_v v + k.
    `front`, `back`: as `colours` makes them, blurred. `out`, all 0 before: float32 (rows, columns, 8): how sure it is,
    0 to 1, as far as the two differ by more than they vary; k_y, k_u, k_v, k; F - B in y, u, v."""
    one, half = f32(1), f32(0.5)
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            n_f, n_b = front[row, column, up(0)], back[row, column, up(0)]
            if n_f < f32(0.1) or n_b < f32(0.1):
                continue
            k_f, k_b = one / n_f, one / n_b
            b_y, b_u = back[row, column, up(1)] * k_b, back[row, column, up(2)] * k_b
            f_y, f_u = front[row, column, up(1)] * k_f, front[row, column, up(2)] * k_f
            b_v, f_v = back[row, column, up(3)] * k_b, front[row, column, up(3)] * k_f
            vary = (
                front[row, column, up(4)] * k_f - (f_y * f_y + f_u * f_u + f_v * f_v)
                + back[row, column, up(4)] * k_b - (b_y * b_y + b_u * b_u + b_v * b_v)
            )  # fmt: skip
            d_y, d_u, d_v = f_y - b_y, f_u - b_u, f_v - b_v
            far = d_y * d_y + d_u * d_u + d_v * d_v
            sure = (far / (far + strictness * (max(vary, f32(0)) + noise)) - half) * f32(2)
            if sure <= f32(0):
                continue
            scale = f32(255 / 0.7) / far
            k_y, k_u, k_v = d_y * scale, f32(2) * d_u * scale, f32(2) * d_v * scale
            out[row, column, up(0)] = sure
            out[row, column, up(1)] = k_y
            out[row, column, up(2)] = k_u
            out[row, column, up(3)] = k_v
            out[row, column, up(4)] = (
                f32(-255 * 0.15 / 0.7) - k_y * b_y - k_u * (half * b_u + f32(128)) - k_v * (half * b_v + f32(128))
            )
            out[row, column, up(5)] = d_y
            out[row, column, up(6)] = half * d_u
            out[row, column, up(7)] = half * d_v


@part
def _projected(alpha: Any, place: Any, sure: Any) -> Any:
    """`alpha` on the way to the place that its colour has."""
    a = f32(alpha)
    return u8(a + (min(max(place, f32(0)), f32(255)) - a) * sure + f32(0.5))


@loop(_PLANES, SEEN, SEEN, SEEN, SEEN_FLOATS, MADE)
def project(planes: Planes, alpha: U8, least: U8, most: U8, between: Lines, out: U8) -> None:
    """`out`, which holds `alpha` already, where `between` (see `lines`) is sure: the place of each pixel's colour, from
    `least` to `most`."""
    y, u, v = planes
    for row in range(up(0), up(between.shape[0])):
        for column in range(up(0), up(between.shape[1])):
            sure = between[row, column, up(0)]
            if sure <= f32(0):
                continue
            k_y, k_u = between[row, column, up(1)], between[row, column, up(2)]
            k_v, k = between[row, column, up(3)], between[row, column, up(4)]
            for line in range(up(row * up(4)), up(row * up(4) + up(4))):
                for at in range(up(column * up(4)), up(column * up(4) + up(4))):
                    place = k_y * f32(y[line, at]) + k_u * f32(u[line, at]) + k_v * f32(v[line, at]) + k
                    made = _projected(alpha[line, at], place, sure)
                    out[line, at] = min(max(made, least[line, at]), most[line, at])


@part
def _refine_line(
    planes: Planes, between: Lines, least: U8, most: U8, row: int, place_in: int, columns: Edges, out: U8, line: int
) -> None:
    """One line of the frame; it lies in the cells of `row` and in line `place_in` of the outline's region."""
    y, u, v = planes
    for column in range(up(0), up(between.shape[1])):
        sure = between[row, column, up(0)]
        if sure <= f32(0):
            continue
        k_y, k_u = between[row, column, up(1)], between[row, column, up(2)]
        k_v, k = between[row, column, up(3)], between[row, column, up(4)]
        half = up(line >> up(1))
        start, stop = up(columns[column]), up(columns[up(column + up(1))])
        for at in range(start, stop):
            chroma, near = up(at >> up(1)), up(up(4) * column + (up(4) * (at - start)) // (stop - start))
            place = k_y * f32(y[line, at]) + k_u * f32(u[half, chroma]) + k_v * f32(v[half, chroma]) + k
            made = _projected(out[line, at], place, sure)
            out[line, at] = min(max(made, least[place_in, near]), most[place_in, near])


@loop(SEEN, *[types.intp] * 3, _PLANES, SEEN_FLOATS, *[SEEN] * 2, *[SEEN_EDGES] * 2, MADE, MADE_FLAT)
def stretch(
    rows: U8,
    left: int,
    top: int,
    height: int,
    planes: Planes,
    between: Lines,
    least: U8,
    most: U8,
    row_edges: Edges,
    column_edges: Edges,
    out: U8,
    kinds: U8,
) -> None:
    """The mask at the frame's size, in one pass: `rows`, already as wide as they shall be, become `height` lines that
    begin at (`left`, `top`) of `out`, with nobody outside of them; where `between` (see `lines`) is sure, each pixel of
    the frame's `planes` is taken for the place of its own colour, from `least` to `most` (four by four to a cell of
    `between`); and `kinds` says what the lines have become (see `pixels.kernels.classify`), which costs next to nothing
    while they are in the nearest cache. `row_edges`, `column_edges`: where the cells of `between` begin, and the last
    one ends, in pixels of the frame."""
    width, right, bottom = out.shape[1], left + rows.shape[1], top + height
    cell = 0
    for pair in range(kinds.shape[0]):
        first, end = 2 * pair, min(2 * pair + 2, out.shape[0])
        if end <= top or first >= bottom:
            out[first:end] = 0
            kinds[pair] = BACK
            continue
        for line in range(first, end):
            if line < top or line >= bottom:
                out[line] = 0
                continue
            if left > 0:
                out[line, :left] = 0
            if right < width:
                out[line, right:] = 0
            stretched_line(rows, line - top, height, out, line, left)
            while cell < between.shape[0] and line >= row_edges[cell + 1]:
                cell += 1
            if cell < between.shape[0] and line >= row_edges[cell]:
                start, stop = row_edges[cell], row_edges[cell + 1]
                place_in = up(4 * cell + 4 * (line - start) // (stop - start))
                _refine_line(planes, between, least, most, up(cell), place_in, column_edges, out, up(line))
        kinds[pair] = kind_of(out, up(first), up(end - 1))
