"""live.input_size, decided: how large the network's input is, on machines of all speeds, whose times scatter."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbgcam.live.input_size import InputSizePredictor, error

SIZES = (144, 192, 256, 288, 320, 384, 448, 520)
PERIOD, BUDGET, MAX_AGE = 1 / 30, 0.022, 0.5
Load = Callable[[float], float]


class Machine:
    """A camera of 30 frames a second and a network that takes `fixed` seconds and `pixel` for each of its pixels, times
    the load of the moment and a scatter."""

    def __init__(
        self, fixed: float, pixel: float, *, start: int = 192, scatter: float = 0.0, seed: int = 0, prepare: float = 0.3
    ) -> None:
        self.point = InputSizePredictor(SIZES, start, MAX_AGE)
        self.now = 0.0
        self.changes: list[tuple[float, int]] = []
        self.bad: set[int] = set()
        self._fixed, self._pixel, self._scatter, self._prepare = fixed, pixel, scatter, prepare
        self._random = Random(seed)

    def takes(self, size: int) -> float:
        return self._fixed + self._pixel * size * size * 16 / 9

    def run(self, seconds: float, load: float = 1.0) -> None:
        end, point = self.now + seconds, self.point
        while self.now < end:
            took = self.takes(point.size) * load * self._random.uniform(1 - self._scatter, 1 + self._scatter)
            self.now += max(PERIOD, took)
            wanted = point.measured(self.now, took, BUDGET)
            assert wanted == point.size or wanted in point.sizes
            if wanted == point.size:
                continue
            self.now += self._prepare
            if wanted in self.bad:
                point.failed(wanted)
                continue
            self.changes.append((self.now, wanted))
            point.changed(self.now, wanted)


def per_pixel(size: int, seconds: float) -> float:
    return seconds / (size * size * 16 / 9)


@pytest.mark.parametrize("start", SIZES)
@pytest.mark.parametrize("fitting", SIZES)
def test_the_largest_input_that_is_in_time_is_found_in_three_seconds(start: int, fitting: int) -> None:
    machine = Machine(0.0, per_pixel(fitting, 0.83 * BUDGET), start=start)
    machine.run(3.0)
    assert machine.point.size == fitting
    assert machine.point.settled
    machine.run(30)
    assert machine.point.size == fitting
    assert len(machine.changes) <= 4


def test_a_fixed_cost_is_found_out_on_the_way() -> None:
    """A third of what the largest fitting input takes does not depend on the pixels: a prediction by pixels alone is
    too high on the way up."""
    machine = Machine(0.006, per_pixel(384, 0.012), start=144)
    machine.run(3.0)
    assert machine.point.size == 384


def test_a_cold_start_that_hid_a_larger_input_is_made_good_later() -> None:
    """While everything starts, each mask takes twice as long."""
    machine = Machine(0.003, per_pixel(256, 0.010), start=192)
    machine.run(1.0, load=2.0)
    small = machine.point.size
    machine.run(60)
    assert machine.point.size > small
    assert machine.takes(machine.point.size) > 0.8 * BUDGET


def test_a_slow_machine_gets_the_best_trade_of_age_and_size() -> None:
    """144 lines take 100 ms, 256 lines 316 ms, with which masks would be up to 632 ms old."""
    machine = Machine(0.0, per_pixel(144, 0.1))
    machine.run(20)
    assert machine.point.size == min((144, 192), key=lambda size: error(size, machine.takes(size)))
    assert 2 * machine.takes(machine.point.size) <= MAX_AGE


def test_where_all_are_too_slow_the_smallest_is_taken() -> None:
    machine = Machine(0.0, per_pixel(144, 2.0), start=256)
    machine.run(60)
    assert machine.point.size == 144


def test_a_throttled_machine_goes_down_in_a_second_and_up_again_later() -> None:
    machine = Machine(0.0, per_pixel(384, 0.8 * BUDGET))
    machine.run(30)
    assert machine.point.size == 384
    machine.run(1.5, load=2.5)
    assert machine.point.size < 384
    machine.run(60, load=2.5)
    small = machine.point.size
    assert 2.5 * machine.takes(small) <= BUDGET
    machine.run(9.0)
    assert machine.point.size == small
    machine.run(60)
    assert machine.point.size == 384


def test_a_spike_changes_nothing() -> None:
    machine = Machine(0.0, per_pixel(320, 0.8 * BUDGET))
    machine.run(10)
    before = len(machine.changes)
    for _ in range(20):
        machine.run(0.15, load=4)
        machine.run(5)
    assert len(machine.changes) == before


def test_a_load_that_comes_and_goes_is_followed_less_and_less_often() -> None:
    machine = Machine(0.0, per_pixel(384, 0.8 * BUDGET))
    for _ in range(60):
        machine.run(15)
        machine.run(5, load=3)
    assert len(machine.changes) <= 24


@settings(deadline=None, max_examples=30)
@given(
    level=st.floats(0.05, 40),
    fixed=st.floats(0, 0.8),
    scatter=st.floats(0, 0.35),
    start=st.sampled_from(SIZES),
    seed=st.integers(0, 2**32),
)
def test_scattering_times_make_no_flapping(level: float, fixed: float, scatter: float, start: int, seed: int) -> None:
    """Three minutes on a machine of any speed: it comes to rest, and where it rests is in time, or nothing much larger
    was to be had."""
    share = level * BUDGET
    machine = Machine(fixed * share, per_pixel(256, (1 - fixed) * share), start=start, scatter=scatter, seed=seed)
    machine.run(60)
    begun = len(machine.changes)
    assert begun <= 8
    machine.run(120)
    assert len(machine.changes) - begun <= 3
    smallest, rests = machine.takes(SIZES[0]), machine.takes(machine.point.size)
    if smallest <= 0.5 * BUDGET:
        assert rests <= 1.1 * BUDGET
    if machine.takes(SIZES[-1]) <= 0.5 * BUDGET:
        assert machine.point.size == SIZES[-1]


def test_a_size_that_cannot_be_prepared_is_not_asked_for_again_nor_are_larger_ones() -> None:
    machine = Machine(0.0, per_pixel(520, 0.5 * BUDGET))
    machine.bad = {320, 384, 448, 520}
    machine.run(3)
    assert machine.point.sizes[-1] == 288
    machine.run(60)
    assert machine.point.size == 288


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0.0001, 1)), max_size=60))
def test_any_times_give_a_size_that_there_is(steps: list[tuple[float, float, float]]) -> None:
    point, now = InputSizePredictor(SIZES, 200, MAX_AGE), 0.0
    for wait, took, budget in steps:
        now += wait
        wanted = point.measured(now, took, budget)
        assert wanted == point.size or wanted in SIZES
        if wanted != point.size:
            point.changed(now, wanted)


def test_the_expected_error_by_hand() -> None:
    assert error(256, 0.0) == pytest.approx(0.0156, abs=1e-4)
    assert error(256, 2 / 3 / 30) == pytest.approx(0.0156 + 0.013, abs=1e-4)
