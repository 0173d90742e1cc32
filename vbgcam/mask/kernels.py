"""The mask's inner loops, compiled as those of `vbgcam.pixels.kernels`: one pass each over the work frame.

The compiler makes vectors of a loop only where it has at most eight pairs of arrays to tell apart, one of which it
writes: so a line is gone over several times, with lines of results between, which are in the nearest cache."""

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
    SEEN_FLAT,
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
    u64,
    up,
)
from vbgcam.segment.kernels import apart, distance_of

_STATE: Final = types.Array(types.uint16, 2, "C")
_three: Any = types.UniTuple
_PLANES: Final = _three(SEEN, 3)
_STATES: Final = _three(_STATE, 3)
_MADE_PLANES: Final = _three(MADE, 3)
_FOUND: Final = types.Array(types.int32, 1, "C")
_SUMS: Final = types.Array(types.int64, 1, "C")

Planes = tuple[U8, ...]
States = tuple[NDArray[np.uint16], ...]
Lines = NDArray[np.float32]
Edges = NDArray[np.int32]


@part
def _mirrored(place: int, many: int) -> Any:
    """Within `many`, as if a mirror stood behind the first and the last (OpenCV's BORDER_REFLECT_101)."""
    place = abs(place)
    return min(max(min(place, 2 * many - 2 - place), 0), many - 1)


@part
def _count_line(plane: U8, row: int, reach: int, sums: NDArray[np.uint16], sign: Any) -> None:
    """Adds a line to sums, which begin `reach` before it, or with `sign` -1 takes it away."""
    line = up(_mirrored(row, plane.shape[0]))
    for column in range(up(0), up(plane.shape[1])):
        place = up(column + up(reach))
        sums[place] = u16(sums[place] + u16(u16(plane[line, column]) * sign))


@part
def _mirror_ends(sums: NDArray[np.uint16], reach: int) -> None:
    width = sums.shape[0] - 2 * reach
    for place in range(reach):
        sums[place] = sums[reach + _mirrored(place - reach, width)]
        sums[reach + width + place] = sums[reach + _mirrored(width + place, width)]


@part
def _by_fours(sums: NDArray[np.uint16], fours: NDArray[np.uint16]) -> None:
    for column in range(up(0), up(fours.shape[0])):
        two = u16(sums[column] + sums[up(column + up(1))])
        fours[column] = u16(two + u16(sums[up(column + up(2))] + sums[up(column + up(3))]))


@part
def _mean_of_169(sums: NDArray[np.uint16], fours: NDArray[np.uint16], out: NDArray[np.uint16]) -> None:
    _by_fours(sums, fours)
    for column in range(up(0), up(out.shape[0])):
        three = u16(fours[column] + u16(fours[up(column + up(4))] + fours[up(column + up(8))]))
        total = u32(u16(three + sums[up(column + up(12))]))
        out[column] = u16(u32(u32(total * u32(99273)) + u32(1 << 23)) >> u32(24))


@part
def _mean_of_49(sums: NDArray[np.uint16], fours: NDArray[np.uint16], out: NDArray[np.uint16]) -> None:
    _by_fours(sums, fours)
    for column in range(up(0), up(out.shape[0])):
        two = u16(sums[up(column + up(4))] + sums[up(column + up(5))])
        total = u32(u16(fours[column] + u16(two + sums[up(column + up(6))])))
        out[column] = u16(u32(u32(total * u32(85599)) + u32(1 << 21)) >> u32(22))


@loop(_PLANES, _PLANES, SEEN, types.intp, types.intp, SEEN, SEEN, SEEN_FLAT, types.uint8, MADE, MADE)
def compare(
    planes: Planes, room: Planes, known: U8, top: int, left: int, alpha: U8, least: U8, table: U8, limit: int,
    distance: U8, out: U8,
) -> None:  # fmt: skip
    """Of the region that begins at (`top`, `left`), which `alpha`, `least`, `distance` and `out` are of. `distance`: d
    to the room. `out`: what `table`, 256 to a row, says of how much that is more than `limit`, up to its last row, and
    of the mean of `alpha` over 13x13 pixels (the network is off by several at its edge), or `least` where that is more
    and there is one. Where the room is not known (`known` is 0 and not 255), `alpha`."""
    (y, u, v), (room_y, room_u, room_v) = planes, room
    height, width = alpha.shape
    most = u8(u8(table.shape[0] >> 8) - u8(1))
    # Most pixels are surely the room or the person, four at once, for which the table has 0 and 255.
    surely = u64(u64(u64(u64(most) << u64(8)) | u64(255)) * u64(0x0001000100010001))
    sums, fours = np.zeros(width + 12, np.uint16), np.empty(width + 9, np.uint16)
    places, said = np.zeros((width + 3) & ~3, np.uint16), np.empty((width + 3) & ~3, np.uint8)
    quads, fours_said = places.view(np.uint64), said.view(np.uint32)
    for row in range(-6, 6):
        _count_line(alpha, row, 6, sums, u16(1))
    for row in range(height):
        _count_line(alpha, row + 6, 6, sums, u16(1))
        _mirror_ends(sums, 6)
        _mean_of_169(sums, fours, places[:width])
        _count_line(alpha, row - 6, 6, sums, u16(0xFFFF))
        line, here = up(row + top), up(row)
        for column in range(up(0), up(width)):
            at = up(column + up(left))
            by_u, by_v = apart(u[line, at], room_u[line, at]), apart(v[line, at], room_v[line, at])
            distance[here, column] = distance_of(apart(y[line, at], room_y[line, at]), by_u, by_v)
        if least.shape[0] > 0:
            for column in range(up(0), up(width)):
                places[column] = max(places[column], u16(least[here, column]))
        for column in range(up(0), up(width)):
            above = u16(min(u8(max(distance[here, column], u8(limit)) - u8(limit)), most))
            places[column] = u16(u16(above << u16(8)) | places[column])
        for four in range(up(0), up(quads.shape[0])):
            if quads[four] == 0:
                fours_said[four] = u32(0)
            elif quads[four] == surely:
                fours_said[four] = u32(0xFFFFFFFF)
            else:
                for step in range(up(0), up(4)):
                    at = up(four * up(4) + step)
                    said[at] = table[up(places[at])]
        for column in range(up(0), up(width)):
            is_known, a = known[line, up(column + up(left))], alpha[here, column]
            out[here, column] = u8(u8(said[column] & is_known) | u8(a & u8(~is_known)))


