"""live: the camera is on while somebody watches, and only then; what fails comes back, or something else takes its
place. The room has a secret colour that no output may ever hold."""

import itertools
import threading
import weakref
from dataclasses import replace

import numpy as np
import pytest

from tests.support.fakes import FakeAudience, FakeOutput, FakeSegmenter, FakeSource
from tests.support.live import PATIENCE, composes, fake_source, forever, hold, plan, reaches, run, running, threads
from vbgcam.camera import Captured
from vbgcam.core.errors import CameraError, ModelError, OutputError
from vbgcam.core.frames import Mask, RawFrame, SafeFrame
from vbgcam.core.policy import Compose
from vbgcam.live import pace
from vbgcam.live.plan import Plan
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.live.workers import compositor
from vbgcam.segment import Probability, Progress, Segmenter

pytestmark = pytest.mark.usefixtures("quick")


def with_lighter(what: Plan, lighter: FakeSegmenter) -> Plan:
    return replace(what, network=replace(what.network, lighter=lambda _progress: lighter))


class Builds(list[FakeSegmenter]):
    """Every network that was built."""

    def __call__(self, _progress: Progress) -> Segmenter:
        self.append(FakeSegmenter())
        return self[-1]


def test_the_camera_is_off_until_somebody_watches_and_the_cover_is_there_meanwhile() -> None:
    readers, source = FakeAudience(), fake_source()
    output = FakeOutput(readers=readers)
    with running(replace(plan(source, output), on_demand=True)) as session:
        reaches(session, lambda: output.covers > 5)
        assert source.opened == 0
        assert (session.stats.get("state"), session.stats.get("why")) == ("idle", "nobody is watching")
        readers.set(True)
        reaches(session, lambda: output.composed > 5)
        assert source.opened == 1
    assert [seat.closed for seat in readers.seats] == [True]
    assert output.leaks == 0


def test_it_is_released_when_the_last_has_left_and_comes_again_with_a_mask_of_its_own() -> None:
    """The person stands elsewhere after each opening: an old mask would show the room."""
    readers, source = FakeAudience(there=True), fake_source()
    output, built = FakeOutput(readers=readers), Builds()
    with running(replace(plan(source, output, build=built), on_demand=True)) as session:
        for opening in range(1, 6):
            composes(session, output)
            assert source.opened == opening
            readers.set(False)
            reaches(session, lambda opening=opening: source.closed >= opening)  # type: ignore[misc]
            covers = output.covers + 2
            reaches(session, lambda covers=covers: output.covers > covers)  # type: ignore[misc]
            readers.set(True)
    assert output.leaks == 0
    assert len(built) == 1, "the network stays warm"


def test_who_comes_back_at_once_finds_the_camera_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LINGER", PATIENCE)
    readers, source = FakeAudience(there=True), fake_source()
    output = FakeOutput(readers=readers)
    with running(replace(plan(source, output), on_demand=True)) as session:
        for _ in range(5):
            composes(session, output)
            readers.set(False)
            readers.set(True)
    assert source.opened == 1


def test_a_network_that_nobody_needs_is_unloaded_and_built_again() -> None:
    readers, source = FakeAudience(there=True), fake_source()
    output, built = FakeOutput(readers=readers), Builds()
    what = replace(plan(source, output, build=built), on_demand=True, unload_after=0.001)
    with running(what) as session:
        reaches(session, lambda: output.composed > 3)
        readers.set(False)
        reaches(session, lambda: built[0].closed)
        network = weakref.ref(built.pop())
        reaches(session, lambda: network() is None)
        readers.set(True)
        composes(session, output)
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
    output = Vanishing([20, 40, 60])
    what = replace(plan(fake_source(), output), comes_back=True)
    run(what, lambda: len(output.times) > 100 and output.composed > 20)
    assert output.first_after == [True] * 4
    assert output.leaks == 0
    lost = [record.message for record in caplog.records if "trying again" in record.message]
    assert len(lost) == 3, "said once for each time"


def test_an_output_that_does_not_come_back_does_not_keep_the_session_from_ending() -> None:
    output = Vanishing([5], tries=10**6)
    with pytest.raises(OutputError):
        run(replace(plan(fake_source(), output), comes_back=True), output.tried.is_set)


