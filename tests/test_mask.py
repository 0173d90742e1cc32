"""mask: from a probability to an alpha of the frame's size; what is not finite is never shown."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import Planes, RawFrame, Size
from vbgcam.mask import finish


def frame(size: Size) -> RawFrame:
    return RawFrame(Planes.filled(size, (16, 128, 128)).frozen(), 3.5, 7)


def test_the_mask_carries_its_frames_stamp_and_size_and_cannot_be_written() -> None:
    mask = finish(np.full((3, 5), 0.5, np.float32), frame(Size(20, 10)))
    assert (mask.captured_at, mask.epoch, mask.size) == (3.5, 7, Size(20, 10))
    assert (mask.alpha == 128).all()
    with pytest.raises(ValueError, match="read-only"):
        mask.alpha[0, 0] = 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_refuses_the_whole_mask(value: float) -> None:
    probability = np.zeros((4, 4), np.float32)
    probability[2, 1] = value
    with pytest.raises(ModelError, match="not finite"):
        finish(probability, frame(Size(8, 8)))


@pytest.mark.parametrize("shape", [(4,), (1, 4, 4), (0, 4), (0, 0)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="height x width"):
        finish(np.zeros(shape, np.float32), frame(Size(8, 8)))


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.builds(Size, st.integers(1, 40), st.integers(1, 40)),
       st.booleans(), st.integers(0, 999))  # fmt: skip
def test_any_probability_gives_an_alpha_between_its_extremes(
    shape: tuple[int, int], size: Size, hard: bool, seed: int
) -> None:
    probability = np.random.default_rng(seed).random(shape, np.float32)
    if hard:
        probability = np.round(probability)
    alpha = finish(probability, frame(size), hard=hard).alpha
    assert alpha.shape == (size.height, size.width)
    assert alpha.min() >= np.floor(probability.min() * 255)
    assert alpha.max() <= np.ceil(probability.max() * 255)
    if hard:
        assert set(np.unique(alpha)) <= {0, 255}


def test_values_out_of_range_are_cut() -> None:
    alpha = finish(np.array([[-3.0, 4.0]], np.float32), frame(Size(2, 1))).alpha
    assert alpha.tolist() == [[0, 255]]
