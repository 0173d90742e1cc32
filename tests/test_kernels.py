"""loops: each compiled pass against the plain formula."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vbgcam.core.frames import U8, read_only
from vbgcam.pixels import kernels


def random_plane(seed: int, height: int, width: int) -> U8:
    plane = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    plane.flags.writeable = False
    return plane


@settings(deadline=None, max_examples=80)
@given(
    factor=st.integers(2, 16), rows=st.integers(1, 9), columns=st.integers(1, 40), over=st.integers(0, 15),
    seed=st.integers(0, 999), extreme=st.sampled_from([None, 0, 255]),
)  # fmt: skip
def test_reduce_is_the_rounded_mean_of_squares(
    *, factor: int, rows: int, columns: int, over: int, seed: int, extreme: int | None
) -> None:
    rest = over % factor
    plane = random_plane(seed, rows * factor + rest, columns * factor + rest)
    if extreme is not None:
        plane = np.full_like(plane, extreme)
        plane.flags.writeable = False
    out = np.empty((rows, columns), np.uint8)
    kernels.reduce(plane, factor, out)
    squares = plane[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor).astype(np.int64)
    area = factor * factor
    np.testing.assert_array_equal(out, (squares.sum((1, 3)) + area // 2) // area)


@settings(deadline=None, max_examples=60)
@given(have=st.integers(1, 40), more=st.integers(0, 300), width=st.integers(1, 70), seed=st.integers(0, 999))
def test_stretched_rows_are_opencvs_to_a_step(have: int, more: int, width: int, seed: int) -> None:
    rows = random_plane(seed, have, width)
    out = np.empty((have + more, width), np.uint8)
    kernels.stretch_rows(rows, out)
    expected = cv2.resize(rows, (width, have + more), interpolation=cv2.INTER_LINEAR).reshape(out.shape)
    # Places are steps of 1/256 of a line: at most 255 / 256 off, and both round.
    assert np.abs(out.astype(int) - expected).max() <= 2
    assert np.abs(out.astype(int) - expected).mean() <= 0.6


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 999))
def test_kinds_say_what_each_pair_of_lines_is(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha = np.where(
        rng.integers(0, 2, (height, 1)), rng.choice([0, 255], (height, 1)), rng.integers(0, 256, (height, width))
    ).astype(np.uint8)
    kinds = np.empty((height + 1) // 2, np.uint8)
    kernels.classify(read_only(alpha), kinds)
    lines = [alpha[at : at + 2] for at in range(0, height, 2)]
    assert kinds.tolist() == [0 if not pair.any() else 1 if pair.min() == 255 else 2 for pair in lines]


@settings(deadline=None, max_examples=40)
@given(height=st.integers(2, 30), width=st.integers(2, 30), seed=st.integers(0, 999))
def test_a_fringe_is_added_by_alpha_times_what_is_left(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha = random_plane(seed, height, width)
    chroma = ((height + 1) // 2, (width + 1) // 2)
    planes = [rng.integers(0, 256, shape, np.uint8) for shape in ((height, width), chroma, chroma)]
    rows = np.array([0, height // 3, height], np.int32)
    columns = np.array([1, width // 2, width], np.int32)
    apart = rng.uniform(-120, 120, (2, 2, 3)).astype(np.float32)
    apart[0, 1] = 0
    for array in (rows, columns, apart):
        array.flags.writeable = False
    made = [plane.copy() for plane in planes]
    kernels.without_fringe(alpha, apart, rows, columns, *made)
    padded = np.pad(alpha.astype(int), ((0, height % 2), (0, width % 2)), "edge")
    quarter = (padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2] + 2) // 4
    for index, (plane, out) in enumerate(zip(planes, made, strict=True)):
        a, at_y, at_x = alpha.astype(float), np.arange(height), np.arange(width)
        if index:
            a, at_y, at_x = quarter.astype(float), 2 * np.arange(chroma[0]), 2 * np.arange(chroma[1])
        cell_y, cell_x = np.digitize(at_y, rows) - 1, np.digitize(at_x, columns) - 1
        more = np.where(cell_x < 0, 0, apart[np.minimum(cell_y, 1)][:, np.clip(cell_x, 0, 1), index])
        expected = np.clip(plane + a * (255 - a) / 65025 * more, 0, 255)
        assert np.abs(out - expected).max() <= 0.51


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(2, 8), columns=st.integers(2, 40), rest=st.integers(0, 3), seed=st.integers(0, 999))
def test_the_weighted_quarter_sums_what_is_not_the_person(rows: int, columns: int, rest: int, seed: int) -> None:
    height, width = 4 * rows + rest, 4 * columns + rest
    half = ((height + 1) // 2, (width + 1) // 2)
    y, alpha = random_plane(seed, height, width), random_plane(seed + 1, height, width)
    u, v = random_plane(seed + 2, *half), random_plane(seed + 3, *half)
    out = np.empty((rows, columns, 4), np.float32)
    kernels.weighted_quarter(y, u, v, alpha, kernels.as_pairs(alpha), out)
    weight = 255 - alpha[: 4 * rows, : 4 * columns].astype(np.int64)

    def sums(values: NDArray[np.int64], side: int) -> NDArray[np.int64]:
        summed: NDArray[np.int64] = values.reshape(rows, side, columns, side).sum((1, 3))
        return summed

    quarter = weight.reshape(2 * rows, 2, 2 * columns, 2).sum((1, 3))
    np.testing.assert_array_equal(out[..., 0], sums(y[: 4 * rows, : 4 * columns] * weight, 4).astype(np.float32))
    np.testing.assert_array_equal(out[..., 1], sums(u[: 2 * rows, : 2 * columns] * quarter, 2).astype(np.float32))
    np.testing.assert_array_equal(out[..., 2], sums(v[: 2 * rows, : 2 * columns] * quarter, 2).astype(np.float32))
    np.testing.assert_array_equal(out[..., 3], sums(weight, 4))


@pytest.mark.parametrize(("share", "zero"), [(219 / 255, 16.0), (224 / 255, 128 - 128 * 224 / 255)])
def test_scaling_is_exact_for_every_value_and_every_pair(share: float, zero: float) -> None:
    step, constant = round(65536 * share), round(256 * zero) + 128
    plane = np.arange(256, dtype=np.uint8).reshape(1, 256)
    out = np.empty((1, 256), np.uint8)
    kernels.scale(read_only(plane), step, constant, out)
    np.testing.assert_array_equal(out, np.floor(plane * share + zero + 0.5).astype(np.uint8))
    pairs = np.stack([np.repeat(plane[0], 256), np.tile(plane[0], 256)])
    halves = np.empty((1, 65536), np.uint8)
    kernels.scale_line_pairs(read_only(pairs), step, constant, halves)
    # 16 bits hold 1/256 of a step: that near to a half it may round either way.
    assert np.abs(halves[0] - ((pairs[0] + pairs[1].astype(float)) / 2 * share + zero)).max() <= 0.5 + 1 / 256


def test_an_odd_alpha_repeats_its_last_row_and_column() -> None:
    alpha = random_plane(1, 3, 5)
    pairs = kernels.as_pairs(alpha)
    padded = np.pad(alpha, ((0, 1), (0, 1)), "edge")
    np.testing.assert_array_equal(pairs & 255, padded[:, ::2])
    np.testing.assert_array_equal(pairs >> 8, padded[:, 1::2])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 2), (9, 33), (90, 160)])
def test_softening_is_opencvs_gaussian_blur(shape: tuple[int, int]) -> None:
    plane = random_plane(1, *shape)
    out = np.empty_like(plane)
    kernels.soften(plane, out)
    np.testing.assert_array_equal(out, cv2.GaussianBlur(plane, (3, 3), 0.7).reshape(shape))


@pytest.mark.parametrize("times", [2, 3, 4, 6])
@pytest.mark.parametrize("width", [1, 2, 40])
def test_widened_lines_are_opencvs(times: int, width: int) -> None:
    plane = random_plane(2, 5, width)
    out = np.empty((5, times * width), np.uint8)
    kernels.widen(plane, out)
    expected = cv2.resize(plane, (times * width, 5), interpolation=cv2.INTER_LINEAR)
    assert np.abs(out.astype(int) - expected).max() <= 1


def test_two_thirds_are_opencvs() -> None:
    plane = random_plane(3, 36, 96)
    out = np.empty((24, 64), np.uint8)
    kernels.three_to_two(plane, out)
    expected = cv2.resize(plane, (64, 24), interpolation=cv2.INTER_LINEAR)
    assert np.abs(out.astype(int) - expected).max() <= 1


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    seed=st.integers(0, 999),
    often=st.integers(1, 3),
    half=st.booleans(),
)
def test_a_box_is_around_what_is_often_enough(*, height: int, width: int, seed: int, often: int, half: bool) -> None:
    plane = np.where(np.random.default_rng(seed).random((height, width)) < 0.1, 200, 10).astype(np.uint8)
    found = np.empty(4, np.int32)
    kernels.box(plane, half, 128, often, often, found)
    person = (plane[::2, ::2] if half else plane) >= 128
    expected = []
    for axis in (1, 0):
        places = np.flatnonzero(person.sum(axis) >= often)
        expected += [int(places[0]), int(places[-1]) + 1] if places.size else [0, 0]
    assert found.tolist() == expected
