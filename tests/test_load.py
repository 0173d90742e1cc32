"""live.load: less is done where frames wait, more is tried again, ever more seldom where it proved too much."""

import itertools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from vbgcam.live.load import Load

PERIOD = 1 / 30


def run(load: Load, seconds: float, costs: Callable[[int], float], at: float = 0.0) -> list[tuple[float, int]]:
    """The levels and when they began, of a machine where a frame at a level costs so much of the time for it."""
    changes = []
    for number in range(round(seconds / PERIOD)):
        now = at + number * PERIOD
        busy = costs(load.level)
        if load.frame(now, min(busy, 1.0), int(busy > 1)):
            changes.append((now, load.level))
    return changes


def test_a_machine_that_does_it_in_time_does_all_of_it() -> None:
    assert run(Load(4), 600, lambda _level: 0.6) == []


def test_three_frames_that_waited_within_a_second_are_enough_for_less() -> None:
    load = Load(4)
    assert [load.frame(number * PERIOD, 1.0, 1) for number in range(3)] == [False, False, True]
    assert load.level == 1


def test_one_that_waits_now_and_then_changes_nothing() -> None:
    load = Load(4)
    assert not any(load.frame(number * PERIOD, 0.5, int(number % 29 == 0)) for number in range(3000))


def test_a_slow_machine_ends_where_it_is_in_time_and_stays_there() -> None:
    load = Load(4)
    changes = run(load, 60, lambda level: (2.0, 1.2, 0.5, 0.2)[level])
    assert [level for _, level in changes] == [1, 2]
    assert changes[-1][0] < 1


def test_when_a_load_has_gone_all_is_done_again() -> None:
    load = Load(4)
    run(load, 5, lambda _level: 2.0)
    assert load.level == 3
    changes = run(load, 60, lambda _level: 0.2, at=5.0)
    assert [level for _, level in changes] == [2, 1, 0]


def test_what_proved_too_much_is_tried_ever_more_seldom() -> None:
    load = Load(2)
    changes = run(load, 1800, lambda level: 2.0 if level == 0 else 0.1)
    tries = [now for now, level in changes if level == 0]
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert 4 <= len(tries) <= 9
    assert all(later > 1.5 * earlier for earlier, later in itertools.pairwise(gaps[:-1]))


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3)), max_size=400), st.integers(1, 5))
def test_the_level_is_always_one_of_them(frames: list[tuple[float, int]], levels: int) -> None:
    load = Load(levels)
    for number, (busy, waited) in enumerate(frames):
        before = load.level
        assert load.frame(number * PERIOD, busy, waited) == (load.level != before)
        assert 0 <= load.level < levels
        assert abs(load.level - before) <= 1
