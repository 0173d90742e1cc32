"""policy: what goes out now."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.frames import Planes, Prediction, RawFrame, Size
from vbgcam.core.policy import _HIDDEN, _OF, Compose, Cover, Situation, TooSlow, Why, decide

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
