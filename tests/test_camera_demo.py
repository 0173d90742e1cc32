"""camera.demo: the clip of the drawn presenter, and the camera that plays it at a camera's pace."""

import threading
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import pytest

from vbgcam.camera import Captured, Requested, Source, open_source
from vbgcam.camera.demo import ALPHA, CLIP, PLATE, DemoSource, frames
from vbgcam.core.frames import U8, Planes, Size
from vbgcam.core.specs import SourceSpec
from vbgcam.media import images
from vbgcam.media.video_reader import VideoReader
from vbgcam.pixels.convert import fit, from_rgb

SIZE = Size(96, 54)
LENGTH = 375


@pytest.fixture(scope="module")
def clip() -> list[tuple[Planes, U8]]:
    """Every fifth frame and its alpha, a quarter as large."""
    small = Size(320, 180)
    return [(fit(planes, small), cv2.resize(alpha, (320, 180))) for planes, alpha in frames(range(0, LENGTH, 5))]  # type: ignore[misc]


class Clock:
    """Time passes only while somebody waits, or by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self._event = threading.Event()
        self.is_set, self.set, self.clear = self._event.is_set, self._event.set, self._event.clear

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.is_set()


def _paced(fps: float, size: Size = SIZE) -> tuple[DemoSource, Clock]:
    clock = Clock()
    source = DemoSource(size, fps, clock=clock)
    source._closed = clock  # type: ignore[assignment]  # so that its waiting takes the fake time
    return source, clock


def _read(source: Source) -> Captured:
    captured = source.read()
    assert captured is not None
    return captured


@lru_cache(maxsize=1)
def _beginning() -> list[Planes]:
    return [planes for planes, _ in frames(range(40))]


def _frame(number: int, size: Size = SIZE) -> U8:
    return fit(_beginning()[number], size).data


# The clip


def test_clip_alpha_and_plate_are_of_one_size_and_length() -> None:
    for path in (CLIP, ALPHA):
        with VideoReader(path) as film:
            assert (film.size, film.count, float(film.rate)) == (Size(1280, 720), LENGTH, 30)
    assert images.read(PLATE).size == Size(1280, 720)


def test_where_nobody_is_the_clip_shows_the_plate(clip: list[tuple[Planes, U8]]) -> None:
    room = fit(from_rgb(images.read(PLATE).rgb), Size(320, 180)).y.astype(np.int16)
    for planes, alpha in clip:
        off = np.abs(planes.y - room)
        nobody = cv2.dilate(alpha, np.ones((5, 5), np.uint8)) == 0
        assert 0.3 < nobody.mean() < 0.85
        assert off[nobody].mean() < 1
        assert np.percentile(off[nobody], 99.9) < 8
        assert np.median(off[alpha == 255]) > 30


def test_the_presenter_is_always_in_the_picture_with_a_sharp_outline(clip: list[tuple[Planes, U8]]) -> None:
    for _, alpha in clip:
        assert 0.15 < (alpha > 127).mean() < 0.45
        assert ((alpha > 3) & (alpha < 252)).mean() < 0.03
        rows, columns = np.nonzero(alpha > 127)
        assert rows.min() > 6, "no room above the head"
        assert rows.max() == alpha.shape[0] - 1
        assert columns.min() > 6
        assert columns.max() < alpha.shape[1] - 7


def test_nothing_jumps_not_even_where_the_clip_begins_again(clip: list[tuple[Planes, U8]]) -> None:
    steps = [np.abs(one.y.astype(np.int16) - other.y).mean() for (one, _), (other, _) in pairwise([*clip, clip[0]])]
    assert steps[-1] < 2 * np.median(steps)
    assert min(steps) > 0


# The camera


@pytest.mark.parametrize(
    "size", [Size(1280, 720), Size(640, 360), Size(320, 240), Size(641, 361), Size(90, 160)], ids=str
)
def test_any_size_is_filled_with_the_clip(size: Size) -> None:
    source, _ = _paced(30, size)
    source.open()
    first = _read(source).planes
    copy = first.data.copy()
    np.testing.assert_array_equal(copy, _frame(0, size))
    for number in range(1, 4):
        np.testing.assert_array_equal(_read(source).planes.data, _frame(number, size))
    np.testing.assert_array_equal(first.data, copy)
    assert not first.data.flags.writeable
    source.close()
    assert source.read() is None


@pytest.mark.parametrize(("fps", "numbers"), [(60, [0, 0, 1, 1]), (30, [0, 1, 2, 3]), (10, [0, 3, 6, 9])])
def test_at_any_rate_the_presenter_moves_as_fast_and_frames_come_at_absolute_deadlines(
    fps: float, numbers: list[int]
) -> None:
    source, clock = _paced(fps)
    for _ in range(2):  # opened again it begins again
        source.open()
        start = clock.now
        for place, number in enumerate(numbers):
            captured = _read(source)
            np.testing.assert_array_equal(captured.planes.data, _frame(number))
            assert captured.captured_at - start == pytest.approx(place / fps)
            clock.now += 0.4 / fps  # the reader's own work
        assert source.dropped() == 0
        source.close()


def test_a_frame_that_nobody_asked_for_in_time_is_left_out_and_counted() -> None:
    source, clock = _paced(10)
    source.open()
    _read(source)
    clock.now += 0.25
    np.testing.assert_array_equal(_read(source).planes.data, _frame(6))
    assert source.dropped() == 1


def test_after_its_end_the_clip_begins_again() -> None:
    source, _ = _paced(5)
    source.open()
    shown = [_read(source).planes.data for _ in range(64)]
    np.testing.assert_array_equal(shown[63], _frame(63 * 6 - LENGTH))


def test_the_spec_demo_opens_it_at_the_wanted_size_and_rate() -> None:
    source = open_source(SourceSpec.parse("demo"), Requested(SIZE, 25.0))
    expected = source.expected()
    got = source.open()
    source.close()
    assert got == expected
    assert (got.size, got.fps) == (SIZE, 25.0)
    assert source.clocked
