"""policy: what goes out now."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.frames import Planes, Prediction, RawFrame, Size
from vbgcam.core.policy import _HIDDEN, _OF, LATE, Compose, Cover, Hysteresis, Situation, TooSlow, Why, decide

SIZE = Size(4, 4)
MAX_MASK_AGE, MAX_FRAME_AGE = 0.5, 1.0


def frame(at: float = 10.0, epoch: int = 0, size: Size = SIZE) -> RawFrame:
    return RawFrame(Planes.filled(size, (16, 128, 128)).frozen(), at, epoch)


def mask(at: float = 10.0, epoch: int = 0, size: Size = SIZE) -> Prediction:
    return Prediction(frame(at, epoch, size), np.zeros((2, 2), np.uint8))


def test_a_frame_with_a_young_mask_of_its_epoch_is_composed() -> None:
    shown, seen = frame(10.0), mask(9.6)
    assert decide(Situation(shown, seen), 10.01, MAX_MASK_AGE, MAX_FRAME_AGE) == Compose(shown, seen)


@pytest.mark.parametrize(
    ("situation", "now", "why"),
    [
        (Situation(None, None), 10.0, Why.STARTING),
        (Situation(None, mask()), 10.0, Why.STARTING),
        (Situation(frame(), None), 10.0, Why.NO_MASK),
        (Situation(frame(epoch=1), mask(epoch=0)), 10.0, Why.OTHER_EPOCH),
        (Situation(frame(epoch=0), mask(epoch=1)), 10.0, Why.OTHER_EPOCH),
        (Situation(frame(size=Size(8, 4)), mask()), 10.0, Why.OTHER_SIZE),
        (Situation(frame(10.0), mask(9.4)), 10.0, Why.MASK_AGE),
        (Situation(frame(10.0), mask(10.0)), 11.1, Why.FRAME_AGE),
        (Situation(frame(), mask(), trouble=Why.MODEL), 10.0, Why.MODEL),
        (Situation(frame(), mask(), paused=True), 10.0, Why.PAUSED),
        (Situation(frame(math.nan), mask()), 10.0, Why.FRAME_AGE),
        (Situation(frame(), mask(math.nan)), 10.0, Why.MASK_AGE),
    ],
)
def test_everything_else_is_covered_and_says_why(situation: Situation, now: float, why: Why) -> None:
    assert decide(situation, now, MAX_MASK_AGE, MAX_FRAME_AGE) == Cover(why)


times = st.floats(allow_nan=True, allow_infinity=True)


@given(
    stamps=st.tuples(times, times, times),
    epochs=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    trouble=st.none() | st.sampled_from(Why),
    paused=st.booleans(),
)
def test_whatever_happens_a_composition_has_a_trusted_mask(
    stamps: tuple[float, float, float], epochs: tuple[int, int], trouble: Why | None, paused: bool
) -> None:
    captured, masked, now = stamps
    situation = Situation(frame(captured, epochs[0]), mask(masked, epochs[1]), trouble, paused)
    decision = decide(situation, now, MAX_MASK_AGE, MAX_FRAME_AGE)
    trusted = (
        not paused
        and trouble is None
        and epochs[0] == epochs[1]
        and now - captured <= MAX_FRAME_AGE
        and captured - masked <= MAX_MASK_AGE
    )
    assert isinstance(decision, Compose) == trusted


def acts(looks: list[tuple[float, bool]]) -> list[float]:
    """When something has to be done, of looks that are so many seconds apart and see the picture hidden, or not."""
    slow, now, found = TooSlow(), 0.0, []
    for seconds, hidden in looks:
        now += seconds
        if slow.seen(now, hidden):
            found.append(now)
    return found


def test_five_seconds_of_the_last_twenty_are_too_many() -> None:
    assert acts([(0.5, True)] * 12) == [5.5], "from the first look on"
    assert acts(([(0.5, True)] * 4 + [(0.5, False)] * 16) * 20) == [], "2 of 10"
    assert acts(([(0.5, True)] * 6 + [(0.5, False)] * 14) * 2) == [12.5], "3 of 10"


def test_once_in_twenty_seconds_is_often_enough() -> None:
    assert acts([(0.5, True)] * 100) == [5.5, 25.5, 45.5]


def test_what_was_before_another_network_does_not_count() -> None:
    slow = TooSlow()
    assert not any(slow.seen(0.5 * number, hidden=True) for number in range(9))
    slow.restart()
    assert [number for number in range(10, 30) if slow.seen(0.5 * number, hidden=True)] == [20]


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=200))
def test_somebody_was_hidden_for_long_whenever_something_has_to_be_done_and_only_then(
    looks: list[tuple[int, bool]],
) -> None:
    """Counted one eighth of a second at a time. What was hidden before the last time is settled."""
    slow, now, before = TooSlow(), 0, -1000
    eighths: list[bool] = []
    was = False
    for wait, hidden in looks:
        eighths += [was] * wait
        now += wait
        long = sum(eighths[-int(8 * _OF) :]) >= 8 * _HIDDEN
        done = slow.seen(now / 8, hidden)
        assert done == (hidden and long and now - before >= 8 * _OF)
        was = hidden
        if done:
            before, was = now, False
            eighths = [False] * len(eighths)


HELD = (*LATE, Why.NETWORK)
STEP = 0.125
"""Seconds, exact as a float."""


def test_a_mask_that_is_too_old_hides_at_once() -> None:
    settled = Hysteresis()
    assert settled.settle(0.0, None, 1.0) is None
    assert settled.settle(0.01, Why.MASK_AGE, None) is Why.MASK_AGE
    assert settled.settle(2.0, None, 1.0) is Why.MASK_AGE, "for two seconds"
    assert settled.settle(2.02, None, 1.0) is None
    assert settled.settle(2.03, Why.MASK_AGE, None) is Why.MASK_AGE


def test_too_little_of_the_person_hides_and_only_much_of_them_shows() -> None:
    settled = Hysteresis()
    kepts = [1.0, 0.5, 0.41, 0.39, 0.5, 0.59, 0.61, 0.41]
    shown = [settled.settle(10.0 * number, None, kept) is None for number, kept in enumerate(kepts)]
    assert shown == [True, True, True, False, False, False, True, True]


def stays(settled: Hysteresis, start: float, seconds: float) -> list[float]:
    """How long person and cover stay in turn, where too little is kept whenever the person is shown and all of them
    when not. The last stay is not over and left out."""
    out, hidden, began, now = [], False, start, start
    while now < start + seconds:
        before, hidden = hidden, settled.settle(now, None, 1.0 if hidden else 0.0) is not None
        if hidden != before:
            out.append(now - began)
            began = now
        now += STEP
    return out


def test_who_is_hidden_again_soon_waits_thrice_as_long_each_time_up_to_the_longest() -> None:
    assert stays(Hysteresis(), 0.0, 107.0) == [0.0, 2.0, 2.0, 6.0, 2.0, 18.0, 2.0, 32.0, 2.0, 32.0, 2.0]


@pytest.mark.parametrize(("shown", "hidden"), [(23.875, 18.0), (24.0, 2.0)])
def test_who_was_shown_for_four_times_as_long_as_they_waited_waits_shortly_again(shown: float, hidden: float) -> None:
    settled = Hysteresis()
    assert stays(settled, 0.0, 10.125) == [0.0, 2.0, 2.0, 6.0]
    again = 10.0 + shown
    assert settled.settle(again - STEP, None, 1.0) is None
    assert settled.settle(again, None, 0.0) is Why.TOO_FAR
    assert settled.settle(again + hidden - STEP, None, 1.0) is Why.TOO_FAR
    assert settled.settle(again + hidden, None, 1.0) is None


@pytest.mark.parametrize("why", [why for why in Why if why not in HELD])
def test_every_other_reason_is_forgotten_and_so_is_what_was_before(why: Why) -> None:
    settled = Hysteresis()
    stays(settled, 0.0, 50.0)
    assert settled.settle(50.0, why, None) is why
    # Within a second, whoever comes is shown and hidden without a wait.
    assert [settled.settle(50.0 + now, None, kept) for now, kept in ((0.1, 1.0), (0.2, 0.0), (0.3, 1.0))] == [
        None,
        Why.TOO_FAR,
        None,
    ]
    assert settled.settle(51.0, None, 0.0) is None
    assert stays(settled, 53.0, 7.0) == [0.0, 6.0]


def test_who_comes_where_nobody_was_is_shown_at_once() -> None:
    settled = Hysteresis()
    stays(settled, 0.0, 50.0)
    assert settled.settle(50.0, None, None) is None
    assert settled.settle(50.1, None, 0.0) is Why.TOO_FAR
    assert settled.settle(50.2, None, 1.0) is None


moments = st.lists(
    st.tuples(
        st.floats(0.001, 3.0) | st.floats(0.001, 0.2),
        st.none() | st.sampled_from([*HELD, Why.NEW_SCENE, Why.PAUSED, Why.FRAME_AGE]),
        st.none() | st.floats(0, 1),
    ),
    max_size=80,
)


@given(moments)
def test_person_and_cover_do_not_alternate_whatever_comes(steps: list[tuple[float, Why | None, float | None]]) -> None:
    settled, now, free, changed, late = Hysteresis(), 0.0, -math.inf, -math.inf, False
    for passed, why, kept in steps:
        now += passed
        answer = settled.settle(now, why, kept)
        assert answer is why or (why is None and answer in HELD), "what must be hidden is, for its own reason"
        if why is None and kept is None:
            assert answer is None
        if why is None and kept is not None and (kept >= 0.6 or kept < 0.4) and now - changed >= 32:
            assert (answer is None) == (kept >= 0.6), "nothing waits longer than the longest"
        if (answer in HELD) != late:
            late = answer in HELD
            if why is None and kept is not None and now >= free:
                assert now - changed >= 2
            changed = now
        if (why is None and kept is None) or why not in {None, *HELD}:
            free, changed, late = now + 1, -math.inf, False
