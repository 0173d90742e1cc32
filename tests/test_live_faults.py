"""live under fire: cameras, networks, outputs, readers and backgrounds that fail in random order, in front of a room
of a secret colour. Whatever happens, no frame shows it, nothing waits for ever, and every thread ends.

The person stands elsewhere after each opening of the camera, so that a mask of an earlier one, or none, shows the room.
Each sequence is made of its number alone: `pytest tests/test_live_faults.py --fault-sequences 2000 --fault-first 0`.
"""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pytest

from tests.support.fakes import SIZE, FakeAudience, FakeBackground, FakeOutput, FakeSegmenter, FakeSource
from tests.support.live import PATIENCE
from vbgcam.camera import Captured, Negotiated
from vbgcam.core.errors import BackgroundError, CameraError, ModelError, OutputError, VbgcamError
from vbgcam.core.frames import Backdrop, RawFrame, SafeFrame
from vbgcam.core.options import PRESETS, Blur, Preset, RenderOptions
from vbgcam.live import pace
from vbgcam.live.plan import Network, Plan
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.segment import Probability, Progress, Segmenter

FRAMES = 25


@pytest.fixture(autouse=True)
def _quicker(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "RETRIES", (0.0005,) * 6)
    monkeypatch.setattr(pace, "IDLE_PERIOD", 0.001)
    monkeypatch.setattr(pace, "FRAME_HUNG", 0.02)


@dataclass
class Camera(FakeSource):
    """Is lost, busy, or jumps in time."""

    chance: random.Random = field(default_factory=random.Random)
    jump: float = 0.0

    def open(self) -> Negotiated:
        if self.chance.random() < 0.2:
            self.opened += 1
            raise CameraError("busy")
        return super().open()

    def read(self) -> Captured | None:
        what = self.chance.random()
        if what < 0.04:
            raise CameraError("lost")
        if what < 0.05:
            raise CameraError("a picture that was cut short")
        if what < 0.07:
            self.jump = self.chance.choice([-5.0, -0.3, 0.0, 0.3, 5.0])
        got = super().read()
        return None if got is None else Captured(got.planes, got.captured_at + self.jump)


@dataclass
class Wild(FakeSegmenter):
    """Fails by its own errors and by anybody's, answers nonsense, or not at all until `go`."""

    chance: random.Random = field(default_factory=random.Random)
    go: threading.Event = field(default_factory=threading.Event)

    def probability(self, frame: RawFrame) -> Probability:
        what = self.chance.random()
        if what < 0.04:
            raise ModelError("it failed")
        if what < 0.08:
            raise self.chance.choice([RuntimeError("CUDA error"), MemoryError(), ValueError("nonsense"), OSError()])
        if what < 0.10:
            return np.full((4, 4), np.nan, np.float32)
        if what < 0.12:
            return np.full((4, 4), -np.inf, np.float32)
        if what < 0.13:
            return np.zeros((0, 0), np.float32)
        if what < 0.14:
            self.go.wait(PATIENCE)
        if what < 0.25:
            time.sleep(0.002)
        return super().probability(frame)


@dataclass
class Device(FakeOutput):
    """Vanishes, and does not come back at once."""

    chance: random.Random = field(default_factory=random.Random)
    solid: bool = True

    def open(self) -> None:
        if not self.solid and self.chance.random() < 0.4:
            raise OutputError("the device is gone")
        super().open()

    def send(self, frame: SafeFrame, at: float) -> None:
        if not self.solid and self.chance.random() < 0.03:
            raise OutputError("the device is gone")
        super().send(frame, at)


@dataclass
class Pictures(FakeBackground):
    """A film that breaks off."""

    chance: random.Random = field(default_factory=random.Random)

    def at(self, seconds: float) -> Backdrop:
        self.fail = BackgroundError("the film ends") if self.asked and self.chance.random() < 0.05 else None
        return super().at(seconds)


PRESET_NAMES: Final[list[Preset]] = ["none", "none", "fast"]


def render_options(chance: random.Random) -> RenderOptions:
    mask_age = chance.choice([0.005, 0.05, 1.0])
    return RenderOptions(
        max_mask_age=mask_age,
        blur=Blur(0.5) if chance.random() < 0.1 else None,
        mirror=chance.random() < 0.1,
        mask=replace(PRESETS[chance.choice(PRESET_NAMES)], hard=chance.random() < 0.1),
        sync=chance.choice(["auto", "exact", "newest"]),
    )


