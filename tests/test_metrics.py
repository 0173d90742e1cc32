"""The measures against values worked out by hand, and against each paper's definition spelled out pixel by pixel."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from vbgcam.core.frames import U8
from vbgcam.evaluate.metrics import Score, in_papers, mean, score, tail

alphas = arrays.arrays(np.uint8, (9, 11), elements=st.sampled_from([0, 20, 76, 77, 127, 128, 200, 255]))


def blank(height: int = 20, width: int = 20) -> U8:
    return np.zeros((height, width), np.uint8)


def square(left: int = 5, top: int = 5, side: int = 10, value: int = 255) -> U8:
    alpha = blank()
    alpha[top : top + side, left : left + side] = value
    return alpha


@given(alphas)
def test_the_truth_itself_is_without_fault(alpha: U8) -> None:
    assert score(alpha, alpha, (alpha, alpha)) == Score(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_iou_leak_and_loss_of_a_square_that_is_moved_by_half() -> None:
    found = score(square(left=10), square(left=5))
    assert found.iou == pytest.approx(50 / 150)
    assert found.leak == pytest.approx(50 / 300)
    assert found.loss == pytest.approx(50 / 100)
    assert found.mad == found.mse == pytest.approx(100 / 400)


def test_half_transparent_counts_by_its_part_in_the_means_and_as_the_person_from_one_half_on() -> None:
    found = score(square(value=128), square())
    assert found.iou == 1
    assert found.mad == pytest.approx(127 / 255 * 100 / 400)
    assert found.mse == pytest.approx((127 / 255) ** 2 * 100 / 400)
    assert found.loss == pytest.approx(127 / 255)
    assert found.leak == 0
    assert score(square(value=127), square()).iou == 0


@pytest.mark.parametrize(("ours", "true"), [(square(), blank()), (blank(), square())])
def test_somebody_where_nobody_is_and_nobody_where_somebody_is_score_nothing(ours: U8, true: U8) -> None:
    found = score(ours, true)
    assert (found.iou, found.boundary_f) == (0, 0)
    assert found.loss == (1.0 if true.any() else 0.0)
    assert found.leak == pytest.approx(0.0 if true.any() else 100 / 400)


def test_an_outline_is_right_within_two_pixels_and_wrong_beyond() -> None:
    wide = np.zeros((60, 60), np.uint8)
    wide[20:40, 20:40] = 255

    def moved(by: int) -> float:
        return score(np.roll(wide, by, axis=1), wide).boundary_f

    assert moved(1) == moved(2) == 1
    assert moved(6) < moved(4) < moved(3) < 1
    # Of the two upright sides, 2 pixels by 18 each, everything is wrong six pixels away; what runs along is right.
    assert moved(6) == pytest.approx(0.53, abs=0.1)


def test_dtssd_is_the_root_of_the_mean_square_of_what_changes_otherwise_than_the_truth() -> None:
    truth = square()
    assert score(truth, truth).dtssd is None
    # 100 of 400 pixels came up by 255 in ours and not in the truth.
    assert score(truth, truth, (blank(), truth)).dtssd == pytest.approx(100 * math.sqrt(100 / 400))
    # An error that stands still does not flicker.
    assert score(square(value=100), truth, (square(value=100), truth)).dtssd == 0


def test_the_gradient_of_an_edge_against_none_is_that_of_the_formula() -> None:
    """A sum over all pixels of the squared length, by convolution with the two kernels written out."""
    truth = np.zeros((16, 16), np.uint8)
    truth[:, 8:] = 255
    reach = math.ceil(1.4 * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * 1.4 * 0.01)))
    grid = range(-reach, reach + 1)
    bell = [math.exp(-(x * x) / (2 * 1.4**2)) / (1.4 * math.sqrt(2 * math.pi)) for x in grid]
    slope = [-x * value / 1.4**2 for x, value in zip(grid, bell, strict=True)]
    kernel = np.outer(bell, slope)
    kernel /= math.sqrt((kernel**2).sum())
    around = np.pad(truth / 255, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(around, kernel.shape)
    total = sum(float(((windows * weights).sum((2, 3)) ** 2).sum()) for weights in (kernel, kernel.T))
    assert score(blank(16, 16), truth).grad == pytest.approx(total / 1000, rel=1e-5)


def largest_part(above: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each place takes the largest number among itself and its four neighbours, until nothing changes."""
    labels = np.where(above, np.arange(1, above.size + 1).reshape(above.shape), 0)
    while True:
        around = np.pad(labels, 1)
        sides = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:], labels)
        grown = np.where(above, np.max(sides, axis=0), 0)
        if np.array_equal(grown, labels):
            counts = np.bincount(labels.ravel(), weights=above.ravel())
            return np.asarray(above & (labels == counts.argmax()))
        labels = grown


