"""A camera as a source, with stand-ins for system and stream: errors, silence, damage, and closing at any time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import ClassVar, Self

import numpy as np
import pytest

from vbgcam.camera import Negotiated, Requested, device, listing
from vbgcam.camera.base import CameraInfo, Layout, Mode, StreamError
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
    script: Iterator[U8 | StreamError | None]
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
            if isinstance(step, StreamError):
                raise step
            return step
        finally:
            self.waiting.release()

    def release(self) -> None:
        assert self.waiting.acquire(blocking=False), "released under a running wait"
        self.released += 1
        self.waiting.release()


@dataclass
class FakeBackend:
    """`streams`: what each `start` gives or raises. The newest one's `found` are this machine's cameras."""

    streams: Iterator[FakeStream | Exception] = field(default_factory=lambda: iter(()))
    found: list[CameraInfo] = field(default_factory=lambda: [CAMERA])
    asked: list[str] = field(default_factory=list)
    started: list[FakeStream] = field(default_factory=list)
    held_at_loss: int = 0
    newest: ClassVar[FakeBackend]

    def __post_init__(self) -> None:
        FakeBackend.newest = self

    def expected(self, camera: CameraInfo, wanted: Requested) -> Negotiated:
        return Negotiated(camera.name, wanted.size, wanted.fps)

    def start(self, camera: CameraInfo, wanted: Requested) -> FakeStream:
        self.asked.append(str(camera))
        stream = next(self.streams)
        if isinstance(stream, Exception):
            raise stream
        self.started.append(stream)
        return stream

    def refusal(self, camera: CameraInfo) -> CameraError:
        return CameraError(f"{camera.name} refuses")

    def loss(self, camera: CameraInfo) -> CameraError:
        self.held_at_loss = sum(not stream.released for stream in self.started)
        return CameraError(f"{camera.name} is lost")


@pytest.fixture(autouse=True)
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(path: str) -> CameraInfo | None:
        return next((camera for camera in FakeBackend.newest.found if camera.path == path), None)

    monkeypatch.setattr(listing, "cameras", lambda: FakeBackend.newest.found)
    monkeypatch.setattr(listing, "camera_at", at)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(device, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def source(
    *streams: FakeStream | Exception, target: str = "0", found: Iterable[CameraInfo] = (CAMERA,)
) -> DeviceSource:
    return DeviceSource(target, Requested(SIZE), FakeBackend(iter(streams), list(found)))


def stream(clock: Clock, *script: U8 | StreamError | None, **more: object) -> FakeStream:
    return FakeStream(clock, iter(script), **more)  # type: ignore[arg-type]


def reading(*streams: FakeStream) -> tuple[DeviceSource, FakeBackend]:
    """One that was opened and whose first picture was read."""
    backend = FakeBackend(iter(streams))
    camera = DeviceSource("0", Requested(SIZE), backend)
    camera.open()
    assert camera.read() is not None
    return camera, backend


def test_open_returns_with_the_first_picture_and_read_begins_with_it(clock: Clock) -> None:
    pictures = [np.full(SIZE.i420_bytes, value, np.uint8) for value in (1, 2, 3)]
    camera = source(stream(clock, *[None] * 40, *pictures))  # the first one may take longer
    assert camera.open() == Negotiated("Cam", SIZE, 30.0, "YU12")
    assert [read.planes.y[0, 0] for read in (camera.read(), camera.read(), camera.read()) if read] == [1, 2, 3]


def test_a_picture_is_stamped_when_it_arrives(clock: Clock) -> None:
    camera = source(stream(clock, GOOD, None, GOOD))
    camera.open()
    started = clock.now
    stamps = [captured.captured_at for captured in (camera.read(), camera.read()) if captured]
    assert stamps == [started, started + 0.1]


@pytest.mark.parametrize(
    ("script", "text", "seconds"),
    [
        ([], r'"Cam" \(/dev/video0\) has sent no picture for 2 seconds; unplug it', 2),
        ([DAMAGED, None] * 99, r"only damaged pictures \(2\d\) for 2 seconds", 2),
        ([StreamError("unplugged")], "Cam is lost", 0),
    ],
    ids=["silent", "damaged", "lost"],
)
def test_a_camera_that_fails_is_closed_before_anybody_hears_of_it_and_can_be_opened_again(
    clock: Clock, script: list[U8 | StreamError | None], text: str, seconds: float
) -> None:
    failing = stream(clock, GOOD, *script)
    camera, backend = reading(failing, stream(clock, GOOD))
    started = clock.now
    with pytest.raises(CameraError, match=text):
        camera.read()
    assert clock.now - started == pytest.approx(seconds)
    assert failing.released == 1
    assert backend.held_at_loss == 0
    camera.close()
    camera.open()
    assert camera.read() is not None
    assert camera.dropped() == 0


@pytest.mark.parametrize(
    ("script", "layout", "text", "seconds"),
    [
        ([], None, "Cam refuses", 5),
        ([StreamError("stream on")], None, "Cam refuses", 0),
        ([DAMAGED, DAMAGED], None, r"only damaged pictures \(2\) for 5 seconds", 5),
        ([GOOD], Layout("H264", SIZE), "gives 16x8 H264, which cannot be used", 0),
        ([GOOD], Layout("YUYV", Size(15, 8)), "gives 15x8 YUYV, which cannot be used", 0),
    ],
    ids=["silent", "broken", "damaged", "format", "odd size"],
)
def test_a_camera_that_starts_and_gives_no_good_picture_is_released_and_refused(
    clock: Clock, script: list[U8 | StreamError | None], layout: Layout | None, text: str, seconds: float
) -> None:
    failing = stream(clock, *script, **({"layout": layout} if layout else {}))
    started = clock.now
    with pytest.raises(CameraError, match=text):
        source(failing).open()
    assert failing.released == 1
    assert clock.now - started == pytest.approx(seconds)


@pytest.mark.parametrize("failure", [StreamError("busy"), CameraError("Cam refuses")])
def test_a_camera_that_does_not_start_is_refused(clock: Clock, failure: Exception) -> None:
    camera = source(failure, stream(clock, GOOD))
    with pytest.raises(CameraError, match="Cam refuses"):
        camera.open()
    assert camera.open().label == "Cam"


def test_damaged_pictures_are_left_out_and_counted(clock: Clock) -> None:
    camera, _ = reading(stream(clock, GOOD, DAMAGED, DAMAGED, GOOD, skipped=3))
    assert camera.dropped() == 3
    assert camera.read() is not None
    assert camera.dropped() == 5
    camera.close()
    assert camera.dropped() == 5


def test_opening_again_without_close_releases_what_was_open(clock: Clock) -> None:
    first, second = stream(clock, GOOD), stream(clock, GOOD)
    camera = source(first, second)
    camera.open()
    camera.open()
    assert (first.released, second.released) == (1, 0)


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
    camera, _ = reading(waiting)
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


TARGETS = ["0", "/dev/video0", "cam", "usb-Cam"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_camera_is_meant_by_number_path_name_or_id(target: str) -> None:
    expected = source(target=target).expected()
    assert expected is not None
    assert expected.label == "Cam"


@pytest.mark.parametrize(("target", "what"), [("x", "called 'x'"), ("/dev/x", "at /dev/x")])
def test_a_camera_that_is_not_there_is_an_error_before_anything_is_opened(target: str, what: str) -> None:
    with pytest.raises(CameraError, match=f"there is no camera {what}"):
        source(target=target).expected()


MOVED = replace(CAMERA, path="/dev/video1")
OTHER = replace(CAMERA, name="Other", id="usb-Other")


@dataclass
class Replugged:
    """A source that was open and has lost its camera; what is plugged in then is `backend.found`."""

    camera: DeviceSource
    backend: FakeBackend

    @classmethod
    def after(cls, clock: Clock, target: str, *found: CameraInfo, plugged_in: Sequence[CameraInfo] = (CAMERA,)) -> Self:
        backend = FakeBackend(iter([stream(clock, GOOD) for _ in range(3)]), list(plugged_in))
        camera = DeviceSource(target, Requested(SIZE), backend)
        camera.open()
        camera.close()
        backend.asked.clear()
        backend.found = list(found)
        return cls(camera, backend)


@pytest.mark.parametrize("target", TARGETS)
def test_a_camera_that_comes_back_with_another_number_is_found_by_its_id(
    clock: Clock, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    again = Replugged.after(clock, target, OTHER, MOVED)  # now another camera has its number
    with caplog.at_level(logging.INFO, "vbgcam"):
        again.camera.open()
        again.camera.open()
    assert again.backend.asked == [str(MOVED)] * 2
    assert caplog.messages == ['"Cam" is /dev/video1 now']


def test_of_two_cameras_with_one_id_the_one_that_kept_its_path_is_taken(clock: Clock) -> None:
    again = Replugged.after(clock, "0", MOVED, CAMERA)
    again.camera.open()
    assert again.backend.asked == [str(CAMERA)]


def test_another_webcam_of_its_model_is_never_taken_for_it(clock: Clock) -> None:
    again = Replugged.after(clock, "/dev/video0", MOVED, plugged_in=[CAMERA, MOVED])
    with pytest.raises(CameraError, match="there is no camera at /dev/video0"):
        again.camera.open()
    assert again.backend.asked == []


@pytest.mark.parametrize("target", ["0", "/dev/video0"])
def test_where_its_id_is_gone_the_target_is_looked_for_anew_and_the_log_says_so(
    clock: Clock, caplog: pytest.LogCaptureFixture, target: str
) -> None:
    again = Replugged.after(clock, target, OTHER)
    with caplog.at_level(logging.INFO, "vbgcam"):
        again.camera.open()
    assert again.backend.asked == [str(OTHER)]
    assert caplog.messages == ['"Cam" (/dev/video0) is gone; taking "Other" (/dev/video0)']


def test_a_name_or_id_of_a_camera_that_is_gone_is_no_other_camera(clock: Clock) -> None:
    for target in ("cam", "usb-Cam"):
        with pytest.raises(CameraError, match="there is no camera called"):
            Replugged.after(clock, target, OTHER).camera.open()


def test_a_camera_without_an_id_is_looked_for_by_its_target_alone(clock: Clock) -> None:
    nameless = replace(CAMERA, id="")
    again = Replugged.after(clock, "/dev/video0", nameless, MOVED, plugged_in=[nameless])
    again.camera.open()
    assert again.backend.asked == [str(nameless)]


def test_a_close_that_comes_just_before_open_is_not_forgotten(clock: Clock) -> None:
    """The session ends while the capture worker is about to open the camera: its LED stays off."""
    backend = FakeBackend(iter([stream(clock, GOOD)]))
    camera = DeviceSource("0", Requested(SIZE), backend)
    thread, _ = in_thread(camera.close)
    thread.join(30)
    camera.open()
    assert camera.read() is None
    assert backend.asked == []
    camera.close()
    camera.open()
    assert camera.read() is not None