@loop(_PLANES, _PLANES, types.intp, types.intp, SEEN, _STATE, types.uint16, MADE)
def smooth(
    planes: Planes, before: Planes, top: int, left: int, alpha: U8, state: NDArray[np.uint16], least: int, out: U8
) -> None:
    """Of the region that begins at (`top`, `left`), which `alpha` and `out` are of: `state` (8.8), and with it `out`,
    goes to `alpha` by a share: `least` of 256 where the picture stands still, all of it where it changed by 8 or more
    since `before`, in the mean over 7x7 pixels; where `alpha` is sure, near 0 or 255, by 4 already. Where it is surely
    nobody, three quarters of the way at least: what is no longer the person is the room."""
    (y, u, v), (old_y, old_u, old_v) = planes, before
    height, width = alpha.shape
    changed = np.empty((height, width), np.uint8)
    for row in range(up(0), up(height)):
        line = up(row + up(top))
        for column in range(up(0), up(width)):
            at = up(column + up(left))
            chroma = max(apart(u[line, at], old_u[line, at]), apart(v[line, at], old_v[line, at]))
            changed[row, column] = u8(max(apart(y[line, at], old_y[line, at]), chroma))
    sums, fours = np.zeros(width + 6, np.uint16), np.empty(width + 3, np.uint16)
    means = np.empty(width, np.uint16)
    for row in range(-3, 3):
        _count_line(changed, row, 3, sums, u16(1))
    for row in range(height):
        _count_line(changed, row + 3, 3, sums, u16(1))
        _mirror_ends(sums, 3)
        _mean_of_49(sums, fours, means)
        _count_line(changed, row - 3, 3, sums, u16(0xFFFF))
        line, here = up(row + top), up(row)
        for column in range(up(0), up(width)):
            a, moved = alpha[here, column], means[column]
            unsure = u16(u16(max(moved, u16(4)) - u16(4)) * u16(64))
            sure = u16(u16(max(moved, u16(2)) - u16(2)) * u16(128))
            rate = max(sure if u8(a + u8(8)) < u8(16) else unsure, u16(least), u16(192) if a < u8(8) else u16(0))
            means[column] = min(rate, u16(256))
        for column in range(up(0), up(width)):
            at, rate = up(column + up(left)), u32(means[column])
            wanted, was = u32(u32(alpha[here, column]) << u32(8)), u32(state[line, at])
            after = u16(u32(u32(wanted * rate) + u32(was * u32(u32(256) - rate)) + u32(128)) >> u32(8))
            state[line, at] = after
            out[here, column] = u8(u16(min(after, u16(0xFF00)) + u16(128)) >> u16(8))


@part
def _moved_by(now: Any, kept: Any) -> Any:
    """In sixteenths, which three of them leave within 16 bits."""
    wide = u16(u16(now) << u16(8))
    return u16(u16(max(wide, kept) - min(wide, kept)) >> u16(4))


@part
def _learn_line(plane: U8, candidate: NDArray[np.uint16], room: U8, rate: U8, sure: U8, row: int) -> None:
    for column in range(up(0), up(room.shape[1])):
        step = u32(rate[column])
        step = u32(step + u32(step == u32(255)))
        wanted, before = u32(u32(plane[row, column]) << u32(8)), u32(candidate[row, column])
        after = u16(u32(u32(wanted * step) + u32(before * u32(u32(256) - step)) + u32(128)) >> u32(8))
        candidate[row, column] = after
        new, known = u8(u16(after + u16(128)) >> u16(8)), sure[column]
        room[row, column] = u8(u8(new & known) | u8(room[row, column] & u8(u8(255) - known)))