def test_a_network_that_hangs_is_left_behind_and_another_one_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FRAME_HUNG", 0.05)
    before, _busy, go = hold(2)
    output, built = (
        FakeOutput(),
        itertools.chain([FakeSegmenter(before=before)], map(FakeSegmenter, itertools.repeat("next"))),
    )
    with running(plan(fake_source(), output, build=lambda _progress: next(built))) as session:
        reaches(session, lambda: session.stats.get("model") == "next")
        composes(session, output, 10)
        go.set()
    assert output.leaks == 0


@pytest.mark.parametrize("hangs", [True, False])
def test_a_network_that_hangs_or_fails_however_often_it_is_built_gives_way_to_a_lighter_one(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _busy, go = hold()

    def broken(_frame: RawFrame) -> Probability:
        return np.full((4, 4), np.nan, np.float32)

    if hangs:
        monkeypatch.setattr(pace, "FRAME_HUNG", 0.05)
    lighter, output = FakeSegmenter(name="lighter"), FakeOutput()

    def build(_progress: Progress) -> Segmenter:
        return FakeSegmenter(before=before) if hangs else FakeSegmenter(wrong=broken)

    with running(with_lighter(plan(fake_source(), output, build=build), lighter)) as session:
        reaches(session, lambda: output.composed > 10)
        go.set()
        assert session.stats.get("model") == "lighter"
    assert output.leaks == 0


def test_without_a_lighter_one_a_network_that_only_hangs_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FRAME_HUNG", 0.02)
    before, _busy, go = hold()
    output = FakeOutput()
    session = Session(plan(fake_source(), output, build=lambda _progress: FakeSegmenter(before=before)), Stats())
    session.start()
    reaches(session, session.ended)
    go.set()
    with pytest.raises(ModelError, match="no answer"):
        session.stop()
    assert output.composed == 0


@pytest.mark.parametrize(
    "error",
    [RuntimeError("CUDA error: an illegal memory access"), MemoryError(), ValueError(), ModelError("CUDA is gone")],
)
def test_whatever_a_networks_library_raises_brings_the_cover_and_another_network(error: Exception) -> None:
    """Three times in a row it fails, and is built anew."""
    built = Builds()
    output = FakeOutput()

    def build(progress: Progress) -> Segmenter:
        def before(_frame: RawFrame) -> None:
            if len(built) == 1 and made.calls > 2:
                raise error

        built(progress)
        made = built[-1]
        made.before = before
        return made

    run(plan(fake_source(), output, build=build), lambda: len(built) == 2 and built[1].calls > 5 < output.composed)
    assert built[0].calls == 5
    assert built[0].closed
    assert output.leaks == 0


def test_a_frame_that_cannot_be_composed_is_covered_and_the_next_one_is_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = itertools.count()
    composed = compositor.Compositor._mask

    def now_and_then(self: compositor.Compositor, decision: Compose) -> Mask | None:
        if next(calls) % 3 == 2:
            raise RuntimeError("bad luck")
        return composed(self, decision)

    monkeypatch.setattr(compositor.Compositor, "_mask", now_and_then)
    output = FakeOutput()
    run(plan(fake_source(), output), lambda: output.composed > 20)
    assert output.leaks == 0
    assert any("bad luck" in record.message for record in caplog.records)


def test_one_that_can_never_be_composed_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_self: object, _decision: object) -> object:
        raise RuntimeError("bad luck")

    monkeypatch.setattr(compositor.Compositor, "_mask", never)
    output = FakeOutput()
    with pytest.raises(RuntimeError, match="bad luck"):
        run(plan(fake_source(), output))
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
    with pytest.raises(CameraError, match="not answered"):
        run(plan(Frozen(forever(), period=0.001), output))
    assert output.leaks == 0
    go.set()
    for thread in threads("capture"):
        thread.join(PATIENCE)


def test_what_is_wrong_is_told_with_its_fix_until_it_is_not() -> None:
    source = FakeSource(forever(), period=0.001, open_errors=[CameraError("it is busy", fix="close the other one")])
    output = FakeOutput()
    session = Session(plan(source, output), Stats())
    told: list[str] = []
    output.notify = lambda _output: told.append(session.stats.get("problem"))
    session.start()
    reaches(session, lambda: output.composed > 5)
    assert session.stop()
    assert "it is busy; close the other one" in told
    assert session.stats.get("problem") == ""
