"""camera.drawn: the exact alpha, pure pictures, movement without jumps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbgcam.camera import drawn
from vbgcam.camera.drawn.grain import SIGMA_CHROMA, SIGMA_LUMA, add_grain
from vbgcam.camera.drawn.person import pose
from vbgcam.core.frames import Planes, Size

GREETING, GESTURE_LEFT, TALKING = 1.6, 10.5, 4.2

times = st.floats(0, 3600, allow_nan=False)


def _numbers(value: object) -> Iterator[float]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _numbers(getattr(value, field.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from _numbers(part)
    else:
        assert isinstance(value, float)
        yield value


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 220), height=st.integers(1, 160), seconds=times)
def test_a_frame_is_presenter_and_room_blended_by_the_alpha_to_the_last_digit(
    width: int, height: int, seconds: float
) -> None:
    size = Size(width, height)
    rgb, alpha = drawn.presenter(size, seconds)
    room = drawn.room(size)
    a = alpha.astype(np.float64)[..., None] / 255
    assert rgb.shape == room.shape == (height, width, 3)
    assert alpha.shape == (height, width)
    assert rgb.dtype == alpha.dtype == room.dtype == np.uint8
    np.testing.assert_array_equal(drawn.frame(size, seconds), np.rint(a * rgb + (1 - a) * room))


@pytest.mark.parametrize("seconds", [0.0, GREETING, TALKING, GESTURE_LEFT])
@pytest.mark.parametrize("size", [Size(1280, 720), Size(640, 360), Size(321, 241)], ids=str)
def test_the_alpha_is_soft_only_at_the_outline(size: Size, seconds: float) -> None:
    _, alpha = drawn.presenter(size, seconds)
    soft = (alpha > 0) & (alpha < 255)
    near_outside = cv2.dilate((alpha == 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    # Further than 2 pixels from the room there are only the clefts between fingers, narrower than a pixel.
    assert np.count_nonzero(soft & ~near_outside) < 0.001 * size.pixels
    assert 0 < np.count_nonzero(soft) < 0.03 * size.pixels
    assert np.count_nonzero(alpha == 255) > 0.15 * size.pixels


def test_the_presenter_shows_no_colour_where_there_is_nobody() -> None:
    rgb, alpha = drawn.presenter(Size(320, 180), GREETING)
    assert not rgb[alpha == 0].any()


def test_pictures_are_the_same_when_drawn_again() -> None:
    size = Size(322, 184)
    first = drawn.room(size), drawn.frame(size, GREETING)
    drawn.room.cache_clear()
    again = drawn.room(size), drawn.frame(size, GREETING)
    assert first[0] is not again[0]
    for before, after in zip(first, again, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_room_cannot_be_written_to_by_who_sees_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        drawn.room(Size(64, 36))[0, 0] = 0


@settings(max_examples=400, deadline=None)
@given(times)
def test_the_pose_never_jumps(seconds: float) -> None:
    step = 1 / 960
    before, after = (np.array(list(_numbers(pose(at)))) for at in (seconds, seconds + step))
    # The fastest is a lid, 0 to 1 in 0.11 s along a curve whose steepest part is 1.9 times that: 17 a second.
    assert np.abs(after - before).max() <= 20 * step


@pytest.mark.parametrize("start", [0.0, 5.0, 8.5, 30.5])
def test_neighbouring_frames_are_alike_and_differ(start: float) -> None:
    size, last = Size(160, 90), None
    for number in range(60):
        frame = drawn.frame(size, start + number / 30).astype(np.float32)
        if last is not None:
            assert 0 < np.abs(frame - last).mean() < 2.5
        last = frame


def test_the_presenter_is_always_in_the_picture() -> None:
    size = Size(96, 54)
    for seconds in np.arange(0, 300, 1.7):
        _, alpha = drawn.presenter(size, float(seconds))
        assert 0.15 < (alpha > 127).mean() < 0.45
        rows, columns = np.nonzero(alpha > 127)
        assert rows.min() > 2, "no room above the head"
        assert rows.max() == size.height - 1
        assert columns.min() > 2
        assert columns.max() < size.width - 3


@pytest.mark.parametrize(
    "size",
    [Size(1, 1), Size(2, 2), Size(3, 90), Size(90, 3), Size(333, 187), Size(320, 240), Size(180, 320), Size(800, 200)],
    ids=str,
)
def test_any_size_and_aspect_is_drawn(size: Size) -> None:
    frame = drawn.frame(size, GREETING)
    assert frame.shape == (size.height, size.width, 3)
    assert (drawn.presenter(size, GREETING)[1] > 0).any()


@pytest.mark.parametrize("size", [Size(320, 180), Size(201, 133)], ids=str)
def test_outside_of_the_moving_part_there_is_only_the_room(size: Size) -> None:
    patch = drawn.moving(size, GREETING)
    frame, room = drawn.frame(size, GREETING), drawn.room(size)
    np.testing.assert_array_equal(frame[patch.where], patch.pixels)
    rest = np.ones(frame.shape[:2], bool)
    rest[patch.where] = False
    np.testing.assert_array_equal(frame[rest], room[rest])
    assert patch.left % 2 == patch.top % 2 == 0
    assert patch.pixels.shape[0] < size.height, "the patch is no smaller than the picture"


def test_nearly_nothing_of_the_person_has_the_colour_of_what_is_behind() -> None:
    size = Size(640, 360)
    room = cv2.cvtColor(drawn.room(size), cv2.COLOR_RGB2YUV).astype(np.int16)
    for seconds in np.arange(0, 32, 1.3):
        solid = drawn.presenter(size, float(seconds))[1] == 255
        frame = cv2.cvtColor(drawn.frame(size, float(seconds)), cv2.COLOR_RGB2YUV).astype(np.int16)
        distance = np.sqrt((np.square(frame - room, dtype=np.float32)).sum(2))
        assert (distance[solid] < 15).mean() < 0.001


def test_the_grain_is_small_unbiased_and_its_frames_own() -> None:
    size, level = Size(640, 360), 120

    def noise(number: int) -> Planes:
        planes = Planes.filled(size, (level, level, level))
        add_grain(planes, number)
        return planes

    first, again, second = noise(1), noise(1), noise(2)
    np.testing.assert_array_equal(first.data, again.data)
    assert (first.y != second.y).mean() > 0.5
    for plane, sigma in ((first.y, SIGMA_LUMA), (first.u, SIGMA_CHROMA), (first.v, SIGMA_CHROMA)):
        assert abs(plane.mean() - level) < 0.02
        assert sigma - 0.05 < plane.std() < sigma + 0.10  # rounding adds a variance of 1/12
    assert abs(np.corrcoef(first.u.ravel(), first.v.ravel())[0, 1]) < 0.05
