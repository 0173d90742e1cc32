"""mask.kernels: each compiled pass against the plain formula."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vbgcam.core.frames import U8
from vbgcam.mask import kernels

SHAPES = [(45, 80), (37, 51), (33, 60)]


def planes(rng: np.random.Generator, shape: tuple[int, int], count: int = 3) -> tuple[U8, ...]:
    return tuple(rng.integers(0, 256, shape, np.uint8) for _ in range(count))


def near(rng: np.random.Generator, plane: U8, by: int) -> U8:
    return np.clip(plane.astype(int) + rng.integers(-by, by + 1, plane.shape), 0, 255).astype(np.uint8)


def ints(array: U8) -> NDArray[np.int64]:
    return array.astype(np.int64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", [1, 8])
def test_samples_are_compared_with_the_room(shape: tuple[int, int], step: int) -> None:
    rng = np.random.default_rng(step)
    now = planes(rng, shape)
    room = tuple(near(rng, plane, 40) for plane in now)
    known, network, finished = (plane // 128 * 255 for plane in planes(rng, shape))
    network = np.asarray(cv2.erode(network, np.ones((3, 3), np.uint8)), np.uint8)
    some = np.s_[::step, ::step]
    small = now[0][some].shape
    here, found = np.empty((*small, 3), np.float32), np.empty(5, np.int32)
    person, somebody, free, distance = np.empty((4, *small), np.uint8)
    kernels.sample(now, room, known, network, finished, step, 12, here, person, somebody, free, distance, found)
    np.testing.assert_array_equal(here, np.dstack([plane[some] for plane in now]))
    np.testing.assert_array_equal(person, np.maximum(network, finished)[some])
    np.testing.assert_array_equal(
        somebody, cv2.dilate(np.ascontiguousarray(network[some]), np.ones((3, 3), np.uint8)).reshape(small)
    )
    np.testing.assert_array_equal(free > 0, (somebody < 12) & (known[some] > 0))
    off = [ints(one)[some] - ints(other)[some] for one, other in zip(now, room, strict=True)]
    d = np.minimum(abs(off[0]) + 3 * (abs(off[1]) + abs(off[2])), 254)
    np.testing.assert_array_equal(distance, np.where(known[some] > 0, d, 255))
    many = np.count_nonzero(free)
    assert found[0] == many
    assert many > 0
    for number, values in enumerate([*off, d]):
        assert found[1 + number] == np.sort(values[free > 0])[many // 2]


@pytest.mark.parametrize("shape", SHAPES)
def test_shifts_are_sums_over_the_cells_that_count(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    now, then = planes(rng, shape, 2)
    sure = rng.integers(0, 2, shape, np.uint8)
    somebody = rng.integers(0, 2, ((shape[0] + 1) // 2, (shape[1] + 1) // 2), np.uint8)
    sums = np.zeros(9, np.int64)
    kernels.shifts(now, then, sure, somebody, 2, sums)
    inside = np.s_[1:-1, 1:-1]
    around = np.repeat(np.repeat(somebody, 2, 0), 2, 1)[: shape[0], : shape[1]]
    weight = ((sure > 0) & (around == 0))[inside]

    def slopes(plane: U8) -> list[NDArray[np.int64]]:
        wide = ints(plane)
        return [(wide[1:-1, 2:] - wide[1:-1, :-2]) * weight, (wide[2:, 1:-1] - wide[:-2, 1:-1]) * weight]

    (x, y), (new_x, new_y) = slopes(then), slopes(now)
    c = (ints(now) - ints(then))[inside] * weight
    products = (x * x, x * y, y * y, x * c, y * c, c * c, x * new_x + y * new_y, new_x**2 + new_y**2)
    assert sums.tolist() == [int(weight.sum()), *(int(product.sum()) for product in products)]


@pytest.mark.parametrize("fewest", [5, 100_000])
def test_drifts_are_what_left_the_anchor_more_than_most(fewest: int) -> None:
    rng = np.random.default_rng(2)
    shape = (20, 30)
    means = rng.uniform(50, 200, (*shape, 3)).astype(np.float32)
    before = (means + rng.normal(0, 1, means.shape)).astype(np.float32)
    before[:3] += 20
    anchor = (means - (3, 1, 1) + rng.normal(0, 0.5, means.shape)).astype(np.float32)
    anchor[10:12, 5:9] += 15
    person = np.where(rng.random(shape) < 0.3, 200, 0).astype(np.uint8)
    anew = (person >= 25) | (np.abs(means - before) @ (1, 3, 3) > 30)
    after = np.where(anew[..., None], means, anchor)
    every = 1 + np.count_nonzero(~anew) // fewest
    common = np.median((means - after)[~anew][::every], axis=0)
    expected = ~anew & (np.abs(means - after - common) @ (1, 3, 3) > 12)
    wide = np.empty(shape, np.uint8)
    kernels.drifts(means, before, anchor, person, 25, 30, 12, fewest, wide)
    np.testing.assert_array_equal(anchor, after)
    assert 0 < np.count_nonzero(expected) < 20
    np.testing.assert_array_equal(wide, expected if fewest < anew.size else np.zeros(shape))


def test_the_room_is_learned_where_nobody_is() -> None:
    rng = np.random.default_rng(3)
    shape = (9, 40)
    person = rng.integers(0, 2, shape, np.uint8)
    candidates = tuple(rng.integers(0, 256 * 255, shape).astype(np.uint16) for _ in range(3))
    seen = tuple(near(rng, (kept >> 8).astype(np.uint8), 5) for kept in candidates)
    count, known = rng.integers(0, 14, shape, np.uint8), np.where(rng.random(shape) < 0.5, 255, 0).astype(np.uint8)
    room = planes(rng, shape)
    kept = [candidate.copy() for candidate in candidates]
    then, was_known, times = [plane.copy() for plane in room], known.copy(), ints(count)
    kernels.learn(seen, person, candidates, 14, 2, count, known, room)
    off = [abs(256 * ints(plane) - one) >> 4 for plane, one in zip(seen, kept, strict=True)]
    alike = (off[0] + 3 * (off[1] + off[2]) < 14 * 16) & (times > 0)
    assert 0.1 < alike.mean() < 0.9
    again = np.where(person > 0, times, np.where(alike, times + 1, 1))
    np.testing.assert_array_equal(count, again)
    sure = (person == 0) & (again >= 2)
    np.testing.assert_array_equal(known, np.where(sure, 255, was_known))
    slow = np.select([times < 2, times < 5, times < 11], [128, 64, 32], 16)
    rate = np.where(person > 0, 0, np.where(alike, slow, 256))
    for plane, one, candidate, made, old in zip(seen, kept, candidates, room, then, strict=True):
        after = (256 * ints(plane) * rate + one.astype(int) * (256 - rate) + 128) >> 8
        np.testing.assert_array_equal(candidate, after)
        np.testing.assert_array_equal(made, np.where(sure, (after + 128) >> 8, old))


@pytest.mark.parametrize("late", [False, True])
def test_what_differs_from_the_room_is_the_person(late: bool) -> None:
    rng = np.random.default_rng(4)
    now = planes(rng, (60, 90))
    room = tuple(near(rng, plane, 12) for plane in now)
    rows, columns = slice(8, 56), slice(16, 85)
    size = rows.stop - rows.start, columns.stop - columns.start
    alpha = np.asarray(cv2.resize(planes(rng, (4, 6), 1)[0] // 128 * 255, size[::-1]), np.uint8)
    known = planes(rng, (60, 90), 1)[0] // 128 * 255
    least = planes(rng, size, 1)[0] // 16 if late else np.empty((0, 0), np.uint8)
    table = planes(rng, (15, 256), 1)[0]
    table[0, 0], table[-1, -1] = 0, 255
    distance, out = np.empty(size, np.uint8), np.empty(size, np.uint8)
    kernels.compare(now, room, known, 8, 16, alpha, least, table.ravel(), 20, distance, out)
    off = [abs(ints(one) - ints(other))[rows, columns] for one, other in zip(now, room, strict=True)]
    d = np.minimum(off[0] + 3 * (off[1] + off[2]), 255)
    np.testing.assert_array_equal(distance, d)
    prior = np.asarray(cv2.blur(alpha, (13, 13)), np.uint8)
    prior = np.maximum(prior, least) if late else prior
    said = table[np.clip(d - 20, 0, 14), prior]
    np.testing.assert_array_equal(out, np.where(known[rows, columns] > 0, said, alpha))


def test_alpha_changes_as_fast_as_the_picture() -> None:
    rng = np.random.default_rng(5)
    before = planes(rng, (40, 70))
    now = tuple(near(rng, plane, 3) for plane in before)
    for plane in now:
        plane[:, 50:] = near(rng, plane[:, 50:], 30)
    rows, columns = slice(3, 33), slice(8, 70)
    alpha = rng.choice(np.array([0, 3, 100, 252, 255], np.uint8), (30, 62))
    state = rng.integers(0, 65281, (40, 70)).astype(np.uint16)
    was = state.astype(np.int64)
    out = np.empty_like(alpha)
    kernels.smooth(now, before, 3, 8, alpha, state, 51, out)
    most = np.max([abs(ints(one) - ints(other)) for one, other in zip(now, before, strict=True)], axis=0)
    moved = ints(cv2.blur(most[rows, columns].astype(np.uint8), (7, 7)))
    sure = (alpha + np.uint8(8)) < 16
    rate = np.where(sure, np.maximum(moved - 2, 0) * 128, np.maximum(moved - 4, 0) * 64)
    rate = np.minimum(np.maximum(np.maximum(rate, 51), np.where(alpha < 8, 192, 0)), 256)
    after = was.copy()
    after[rows, columns] = (256 * ints(alpha) * rate + was[rows, columns] * (256 - rate) + 128) >> 8
    np.testing.assert_array_equal(state, after)
    np.testing.assert_array_equal(out, np.minimum((after[rows, columns] + 128) >> 8, 255))


@pytest.mark.parametrize("shape", [(24, 40), (27, 41), (3, 9)])
def test_cells_are_all_room_all_person_or_mixed(shape: tuple[int, int]) -> None:
    alpha = np.zeros(shape, np.uint8)
    alpha[:, 8:] = 255
    alpha[1:2, -3] = 254
    kinds = np.empty([(side + 3) // 4 for side in shape], np.uint8)
    kernels.cells(alpha, kinds)
    for (row, column), kind in np.ndenumerate(kinds):
        cell = alpha[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        one = cell.size == 16 and cell.min() == cell.max()
        assert kind == (cell[0, 0] if one else 1)


def test_colours_are_counted_on_both_sides() -> None:
    rng = np.random.default_rng(6)
    now = planes(rng, (30, 40))
    inside, around = planes(rng, (16, 24), 2)
    wanted = rng.integers(0, 2, (4, 6), np.uint8)
    front, back = np.zeros((2, 4, 6, 5), np.float32)
    kernels.colours(now, 5, 7, inside, around, wanted, front, back)
    is_front = inside >= 230
    values = [ints(plane)[5:21, 7:31] for plane in now]
    values = [values[0], 2 * (values[1] - 128), 2 * (values[2] - 128)]
    values = [np.ones_like(values[0]), *values, np.square(values).sum(0)]
    for made, where in ((front, is_front), (back, (around <= 25) & ~is_front)):
        some = [np.where(where, value, 0)[::2, ::2].reshape(4, 2, 6, 2).sum((1, 3)) * wanted for value in values]
        np.testing.assert_array_equal(made, np.dstack(some))
        assert made.any()


def test_parts_are_measured_and_marked() -> None:
    rng = np.random.default_rng(7)
    alpha, network = (np.asarray(cv2.blur(plane, (5, 5)), np.uint8) for plane in planes(rng, (40, 61), 2))
    small = np.empty((20, 30), np.uint8)
    kernels.halve(alpha, network, 128, small)
    halves = [ints(plane)[:40, :60].reshape(20, 2, 30, 2).sum((1, 3)) + 2 >> 2 for plane in (alpha, network)]
    np.testing.assert_array_equal(small, (halves[0] >= 128) + 2 * (halves[1] >= 128))
    count, found_labels = cv2.connectedComponents(small & 1, connectivity=8)
    labels = np.asarray(found_labels, np.int32)
    found, marks = np.zeros((count, 2), np.int32), rng.integers(0, 256, count, np.uint8)
    kernels.areas(labels, small, found)
    np.testing.assert_array_equal(found[:, 0], np.bincount(labels.ravel(), minlength=count))
    np.testing.assert_array_equal(found[:, 1], np.bincount(labels[small >= 2], minlength=count))
    out = np.empty_like(small)
    kernels.marked(labels, marks, out)
    np.testing.assert_array_equal(out, marks[labels])


def test_samples_that_differ_or_changed_at_once_are_counted() -> None:
    rng = np.random.default_rng(8)
    distance, before, person = planes(rng, (20, 30))
    distance[:3], free = 255, rng.integers(0, 2, (20, 30), np.uint8)
    found = np.empty(3, np.int32)
    kernels.tell(free, distance, before, person, 60.0, 100, 120, 127, found)
    anew = (distance > 100) & (distance < 255) & (before <= 100)
    expected = ((free > 0) & (distance > 60), anew, anew & (distance > 120) & (person < 127))
    assert found.tolist() == [np.count_nonzero(where) for where in expected]


@pytest.mark.parametrize("many", [0, 1, 2, 7, 100])
def test_medians_are_numpys(many: int) -> None:
    rng = np.random.default_rng(many)
    seen, where = planes(rng, (20, 30)), np.zeros((20, 30), np.uint8)
    where[::2, ::2].flat[rng.permutation(150)[:many]] = 1
    where[1::2] = 1
    out = np.empty(3)
    kernels.medians(seen, where, 2, out)
    chosen = [plane[::2, ::2][where[::2, ::2] > 0] for plane in seen]
    assert out.tolist() == [float(np.median(values)) if many else 0.0 for values in chosen]


def test_colours_have_their_places_and_shares_their_products() -> None:
    rng = np.random.default_rng(9)
    y, u, v = planes(rng, (20, 30))
    out = np.empty((20, 30), np.int32)
    kernels.bins((y, u, v), 16, 64, out)
    of_u, of_v = (np.clip((ints(plane) - 64) * 64 // 128, 0, 63) for plane in (u, v))
    np.testing.assert_array_equal(out, (ints(y) * 16 // 256 * 64 + of_u) * 64 + of_v)
    product = np.empty_like(y)
    kernels.times(y, u, product)
    np.testing.assert_array_equal(product, np.round(y * (u / 255)))


@pytest.mark.parametrize("size", [(96, 160), (90, 157)])
def test_a_mask_is_taken_from_where_it_was(size: tuple[int, int]) -> None:
    """As OpenCV does it, but for its rounding of places to 1/32."""
    rng = np.random.default_rng(10)
    height, width = size
    alpha = np.zeros(size, np.uint8)
    cv2.circle(alpha, (70, 50), 33, 255, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.5), np.uint8)
    noise = cv2.GaussianBlur(rng.normal(0, 60, (24, 40, 2)).astype(np.float32), (0, 0), 5)
    field = np.asarray(noise, np.float32) + np.array([2.3, -1.2], np.float32)
    scale = np.array([width / 40, height / 24], np.float32)
    places = np.meshgrid(*((np.arange(side, dtype=np.float32) + 0.5) for side in (width, height)))
    small = [place / of - np.float32(0.5) for place, of in zip(places, scale, strict=True)]
    by = cv2.remap(field, small[0], small[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * scale
    there = [place - np.float32(0.5) + by[..., axis] for axis, place in enumerate(places)]
    expected = cv2.remap(alpha, there[0], there[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    kinds, out = np.empty([(side + 3) // 4 for side in size], np.uint8), np.zeros_like(alpha)
    kernels.cells(alpha, kinds)
    x, y = scale.tolist()
    kernels.carry(alpha, kinds, field.reshape(24, -1), x, y, 8, height, 16, width - 8, out)
    inside = np.s_[8:, 16 : width - 8]
    assert np.abs(out.astype(int) - expected)[inside].max() <= 12
    assert np.abs(out.astype(int) - expected)[inside].mean() < 0.5
    assert np.abs(alpha.astype(int) - expected)[inside].mean() > 5
    out[inside] = 0
    assert not out.any()


def test_who_moved_further_is_lessened_more() -> None:
    rng = np.random.default_rng(11)
    came_from = rng.uniform(-3, 25, (20, 24, 2)).astype(np.float32)
    moved, out = np.empty((20, 24), np.uint8), np.empty((20, 24), np.uint8)
    kernels.distance_moved(came_from, 30.0, moved)
    places = np.dstack(np.meshgrid(np.arange(24), np.arange(20)))
    far = np.minimum(np.hypot(*np.moveaxis(came_from - places, 2, 0)) * 30, 255)
    assert np.abs(moved - far).max() <= 0.51
    alpha = planes(rng, (20, 24), 1)[0]
    alpha[:5], alpha[5:10] = 0, 255
    kernels.lessen(alpha.ravel()[1:], moved.ravel()[1:], 10.0, 0.35, out.ravel()[1:])
    none = 10 + 0.35 * ints(moved)
    expected = np.maximum(alpha - none, 0) * 255 / (255 - none)
    assert np.abs(out - expected).ravel()[1:].max() <= 0.51