@loop(_PLANES, SEEN, _STATES, types.uint16, types.uint8, MADE, MADE, _MADE_PLANES)
def learn(
    planes: Planes, person: U8, candidates: States, same: int, needed: int, count: U8, known: U8, room: Planes
) -> None:
    """Where nobody is (`person` is 0): whether a pixel looks as its candidate (8.8), which was seen `count` times. The
    candidate goes a part of the way to the pixel, all of it where it is another one. Where it has been there `needed`
    times it is the `room` from now on, with `known` 255."""
    (y, u, v), (kept_y, kept_u, kept_v) = planes, candidates
    width = up(y.shape[1])
    off = np.empty(width, np.uint16)
    rate, sure = np.empty(width, np.uint8), np.empty(width, np.uint8)
    for row in range(up(0), up(y.shape[0])):
        for column in range(up(0), width):
            in_u, in_v = _moved_by(u[row, column], kept_u[row, column]), _moved_by(v[row, column], kept_v[row, column])
            off[column] = u16(_moved_by(y[row, column], kept_y[row, column]) + u16(3) * u16(in_u + in_v))
        for column in range(up(0), width):
            times = count[row, column]
            alike = u16(off[column] < u16(u16(same) << u16(4))) & u16(times > 0)
            nobody = u16(person[row, column] == 0)
            # 1 / (times + 1), in steps
            slow = u16(128) if times < 2 else (u16(64) if times < 5 else (u16(32) if times < 11 else u16(16)))
            rate[column] = u8((slow if alike else u16(255)) if nobody else u16(0))
            again = u8(min(u16(times) + u16(1), u16(255))) if alike else u8(1)
            count[row, column] = again if nobody else times
        for column in range(up(0), width):
            nobody = u16(person[row, column] == 0)
            now_known = u8(255) if nobody & u16(count[row, column] >= needed) else u8(0)
            sure[column] = now_known
            known[row, column] = u8(known[row, column] | now_known)
        _learn_line(y, kept_y, room[0], rate, sure, row)
        _learn_line(u, kept_u, room[1], rate, sure, row)
        _learn_line(v, kept_v, room[2], rate, sure, row)


@part
def _middle(counts: NDArray[np.int32], many: int) -> Any:
    """The upper median of `many` values that were counted."""
    place, passed = i32(0), counts[0]
    while passed <= i32(many >> 1) and place + 1 < counts.shape[0]:
        place += i32(1)
        passed += counts[place]
    return place


@loop(_PLANES, _PLANES, *[SEEN] * 3, types.intp, types.uint8, MADE_FLOATS, *[MADE] * 4, _FOUND)
def sample(
    planes: Planes,
    room: Planes,
    known: U8,
    network: U8,
    finished: U8,
    step: int,
    below: int,
    here: Lines,
    person: U8,
    somebody: U8,
    free: U8,
    distance: U8,
    found: NDArray[np.int32],
) -> None:
    """At each `step`-th pixel of each `step`-th line. `here`: y, u and v, float32 (rows, columns, 3). All others uint8
    (rows, columns): `person`: the larger of both masks; `somebody`: the largest of `network` among the sample and its
    neighbours; `free`: 1 where the room is known and that is less than `below`; `distance`: d to the room, 254 at most,
    255 where it is unknown. `found`, of those that are free: how many there are, the medians of how much y, u and v are
    more than the room's, and of d."""
    (y, u, v), (room_y, room_u, room_v) = planes, room
    rows, columns = distance.shape
    off_y, off_u, off_v = np.zeros(511, np.int32), np.zeros(511, np.int32), np.zeros(511, np.int32)
    apart = np.zeros(256, np.int32)
    seen = np.empty((rows, columns), np.uint8)
    for row in range(up(0), up(rows)):
        line = up(row * up(step))
        for column in range(up(0), up(columns)):
            seen[row, column] = network[line, up(column * up(step))]
    many = i32(0)
    for row in range(up(0), up(rows)):
        line = up(row * up(step))
        above, below_it = up(max(row, up(1)) - up(1)), up(min(up(row + up(1)), up(rows - 1)))
        for column in range(up(0), up(columns)):
            at = up(column * up(step))
            left, right = up(max(column, up(1)) - up(1)), up(min(up(column + up(1)), up(columns - 1)))
            most = u8(0)
            for other in (above, row, below_it):
                most = max(most, seen[other, left], seen[other, column], seen[other, right])
            s_y, s_u, s_v = i32(y[line, at]), i32(u[line, at]), i32(v[line, at])
            by_y = s_y - i32(room_y[line, at])
            by_u, by_v = s_u - i32(room_u[line, at]), s_v - i32(room_v[line, at])
            d = min(abs(by_y) + i32(3) * (abs(by_u) + abs(by_v)), i32(254))
            is_known = known[line, at] > 0
            is_free = is_known and most < below
            if is_free:
                many += i32(1)
                off_y[up(by_y + i32(255))] += i32(1)
                off_u[up(by_u + i32(255))] += i32(1)
                off_v[up(by_v + i32(255))] += i32(1)
                apart[up(d)] += i32(1)
            here[row, column, up(0)], here[row, column, up(1)], here[row, column, up(2)] = f32(s_y), f32(s_u), f32(s_v)
            person[row, column] = max(seen[row, column], finished[line, at])
            somebody[row, column] = most
            free[row, column] = u8(is_free)
            distance[row, column] = u8(d) if is_known else u8(255)
    found[0] = many
    found[1], found[2] = _middle(off_y, many) - i32(255), _middle(off_u, many) - i32(255)
    found[3], found[4] = _middle(off_v, many) - i32(255), _middle(apart, many)


@loop(*[SEEN] * 4, types.float64, types.intp, types.intp, types.uint8, _FOUND)
def tell(
    free: U8, distance: U8, before: U8, person: U8, differs: float, limit: int, clearly: int, half: int,
    found: NDArray[np.int32],
) -> None:  # fmt: skip
    """Of samples (see `sample`), to `found`: how many are free and further from the room than `differs`; how many are
    further than `limit` that were not `before`; and of those, how many are further than `clearly`, where `person` is
    less than `half`."""
    differing, anew, beside = i32(0), i32(0), i32(0)
    for row in range(up(0), up(free.shape[0])):
        for column in range(up(0), up(free.shape[1])):
            d = distance[row, column]
            differing = i32(differing + i32(u8(free[row, column] > 0) & u8(d > differs)))
            new = u8(d > limit) & u8(d < 255) & u8(before[row, column] <= limit)
            anew = i32(anew + i32(new))
            beside = i32(beside + i32(u8(new & u8(d > clearly)) & u8(person[row, column] < half)))
    found[0], found[1], found[2] = differing, anew, beside


