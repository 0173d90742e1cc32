"""live: the camera is on while somebody watches, and only then; what fails comes back, or something else takes its
place. The room has a secret colour that no output may ever hold."""

from __future__ import annotations

import itertools
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest

from tests.support.fakes import FakeAudience, FakeOutput, FakeSegmenter, FakeSource
from tests.support.live import (
    PATIENCE,
    Stage,
    after,
    fake_source,
    forever,
    hold,
    plan,
    quick,
    warm,
)
from vbgcam.camera import Captured
from vbgcam.core.errors import CameraError, ModelError, OutputError
from vbgcam.core.frames import RawFrame, SafeFrame
from vbgcam.live import pace
from vbgcam.live.plan import Plan
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.live.workers import compositor
from vbgcam.segment import Probability, Progress, Segmenter

__all__ = ["quick", "warm"]  # fixtures
pytestmark = pytest.mark.usefixtures("quick")


def with_lighter(what: Plan, lighter: FakeSegmenter) -> Plan:
    return replace(what, network=replace(what.network, lighter=lambda _progress: lighter))


def test_the_camera_is_off_until_somebody_watches_and_the_cover_is_there_meanwhile() -> None:
    reader_monitor, source = FakeAudience(), fake_source()
    output = FakeOutput(readers=reader_monitor)
    stage = Stage(replace(plan(source, output), on_demand=True)).started()
    stage.until(after(output, lambda out: out.covers > 5))
    assert source.opened == 0
    assert stage.stats.snapshot()["state"] == "idle"
    assert stage.stats.snapshot()["why"] == "nobody is watching"
    reader_monitor.set(True)
    stage.until(after(output, lambda out: out.composed > 5))
    assert source.opened == 1
    stage.end()
    assert [seat.closed for seat in reader_monitor.seats] == [True]
    assert output.leaks == 0


def test_it_is_released_when_the_last_has_left_and_comes_again_with_a_mask_of_its_own() -> None:
    """The person stands elsewhere after each opening: an old mask would show the room."""
    reader_monitor, source = FakeAudience(there=True), fake_source()
    output, built = FakeOutput(readers=reader_monitor), list[FakeSegmenter]()

    def build(_progress: Progress) -> Segmenter:
        built.append(FakeSegmenter())
        return built[-1]

    stage = Stage(replace(plan(source, output, build=build), on_demand=True)).started()
    for opening in range(1, 6):
        shown = output.composed
        stage.until(after(output, lambda out, shown=shown: out.composed > shown + 3))  # type: ignore[misc]
        assert source.opened == opening
        reader_monitor.set(False)
        stage.until(after(output, lambda _out, times=opening: source.closed >= times))  # type: ignore[misc]
        covers = output.covers
        stage.until(after(output, lambda out, covers=covers: out.covers > covers + 2))  # type: ignore[misc]
        reader_monitor.set(True)
    stage.end()
    assert output.leaks == 0
    assert len(built) == 1, "the network stays warm"


def test_who_comes_back_at_once_finds_the_camera_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LINGER", PATIENCE)
    reader_monitor, source = FakeAudience(there=True), fake_source()
    output = FakeOutput(readers=reader_monitor)
    stage = Stage(replace(plan(source, output), on_demand=True)).started()
    for _ in range(5):
        shown = output.composed
        stage.until(after(output, lambda out, shown=shown: out.composed > shown + 3))  # type: ignore[misc]
        reader_monitor.set(False)
        reader_monitor.set(True)
    stage.end()
    assert source.opened == 1


def test_a_network_that_nobody_needs_is_unloaded_and_built_again() -> None:
    reader_monitor, source = FakeAudience(there=True), fake_source()
    output, built = FakeOutput(readers=reader_monitor), list[FakeSegmenter]()

    def build(_progress: Progress) -> Segmenter:
        built.append(FakeSegmenter())
        return built[-1]

    stage = Stage(replace(plan(source, output, build=build), on_demand=True, unload_after=0.001)).started()
    stage.until(after(output, lambda out: out.composed > 3))
    reader_monitor.set(False)
    stage.until(after(output, lambda _out: built[0].closed))
    network = weakref.ref(built.pop())
    stage.until(after(output, lambda _out: network() is None))
    reader_monitor.set(True)
    shown = output.composed
    stage.until(after(output, lambda out: out.composed > shown + 3))
    stage.end()
    assert built
    assert output.leaks == 0


