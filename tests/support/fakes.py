"""Stand-ins for camera, network, background and output. Each implements the whole interface and misbehaves on demand.

A fake network finds the person by the picture itself: the frames of `FakeSource` are painted in the secret colour of
the room, but for the person's rectangle. A secret pixel that reaches an output outside that rectangle is a leak.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from vbgcam.camera import Captured, Negotiated
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import U8, Backdrop, Planes, RawFrame, SafeFrame, Size
from vbgcam.output import ReaderMonitor
from vbgcam.segment import Probability

SECRET = (200, 16, 240)
PERSON = (120, 128, 128)
BEHIND = (60, 200, 90)
SIZE = Size(64, 48)


def person_at(number: int, size: Size = SIZE) -> tuple[slice, slice]:
    """Rows and columns of the person at place `number`: a rectangle on even coordinates; neighbours are far apart."""
    width = size.width // 4 & ~1
    left = 2 * (13 * number % max(1, (size.width - width) // 2))
    return slice(size.height // 4 & ~1, size.height), slice(left, left + width)


def room_with_person(number: int, size: Size = SIZE) -> Planes:
    """The secret room and the person's rectangle."""
    planes = Planes.filled(size, SECRET)
    rows, columns = person_at(number, size)
    planes.y[rows, columns] = PERSON[0]
    half = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
    planes.u[half], planes.v[half] = PERSON[1:]
    return planes


def true_alpha(planes: Planes) -> U8:
    """Where the picture is not the secret room."""
    return np.where(planes.y == SECRET[0], 0, 255).astype(np.uint8)


def leaked(frame: SafeFrame) -> int:
    """How many pixels of the secret room a picture shows."""
    return int(np.count_nonzero(frame.planes.y == SECRET[0]) + np.count_nonzero(frame.planes.v == SECRET[2]))


def room_share(frame: SafeFrame) -> tuple[float, float]:
    """0 to 1: how much of a picture's pixel is the secret room, where it is most of it, and where it is most in all of
    6x6 pixels. Each is taken for a mixture of person, room and `BEHIND`: told by chroma, whose rounding makes 0.03 of
    it, and by luma, which neither person nor background make brighter than `PERSON`."""
    (_, u_room, v_room), (_, u_person, v_person), (_, u, v) = SECRET, PERSON, BEHIND
    planes = frame.planes
    du, dv = planes.u.astype(np.float32) - u, planes.v.astype(np.float32) - v
    (u_room, v_room), (u_person, v_person) = (u_room - u, v_room - v), (u_person - u, v_person - v)
    by_chroma = (dv * u_person - du * v_person) / (v_room * u_person - u_room * v_person)
    by_luma = (float(planes.y.max()) - PERSON[0]) / (SECRET[0] - PERSON[0])
    everywhere = cv2.erode(by_chroma, np.ones((3, 3), np.uint8))
    return max(0.0, by_luma, float(by_chroma.max())), max(0.0, float(everywhere.max()))


@dataclass
class FakeSource:
    """The person stands still until the source is opened anew, and then stands elsewhere: a mask of an earlier opening
    shows the room.

    `script` says what each `read` does: True a frame, False the end, an exception to be raised. When it is over, the
    source has ended, or goes on for ever with `endless`. `gate`, where given, is waited for before each frame."""

    script: Iterator[bool | CameraError] = field(default_factory=lambda: iter(()))
    size: Size = SIZE
    clocked: bool = True
    endless: bool = False
    gate: threading.Semaphore | None = None
    open_errors: list[CameraError] = field(default_factory=list)
    now: Callable[[], float] = time.monotonic
    period: float = 0.0
    opened: int = 0
    closed: int = 0
    number: int = 0
    _close: threading.Event = field(default_factory=threading.Event)

    def expected(self) -> Negotiated | None:
        return Negotiated("fake", self.size, 30.0)

    def open(self) -> Negotiated:
        self.opened += 1
        if self.open_errors:
            raise self.open_errors.pop(0)
        self._close.clear()
        return Negotiated("fake", self.size, 30.0)

    def read(self) -> Captured | None:
        while self.gate is not None and not self.gate.acquire(timeout=0.01):
            if self._close.is_set():
                return None
        if self.period and self._close.wait(self.period):
            return None
        step = next(self.script, self.endless)
        if isinstance(step, CameraError):
            raise step
        if not step or self._close.is_set():
            return None
        self.number += 1
        return Captured(room_with_person(self.opened, self.size), self.now())

    def dropped(self) -> int:
        return 0

    def close(self) -> None:
        self.closed += 1
        self._close.set()


