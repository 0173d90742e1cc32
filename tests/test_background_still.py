"""Colours, pictures and the card, at the output's size."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from vbgcam.background import open_background
from vbgcam.background.still import Still, card, fitted
from vbgcam.core.frames import U8, Size
from vbgcam.core.specs import BackgroundSpec
from vbgcam.pixels.convert import Fit, color_yuv, to_rgb


def quarters(width: int, height: int) -> U8:
    """Red, green, blue and white, from the upper left to the lower right."""
    rgb = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    rgb[:top, :left], rgb[:top, left:] = (255, 0, 0), (0, 255, 0)
    rgb[top:, :left], rgb[top:, left:] = (0, 0, 255), (255, 255, 255)
    return rgb


def seen(still: Still, x: int, y: int) -> list[bool]:
    """Which of red, green and blue are bright at that place."""
    return [bool(value > 128) for value in to_rgb(still.at(0).planes)[y, x]]


RED, GREEN, BLUE, WHITE, BLACK = (
    [True, False, False],
    [False, True, False],
    [False, False, True],
    [True, True, True],
    [False, False, False],
)


def test_a_colour_fills_every_plane() -> None:
    planes = open_background(BackgroundSpec.parse("#c86432"), Size(31, 17)).at(0).planes
    y, u, v = color_yuv((200, 100, 50))
    assert (planes.y == y).all()
    assert (planes.u == u).all()
    assert (planes.v == v).all()


def test_a_still_is_the_same_at_all_times_and_cannot_be_changed() -> None:
    still = card(Size(8, 8))
    assert not still.moves
    assert still.at(0) is still.at(1e6)
    still.close()
    with pytest.raises(ValueError, match="read-only"):
        still.at(0).planes.y[:] = 0


@pytest.mark.parametrize("scale", [1, 5])
@pytest.mark.parametrize(
    ("how", "width", "height", "places"),
    [
        ("cover", 400, 100, {(1, 1): RED, (158, 1): GREEN, (1, 88): BLUE, (76, 88): BLUE, (84, 88): WHITE}),
        ("contain", 80, 80, {(20, 45): BLACK, (140, 45): BLACK, (38, 2): RED, (120, 2): GREEN, (38, 87): BLUE}),
        ("stretch", 60, 200, {(1, 1): RED, (76, 1): RED, (84, 1): GREEN, (158, 1): GREEN, (1, 88): BLUE}),
    ],
)
def test_a_picture_is_cut_framed_or_stretched(
    scale: int, how: Fit, width: int, height: int, places: dict[tuple[int, int], list[bool]]
) -> None:
    still = Still(fitted(quarters(width * scale, height * scale), Size(160, 90), how))
    assert {place: seen(still, *place) for place in places} == places


@pytest.mark.parametrize("size", [Size(640, 360), Size(1280, 720), Size(1920, 1080)])
def test_a_picture_keeps_its_colours_at_every_size(size: Size) -> None:
    rgb = np.full((size.height, size.width, 3), (200, 100, 50), np.uint8)
    planes = fitted(rgb, size, "cover")
    expected = color_yuv((200, 100, 50))
    assert [int(plane[3, 3]) for plane in (planes.y, planes.u, planes.v)] == pytest.approx(expected, abs=1)


def test_a_fine_pattern_becomes_even_and_does_not_shimmer() -> None:
    checks = (np.indices((720, 1280)).sum(0) % 2 * 255).astype(np.uint8)
    planes = fitted(np.dstack([checks] * 3), Size(320, 180), "cover")
    assert int(planes.y.max()) - int(planes.y.min()) <= 2
    assert abs(int(planes.y[90, 160]) - 126) <= 2


@pytest.mark.parametrize(("width", "height"), [(1, 20_000), (20_000, 1), (1, 1)])
@pytest.mark.parametrize("how", get_args(Fit))
def test_a_thread_of_a_picture_fits(width: int, height: int, how: Fit) -> None:
    rgb = np.full((height, width, 3), 90, np.uint8)
    assert fitted(rgb, Size(1280, 720), how).size == Size(1280, 720)


@pytest.mark.parametrize("size", ["16x16", "64x48", "161x163", "640x360", "720x1280"])
def test_the_card_is_dark_and_calm_and_has_the_size(size: str) -> None:
    planes = card(Size.parse(size)).at(0).planes
    assert planes.size == Size.parse(size)
    assert planes.y.mean() < 60
    assert int(planes.y[0, 0]) == int(planes.y[-1, -1])


def test_the_card_shows_a_camera_above_words_in_the_middle() -> None:
    y = card(Size(640, 360)).at(0).planes.y
    drawn = np.argwhere(y > y[0, 0] + 20)
    top, left = drawn.min(0)
    bottom, right = drawn.max(0)
    assert abs((left + right) / 2 - 320) < 4
    assert abs((top + bottom) / 2 - 180) < 20
    rows = (y > y[0, 0] + 20).any(1)[top : bottom + 1]
    assert not rows.all(), "the words stand apart from the camera"


@pytest.mark.parametrize("text", ["blur", "blur:0.7", "none"])
def test_what_has_no_backdrop_of_its_own_is_covered_by_the_card(text: str) -> None:
    size = Size(320, 180)
    shown = open_background(BackgroundSpec.parse(text), size)
    assert np.array_equal(shown.at(0).planes.data, card(size).at(0).planes.data)


def test_a_colour_spec_and_a_path_open_what_they_name(tmp_path: Path) -> None:
    shown = open_background(BackgroundSpec.parse("#ff0000"), Size(16, 16))
    assert (shown.at(0).planes.v == color_yuv((255, 0, 0))[2]).all()