@part
def _off(one: Any, other: Any, weight: Any) -> Any:
    return i32(i32(i32(one) - i32(other)) * weight)


@part
def _plus(total: Any, one: Any, other: Any) -> Any:
    return i32(total + i32(one * other))


@loop(*[SEEN] * 4, types.intp, _SUMS)
def shifts(now: U8, then: U8, sure: U8, somebody: U8, step: int, sums: NDArray[np.int64]) -> None:
    """Over cells that are `sure` (1) and whose sample (one to `step` cells) has nobody; those at the border are left
    out. With x and y the differences of both neighbours of `then`, X and Y of `now`, and c = now - then: `sums`, int64,
    (9,): how many cells there are, and the sums of x x, x y, y y, x c, y c, c c, x X + y Y, X X + Y Y."""
    width = now.shape[1]
    weight = np.zeros(width, np.int32)
    for row in range(up(1), up(max(now.shape[0], 2) - 1)):
        above, below = up(row - up(1)), up(row + up(1))
        line = up(min(up(row // up(step)), up(somebody.shape[0] - 1)))
        for place in range(up(0), up(somebody.shape[1])):
            start = up(place * up(step))
            nobody = i32(somebody[line, place] == 0)
            for column in range(start, up(min(up(start + up(step)), up(width)))):
                weight[column] = i32(i32(sure[row, column]) * nobody)
        n, xx, xy, yy, xc = i32(0), i32(0), i32(0), i32(0), i32(0)
        yc, cc, alike, new = i32(0), i32(0), i32(0), i32(0)
        for column in range(up(1), up(max(width, 2) - 1)):
            w = weight[column]
            left, right = up(column - up(1)), up(column + up(1))
            x, y = _off(then[row, right], then[row, left], w), _off(then[below, column], then[above, column], w)
            new_x, new_y = _off(now[row, right], now[row, left], w), _off(now[below, column], now[above, column], w)
            c = _off(now[row, column], then[row, column], w)
            n = i32(n + w)
            xx, xy, yy = _plus(xx, x, x), _plus(xy, x, y), _plus(yy, y, y)
            xc, yc, cc = _plus(xc, x, c), _plus(yc, y, c), _plus(cc, c, c)
            alike = _plus(_plus(alike, x, new_x), y, new_y)
            new = _plus(_plus(new, new_x, new_x), new_y, new_y)
        for place, part_of in enumerate((n, xx, xy, yy, xc, yc, cc, alike, new)):
            sums[place] += part_of


@part
def _weighed(y: Any, u: Any, v: Any) -> Any:
    return abs(y) + f32(3) * (abs(u) + abs(v))


@loop(*[SEEN_FLOATS] * 2, MADE_FLOATS, SEEN, types.uint8, types.float32, types.float32, types.intp, MADE)
def drifts(
    means: Lines, before: Lines, anchor: Lines, person: U8, free: int, slow: float, limit: float, fewest: int, wide: U8
) -> None:
    """Samples (rows, columns, 3) whose means have left `anchor` since the person was near, or since they changed at
    once: where `person` is `free` and more, or d to `before` more than `slow`, the anchor becomes `means`. Of the rest
    `wide` is 1 where d to the anchor, less the medians of about `fewest` of them, is more than `limit`; 0 everywhere
    where there are fewer."""
    rows, columns = wide.shape
    many = 0
    for row in range(up(0), up(rows)):
        for column in range(up(0), up(columns)):
            y, u, v = means[row, column, up(0)], means[row, column, up(1)], means[row, column, up(2)]
            by_y, by_u = y - before[row, column, up(0)], u - before[row, column, up(1)]
            anew = person[row, column] >= free or _weighed(by_y, by_u, v - before[row, column, up(2)]) > slow
            if anew:
                anchor[row, column, up(0)], anchor[row, column, up(1)], anchor[row, column, up(2)] = y, u, v
            wide[row, column] = u8(not anew)
            many += not anew
    if many < fewest:
        wide[:] = 0
        return
    every = 1 + many // fewest
    some = np.empty((3, many // every + 1), np.float32)
    number, taken = 0, 0
    for row in range(up(0), up(rows)):
        for column in range(up(0), up(columns)):
            if wide[row, column]:
                if number % every == 0:
                    for plane in range(up(0), up(3)):
                        some[plane, taken] = means[row, column, plane] - anchor[row, column, plane]
                    taken += 1
                number += 1
    y, u, v = f32(np.median(some[0, :taken])), f32(np.median(some[1, :taken])), f32(np.median(some[2, :taken]))
    for row in range(up(0), up(rows)):
        for column in range(up(0), up(columns)):
            by_y = means[row, column, up(0)] - anchor[row, column, up(0)] - y
            by_u = means[row, column, up(1)] - anchor[row, column, up(1)] - u
            by_v = means[row, column, up(2)] - anchor[row, column, up(2)] - v
            wide[row, column] = u8(wide[row, column] > 0 and _weighed(by_y, by_u, by_v) > limit)


@loop(SEEN, SEEN, types.uint8, MADE)
def halve(alpha: U8, network: U8, least: int, out: U8) -> None:
    """Of squares of 2x2 pixels: 1 where the mean of `alpha` is `least` and more, plus 2 where that of `network` is."""
    enough = u16(u16(u16(least) << u16(2)) - u16(2))
    for row in range(up(0), up(out.shape[0])):
        top = up(row + row)
        low = up(top + up(1))
        for column in range(up(0), up(out.shape[1])):
            left = up(column + column)
            right = up(left + up(1))
            ours = u16(u16(alpha[top, left]) + u16(alpha[top, right]) + u16(alpha[low, left]) + u16(alpha[low, right]))
            theirs = u16(u16(network[top, left]) + u16(network[top, right]))
            theirs = u16(theirs + u16(network[low, left]) + u16(network[low, right]))
            out[row, column] = u8(u8(ours >= enough) | u8(u8(theirs >= enough) << u8(1)))


@loop(types.Array(types.int32, 2, "C"), SEEN, types.Array(types.int32, 2, "C"))
def areas(labels: NDArray[np.int32], seen: U8, out: NDArray[np.int32]) -> None:
    """Of each label, how many pixels have it, and how many of them have bit 1 in `seen`; `out`, (labels, 2), is 0
    before."""
    for row in range(up(0), up(labels.shape[0])):
        for column in range(up(0), up(labels.shape[1])):
            label = up(labels[row, column])
            out[label, up(0)] += i32(1)
            out[label, up(1)] += i32(seen[row, column] >> u8(1))


@loop(types.Array(types.int32, 2, "C"), MADE_FLAT, MADE)
def marked(labels: NDArray[np.int32], marks: U8, out: U8) -> None:
    """Each pixel's label's mark."""
    for row in range(up(0), up(labels.shape[0])):
        for column in range(up(0), up(labels.shape[1])):
            out[row, column] = marks[up(labels[row, column])]


@loop(SEEN, SEEN, _SUMS)
def correlate(one: U8, other: U8, sums: NDArray[np.int64]) -> None:
    """The sums of both, of the squares of both and of their products."""
    sums[:] = 0
    for row in range(up(0), up(one.shape[0])):
        for column in range(up(0), up(one.shape[1])):
            a, b = i32(one[row, column]), i32(other[row, column])
            sums[0] += a
            sums[1] += b
            sums[2] += a * a
            sums[3] += b * b
            sums[4] += a * b


@loop(SEEN, MADE)
def cells(alpha: U8, kinds: U8) -> None:
    """Of each 4x4 pixels: 0 and 255 where all are, else 1; 1, too, where there are fewer."""
    width = 4 * min(kinds.shape[1], alpha.shape[1] // 4)
    some, every = np.empty(width, np.uint8), np.empty(width, np.uint8)
    fours, all_fours = some.view(np.uint32), every.view(np.uint32)
    for row in range(up(0), up(kinds.shape[0])):
        if 4 * row + 4 > alpha.shape[0]:
            kinds[row] = 1
            continue
        kinds[row, width // 4 :] = 1
        a = up(row * up(4))
        b, c, d = up(a + up(1)), up(a + up(2)), up(a + up(3))
        for column in range(up(0), up(width)):
            upper, lower = u8(alpha[a, column] | alpha[b, column]), u8(alpha[c, column] | alpha[d, column])
            some[column] = u8(upper | lower)
            upper, lower = u8(alpha[a, column] & alpha[b, column]), u8(alpha[c, column] & alpha[d, column])
            every[column] = u8(upper & lower)
        for column in range(up(0), up(width // 4)):
            person = u8(255) if all_fours[column] == u32(0xFFFFFFFF) else u8(1)
            kinds[row, column] = u8(0) if fours[column] == 0 else person


@part
def _count_colour(y: Any, u: Any, v: Any, sums: Lines, row: int, column: int) -> None:
    c_y, c_u, c_v = f32(y), f32((i32(u) - i32(128)) * i32(2)), f32((i32(v) - i32(128)) * i32(2))
    sums[row, column, up(0)] += f32(1)
    sums[row, column, up(1)] += c_y
    sums[row, column, up(2)] += c_u
    sums[row, column, up(3)] += c_v
    sums[row, column, up(4)] += c_y * c_y + c_u * c_u + c_v * c_v


@loop(_PLANES, types.intp, types.intp, *[SEEN] * 3, MADE_FLOATS, MADE_FLOATS)
def colours(planes: Planes, top: int, left: int, inside: U8, around: U8, wanted: U8, front: Lines, back: Lines) -> None:
    """Of the region that begins at (`top`, `left`), over cells of 4x4 pixels that are `wanted`: how many there are, the
    sums of y, 2 (u - 128) and 2 (v - 128), and of the squares of all three; to `front` of pixels whose `inside` is 230
    and more, to `back` of those whose `around` is 25 and less; both float32 (height // 4, width // 4, 5), 0 before."""
    y, u, v = planes
    for row in range(up(0), up(wanted.shape[0])):
        for column in range(up(0), up(wanted.shape[1])):
            if wanted[row, column] == 0:
                continue
            for line in range(up(row * up(4)), up(row * up(4) + up(4)), up(2)):
                for place in range(up(column * up(4)), up(column * up(4) + up(4)), up(2)):
                    below, at = up(line + up(top)), up(place + up(left))
                    if inside[line, place] >= u8(230):
                        _count_colour(y[below, at], u[below, at], v[below, at], front, row, column)
                    elif around[line, place] <= u8(25):
                        _count_colour(y[below, at], u[below, at], v[below, at], back, row, column)


@loop(SEEN_FLOATS, SEEN_FLOATS, SEEN, types.float32, types.float32, MADE_FLOATS, MADE_FLOATS)
def lines(front: Lines, back: Lines, near: U8, noise: float, strictness: float, out: Lines, apart: Lines) -> None:
    """The line between both sides' colours, where both are `near`. With F and B their means, a pixel's place between
    them is (C - B) (F - B) / |F - B|^2; of 255, and steeper by 1 / 0.7, `out` has it as k_y y + k_u u + k_v v + k.
    `front`, `back`: as `colours` makes them, blurred. `out`, float32 (rows, columns, 5): how sure it is, 0 to 1, as far
    as the two differ by more than they vary; k_y, k_u, k_v, k. `apart`, (rows, columns, 3): F - B in y, u, v. Both are
    0 before."""
    one, half = f32(1), f32(0.5)
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            n_f, n_b = front[row, column, up(0)], back[row, column, up(0)]
            if near[row, column] == 0 or n_f < f32(0.1) or n_b < f32(0.1):
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
            apart[row, column, up(0)] = d_y
            apart[row, column, up(1)] = half * d_u
            apart[row, column, up(2)] = half * d_v


@part
def _projected(alpha: Any, place: Any, sure: Any, inside: Any, around: Any) -> Any:
    """`alpha` on the way to the place that its colour has. But what is less than 5 % the person, and all `around`, is
    surely the room, and the other way round: else a fold of the curtain in the colour of the hair becomes a spike of
    it, ten pixels long."""
    a = f32(alpha)
    made = a + (min(max(place, f32(0)), f32(255)) - a) * sure
    # As floats: as bytes all of it takes twice as long.
    least, most = f32(inside if inside >= 242 else u8(0)), f32(around if around <= 13 else u8(255))
    return u8(i32(min(max(made, least), most) + f32(0.5)))


@loop(_PLANES, types.intp, types.intp, *[SEEN] * 3, SEEN_FLOATS, MADE)
def project(planes: Planes, top: int, left: int, alpha: U8, inside: U8, around: U8, between: Lines, out: U8) -> None:
    """Of the region that begins at (`top`, `left`), `out`, which holds `alpha` already, where `between` (see `lines`)
    is sure: the place of each pixel's colour. `inside`, `around`: the least and the largest alpha within reach."""
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
                    low, high = inside[line, at], around[line, at]
                    if low < 255 and high > 0:
                        here, there = up(line + up(top)), up(at + up(left))
                        place = k_y * f32(y[here, there]) + k_u * f32(u[here, there]) + k_v * f32(v[here, there]) + k
                        out[line, at] = _projected(alpha[line, at], place, sure, low, high)


@part
def _unsure(between: Lines, row: int, inside: U8, around: U8, place: int, out: NDArray[np.uint32]) -> Any:
    """Which columns of the outline's region can become another alpha in its line `place`; how many there are."""
    many = up(0)
    for column in range(up(0), up(between.shape[1])):
        if between[row, column, up(0)] > f32(0):
            for at in range(up(column * up(4)), up(column * up(4) + up(4))):
                out[many] = at
                many += up(inside[place, at] < 255) & up(around[place, at] > 0)
    return many


@part
def _refine_line(
    planes: Planes, between: Lines, row: int, inside: U8, around: U8, place: int, some: NDArray[np.uint32],
    starts: NDArray[np.uint32], out: U8, line: int,
) -> None:  # fmt: skip
    """One line of the frame, at `some` columns of the outline's region; those begin at `starts` in it."""
    y, u, v = planes
    half = up(line >> up(1))
    for number in range(up(0), up(some.shape[0])):
        column = up(some[number])
        cell = up(column >> up(2))
        sure = between[row, cell, up(0)]
        k_y, k_u = between[row, cell, up(1)], between[row, cell, up(2)]
        k_v, k = between[row, cell, up(3)], between[row, cell, up(4)]
        low, high = inside[place, column], around[place, column]
        for at in range(up(starts[column]), up(starts[up(column + up(1))])):
            chroma = up(at >> up(1))
            found = k_y * f32(y[line, at]) + k_u * f32(u[half, chroma]) + k_v * f32(v[half, chroma]) + k
            out[line, at] = _projected(out[line, at], found, sure, low, high)


@loop(SEEN, *[types.intp] * 3, _PLANES, SEEN_FLOATS, *[SEEN] * 2, *[SEEN_EDGES] * 2, MADE, MADE_FLAT)
def stretch(
    rows: U8,
    left: int,
    top: int,
    height: int,
    planes: Planes,
    between: Lines,
    inside: U8,
    around: U8,
    row_edges: Edges,
    column_edges: Edges,
    out: U8,
    kinds: U8,
) -> None:
    """The mask at the frame's size, in one pass: `rows`, already as wide as they shall be, become `height` lines that
    begin at (`left`, `top`) of `out`, with nobody outside of them; where `between` (see `lines`) is sure, each pixel of
    the frame's `planes` is taken for the place of its own colour, as in `project` (`inside` and `around` have four by
    four to a cell of `between`); and `kinds` says what the lines have become (see `pixels.kernels.classify`), which
    costs next to nothing while they are in the nearest cache. `row_edges`, `column_edges`: where the cells of
    `between` begin, and the last one ends, in pixels of the frame."""
    width, right, bottom = out.shape[1], left + rows.shape[1], top + height
    some, starts = np.empty(4 * between.shape[1] + 1, np.uint32), np.empty(4 * between.shape[1] + 1, np.uint32)
    for column in range(4 * between.shape[1]):
        start, stop = column_edges[column // 4], column_edges[column // 4 + 1]
        starts[column] = start + (column % 4 * (stop - start) + 3) // 4
        starts[column + 1] = stop
    cell, found, many = 0, -1, up(0)
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
            if cell == between.shape[0] or line < row_edges[cell]:
                continue
            start, stop = row_edges[cell], row_edges[cell + 1]
            place = 4 * cell + 4 * (line - start) // (stop - start)
            if found != place:
                found, many = place, _unsure(between, up(cell), inside, around, up(place), some)
            _refine_line(planes, between, up(cell), inside, around, up(place), some[:many], starts, out, up(line))
        kinds[pair] = kind_of(out, up(first), up(end - 1))


@loop(_PLANES, types.intp, types.intp, types.Array(types.int32, 2, "C"))
def bins(planes: Planes, luma_steps: int, chroma_steps: int, out: NDArray[np.int32]) -> None:
    """Of each pixel, the place of its colour in a flat histogram (luma, u, v), with so many steps of luma, and of
    chroma in the middle half of its range."""
    y, u, v = planes
    steps, most = i32(chroma_steps), i32(chroma_steps - 1)
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            luma = i32(i32(i32(y[row, column]) * i32(luma_steps)) >> i32(8))
            in_u = i32(i32(i32(i32(u[row, column]) - i32(64)) * steps) >> i32(7))
            in_v = i32(i32(i32(i32(v[row, column]) - i32(64)) * steps) >> i32(7))
            in_u, in_v = min(max(in_u, i32(0)), most), min(max(in_v, i32(0)), most)
            out[row, column] = i32(i32(i32(i32(luma * steps) + in_u) * steps) + in_v)


@part
def _median(counts: NDArray[np.int64], many: int) -> Any:
    """Of so many values, which were counted: of an even number the mean of the two in the middle."""
    low, passed = 0, counts[0]
    while passed <= (many - 1) // 2:
        low += 1
        passed += counts[low]
    high = low
    while passed <= many // 2:
        high += 1
        passed += counts[high]
    return (low + high) / 2


@loop(_PLANES, SEEN, types.intp, types.Array(types.float64, 1, "C"))
def medians(planes: Planes, where: U8, step: int, out: NDArray[np.float64]) -> None:
    """Of each plane, at each `step`-th pixel of each `step`-th line where `where` is more than 0; 0 if it never is."""
    counts = np.zeros((3, 256), np.int64)
    y, u, v = planes
    many = 0
    for row in range(up(0), up(where.shape[0]), up(step)):
        for column in range(up(0), up(where.shape[1]), up(step)):
            if where[row, column] > 0:
                many += 1
                counts[up(0), up(y[row, column])] += 1
                counts[up(1), up(u[row, column])] += 1
                counts[up(2), up(v[row, column])] += 1
    for plane in range(3):
        out[plane] = _median(counts[plane], many) if many > 0 else 0.0


@loop(SEEN, SEEN, MADE)
def times(one: U8, other: U8, out: U8) -> None:
    """The product of two shares, each of 255, rounded."""
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            t = u16(u16(u16(one[row, column]) * u16(other[row, column])) + u16(128))
            out[row, column] = u8(u16(t + u16(t >> u16(8))) >> u16(8))


@loop(MADE_FLOATS, types.float32, MADE)
def distance_moved(came_from: Lines, scale: float, out: U8) -> None:
    """By how many pixels each has, times `scale`, 255 at most. `came_from`: (rows, columns, 2), x and y of where."""
    for row in range(up(0), up(out.shape[0])):
        for column in range(up(0), up(out.shape[1])):
            x = came_from[row, column, up(0)] - f32(i32(column))
            y = came_from[row, column, up(1)] - f32(i32(row))
            out[row, column] = u8(i32(min(np.sqrt(x * x + y * y) * scale, f32(255)) + f32(0.5)))


@part
def _lessened(alpha: Any, none: Any) -> Any:
    return u8(i32(max(f32(alpha) - none, f32(0)) * f32(255) / (f32(255) - none) + f32(0.5)))


@loop(SEEN_FLAT, SEEN_FLAT, types.float32, types.float32, MADE_FLAT)
def lessen(alpha: U8, moved: U8, least: float, more: float, out: U8) -> None:
    """Nothing of what is at most `least`, and more by `more` for each in `moved`; all of 255, linear between."""
    whole = alpha.shape[0] & ~7
    # Most are none or all, eight at once.
    eights, made = alpha[:whole].view(np.uint64), out[:whole].view(np.uint64)
    for eight in range(up(0), up(eights.shape[0])):
        made[eight] = eights[eight]
        if eights[eight] != 0 and eights[eight] != u64(0xFFFFFFFFFFFFFFFF):
            for place in range(up(eight * up(8)), up(eight * up(8) + up(8))):
                out[place] = _lessened(alpha[place], least + more * f32(moved[place]))
    for place in range(up(whole), up(alpha.shape[0])):
        out[place] = _lessened(alpha[place], least + more * f32(moved[place]))


@part
def _field_line(field: NDArray[np.float32], line: int, scale: float, out: NDArray[np.float32]) -> None:
    """Of a field (rows, x and y of each column) what it is in a line of the working size."""
    at = min(max((f32(line) + f32(0.5)) / scale - f32(0.5), f32(0)), f32(field.shape[0] - 1))
    above = up(i32(at))
    below, down = up(min(above + up(1), up(field.shape[0] - 1))), at - f32(i32(at))
    for place in range(up(0), up(out.shape[0])):
        out[place] = field[above, place] + (field[below, place] - field[above, place]) * down


@part
def _moved(fields: NDArray[np.float32], first: int, share: Any, axis: int, scale: float) -> Any:
    """At a column of the working size that lies by `share` beyond the `first`, in 1/65536 of its pixels."""
    one, two = fields[up(up(first + first) + axis)], fields[up(up(first + first) + axis + up(2))]
    return i32((one + (two - one) * share) * (f32(65536) * scale))


@part
def _span(start: int, stop: int, one: Any, two: Any, three: Any, four: Any, side: int) -> Any:
    """The cells of 4 pixels that those from `start` up to `stop` of a `side` come from."""
    least, most = start + (min(one, two, three, four) >> 16), stop + (max(one, two, three, four) >> 16)
    return up(min(max(least, 0), side - 1) >> 2), up(min(max(most, 0), side - 1) >> 2)


@part
def _carry_line(
    alpha: U8, row: int, start: int, stop: int, fields: Lines, scale_x: float, scale_y: float,
    firsts: NDArray[np.uint32], shares: Lines, out: U8,
) -> None:  # fmt: skip
    last_x, last_y = i32(alpha.shape[1] - 1), i32(alpha.shape[0] - 1)
    for column in range(start, stop):
        first, share = up(firsts[column]), shares[column]
        from_x = i32(i32(column << 16) + _moved(fields, first, share, up(0), scale_x))
        from_y = i32(i32(row << 16) + _moved(fields, first, share, up(1), scale_y))
        from_x, from_y = min(max(from_x, i32(0)), i32(last_x << 16)), min(max(from_y, i32(0)), i32(last_y << 16))
        left, above = up(from_x >> 16), up(from_y >> 16)
        right, below = up(min(left + up(1), up(last_x))), up(min(above + up(1), up(last_y)))
        across, down = u32(u32(from_x >> 8) & u32(255)), u32(u32(from_y >> 8) & u32(255))
        back, over = u32(u32(256) - across), u32(u32(256) - down)
        upper = u32(u32(u32(alpha[above, left]) * back) + u32(u32(alpha[above, right]) * across))
        lower = u32(u32(u32(alpha[below, left]) * back) + u32(u32(alpha[below, right]) * across))
        out[row, column] = u8(u32(u32(u32(upper * over) + u32(lower * down)) + u32(1 << 15)) >> u32(16))


@loop(SEEN, SEEN, types.Array(types.float32, 2, "C", readonly=True), *[types.float32] * 2, *[types.intp] * 4, MADE)
def carry(
    alpha: U8, kinds: U8, field: Lines, scale_x: float, scale_y: float, top: int, bottom: int, left: int, right: int,
    out: U8,
) -> None:  # fmt: skip
    """`alpha` with each pixel from (`left`, `top`) to (`right`, `bottom`) taken from where it came from, between pixels
    by linear interpolation, to `out`, which is 0 before. `field`, (rows, x and y of each column): where that is, less
    where it is now, at a size that is smaller by `scale_x` and `scale_y`, in its pixels. `kinds`: of `cells` of
    the whole alpha: where all that a square of 8x8 comes from, by its corners, is one, nothing is interpolated."""
    columns = field.shape[1] // 2
    # One column more, which no share is of.
    upper, lower = np.zeros(2 * columns + 2, np.float32), np.zeros(2 * columns + 2, np.float32)
    firsts, shares = np.empty(right, np.uint32), np.empty(right, np.float32)
    for column in range(left, right):
        at = min(max((f32(column) + f32(0.5)) / scale_x - f32(0.5), f32(0)), f32(columns - 1))
        firsts[column], shares[column] = i32(at), at - f32(i32(at))
    found = np.empty((right - left + 7) // 8, np.uint8)
    for row in range(top, bottom, 8):
        end = min(row + 8, bottom)
        _field_line(field, row, scale_y, upper[:-2])
        _field_line(field, end - 1, scale_y, lower[:-2])
        for square in range(found.shape[0]):
            start = left + 8 * square
            stop = min(start + 8, right)
            one, other = (up(firsts[start]), shares[start]), (up(firsts[stop - 1]), shares[stop - 1])
            first, last = _span(
                start, stop, _moved(upper, *one, up(0), scale_x), _moved(upper, *other, up(0), scale_x),
                _moved(lower, *one, up(0), scale_x), _moved(lower, *other, up(0), scale_x), alpha.shape[1],
            )  # fmt: skip
            above, below = _span(
                row, end, _moved(upper, *one, up(1), scale_y), _moved(upper, *other, up(1), scale_y),
                _moved(lower, *one, up(1), scale_y), _moved(lower, *other, up(1), scale_y), alpha.shape[0],
            )  # fmt: skip
            some, every = u8(0), u8(255)
            for line in range(above, up(below + up(1))):
                for place in range(first, up(last + up(1))):
                    some, every = u8(some | kinds[line, place]), u8(every & kinds[line, place])
            found[square] = some if some == 0 or every == 255 else u8(1)
        for line in range(row, end):
            _field_line(field, line, scale_y, upper[:-2])
            for square in range(found.shape[0]):
                start, stop = up(left + 8 * square), up(min(left + 8 * square + 8, right))
                if found[square] == 1:
                    _carry_line(alpha, up(line), start, stop, upper, scale_x, scale_y, firsts, shares, out)
                elif found[square] == 255:
                    for column in range(start, stop):
                        out[up(line), column] = u8(255)