@dataclass
class FakeSegmenter:
    """The true mask, after `before` was called (to wait, to raise). `wrong` replaces what it answers. `ladder`: the
    sizes that it may be given; `preparing` is called for each that is prepared (to wait, to raise)."""

    name: str = "fake"
    why: str = ""
    device: str = "cpu"
    precision: str = "fp32"
    input: Size | None = None
    recurrent: bool = False
    croppable: bool = False
    any_aspect: bool = True
    exact: bool = True
    ladder: tuple[int, ...] = ()
    preparing: Callable[[int], None] = lambda _size: None
    prepared: list[int] = field(default_factory=list)
    resized: list[int] = field(default_factory=list)
    before: Callable[[RawFrame], None] = lambda _frame: None
    wrong: Callable[[RawFrame], Probability] | None = None
    calls: int = 0
    resets: int = 0
    closed: bool = False

    def probability(self, frame: RawFrame) -> Probability:
        self.calls += 1
        self.before(frame)
        size = self.resized[-1] if self.resized else min(self.ladder, default=0)
        if size:
            self.input = Size(round(size * frame.size.width / frame.size.height), size)
        if self.wrong is not None:
            return self.wrong(frame)
        return (true_alpha(frame.planes) / np.float32(255)).astype(np.float32)

    def one_off(self, frame: RawFrame) -> Probability:
        return self.probability(frame)

    def sizes(self, frame: Size) -> tuple[int, ...]:
        return self.ladder

    def prepare(self, size: int) -> None:
        self.preparing(size)
        self.prepared.append(size)

    def resize(self, size: int) -> None:
        self.resized.append(size)

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeBackground:
    """One colour; `moves` and `at` may be made to fail."""

    size: Size = SIZE
    moves: bool = False
    asked: list[float] = field(default_factory=list)
    fail: Exception | None = None
    closed: bool = False

    def at(self, seconds: float) -> Backdrop:
        self.asked.append(seconds)
        if self.fail is not None:
            raise self.fail
        return Backdrop(Planes.filled(self.size, BEHIND).frozen())

    def close(self) -> None:
        self.closed = True


class FakeAudience:
    """Readers that come and go by `set`; each opening of the output gets a `Seat` that tells of them."""

    def __init__(self, *, there: bool = False) -> None:
        self.changed = threading.Condition()
        self.there = there
        self.seats: list[Seat] = []

    def set(self, there: bool) -> None:
        with self.changed:
            self.there = there
            self.changed.notify_all()

    def seat(self) -> Seat:
        self.seats.append(Seat(self))
        return self.seats[-1]


class Seat:
    """See `vbgcam.output.ReaderMonitor`."""

    def __init__(self, reader_monitor: FakeAudience) -> None:
        self._reader_monitor = reader_monitor
        self.closed = False

    def watched(self, timeout: float) -> bool:
        assert not self.closed, "an audience was asked after its end"
        reader_monitor = self._reader_monitor
        with reader_monitor.changed:
            before = reader_monitor.there
            reader_monitor.changed.wait_for(lambda: reader_monitor.there != before, timeout)
            return reader_monitor.there

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeOutput:
    """Counts and judges what it is sent; keeps copies of the planes where `keep` is set. `fail_at`: the number of the
    frame whose sending raises. `notify` is called after each frame."""

    name: str = "fake"
    keep: bool = False
    fail: Exception | None = None
    fail_at: int = -1
    notify: Callable[[FakeOutput], None] = lambda _output: None
    covers: int = 0
    composed: int = 0
    leaks: int = 0
    times: list[float] = field(default_factory=list)
    frames: list[U8] = field(default_factory=list)
    is_open: bool = False
    closes: int = 0
    readers: FakeAudience | None = None

    def open(self) -> None:
        if self.fail is not None and self.fail_at < 0:
            raise self.fail
        self.is_open = True

    def send(self, frame: SafeFrame, at: float) -> None:
        assert self.is_open, "a frame was sent to an output that is not open"
        assert type(frame) is SafeFrame
        if self.fail is not None and len(self.times) == self.fail_at:
            raise self.fail
        self.leaks += leaked(frame) > 0
        self.covers += frame.cover
        self.composed += not frame.cover
        self.times.append(at)
        if self.keep:
            self.frames.append(frame.planes.data.copy())
        self.notify(self)

    def reader_monitor(self) -> ReaderMonitor | None:
        assert self.is_open
        return None if self.readers is None else self.readers.seat()

    def close(self) -> None:
        self.closes += 1
        self.is_open = False
