"""live: what two threads do at the same moment. Each test brings both to the very point by events."""

import gc
import resource
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.fakes import FakeBackground, FakeOutput, FakeSegmenter, FakeSource, room_with_person
from tests.support.live import (
    PATIENCE,
    Watched,
    chosen,
    fake_source,
    forever,
    hold,
    on_air,
    plan,
    reaches,
    running,
    threads,
)
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import Prediction, RawFrame, read_only
from vbgcam.core.options import RenderOptions
from vbgcam.core.policy import Compose, Why
from vbgcam.live import pace
from vbgcam.live.plan import Network
from vbgcam.live.session import Session
from vbgcam.live.slots import Slot
from vbgcam.live.state import ChainState
from vbgcam.live.stats import Stats
from vbgcam.live.workers.compositor import Compositor
from vbgcam.segment import Progress, Segmenter
from vbgcam.segment.bounded import bounded
from vbgcam.system.process_wide import ProcessWide, abandon

pytestmark = pytest.mark.usefixtures("quick")


def beside(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ends(thread: threading.Thread) -> None:
    thread.join(PATIENCE)
    assert not thread.is_alive()


class Leaving:
    """A network's state whose `roi` is gone when it is asked for a second time."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self._rois = iter([SimpleNamespace(update_roi=lambda epoch, _box, elsewhere, kept: self.told.append(epoch))])

    @property
    def roi(self) -> Any:
        return next(self._rois, None)


def test_a_network_that_leaves_while_a_frame_is_composed_costs_no_cover() -> None:
    state = ChainState(1 / 30, RenderOptions())
    state.scene = replace(state.scene, backdrop=lambda: FakeBackground().at(0.0))
    compositor = Compositor(plan(FakeSource(), FakeOutput()), state, Stats())
    leaving = compositor._network = Leaving()  # type: ignore[assignment]
    frame = RawFrame(room_with_person(0).frozen(), 0.0, epoch=7)
    picture = compositor._compose(Compose(frame, Prediction(frame, read_only(np.zeros((4, 4), np.uint8)))), 0.0)
    assert not picture.safe.cover
    assert leaving.told == [7]


def test_a_taker_that_is_not_wanted_any_more_takes_nothing() -> None:
    slot: Slot[int] = Slot()
    retired, waits, got = threading.Event(), threading.Event(), []

    def unless() -> bool:
        waits.set()
        return retired.is_set()

    taker = beside(lambda: got.append(slot.take(None, unless=unless)))
    assert waits.wait(PATIENCE)
    retired.set()
    slot.put(1)
    ends(taker)
    assert got == [None]
    assert slot.take(0) == 1


def test_a_network_that_was_replaced_while_it_waits_for_a_frame_swallows_none() -> None:
    gate, output = threading.Semaphore(10), Watched()
    old, new = FakeSegmenter(name="old"), FakeSegmenter(name="new")
    source = FakeSource(forever(), gate=gate, clocked=False)
    with running(plan(source, output, segmenter=old)) as session:
        reaches(session, lambda: output.composed >= 10 and old.calls == 10)
        session.set_network(chosen(new))
        output.wait(lambda: session.stats.get("model") == "new")
        gate.release(10)
        output.wait(lambda: output.composed >= 20)
        assert old.calls == 10
    assert output.leaks == 0


LONG_AGO = (-1e9, 1.0)
"""A call that began so long ago that it has hung."""


def test_a_network_that_hung_changes_nothing_of_the_next_one_when_it_comes_back() -> None:
    """Neither the clock of the call that the next one is in, nor what keeps its masks from coming."""
    output, (first, hung, come_back), (second, busy, go) = Watched(), hold(), hold()
    networks = iter([FakeSegmenter(before=first), FakeSegmenter(before=second)])
    with running(plan(fake_source(), output, build=lambda _progress: next(networks))) as session:
        reaches(session, hung.is_set)
        (old,) = threads("inference")
        session._state.network.call = LONG_AGO
        reaches(session, busy.is_set)
        come_back.set()
        ends(old)
        assert session._state.network.call is not None
        assert session._state.network.trouble is Why.MODEL
        assert not output.composed
        go.set()
        on_air(output)
    assert output.leaks == 0


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
@pytest.mark.parametrize("candidate", [False, True])
def test_a_build_that_hangs_is_left_behind_and_holds_nothing_of_the_process(candidate: bool, tmp_path: Path) -> None:
    usual, output, hangs, go = resource.getrlimit(resource.RLIMIT_DATA), Watched(), threading.Event(), threading.Event()
    (tmp_path / "network.onnx").write_bytes(b"1")

    def hanging(_progress: Progress) -> Segmenter:
        with bounded(tmp_path / "network.onnx"):
            hangs.set()
            assert go.wait(PATIENCE)
        return FakeSegmenter(name="late")

    def build(progress: Progress) -> Segmenter:
        if not candidate and not hangs.is_set():
            return hanging(progress)
        with bounded(tmp_path / "network.onnx"):  # nobody waits for the one that hangs
            return FakeSegmenter()

    with running(plan(fake_source(), output, build=build)) as session:
        if candidate:
            on_air(output)
            session.set_network(Network("late", hanging))
        reaches(session, hangs.is_set)
        hanging_one = session._networks._candidate or session._networks._current
        assert hanging_one is not None
        hanging_one.own.call = LONG_AGO
        reaches(session, lambda: output.composed > 3 and hanging_one.retired)
        assert ("no answer" in session.stats.get("refused")) == candidate
        assert session.stats.get("model") == "fake"
        assert gc.isenabled()
        assert resource.getrlimit(resource.RLIMIT_DATA) == usual
        go.set()
        output.composes(3)
    assert resource.getrlimit(resource.RLIMIT_DATA) == usual


def test_what_the_process_shares_lasts_until_the_last_holder_lets_go() -> None:
    wishes: list[list[int]] = []
    shared: ProcessWide[int] = ProcessWide(lambda held: wishes.append(sorted(held)))
    held, go = threading.Event(), threading.Event()

    def hang() -> None:
        with shared.hold(2):
            held.set()
            assert go.wait(PATIENCE)

    with shared.hold(1):
        hanging = beside(hang)
        assert held.wait(PATIENCE)
    assert wishes == [[1], [1, 2], [2]]
    abandon(hanging.ident or 0)
    go.set()
    ends(hanging)
    assert wishes == [[1], [1, 2], [2], []]


def test_the_first_failure_counts() -> None:
    state = ChainState(1 / 30, RenderOptions())
    state.fail(CameraError("first"))
    state.fail(CameraError("second"))
    assert str(state.failure) == "first"


def test_figures_are_computed_while_the_frame_path_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stats = Stats()
    percentile = np.percentile

    def meanwhile(*values: Any) -> Any:
        ends(beside(lambda: stats.sent(1.0, 0.1, 0.1)))
        return percentile(*values)

    def measured() -> None:
        ends(beside(stats.captured))

    monkeypatch.setattr(np, "percentile", meanwhile)
    monkeypatch.setattr("vbgcam.live.stats.rss_mb", measured)
    stats.inferred(0.1)
    stats.sent(0.5, 0.1, 0.1)
    figures = stats.snapshot()
    assert figures["frames"]["sent"] == 1
    assert stats.inference_ms() == 100.0


def test_a_pause_outlasts_a_picture_that_is_being_sent() -> None:
    output, sending, go, returned = Watched(), threading.Event(), threading.Event(), []

    def notify(out: FakeOutput) -> None:
        if not out.frames and out.composed > 5 and not sending.is_set():
            sending.set()
            assert go.wait(PATIENCE)

    output.notify = notify
    with running(plan(fake_source(), output)) as session:
        assert sending.wait(PATIENCE)
        session._state.demand.set_paused(True)  # noone waits for this one
        session.pause(False)

        def pause() -> None:
            session.pause(True)
            returned.append(list(output.kinds))

        pausing = beside(pause)
        output_was = output.composed
        go.set()
        ends(pausing)
        assert returned[0][-1]
        output.more(3)
        assert output.composed == output_was


def test_the_end_does_not_wait_for_a_device_that_does_not_close(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    class Stuck(Watched):
        def close(self) -> None:
            assert go.wait(PATIENCE)
            super().close()

    output = Stuck()
    session = Session(plan(fake_source(), output), Stats())
    session.start()
    on_air(output)
    monkeypatch.setattr(pace, "END", 0.01)
    assert not session.stop()
    go.set()


def test_a_paused_program_whose_output_nobody_reads_hardly_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted by the times for which its threads wait, whatever the machine does meanwhile."""
    monkeypatch.undo()
    waits: dict[str, list[float | None]] = {}
    original = threading.Condition.wait

    def wait(self: threading.Condition, timeout: float | None = None) -> bool:
        waits.setdefault(threading.current_thread().name, []).append(timeout)
        return original(self, timeout)

    output = Watched()
    what = plan(fake_source(), output, background=FakeBackground(moves=True))
    with running(replace(what, unread=True, on_demand=True)) as session:
        on_air(output)
        session.pause(True)
        reaches(session, lambda: session._state.camera_trouble is Why.IDLE)
        output.more(2)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Condition, "wait", wait)
            covers = output.covers + 3
            reaches(session, lambda: output.covers > covers)
    rates = {name: 0.0 if None in times else 1 / max(time or 1e-9 for time in times) for name, times in waits.items()}
    assert rates["compositor"] <= 1 / pace.IDLE_PERIOD + 0.1
    assert sum(rates.values()) <= 10, rates
