"""both and automatic: outputs that go to two places, or to one of two."""

import threading
from dataclasses import dataclass, field

import pytest

from tests.support.control_fakes import until
from tests.support.frames import plain
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Planes, SafeFrame, Size
from vbgcam.core.specs import SinkSpec
from vbgcam.output import Output, ReaderMonitor, open_output
from vbgcam.output.both import Both

SIZE = Size(64, 48)
FRAME = plain(SIZE)


@dataclass
class FakeMonitor:
    """`there`: whether somebody reads."""

    there: bool = False
    closed: bool = False

    def watched(self, timeout: float) -> bool:
        return self.there

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeOutput:
    """`error`: what opening and sending raise while it stands. `gate`: what opening waits for."""

    name: str
    error: OutputError | None = None
    gate: threading.Event | None = None
    readers: FakeMonitor | None = None
    opened: int = 0
    closed: int = 0
    got: list[float] = field(default_factory=list)

    def open(self) -> None:
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        self.opened += 1

    def send(self, frame: SafeFrame, at: float) -> None:
        if self.error is not None:
            raise self.error
        self.got.append(at)

    def reader_monitor(self) -> ReaderMonitor | None:
        return self.readers

    def close(self) -> None:
        self.closed += 1


GONE = OutputError("the left one is gone", fix="fix it")
AWAY = OutputError("the right one is away")


def pair(again: float = 0.0) -> tuple[FakeOutput, FakeOutput, Both]:
    left, right = FakeOutput("left"), FakeOutput("right")
    return left, right, Both([left, right], again)


def sent_until(both: Both, output: FakeOutput) -> None:
    """Sends until that one has got something."""
    before = len(output.got)

    def arrived() -> bool:
        both.send(FRAME, 9.0)
        return len(output.got) > before

    until(arrived)


def test_both_get_every_picture() -> None:
    left, right, both = pair()
    both.open()
    both.send(FRAME, 1.0)
    both.send(FRAME, 2.0)
    both.close()
    assert left.got == right.got == [1.0, 2.0]
    assert (left.closed, right.closed) == (1, 1)
    assert both.name == "left and right"


def test_one_that_is_missing_from_the_start_comes_later() -> None:
    left, right, both = pair()
    left.error = GONE
    both.open()
    both.send(FRAME, 1.0)
    assert (left.got, right.got) == ([], [1.0])
    assert both.name == "right"
    left.error = None
    sent_until(both, left)
    assert both.name == "left and right"
    both.close()


def test_one_that_goes_is_closed_and_comes_back_while_the_other_one_goes_on() -> None:
    left, right, both = pair()
    both.open()
    both.send(FRAME, 1.0)
    left.error = GONE
    both.send(FRAME, 2.0)
    both.send(FRAME, 3.0)
    assert (left.got, right.got, left.closed) == ([1.0], [1.0, 2.0, 3.0], 1)
    left.error = None
    sent_until(both, left)
    assert left.opened == 2
    assert right.opened == 1
    both.close()


def test_where_both_are_missing_both_reasons_and_fixes_are_said() -> None:
    left, right, both = pair()
    left.error, right.error = GONE, AWAY
    with pytest.raises(OutputError, match=r"^the left one is gone; the right one is away; fix it$"):
        both.open()
    both.close()
    left.error = right.error = None
    both.open()
    both.send(FRAME, 1.0)
    left.error, right.error = GONE, AWAY
    with pytest.raises(OutputError, match="gone; the right"):
        both.send(FRAME, 2.0)


def test_one_that_hangs_while_it_opens_does_not_hold_up_the_other() -> None:
    left, right, both = pair()
    both.open()
    left.error, left.gate = GONE, threading.Event()
    both.send(FRAME, 1.0)
    left.error = None
    for at in range(2, 20):
        both.send(FRAME, float(at))
    assert len(right.got) == 19
    assert left.got == []
    left.gate.set()
    sent_until(both, left)
    both.close()


def test_one_that_comes_after_the_end_is_closed_again() -> None:
    left, _right, both = pair()
    both.open()
    left.error, left.gate = GONE, threading.Event()
    both.send(FRAME, 1.0)
    both.send(FRAME, 2.0)  # the thread that opens it waits at the gate
    left.error = None
    closed = left.closed
    both.close()
    both.open()  # the one that hangs is not opened a second time
    assert left.opened == 1
    left.gate.set()
    until(lambda: left.closed == closed + 1)
    sent_until(both, left)
    both.close()


def monitored(both: Both) -> ReaderMonitor:
    """Who reads it, after it was opened and the first picture."""
    both.open()
    both.send(FRAME, 1.0)
    monitor = both.reader_monitor()
    assert monitor is not None
    return monitor