@dataclass
class ControlApi:
    """A person who pauses, goes on, and changes what is shown, the camera and the network, at any moment. `blurred`:
    the room was shown out of focus, as they asked."""

    session: Session
    chance: random.Random
    make: Callable[[random.Random], Network]
    blurred: bool = False

    def act(self) -> None:
        chance, session = self.chance, self.session
        match chance.choice(["pause", "go on", "look", "background", "camera", "network", "peek", "wait", "wait"]):
            case "pause":
                session.pause(True)
            case "go on":
                session.pause(False)
            case "look" | "background" as what:
                new = render_options(chance)
                self.blurred |= new.blur is not None
                pictures = Pictures(chance=random.Random(chance.random()), moves=chance.random() < 0.5)
                session.set_scene(new, pictures if what == "background" else None)
            case "camera":
                session.set_camera(
                    Camera(chance=random.Random(chance.random()), endless=chance.random() < 0.8, period=0.0005)
                )
            case "network":
                session.set_network(self.make(chance))
            case "peek":
                session.watch_preview(True)
                session.watch_preview(False)


def sequence(number: int) -> str:
    """One of them, from its start to its end. What went wrong, or ""."""
    chance = random.Random(number)
    go, done = threading.Event(), threading.Event()
    parts = [random.Random(chance.random()) for _ in range(5)]
    reader_monitor = FakeAudience(there=chance.random() < 0.5)
    output = Device(chance=parts[0], solid=True, readers=reader_monitor)
    wanted = chance.randint(1, FRAMES)
    output.notify = lambda out: done.set() if len(out.times) >= wanted else None

    def made(chance: random.Random, *, first: bool = False) -> Network:
        def build(_progress: Progress) -> Segmenter:
            what = parts[1].random()
            if what < 0.2:
                raise ModelError("the weights cannot be fetched", retry=first or what < 0.15)
            return Wild(chance=parts[2], go=go)

        lighter = chance.random() < 0.5 if first else True
        return Network("made", build, (lambda _progress: FakeSegmenter(name="lighter")) if lighter else None)

    plan = Plan(
        source=Camera(chance=parts[3], endless=True, period=0.0005),
        output=output,
        background=Pictures(chance=parts[4], moves=chance.random() < 0.3),
        network=made(chance, first=True),
        options=render_options(chance),
        size=SIZE,
        fps=500.0,
        on_demand=chance.random() < 0.5,
        unload_after=chance.choice([0.0, 0.001, 10.0]),
        comes_back=True,
    )
    stats = Stats()
    session = Session(plan, stats)
    desk = ControlApi(session, random.Random(chance.random()), made, blurred=plan.options.blur is not None)
    session.start()
    output.solid = False

    def readers_come_and_go() -> bool:
        if chance.random() < 0.3:
            reader_monitor.set(chance.random() < 0.7)
        with contextlib.suppress(BackgroundError):
            desk.act()
        return False

    began = time.monotonic()
    while not done.is_set() and not session.ended() and time.monotonic() - began < PATIENCE:
        session.wait(0.003, done, readers_come_and_go)
    stuck = not done.is_set() and not session.ended()
    go.set()
    try:
        whole = session.stop()
    except (VbgcamError, RuntimeError, MemoryError, ValueError, OSError):
        whole = True
    if stuck:
        return f"{number}: nothing went on ({stats.in_words()})"
    if not desk.blurred and output.leaks:
        return f"{number}: {output.leaks} frames show the room"
    return "" if whole else f"{number}: a thread did not end"


def test_no_sequence_of_faults_shows_the_room_or_hangs(request: pytest.FixtureRequest) -> None:
    first, count = (int(request.config.getoption(name)) for name in ("--fault-first", "--fault-sequences"))
    before = threading.active_count()
    wrong = [said for number in range(first, first + count) if (said := sequence(number))]
    assert not wrong, f"{len(wrong)} of {count}: {wrong[:5]}"
    assert threading.active_count() <= before  # another module's may end meanwhile


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of warnings that belong to it."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)
