"""A film in place of a camera: at its own pace, never in a burst; or as fast as it is read."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clips import SIZE, film, grey, sound_only
from vbgcam.camera import Negotiated, Requested, Source, open_source
from vbgcam.camera.file import FileSource, Pace
from vbgcam.core.errors import CameraError
from vbgcam.core.specs import SourceSpec
from vbgcam.pixels.convert import to_av


class Clock:
    """Time that passes only where something waits for it, or takes it. Stands in for the source's Event as well."""

    def __init__(self, now: float = 5000.0) -> None:
        self.now = now
        self.waits: list[float] = []
        self.closed = threading.Event()

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        self.now += timeout
        return self.closed.is_set()

    def set(self) -> None:
        self.closed.set()

    def clear(self) -> None:
        self.closed.clear()

    def is_set(self) -> bool:
        return self.closed.is_set()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames at 25 a second, each with a grey of its own."""
    return film(tmp_path / "clip.mp4", [to_av(grey(SIZE, 40 + 15 * number)) for number in range(10)], rate=25)


def paced(path: Path, *, loop: bool = False) -> tuple[FileSource, Clock]:
    clock = Clock()
    source = FileSource(path, loop=loop, clock=clock)
    source._closed = clock  # type: ignore[assignment]  # so that its waiting takes the fake time
    return source, clock


def read_all(source: FileSource, most: int = 1000) -> Iterator[tuple[int, float]]:
    """Each frame's number, by its grey, and when it came."""
    for _ in range(most):
        captured = source.read()
        if captured is None:
            return
        yield round((int(captured.planes.y[20, 20]) - 40) / 15), captured.captured_at


def test_the_spec_opens_it(clip: Path) -> None:
    source: Source = open_source(SourceSpec.parse(f"file:{clip}?loop=1&pace=max"), Requested(SIZE))
    assert source.expected() == Negotiated("clip.mp4", SIZE, 25.0)
    assert not source.clocked
    assert source.open() == Negotiated("clip.mp4", SIZE, 25.0)
    captured = source.read()
    assert captured is not None
    assert not captured.planes.data.flags.writeable
    source.close()


def test_each_frame_comes_at_its_own_time_and_the_last_one_stands_for_its_time(clip: Path) -> None:
    source, clock = paced(clip)
    source.open()
    assert source.clocked
    start = clock.now
    frames = list(read_all(source))
    assert [number for number, _ in frames] == list(range(10))
    assert [at - start for _, at in frames] == pytest.approx([number / 25 for number in range(10)])
    assert clock.now - start == pytest.approx(0.4)
    assert source.dropped() == 0
    assert source.read() is None


def test_a_slow_reader_loses_frames_and_never_gets_a_burst(clip: Path) -> None:
    source, clock = paced(clip)
    source.open()
    start = clock.now
    seen = []
    while (captured := source.read()) is not None:
        seen.append((round((int(captured.planes.y[20, 20]) - 40) / 15), captured.captured_at - start))
        clock.now += 0.11  # it takes almost three frames for each
    assert [number for number, _ in seen] == [0, 2, 5, 8]
    assert source.dropped() == 10 - len(seen)
    for number, at in seen:
        assert 0 <= at - number / 25 < 1 / 25


def test_a_loop_goes_on_without_a_gap(clip: Path) -> None:
    source, clock = paced(clip, loop=True)
    source.open()
    start = clock.now
    frames = list(read_all(source, 35))
    assert [number for number, _ in frames] == [number % 10 for number in range(35)]
    assert [at - start for _, at in frames] == pytest.approx([number / 25 for number in range(35)])
    source.close()


def test_a_film_that_does_not_start_at_zero_starts_at_once_all_the_same(tmp_path: Path) -> None:
    times = [90_000 * second for second in (10, 11, 12)]
    path = film(tmp_path / "a.mkv", [to_av(grey(SIZE, 40))] * 3, times=times)
    source, clock = paced(path, loop=True)
    source.open()
    start = clock.now
    times_seen = sorted({round(at - start, 2) for _, at in read_all(source, 12)})
    assert times_seen[0] == 0
    assert times_seen[-1] < 4
    source.close()