def test_somebody_watches_when_one_of_the_two_is_read() -> None:
    left, right, both = pair()
    left.readers, right.readers = FakeMonitor(), FakeMonitor()
    monitor = monitored(both)
    for here, there in ((False, False), (True, False), (False, True), (True, True)):
        left.readers.there, right.readers.there = here, there
        assert monitor.watched(0.0) is (here or there)
    monitor.close()
    assert left.readers.closed
    assert right.readers.closed


def test_who_reads_one_that_went_does_not_count_any_more_until_it_is_back() -> None:
    left, right, both = pair()
    old = left.readers = FakeMonitor(there=True)
    right.readers = FakeMonitor()
    monitor = monitored(both)
    assert monitor.watched(0.0)
    left.error = GONE
    both.send(FRAME, 2.0)
    assert not monitor.watched(0.0)
    assert old.closed
    left.readers, left.error = FakeMonitor(there=True), None
    sent_until(both, left)
    assert monitor.watched(0.0)
    both.close()
    monitor.close()


def test_one_of_which_nobody_can_tell_counts_as_watched() -> None:
    _left, right, both = pair()
    right.readers = FakeMonitor()
    assert monitored(both).watched(0.0)
    both.close()


@dataclass
class FakeDevice:
    label: str

    def reader_monitor(self) -> ReaderMonitor | None:
        return FakeMonitor(there=True)

    def send(self, planes: Planes, at: float) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class Places:
    """Whether there is a device of v4l2loopback; what opening it raises, and what PipeWire does."""

    opened: list[str] = field(default_factory=list)
    device: bool = False
    device_error: OutputError | None = None
    pipewire_error: OutputError | None = None

    def open_loopback(self, *_asked: object) -> FakeDevice:
        return self._open("device", self.device_error)

    def open_pipewire(self, *_asked: object) -> FakeDevice:
        return self._open("pipewire", self.pipewire_error)

    def _open(self, name: str, error: OutputError | None) -> FakeDevice:
        if error is not None:
            raise error
        self.opened.append(name)
        return FakeDevice(name)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    loopback = pytest.importorskip("vbgcam.output.loopback", reason="v4l2loopback is a module of Linux")
    places = Places()
    monkeypatch.setattr(loopback, "loopbacks", lambda: [None] if places.device else [])
    monkeypatch.setattr(loopback, "open_loopback", places.open_loopback)
    monkeypatch.setattr("vbgcam.output.pipewire.PipeWireDevice", places.open_pipewire)
    return places


@pytest.fixture
def auto(places: Places) -> Output:
    return open_output(SinkSpec.parse("auto"), SIZE, 30.0)


def test_auto_decides_anew_each_time_for_the_device_or_else_pipewire(places: Places, auto: Output) -> None:
    assert auto.name == "VBG Camera"
    for places.device in (False, True, False):
        auto.open()
        assert auto.name == ("device" if places.device else "pipewire")
        auto.send(FRAME, 1.0)
        monitor = auto.reader_monitor()
        assert monitor is not None
        assert monitor.watched(0.0)
        auto.close()
        auto.close()
        assert auto.reader_monitor() is None
        with pytest.raises(OutputError, match="is not open"):
            auto.send(FRAME, 1.0)
    assert places.opened == ["pipewire", "device", "pipewire"]


def test_a_device_that_cannot_be_written_to_is_an_error_and_not_passed_over(places: Places, auto: Output) -> None:
    places.device, places.device_error = True, GONE
    with pytest.raises(OutputError, match="the left one is gone"):
        auto.open()
    assert places.opened == []


def test_auto_without_either_names_both_ways(places: Places, auto: Output) -> None:
    places.pipewire_error = OutputError("PipeWire does not run in this session", fix="start it")
    with pytest.raises(OutputError) as caught:
        auto.open()
    said = str(caught.value)
    assert said.startswith("there is no virtual camera: ")
    assert "v4l2loopback" in said
    assert said.endswith("; PipeWire does not run in this session; " + caught.value.fix)
    assert caught.value.fix.endswith("; or, for apps that ask PipeWire: start it")


def test_each_sink_has_its_output() -> None:
    kinds = {text: type(open_output(SinkSpec.parse(text), SIZE, 30.0)).__name__ for text in ("pipewire", "both:X")}
    assert kinds == {"pipewire": "DeviceOutput", "both:X": "Both"}
    assert open_output(SinkSpec.parse("both:X"), SIZE, 30.0).name == "X and X (PipeWire)"
