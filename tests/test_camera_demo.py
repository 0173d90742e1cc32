"""camera.demo: the clip of the drawn presenter, and the camera that plays it at a camera's pace."""

from __future__ import annotations

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

    def __call__(self) -> float:
        return self.now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if event.is_set():
            return True
        self.now += seconds
        return False


def _source(clock: Clock, fps: float = 10.0, size: Size = SIZE) -> DemoSource:
    return DemoSource(size, fps, clock=clock, wait=clock.wait)


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
    source = _source(Clock(), 30, size)
    source.open()
    for number in range(2):
        np.testing.assert_array_equal(_read(source).planes.data, _frame(number, size))


@pytest.mark.parametrize(("fps", "numbers"), [(60, [0, 0, 1, 1]), (30, [0, 1, 2, 3]), (10, [0, 3, 6, 9])])
def test_at_any_rate_the_presenter_moves_as_fast(fps: float, numbers: list[int]) -> None:
    source = _source(Clock(), fps)
    source.open()
    for number in numbers:
        np.testing.assert_array_equal(_read(source).planes.data, _frame(number))


def test_after_its_end_the_clip_begins_again() -> None:
    source = _source(Clock(), 1)
    source.open()
    shown = [_read(source).planes.data for _ in range(14)]
    np.testing.assert_array_equal(shown[13], _frame(13 * 30 - LENGTH))


def test_a_frame_stays_as_it_is_while_later_ones_are_read() -> None:
    source = _source(Clock())
    source.open()
    held = _read(source).planes
    copy = held.data.copy()
    for _ in range(12):
        _read(source)
    np.testing.assert_array_equal(held.data, copy)
    assert not held.data.flags.writeable


def test_the_spec_demo_opens_it_at_the_wanted_size_and_rate() -> None:
    source = open_source(SourceSpec.parse("demo"), Requested(SIZE, 25.0))
    expected = source.expected()
    got = source.open()
    source.close()
    assert got == expected
    assert (got.size, got.fps) == (SIZE, 25.0)
    assert source.clocked


def test_frames_come_at_absolute_deadlines() -> None:
    clock = Clock()
    source = _source(clock)
    source.open()
    times = []
    for _ in range(20):
        times.append(_read(source).captured_at)
        clock.now += 0.03  # the reader's own work
    np.testing.assert_allclose(times, 100 + np.arange(20) / 10, atol=1e-9)
    assert source.dropped() == 0


def test_frames_that_nobody_asked_for_in_time_are_left_out_and_counted() -> None:
    clock = Clock()
    source = _source(clock)
    source.open()
    _read(source)
    clock.now = 100.35
    late = _read(source)
    assert source.dropped() == 2, "those due at 100.1 and 100.2"
    assert late.captured_at == pytest.approx(100.35)
    np.testing.assert_array_equal(late.planes.data, _frame(9))
    assert _read(source).captured_at == pytest.approx(100.4)
    assert source.dropped() == 2


def test_a_long_stop_is_no_more_than_a_second_of_the_clip() -> None:
    clock = Clock()
    source = _source(clock)
    source.open()
    _read(source)
    clock.now += 3600
    np.testing.assert_array_equal(_read(source).planes.data, _frame(33))
    assert source.dropped() == 35_999


def test_a_reader_that_is_a_little_late_loses_nothing() -> None:
    clock = Clock()
    source = _source(clock)
    source.open()
    for number in range(4):
        np.testing.assert_array_equal(_read(source).planes.data, _frame(3 * number))
        clock.now = 100 + number / 10 + 0.199
    assert source.dropped() == 0


def test_close_from_another_thread_breaks_a_waiting_read() -> None:
    waiting, answers = threading.Event(), []

    def wait(event: threading.Event, seconds: float) -> bool:
        if seconds > 1:
            waiting.set()
        return event.wait(seconds)

    source = DemoSource(SIZE, 0.5, wait=wait)
    source.open()
    _read(source)
    reader = threading.Thread(target=lambda: answers.append(source.read()), daemon=True)
    reader.start()
    assert waiting.wait(30)
    source.close()
    source.close()
    reader.join(30)
    assert answers == [None]


def test_a_closed_source_gives_nothing_and_keeps_its_count() -> None:
    clock = Clock()
    source = _source(clock)
    assert source.read() is None
    source.open()
    clock.now += 0.5
    _read(source)
    source.close()
    assert source.read() is None
    assert source.dropped() == 5


def test_opened_again_it_begins_again() -> None:
    clock = Clock()
    source = _source(clock)
    source.open()
    first = _read(source).planes.data.copy()
    clock.now += 3
    _read(source)
    source.close()
    source.open()
    again = _read(source)
    np.testing.assert_array_equal(again.planes.data, first)
    assert again.captured_at == clock.now
    assert source.dropped() == 0
