"""live.sync: whether a frame waits for its own mask."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbgcam.core.options import SyncMode
from vbgcam.live.sync import LONGEST, RESERVE, Synchronizer, patience

FAST, EDGE, SLOW = 0.010, 0.024, 0.100
WITHIN = 0.025


def feed(sync: Synchronizer, seconds: float, count: int) -> int:
    """How often it changed."""
    return sum(sync.ready(seconds, WITHIN) for _ in range(count))


@given(st.floats(0.001, 2), st.floats(0, 2))
def test_a_frame_is_out_before_the_next_one_is_due_and_lips_stay_in_time(period: float, compose: float) -> None:
    waits = patience(period, compose)
    assert 0 <= waits <= LONGEST
    assert waits == 0 or waits + compose <= 0.8 * period + 1e-9


@pytest.mark.parametrize(("fps", "milliseconds"), [(15, 45.0), (30, 24.67), (60, 11.33), (240, 1.33)])
def test_the_patience_by_hand(fps: int, milliseconds: float) -> None:
    assert patience(1 / fps, 0.002) * 1000 == pytest.approx(milliseconds, abs=0.01)


def test_a_network_that_is_fast_enough_is_waited_for_after_a_second() -> None:
    sync = Synchronizer("auto")
    assert str(sync.mode) == "newest"
    assert feed(sync, FAST, 29) == 0
    assert feed(sync, FAST, 1) == 1
    assert str(sync.mode) == "exact"


def test_a_network_that_gets_slow_is_waited_for_no_more_after_four_masks() -> None:
    sync = Synchronizer("auto")
    feed(sync, FAST, 60)
    assert feed(sync, SLOW, 3) == 0
    assert feed(sync, SLOW, 1) == 1
    assert str(sync.mode) == "newest"
    assert feed(sync, FAST, 200) == 1


def test_what_is_just_in_time_stays_but_does_not_start() -> None:
    sync = Synchronizer("auto")
    assert RESERVE * WITHIN < EDGE < WITHIN
    assert feed(sync, EDGE, 300) == 0
    assert str(sync.mode) == "newest"
    feed(sync, FAST, 60)
    assert feed(sync, EDGE, 300) == 0
    assert str(sync.mode) == "exact"


@pytest.mark.parametrize("asked", ["exact", "newest"])
def test_what_was_asked_for_in_words_is_kept(asked: SyncMode) -> None:
    sync = Synchronizer(asked)
    assert feed(sync, SLOW, 100) + feed(sync, FAST, 100) == 0
    assert sync.mode == asked


times = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([FAST, EDGE, SLOW])


@given(st.sampled_from(["auto", "exact", "newest"]), st.lists(times, max_size=400))
def test_whatever_is_measured_it_starts_only_on_a_second_of_good_masks(asked: SyncMode, seconds: list[float]) -> None:
    sync = Synchronizer(asked)
    for number, value in enumerate(seconds):
        before = sync.mode
        changed = sync.ready(value, WITHIN)
        assert changed == (sync.mode != before)
        last = seconds[: number + 1][-30:]
        if changed and sync.mode == "exact":
            assert len(last) == 30
            assert sum(not one <= RESERVE * WITHIN for one in last) <= 3
        if changed and sync.mode == "newest":
            assert sum(not one <= WITHIN for one in last) > 3


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.floats(0.5, 2.0))
def test_a_network_on_the_edge_does_not_make_it_change_all_the_time(seed: int, level: float) -> None:
    """Ten minutes of 30 masks a second whose times scatter over a factor of three around any level."""
    sync, random = Synchronizer("auto"), Random(seed)
    changes = sum(sync.ready(level * WITHIN * random.uniform(0.5, 1.5), WITHIN) for _ in range(18_000))
    assert changes <= 40


def test_a_load_that_comes_and_goes_is_answered_less_and_less_often() -> None:
    sync = Synchronizer("auto")
    changes = sum(feed(sync, FAST, 60) + feed(sync, SLOW, 5) for _ in range(300))
    assert 2 <= changes <= 20
