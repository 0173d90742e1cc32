"""What the tests of the live chain share: plans, running sessions, and outputs that wake whoever waits for a picture.

Nothing here depends on speed: `PATIENCE` is the time in which something that does not come hangs.
"""

from __future__ import annotations

import contextlib
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
from vbgcam.segment import Progress, Segmenter

PATIENCE = 60.0
_ALREADY = threading.Event()
_ALREADY.set()
THREADS = {"capture", "inference", "backdrop", "compositor", "input size", "watch"}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retries and pauses of the chain take no time, its end as long as a hang; and no thread stays."""
    for name, value in (("RETRIES", (0.001,) * 6), ("IDLE_PERIOD", 0.01), ("LINGER", 0.001), ("TICK", 0.01)):
        monkeypatch.setattr(pace, name, value)
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
    segmenter: FakeSegmenter | None = None,
    build: Callable[[Progress], Segmenter] | None = None,
    background: FakeBackground | None = None,
    retry: bool = True,
    blur: Blur | None = None,
    mask_age: float = PATIENCE,
    sync: SyncMode = "auto",
    size_auto: bool = False,
) -> Plan:
    if build is None:
        build = built_after(_ALREADY, segmenter)
    return Plan(
        source=source,
        output=output,
        background=background or FakeBackground(),
        network=Network("fake", build, size_auto=size_auto),
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


def chosen(segmenter: FakeSegmenter) -> Network:
    """That network, for `set_network`."""
    return Network(segmenter.name, lambda _progress: segmenter)


def built_after(go: threading.Event, segmenter: FakeSegmenter | None = None) -> Callable[[Progress], Segmenter]:
    """Builds that network when it may go."""

    def build(_progress: Progress) -> Segmenter:
        assert go.wait(PATIENCE)
        return segmenter or FakeSegmenter()

    return build


@contextlib.contextmanager
def running(what: Plan) -> Iterator[Session]:
    """A session, which is ended by the end of the block; that raises what made it fail."""
    session = Session(what, Stats())
    session.start()
    try:
        yield session
    finally:
        assert session.stop(), "a thread was left behind"


def reaches(session: Session, enough: Callable[[], bool]) -> None:
    """Until that is so, or the session ends, whose end tells why."""
    session.wait(PATIENCE, threading.Event(), enough)
    assert enough() or session.ended(), "it did not come to that"


def composes(session: Session, output: FakeOutput, count: int = 3) -> None:
    """Until more frames than that were composed."""
    until = output.composed + count
    reaches(session, lambda: output.composed > until)


def run(what: Plan, enough: Callable[[], bool] | None = None) -> Stats:
    """From start to stop; the stop raises what made the session fail."""
    with running(what) as session:
        reaches(session, enough or session.ended)
    return session.stats


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
            self.sizes.add(frame.planes.size)
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