class Vanishing(FakeOutput):
    """A device that goes at the frames of those numbers and comes back after so many tries to open it."""

    def __init__(self, at: list[int], tries: int = 3) -> None:
        super().__init__()
        self.at, self.tries, self.left, self.opens, self.first_after = at, tries, 0, 0, list[bool]()
        self.new = False
        self.tried = threading.Event()

    def open(self) -> None:
        self.opens += 1
        if self.left:
            self.tried.set()
            self.left -= 1
            raise OutputError("the device is gone", fix="modprobe it")
        self.new = True
        super().open()

    def send(self, frame: SafeFrame, at: float) -> None:
        if self.at and len(self.times) == self.at[0]:
            self.at.pop(0)
            self.left = self.tries
            raise OutputError("the device is gone", fix="modprobe it")
        if self.new:
            self.first_after.append(frame.cover)
            self.new = False
        super().send(frame, at)


def test_an_output_that_vanishes_is_opened_again_and_begins_with_the_cover(caplog: pytest.LogCaptureFixture) -> None:
    source, output = fake_source(), Vanishing([20, 40, 60])
    stage = Stage(replace(plan(source, output), comes_back=True)).started()
    stage.until(after(output, lambda out: len(out.times) > 100 and out.composed > 20))
    stage.end()
    assert output.first_after == [True] * 4
    assert output.leaks == 0
    lost = [record.message for record in caplog.records if "trying again" in record.message]
    assert len(lost) == 3, "said once for each time"


def test_an_output_that_does_not_come_back_does_not_keep_the_session_from_ending() -> None:
    output = Vanishing([5], tries=10**6)
    stage = Stage(replace(plan(fake_source(), output), comes_back=True)).started()
    gone = threading.Event()
    output.tried = gone
    stage.until(gone)
    with pytest.raises(OutputError):
        stage.session.stop()


def test_a_network_that_hangs_is_left_behind_and_another_one_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FRAME_HUNG", 0.05)
    built = itertools.count()
    before, _busy, go = hold(2)

    def build(_progress: Progress) -> Segmenter:
        if next(built):
            return FakeSegmenter()
        return FakeSegmenter(before=before)

    source, output = fake_source(), FakeOutput()
    stage = Stage(plan(source, output, build=build)).started()
    stage.until(after(output, lambda _out: next(built) > 2))
    shown = output.composed
    stage.until(after(output, lambda out: out.composed > shown + 10))
    go.set()
    stage.end()
    assert output.leaks == 0


def test_a_network_that_hangs_again_and_again_gives_way_to_a_lighter_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FRAME_HUNG", 0.05)
    lighter = FakeSegmenter(name="lighter")
    before, _busy, go = hold()

    def build(_progress: Progress) -> Segmenter:
        return FakeSegmenter(before=before)

    source, output = fake_source(), FakeOutput()
    stage = Stage(with_lighter(plan(source, output, build=build), lighter)).started()
    stage.until(after(output, lambda out: out.composed > 10))
    go.set()
    stage.end()
    assert stage.stats.snapshot()["model"] == "lighter"
    assert output.leaks == 0


