"""A camera as a source, with stand-ins for system and stream: errors, silence, damage, and closing at any time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from vbgcam.camera import Negotiated, Requested, device
from vbgcam.camera.base import Broken, CameraInfo, Layout, Mode
from vbgcam.camera.device import DeviceSource
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import U8, Size

SIZE = Size(16, 8)
GOOD = np.full(SIZE.i420_bytes, 90, np.uint8)
DAMAGED = GOOD[:50]
CAMERA = CameraInfo("Cam", "/dev/video0", "usb-Cam", "uvcvideo", (Mode("YU12", SIZE, (30.0,)),))


class Clock:
    """Seconds pass only where somebody waits."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class FakeStream:
    """`script`: what each `wait` does: a picture, None for one that does not come in time, an exception to be raised.
    After it nothing comes any more. Fails the test where two calls overlap or anything follows `release`."""

    clock: Clock
    script: Iterator[U8 | Broken | None]
    layout: Layout = field(default_factory=lambda: Layout("YU12", SIZE, SIZE.width))
    fps: float = 30.0
    skipped: int = 0
    note: str = ""
    released: int = 0
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))
    entered: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event | None = None

    def wait(self, seconds: float) -> U8 | None:
        assert self.waiting.acquire(blocking=False), "two calls at a time"
        try:
            assert not self.released
            assert 0 < seconds <= 0.2
            self.entered.set()
            step = next(self.script, None)
            if self.hold is not None and step is None:
                self.hold.wait(30)
            if step is None:
                self.clock.now += seconds
            if isinstance(step, Broken):
                raise step
            return step
        finally:
            self.waiting.release()

    def release(self) -> None:
        assert self.waiting.acquire(blocking=False), "released under a running wait"
        self.released += 1
        self.waiting.release()