def connectivity(alpha: U8, truth: U8) -> float:
    """By its definition, without OpenCV."""
    level, alive = np.zeros(alpha.shape), np.ones(alpha.shape, bool)
    for step in range(1, 11):
        alive &= largest_part((alpha.astype(int) * 10 >= 255 * step) & (truth.astype(int) * 10 >= 255 * step))
        level[alive] = step / 10
    rises = [plane / 255 - level for plane in (alpha, truth)]
    ours, true = (1 - rise * (rise >= 0.15) for rise in rises)
    return float(np.abs(ours - true).sum()) / 1000


@given(alphas, alphas)
@settings(max_examples=60)
def test_connectivity_is_that_of_its_definition(alpha: U8, truth: U8) -> None:
    """But where two parts are equally large, and either may be the one."""
    equal = connectivity(alpha, truth) == pytest.approx(connectivity(alpha[::-1], truth[::-1]), abs=1e-9)
    if equal and connectivity(alpha, truth) == pytest.approx(connectivity(alpha[:, ::-1], truth[:, ::-1]), abs=1e-9):
        assert score(alpha, truth).conn == pytest.approx(connectivity(alpha, truth), abs=1e-6)


def test_an_island_counts_in_connectivity_by_all_that_it_rises() -> None:
    alone, island = square(0, 0, 8), square(0, 0, 8)
    island[15:18, 15:18] = 204
    # 9 pixels of 0.8 that hang together with nothing.
    assert score(island, alone).conn == pytest.approx(9 * 0.8 / 1000)


@given(alphas, alphas, alphas, alphas)
@settings(max_examples=60)
def test_every_measure_is_finite_and_in_its_range(alpha: U8, truth: U8, before: U8, true_before: U8) -> None:
    found = score(alpha, truth, (before, true_before))
    assert all(0 <= value <= 1 for value in (found.iou, found.boundary_f, found.mad, found.mse, found.leak, found.loss))
    assert found.mse <= found.mad
    assert found.dtssd is not None
    assert all(math.isfinite(value) and value >= 0 for value in (found.grad, found.conn, found.dtssd))


def test_a_mean_leaves_out_what_is_not_there_and_of_nothing_there_is_none() -> None:
    first, second = score(square(), square()), score(blank(), square(), (square(), square()))
    both = mean([first, second])
    assert both is not None
    assert both.iou == 0.5
    assert both.dtssd == second.dtssd
    assert mean([]) is None
    only = mean([first])
    assert only is not None
    assert only.dtssd is None
    assert in_papers(only) == {"mad": 0, "mse": 0, "grad": 0, "conn": 0, "dtssd": None}
    assert in_papers(both)["mad"] == pytest.approx(both.mad * 1000)


def test_a_tail_names_the_worst_and_counts_what_is_above() -> None:
    """Of 200 pictures, leak grows by 0.0005 each; loss is 0 but in two."""
    rows = [{"name": f"frame {n}", "leak": n / 2000, "loss": 0.5 if n in (3, 7) else 0.0} for n in range(200)]
    found = tail(rows[::-1])
    assert found is not None
    # The nearest rank: the 198th of 200.
    leak = {"p99": 197 / 2000, "worst": 199 / 2000, "at": "frame 199", "above": {"0.01": 179, "0.02": 159, "0.05": 99}}
    loss = {"p99": 0.0, "worst": 0.5, "at": "frame 7", "above": {"0.01": 2, "0.02": 2, "0.05": 2}}
    assert found == {"leak": leak, "loss": loss}
    three = tail(rows[1:4])
    assert three is not None
    assert (three["leak"]["p99"], three["loss"]["at"]) == (3 / 2000, "frame 3"), "of few, p99 is the worst"
    assert tail([]) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_no_more_than_one_of_a_hundred_is_worse_than_p99(values: list[float]) -> None:
    found = tail([{"name": str(number), "leak": value, "loss": 1 - value} for number, value in enumerate(values)])
    assert found is not None
    leak = found["leak"]
    worse = sum(value > leak["p99"] for value in values)
    as_bad = sum(value >= leak["p99"] for value in values)
    assert worse <= len(values) / 100 < as_bad
    assert leak["worst"] == values[int(leak["at"])] == max(values)


def test_alphas_of_two_sizes_are_not_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        score(blank(4, 4), blank(4, 5))
