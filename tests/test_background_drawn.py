"""background.drawn: pictures for any size, without bands."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from vbgcam.background.drawn import hills, studio
from vbgcam.frames import U8, Size

both = pytest.mark.parametrize("draw", [hills, studio])


@both
@pytest.mark.parametrize("size", [Size(1, 1), Size(2, 300), Size(300, 2), Size(333, 187), Size(180, 320)], ids=str)
def test_any_size_is_drawn(draw: Callable[[Size], U8], size: Size) -> None:
    picture = draw(size)
    assert picture.shape == (size.height, size.width, 3)
    assert picture.dtype == np.uint8


@both
def test_it_is_the_same_each_time(draw: Callable[[Size], U8]) -> None:
    np.testing.assert_array_equal(draw(Size(320, 180)), draw(Size(320, 180)))


@both
def test_it_is_the_same_picture_at_every_size(draw: Callable[[Size], U8]) -> None:
    small, large = draw(Size(320, 180)), draw(Size(960, 540))
    shrunk = cv2.resize(large, (320, 180), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(np.int16) - small).mean() < 2


@both
def test_long_gradients_are_dithered(draw: Callable[[Size], U8]) -> None:
    """A band is a run of equal pixels that ends in a step; noise of a step leaves no long runs."""
    green = draw(Size(640, 360))[:, :, 1].astype(np.int16)
    equal = (np.diff(green, axis=1) == 0).mean(1)
    assert equal.max() < 0.75
    assert np.abs(np.diff(green, axis=1)).mean() < 2.5, "the noise must not be seen"


def test_the_hills_are_dark_below_and_light_in_the_sky() -> None:
    picture = hills(Size(320, 180)).mean(2)
    assert picture[-20:].mean() + 60 < picture[90:110].mean()