@dataclass
class FakeSystem:
    """`streams`: what each `start` gives or raises."""

    streams: Iterator[FakeStream | Exception] = field(default_factory=lambda: iter(()))
    found: list[CameraInfo] = field(default_factory=lambda: [CAMERA])

    def cameras(self) -> list[CameraInfo]:
        return self.found

    def at(self, path: str) -> CameraInfo:
        return CameraInfo("At", path, "", "")

    def expected(self, camera: CameraInfo, wanted: Requested) -> Negotiated:
        return Negotiated(camera.name, wanted.size, wanted.fps)

    def start(self, camera: CameraInfo, wanted: Requested) -> FakeStream:
        stream = next(self.streams)
        if isinstance(stream, Exception):
            raise stream
        return stream

    def refusal(self, camera: CameraInfo) -> CameraError:
        return CameraError(f"{camera.name} refuses")

    def loss(self, camera: CameraInfo) -> CameraError:
        return CameraError(f"{camera.name} is lost")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(device, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def source(
    *streams: FakeStream | Exception, target: str = "0", found: Iterable[CameraInfo] = (CAMERA,)
) -> DeviceSource:
    return DeviceSource(target, Requested(SIZE), FakeSystem(iter(streams), list(found)))


def stream(clock: Clock, *script: U8 | Broken | None, **more: object) -> FakeStream:
    return FakeStream(clock, iter(script), **more)  # type: ignore[arg-type]


def test_open_returns_with_the_first_picture_and_read_begins_with_it(clock: Clock) -> None:
    pictures = [np.full(SIZE.i420_bytes, value, np.uint8) for value in (1, 2, 3)]
    camera = source(stream(clock, None, None, *pictures))
    assert camera.open() == Negotiated("Cam", SIZE, 30.0, "YU12")
    assert [read.planes.y[0, 0] for read in (camera.read(), camera.read(), camera.read()) if read] == [1, 2, 3]


def test_a_picture_is_stamped_when_it_arrives(clock: Clock) -> None:
    camera = source(stream(clock, GOOD, None, GOOD))
    camera.open()
    started = clock.now
    first, second = camera.read(), camera.read()
    assert first is not None
    assert second is not None
    assert (first.captured_at, second.captured_at) == (started, started + 0.1)


def test_a_camera_that_stays_silent_for_two_seconds_is_an_error(clock: Clock) -> None:
    camera = source(stream(clock, GOOD))
    camera.open()
    camera.read()
    started = clock.now
    with pytest.raises(CameraError, match=r'"Cam" \(/dev/video0\) has sent no picture for 2 seconds; unplug it'):
        camera.read()
    assert clock.now - started == pytest.approx(2)


def test_the_first_picture_may_take_longer(clock: Clock) -> None:
    camera = source(stream(clock, *[None] * 40, GOOD))
    assert camera.open().size == SIZE


def test_a_camera_that_never_sends_is_released_before_the_system_looks_why(clock: Clock) -> None:
    silent = stream(clock)
    camera = source(silent)
    started = clock.now
    with pytest.raises(CameraError, match="Cam refuses"):
        camera.open()
    assert silent.released == 1
    assert clock.now - started == pytest.approx(5)


def test_damaged_pictures_are_left_out_and_counted(clock: Clock) -> None:
    camera = source(stream(clock, GOOD, DAMAGED, DAMAGED, GOOD, skipped=3))
    camera.open()
    assert camera.dropped() == 3
    assert camera.read() is not None
    assert camera.read() is not None
    assert camera.dropped() == 5
    camera.close()
    assert camera.dropped() == 5


def test_nothing_but_damaged_pictures_for_two_seconds_is_an_error(clock: Clock) -> None:
    def trickle() -> Iterator[U8 | None]:
        yield GOOD
        while True:
            yield DAMAGED
            yield None

    camera = source(FakeStream(clock, trickle()))
    camera.open()
    camera.read()
    with pytest.raises(CameraError, match=r"only damaged pictures \(2\d\) for 2 seconds"):
        camera.read()


def test_damage_from_the_start_is_told_apart_from_silence(clock: Clock) -> None:
    camera = source(stream(clock, DAMAGED, DAMAGED))
    with pytest.raises(CameraError, match=r"only damaged pictures \(2\) for 5 seconds"):
        camera.open()


def test_a_camera_that_breaks_while_it_is_read_is_a_loss_and_can_be_opened_again(clock: Clock) -> None:
    first, second = stream(clock, GOOD, Broken("gone")), stream(clock, GOOD, GOOD)
    camera = source(first, second)
    camera.open()
    camera.read()
    with pytest.raises(CameraError, match="Cam is lost"):
        camera.read()
    camera.close()
    assert first.released == 1
    camera.open()
    assert camera.read() is not None
    assert camera.dropped() == 0


def test_opening_again_without_close_releases_what_was_open(clock: Clock) -> None:
    first, second = stream(clock, GOOD), stream(clock, GOOD)
    camera = source(first, second)
    camera.open()
    camera.open()
    assert (first.released, second.released) == (1, 0)


@pytest.mark.parametrize("failure", [Broken("busy"), CameraError("Cam refuses")])
def test_a_camera_that_does_not_start_is_refused(clock: Clock, failure: Exception) -> None:
    camera = source(failure, stream(clock, GOOD))
    with pytest.raises(CameraError, match="Cam refuses"):
        camera.open()
    assert camera.open().label == "Cam"


def test_a_stream_that_breaks_at_its_start_is_released_and_refused(clock: Clock) -> None:
    broken = stream(clock, Broken("stream on"))
    with pytest.raises(CameraError, match="Cam refuses"):
        source(broken).open()
    assert broken.released == 1


@pytest.mark.parametrize("layout", [Layout("H264", SIZE), Layout("YUYV", Size(15, 8))])
def test_a_camera_that_gives_what_nobody_asked_for_is_refused_unless_it_can_be_read(
    clock: Clock, layout: Layout
) -> None:
    strange = stream(clock, GOOD, layout=layout)
    with pytest.raises(CameraError, match=f"gives {layout.size} {layout.fourcc}, which cannot be used"):
        source(strange).open()
    assert strange.released == 1


def test_before_open_and_after_close_read_says_the_end(clock: Clock) -> None:
    camera = source(stream(clock, GOOD))
    camera.close()
    assert camera.read() is None
    camera.open()
    camera.close()
    camera.close()
    assert camera.read() is None


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """What `work` returned or raised, once the thread is joined."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except CameraError as exc:
            results.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def test_close_ends_a_read_that_waits_and_never_releases_under_it(clock: Clock) -> None:
    def endless() -> Iterator[U8 | None]:
        yield GOOD
        yield GOOD
        while True:
            clock.now -= 0.1  # no time passes: without `close` the read would wait for ever
            yield None

    waiting = FakeStream(clock, endless())
    camera = source(waiting)
    camera.open()
    camera.read()
    camera.read()
    waiting.entered.clear()
    thread, results = in_thread(camera.read)
    assert waiting.entered.wait(30)
    camera.close()
    thread.join(30)
    assert results == [None]
    assert waiting.released == 1


@pytest.mark.parametrize("opening", [True, False])
def test_close_does_not_wait_for_a_camera_that_hangs_which_is_released_when_it_comes_back(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, opening: bool
) -> None:
    monkeypatch.setattr(device, "_CLOSE", 0.01)
    hold = threading.Event()
    hanging = stream(clock, *([] if opening else [GOOD]), hold=hold)
    camera = source(hanging)
    if not opening:
        camera.open()
        camera.read()
    hanging.entered.clear()
    thread, results = in_thread(camera.open if opening else camera.read)
    assert hanging.entered.wait(30)
    camera.close()
    assert hanging.released == 0
    hold.set()
    thread.join(30)
    assert hanging.released == 1
    assert results == [Negotiated("Cam", SIZE, 30.0, "YU12") if opening else None]
    assert camera.read() is None


def test_the_first_camera_stands_in_for_number_0_and_the_log_says_so_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    other = CameraInfo("Other", "/dev/video3", "", "", CAMERA.modes)
    camera = source(
        stream(clock, GOOD, note="asked for more"), stream(clock, GOOD, note="asked for more"), found=[other]
    )
    with caplog.at_level(logging.INFO, "vbgcam"):
        assert camera.expected() == Negotiated("Other", SIZE, 30.0)
        assert camera.open().label == "Other"
        camera.open()
    assert [record.getMessage() for record in caplog.records] == [
        '/dev/video0 is no camera; taking "Other" (/dev/video3)',
        "asked for more",
    ]


@pytest.mark.parametrize(
    ("target", "label"), [("/dev/video7", "At"), ("/dev/v4l/by-id/x", "At"), ("cam", "Cam"), ("usb-Cam", "Cam")]
)
def test_a_path_goes_to_the_system_and_a_name_to_the_list(target: str, label: str) -> None:
    expected = source(target=target).expected()
    assert expected is not None
    assert expected.label == label


def test_a_camera_that_is_not_there_is_an_error_before_anything_is_opened() -> None:
    with pytest.raises(CameraError, match="there is no camera called 'x'"):
        source(target="x").expected()
