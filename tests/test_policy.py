"""policy: what goes out now."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.frames import Planes, Prediction, RawFrame, Size
from vbgcam.core.policy import Compose, Cover, Situation, Why, decide

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
