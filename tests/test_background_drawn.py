"""background.drawn: pictures for any size, without bands."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from vbgcam.background.drawn import DRAWN, hills
from vbgcam.core.frames import U8, Size

every = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)


@every
@pytest.mark.parametrize("size", [Size(1, 1), Size(2, 300), Size(300, 2), Size(333, 187), Size(180, 320)], ids=str)
def test_any_size_is_drawn(draw: Callable[[Size], U8], size: Size) -> None:
    picture = draw(size)
    assert picture.shape == (size.height, size.width, 3)
    assert picture.dtype == np.uint8


@every
def test_it_is_the_same_each_time(draw: Callable[[Size], U8]) -> None:
    np.testing.assert_array_equal(draw(Size(320, 180)), draw(Size(320, 180)))


@every
def test_it_is_the_same_picture_at_every_size(draw: Callable[[Size], U8]) -> None:
    small, large = draw(Size(320, 180)), draw(Size(960, 540))
    shrunk = cv2.resize(large, (320, 180), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(np.int16) - small).mean() < 2


@every
def test_long_gradients_are_dithered(draw: Callable[[Size], U8]) -> None:
    """A band is a run of equal pixels that ends in a step; noise of a step leaves no long runs."""
    green = draw(Size(640, 360))[:, :, 1].astype(np.int16)
    equal = (np.diff(green, axis=1) == 0).mean(1)
    assert equal.max() < 0.75
    assert np.abs(np.diff(green, axis=1)).mean() < 2.5, "the noise must not be seen"


@every
def test_nothing_in_it_moves_the_eye_away_from_the_person(draw: Callable[[Size], U8]) -> None:
    """Contours within the middle third, where a head and shoulders are, and at the sides, as the means of steps from
    pixel to pixel of a thumbnail: the middle has no more of them."""
    gray = cv2.GaussianBlur(draw(Size(320, 180)).mean(2).astype(np.float32), (0, 0), 1)
    contours = np.abs(np.diff(gray, axis=1))
    middle, sides = contours[:, 107:213].mean(), np.hstack((contours[:, :107], contours[:, 213:])).mean()
    assert middle < max(1.1 * sides, 0.5)


def test_no_two_are_alike() -> None:
    thumbnails = [draw(Size(64, 36)).astype(np.int16) for draw in DRAWN.values()]
    for index, one in enumerate(thumbnails):
        for other in thumbnails[:index]:
            assert np.abs(one - other).mean() > 15


def test_their_names_are_names_of_files_on_every_system() -> None:
    assert all(name.replace(" ", "").isalpha() for name in DRAWN)


def test_the_hills_are_dark_below_and_light_in_the_sky() -> None:
    picture = hills(Size(320, 180)).mean(2)
    assert picture[-20:].mean() + 60 < picture[90:110].mean()
