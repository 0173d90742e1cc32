"""camera.demo: the drawn presenter at a camera's pace."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from vbgcam.camera import Captured, Requested, Source, drawn, open_source
from vbgcam.camera.demo import DemoCamera, DemoSource
from vbgcam.core.frames import Size
from vbgcam.core.specs import SourceSpec
from vbgcam.pixels import convert

SIZE = Size(96, 54)


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


def _source(clock: Clock, fps: float = 10.0) -> DemoSource:
    return DemoSource(SIZE, fps, clock=clock, wait=clock.wait)


def _read(source: Source) -> Captured:
    captured = source.read()
    assert captured is not None
    return captured


@pytest.mark.parametrize("size", [Size(640, 360), Size(322, 180), Size(641, 361), Size(90, 160), Size(16, 16)], ids=str)
@pytest.mark.parametrize("seconds", [0.0, 1.6, 10.5])
def test_without_noise_the_planes_are_those_of_the_drawn_frame_to_the_digit(size: Size, seconds: float) -> None:
    planes = DemoCamera(size, noise=False).frame(seconds, 0)
    np.testing.assert_array_equal(planes.data, convert.from_rgb(drawn.frame(size, seconds)).data)


def test_noise_is_small_and_belongs_to_the_frame_number() -> None:
    clean = DemoCamera(SIZE, noise=False).frame(1.0, 7).data.astype(np.int16)
    camera = DemoCamera(SIZE)
    noisy = camera.frame(1.0, 7).data
    assert 0.3 < np.abs(noisy - clean).mean() < 2
    np.testing.assert_array_equal(noisy, camera.frame(1.0, 7).data)
    assert (noisy != camera.frame(1.0, 8).data).any()


def test_a_frame_stays_as_it_is_while_later_ones_are_made() -> None:
    camera = DemoCamera(SIZE)
    held = camera.frame(0.0, 0)
    copy = held.data.copy()
    for number in range(1, 12):
        camera.frame(number / 10, number)
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
    np.testing.assert_array_equal(late.planes.data, DemoCamera(SIZE).frame(0.3, 3).data)
    assert _read(source).captured_at == pytest.approx(100.4)
    assert source.dropped() == 2


def test_a_reader_that_is_a_little_late_loses_nothing() -> None:
    clock = Clock()
    source = _source(clock)
    source.open()
    for number in range(10):
        captured = _read(source)
        np.testing.assert_array_equal(captured.planes.data, DemoCamera(SIZE).frame(number / 10, number).data)
        clock.now = 100 + number / 10 + 0.199
    assert source.dropped() == 0


def test_close_from_another_thread_breaks_a_waiting_read() -> None:
    waiting, answers = threading.Event(), []

    def wait(event: threading.Event, seconds: float) -> bool:
        if seconds > 1:
            waiting.set()
        return event.wait(seconds)

    source = DemoSource(SIZE, 0.001, wait=wait)
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