def test_without_a_lighter_one_a_network_that_only_hangs_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FRAME_HUNG", 0.02)
    before, _busy, go = hold()

    def build(_progress: Progress) -> Segmenter:
        return FakeSegmenter(before=before)

    source, output = fake_source(), FakeOutput()
    session = Session(plan(source, output, build=build), Stats())
    session.start()
    session.wait(PATIENCE, threading.Event())
    go.set()
    with pytest.raises(ModelError, match="no answer"):
        session.stop()
    assert output.composed == 0


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: an illegal memory access"), MemoryError(), ValueError()])
def test_whatever_a_networks_library_raises_brings_the_cover_and_another_network(error: Exception) -> None:
    """Three times in a row it fails, and is built anew."""
    built: list[FakeSegmenter] = []

    def build(_progress: Progress) -> Segmenter:
        def before(_frame: RawFrame) -> None:
            if len(built) == 1 and made.calls > 2:
                raise error

        made = FakeSegmenter(before=before)
        built.append(made)
        return made

    source, output = fake_source(), FakeOutput()
    stage = Stage(plan(source, output, build=build)).started()
    stage.until(after(output, lambda out: len(built) == 2 and out.composed > 5))
    shown = output.composed
    stage.until(after(output, lambda out: out.composed > shown + 5))
    stage.end()
    assert built[0].calls == 5
    assert built[0].closed
    assert output.leaks == 0


def test_a_network_that_fails_however_often_it_is_built_gives_way_to_a_lighter_one() -> None:
    def broken(_frame: RawFrame) -> Probability:
        return np.full((4, 4), np.nan, np.float32)

    lighter = FakeSegmenter(name="lighter")
    source, output = fake_source(), FakeOutput()
    what = plan(source, output, build=lambda _progress: FakeSegmenter(wrong=broken))
    stage = Stage(with_lighter(what, lighter)).started()
    stage.until(after(output, lambda out: out.composed > 5))
    stage.end()
    assert stage.stats.snapshot()["model"] == "lighter"
    assert output.leaks == 0


def test_a_frame_that_cannot_be_composed_is_covered_and_the_next_one_is_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = itertools.count()
    composed = compositor.Compositor._mask

    def now_and_then(self: compositor.Compositor, decision: object) -> object:
        if next(calls) % 3 == 2:
            raise RuntimeError("bad luck")
        return composed(self, decision)  # type: ignore[arg-type]

    monkeypatch.setattr(compositor.Compositor, "_mask", now_and_then)
    source, output = fake_source(), FakeOutput()
    stage = Stage(plan(source, output)).started()
    stage.until(after(output, lambda out: out.composed > 20))
    stage.end()
    assert output.leaks == 0
    assert any("bad luck" in record.message for record in caplog.records)


def test_one_that_can_never_be_composed_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_self: object, _decision: object) -> object:
        raise RuntimeError("bad luck")

    monkeypatch.setattr(compositor.Compositor, "_mask", never)
    output = FakeOutput()
    session = Session(plan(fake_source(), output), Stats())
    session.start()
    session.wait(PATIENCE, threading.Event())
    with pytest.raises(RuntimeError, match="bad luck"):
        session.stop()
    assert output.composed == 0


def test_a_camera_whose_driver_never_answers_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread cannot be ended, and is left behind."""
    monkeypatch.setattr(pace, "DRIVER_HUNG", 0.05)
    monkeypatch.setattr(pace, "END", 0.05)
    go = threading.Event()

    class Frozen(FakeSource):
        def read(self) -> Captured | None:
            if self.number > 5:
                go.wait(PATIENCE)
            return super().read()

    output = FakeOutput()
    session = Session(plan(Frozen(forever(), period=0.001), output), Stats())
    session.start()
    session.wait(PATIENCE, threading.Event())
    with pytest.raises(CameraError, match="not answered"):
        session.stop()
    assert session.stats.snapshot()["state"] == "stopped"
    assert output.leaks == 0
    go.set()
    for thread in threading.enumerate():
        if thread.name == "capture":
            thread.join(PATIENCE)


def test_what_is_wrong_is_told_with_its_fix_until_it_is_not() -> None:
    told: list[str] = []
    source = FakeSource(forever(), period=0.001, open_errors=[CameraError("it is busy", fix="close the other one")])
    output = FakeOutput()
    stage = Stage(plan(source, output)).started()

    def enough(out: FakeOutput) -> bool:
        told.append(stage.stats.snapshot()["problem"])
        return out.composed > 5

    stage.until(after(output, enough))
    stage.end()
    assert "it is busy; close the other one" in told
    assert stage.stats.snapshot()["problem"] == ""
