"""What the tests of the live chain share: plans, running sessions, and outputs that wake whoever waits for a picture.

Nothing here depends on speed: `PATIENCE` is the time in which something that does not come hangs.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.support.fakes import BEHIND, SIZE, FakeBackground, FakeOutput, FakeSegmenter, FakeSource, room_with_person
from vbgcam.camera import Captured
from vbgcam.core.frames import Backdrop, Planes, RawFrame, SafeFrame, Size
from vbgcam.core.options import Blur, RenderOptions, SyncMode
from vbgcam.live import pace
from vbgcam.live.plan import Network, Plan
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.mask import warm_up as warm_up_mask
from vbgcam.render.composer import warm_up as warm_up_compose
from vbgcam.segment import Progress, Segmenter

PATIENCE = 60.0
THREADS = {"capture", "inference", "backdrop", "compositor", "input size", "watch"}


@pytest.fixture(scope="session")
def warm() -> None:
    """The compiled loops are there: a cold cache takes 10 s, many times that under load."""
    warm_up_compose()
    warm_up_mask()


@pytest.fixture
def quick(warm: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries and pauses of the chain take no time, its end as long as a hang; and no thread stays."""
    monkeypatch.setattr(pace, "RETRIES", (0.001,) * 6)
    monkeypatch.setattr(pace, "IDLE_PERIOD", 0.01)
    monkeypatch.setattr(pace, "LINGER", 0.001)
    monkeypatch.setattr(pace, "TICK", 0.01)
    monkeypatch.setattr(pace, "END", PATIENCE)
    yield
    for thread in threads():  # networks that hung were let go a moment ago
        thread.join(PATIENCE)
    assert not threads()


def threads(name: str = "") -> list[threading.Thread]:
    """The chain's, or those of that name."""
    return [thread for thread in threading.enumerate() if thread.name in THREADS and name in ("", thread.name)]


def forever() -> itertools.repeat[bool]:
    return itertools.repeat(True)


def fake_source(**given: object) -> FakeSource:
    return FakeSource(forever(), period=0.001, **given)  # type: ignore[arg-type]  # names of its fields


def plan(
    source: FakeSource,
    output: FakeOutput,
    *,
    build: Callable[[Progress], Segmenter] | None = None,
    background: FakeBackground | None = None,
    retry: bool = True,
    blur: Blur | None = None,
    mask_age: float = PATIENCE,
    sync: SyncMode = "auto",
    size_auto: bool = False,
) -> Plan:
    return Plan(
        source=source,
        output=output,
        background=background or FakeBackground(),
        network=Network("fake", build or (lambda _progress: FakeSegmenter()), size_auto=size_auto),
        options=RenderOptions(max_mask_age=mask_age, max_frame_age=PATIENCE, blur=blur, sync=sync),
        size=SIZE,
        fps=200.0,
        retry=retry,
    )


def hold(first: int = 0) -> tuple[Callable[[RawFrame], None], threading.Event, threading.Event]:
    """What a network does before a prediction, after so many that it lets through: says that it is busy, and waits."""
    busy, go, calls = threading.Event(), threading.Event(), itertools.count()

    def before(_frame: RawFrame) -> None:
        if next(calls) >= first:
            busy.set()
            assert go.wait(PATIENCE)

    return before, busy, go


class Reached(threading.Event):
    """Set when an output has seen enough."""

    def when(self, enough: Callable[[FakeOutput], bool]) -> Callable[[FakeOutput], None]:
        return lambda output: self.set() if enough(output) else None


def after(output: FakeOutput, enough: Callable[[FakeOutput], bool]) -> threading.Event:
    """Set as soon as a frame goes out for which it is enough."""
    reached = Reached()
    output.notify = reached.when(enough)
    return reached


class Stage:
    """A running session, which is ended by the end of its block. What ends it is awaited by `until`."""

    def __init__(self, what: Plan) -> None:
        self.stats = Stats()
        self.session = Session(what, self.stats)

    def __enter__(self) -> Session:
        self.session.start()
        return self.session

    def __exit__(self, *_: object) -> None:
        self.end()

    def started(self) -> Stage:
        """For tests that end it themselves."""
        self.session.start()
        return self

    def end(self) -> None:
        assert self.session.stop(), "a thread was left behind"

    def until(self, reached: threading.Event) -> None:
        self.session.wait(PATIENCE, reached)
        assert reached.is_set(), "it did not come to that"


def run(what: Plan, until: threading.Event | None = None) -> Stats:
    """From start to stop; the stop raises what made the session fail."""
    stage = Stage(what)
    with stage as session:
        session.wait(PATIENCE, until or threading.Event())
    return stage.stats


class Dancer(FakeSource):
    """The person stands elsewhere in each frame: whatever mask is not the frame's own shows the room."""

    def read(self) -> Captured | None:
        got = FakeSource.read(self)
        return None if got is None else Captured(room_with_person(self.number, self.size), got.captured_at)


class Colour(FakeBackground):
    """Of another luma."""

    def __init__(self, luma: int, *, moves: bool = False) -> None:
        super().__init__(moves=moves)
        self.luma = luma

    def at(self, seconds: float) -> Backdrop:
        super().at(seconds)
        return Backdrop(Planes.filled(self.size, (self.luma, *BEHIND[1:])).frozen())


@dataclass
class Watched(FakeOutput):
    """Tells the luma of the background's corner in each picture, and wakes who waits for a picture."""

    def __post_init__(self) -> None:
        self.seen: list[int] = []
        self.sizes: set[Size] = set()
        self.kinds: list[bool] = []
        self.changed = threading.Condition()

    def send(self, frame: SafeFrame, at: float) -> None:
        super().send(frame, at)
        with self.changed:
            self.seen.append(int(frame.planes.y[0, 0]))
            self.kinds.append(frame.cover)
            self.sizes.add(frame.size)
            self.changed.notify_all()

    def wait(self, enough: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(enough, PATIENCE), "it never came"

    def shows(self, luma: int) -> None:
        self.wait(lambda: self.seen[-1] == luma)

    def composes(self, count: int) -> None:
        """So many more."""
        until = self.composed + count
        self.wait(lambda: self.composed > until)

    def more(self, count: int) -> None:
        until = len(self.seen) + count
        self.wait(lambda: len(self.seen) >= until)


def on_air(output: Watched) -> None:
    output.wait(lambda: output.composed > 3)