def test_a_picture_that_stands_for_long_is_given_again_as_a_camera_would(tmp_path: Path) -> None:
    pictures = [to_av(grey(SIZE, 40)), to_av(grey(SIZE, 55))]
    path = film(tmp_path / "a.mkv", pictures, times=[0, 180_000])
    source, clock = paced(path)
    source.open()
    start = clock.now
    frames = list(read_all(source))
    assert [number for number, _ in frames] == [0] * 8 + [1]
    assert [round(at - start, 2) for _, at in frames] == [0.25 * number for number in range(9)]
    assert source.dropped() == 0


def test_as_fast_as_it_is_read_gives_every_frame_and_waits_for_nothing(clip: Path) -> None:
    clock = Clock()
    source = FileSource(clip, paced=False, clock=clock)
    source.open()
    frames = []
    for frame in read_all(source):
        frames.append(frame)
        clock.now += 1000
    assert [number for number, _ in frames] == list(range(10))
    assert [at for _, at in frames] == [5000.0 + 1000 * number for number in range(10)]
    assert source.dropped() == 0


def test_closing_breaks_a_waiting_read_at_once(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [to_av(grey(SIZE, 40))] * 2, times=[0, 90_000 * 3600])
    source = FileSource(path)
    source.open()
    assert source.read() is not None
    found: list[object] = []
    reader = threading.Thread(target=lambda: found.extend(iter(source.read, None)))
    reader.start()
    source.close()
    reader.join(60)  # the frame itself is due in an hour
    assert not reader.is_alive()
    assert source.read() is None


def test_closing_again_and_again_from_anywhere_while_it_reads_is_safe(clip: Path) -> None:
    source = FileSource(clip, loop=True, paced=False)
    for _ in range(10):
        source.open()
        started = threading.Event()

        def read(started: threading.Event = started) -> None:
            while source.read() is not None:
                started.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert started.wait(60)
        source.close()
        source.close()
        reader.join(60)
        assert not reader.is_alive()


def test_it_may_be_opened_again_and_begins_anew(clip: Path) -> None:
    source, _ = paced(clip)
    for _ in range(2):
        source.open()
        assert next(read_all(source))[0] == 0
        assert next(read_all(source))[0] == 1
    source.close()


def test_what_cannot_be_read_is_a_camera_error_when_asked_and_when_opened(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    for path in (tmp_path / "missing.mp4", text, sound_only(tmp_path / "sound.mp4"), tmp_path):
        source = FileSource(path)
        for call in (source.expected, source.open):
            with pytest.raises(CameraError) as error:
                call()
            assert str(path) in str(error.value)
            assert "\n" not in str(error.value)


def test_a_process_that_was_stopped_goes_on_where_it_was_and_says_what_it_missed() -> None:
    pace = Pace()
    assert pace.decide(0.0, 0.04, 100.0) == 0.0
    assert pace.decide(0.04, 0.04, 700.0) == 0.0  # ten minutes later
    assert pace.lost == pytest.approx(599.96 / 0.04, abs=1)
    assert pace.decide(0.08, 0.04, 700.0) == pytest.approx(0.04)


def test_a_film_that_is_read_more_slowly_than_it_plays_still_gives_frames() -> None:
    pace, now, shown = Pace(), 0.0, 0
    for number in range(300):
        now += 0.05  # reading one frame takes longer than the 40 ms that it lasts
        wait = pace.decide(number * 0.04, 0.04, now)
        if wait is not None:
            now += wait
            shown += 1
    assert shown > 150
    assert pace.lost >= 300 - shown


@given(
    st.lists(st.tuples(st.floats(0.001, 0.5), st.floats(0, 2)), min_size=1, max_size=60),
    st.floats(0, 1e6),
)
def test_whatever_the_delays_no_frame_comes_early_and_none_is_lost_unsaid(
    steps: list[tuple[float, float]], start: float
) -> None:
    """`steps`: how long each frame lasts, and how long its reader then takes."""
    pace, now, due = Pace(), start, 0.0
    shown: list[tuple[float, float]] = []
    left_out = 0
    for lasts, busy in steps:
        wait = pace.decide(due, lasts, now)
        if wait is None:
            left_out += 1
        else:
            assert wait >= 0
            now += wait
            shown.append((due, now))
            now += busy
        due += lasts
    assert pace.lost >= left_out
    for (due_a, at_a), (due_b, at_b) in itertools.pairwise(shown):
        assert at_b >= at_a
        assert at_b - shown[0][1] >= due_b - shown[0][0] - 1e-6 * max(1.0, start / 1e6)
        assert due_b > due_a
