"""live: the whole chain with fakes that misbehave. The room has a secret colour that no output may ever hold."""

import gc
import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fakes import SIZE, FakeBackground, FakeOutput, FakeSegmenter, FakeSource
from tests.support.live import (
    PATIENCE,
    Dancer,
    built_after,
    composes,
    fake_source,
    forever,
    hold,
    plan,
    reaches,
    run,
    running,
    threads,
)
from vbgcam.core.errors import BackgroundError, CameraError, ModelError, OutputError, VbgcamError
from vbgcam.core.options import Blur, SyncMode
from vbgcam.live import pace
from vbgcam.live.session import Session
from vbgcam.live.stats import Series, Stats
from vbgcam.live.workers import compositor, inference
from vbgcam.segment import Progress, Segmenter

pytestmark = pytest.mark.usefixtures("quick")


def test_the_first_picture_is_the_cover_and_it_is_there_before_camera_and_network() -> None:
    seen: list[tuple[int, int]] = []
    source, output = fake_source(), FakeOutput()

    def build(_progress: Progress) -> Segmenter:
        seen.append((output.covers, output.composed))
        return FakeSegmenter()

    run(plan(source, output, build=build), lambda: output.composed > 3)
    assert seen[0][0] >= 1
    assert seen[0][1] == 0
    assert output.leaks == 0


def test_a_still_loading_network_keeps_the_cover_on_air_and_the_picture_moving() -> None:
    output, go = FakeOutput(), threading.Event()
    with running(plan(fake_source(), output, build=built_after(go))) as session:
        reaches(session, lambda: output.covers > 20)
        go.set()
        reaches(session, lambda: output.composed > 3)
    assert output.leaks == 0


@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize("sync", ["auto", "exact", "newest"])
def test_a_slow_network_does_not_hold_the_picture_up(
    sync: SyncMode, patient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One mask is let through; then the network hangs while the camera goes on. Every frame still goes out, at the
    latest when the next one is there, however long it might wait for its mask."""
    if patient:
        for module in (compositor, inference):
            monkeypatch.setattr(module, "patience", lambda _period, _compose: PATIENCE)
    before, _busy, go = hold(1)
    output, segmenter = FakeOutput(), FakeSegmenter(before=before)
    with running(plan(fake_source(), output, segmenter=segmenter, sync=sync)) as session:
        reaches(session, lambda: output.composed > 50)
        assert segmenter.calls <= 3
        go.set()


def test_masks_that_get_too_old_bring_the_cover_back() -> None:
    before, _busy, go = hold(1)
    output, segmenter = FakeOutput(), FakeSegmenter(before=before)
    with running(plan(fake_source(), output, segmenter=segmenter, mask_age=0.05)) as session:
        reaches(session, lambda: output.composed > 0)
        covers = output.covers
        reaches(session, lambda: output.covers > covers + 10)
        go.set()


def test_a_source_that_waits_for_its_reader_loses_no_frame() -> None:
    source, output = FakeSource(iter([True] * 40), clocked=False), FakeOutput(keep=True)
    stats = run(plan(source, output, retry=False)).snapshot()
    assert stats["frames"]["captured"] == 40
    assert stats["frames"]["dropped"] == 0
    assert len(output.times) >= 41
    assert output.times == sorted(output.times)
    assert output.leaks == 0


def test_a_source_that_waits_for_its_reader_gets_each_frame_its_own_mask_and_none_is_covered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "STALLED", PATIENCE)  # no frame goes out twice because the machine is slow
    source, output, loaded = Dancer(iter([True] * 40), clocked=False), FakeOutput(), threading.Event()
    output.notify = lambda out: loaded.set() if out.covers > 5 else None
    what = plan(source, output, build=built_after(loaded), retry=False)
    stats = run(replace(what, fps=30.0)).snapshot()
    assert output.composed == stats["frames"]["captured"] == 40
    assert stats["pairing"] == "exact"
    assert stats["mask_age_ms"]["max"] == 0
    assert output.leaks == 0


def test_a_frame_of_a_camera_waits_for_its_own_mask_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next frame comes when one is out: nothing is lost, and no mask is another frame's."""
    for module in (compositor, inference):
        monkeypatch.setattr(module, "patience", lambda _period, _compose: PATIENCE)
    monkeypatch.setattr(pace, "STALLED", PATIENCE)
    frames, released = threading.Semaphore(1), [1]
    source, output = Dancer(forever(), gate=frames), FakeOutput()

    def notify(_output: FakeOutput) -> None:
        if source.number == released[0]:
            released[0] += 1
            frames.release()

    output.notify = notify
    stats = run(plan(source, output, sync="exact"), lambda: output.composed >= 20).snapshot()
    assert output.leaks == 0
    # A cover that goes out while the first frame is on its way may let the second one come too early.
    assert stats["frames"]["dropped"] <= 1
    assert stats["mask_age_ms"]["max"] == 0


def test_auto_pairs_exactly_while_masks_come_in_time_and_says_each_change(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow network is one whose frames were captured long ago: no clock is waited for."""
    for module in (compositor, inference):
        monkeypatch.setattr(module, "patience", lambda _period, _compose: 2.0)
    lag, seen = [0.0], [""]
    source = FakeSource(forever(), period=0.001, now=lambda: time.monotonic() - lag[0])
    output = FakeOutput()
    session = Session(plan(source, output), Stats())

    def notify(_output: FakeOutput) -> None:
        now = session.stats.get("pairing")
        if now != seen[-1]:
            seen.append(now)
            lag[0] = 5.0 if now == "exact" else 0.0

    output.notify = notify
    with caplog.at_level("INFO"):
        session.start()
        reaches(session, lambda: len(seen) >= 5)
        assert session.stop()
    assert seen[:5] == ["", "newest", "exact", "newest", "exact"]
    said = [record.message for record in caplog.records if record.message.startswith("pairing")]
    own, newest = "pairing: each frame goes out with its own mask", "pairing: each frame takes the newest mask"
    assert said[:3] == [own, newest, own]


def test_the_networks_input_grows_while_masks_go_on_and_it_is_told() -> None:
    made, output = FakeSegmenter(ladder=(32, 64, 128)), FakeOutput()
    begun: list[int] = []
    three_more = threading.Event()

    def preparing(_size: int) -> None:
        """Ends only when three more masks were made."""
        begun.append(made.calls)
        three_more.clear()
        assert three_more.wait(PATIENCE)

    made.preparing = preparing
    made.before = lambda _frame: three_more.set() if begun and made.calls > begun[-1] + 3 else None
    with running(plan(fake_source(), output, segmenter=made, size_auto=True)) as session:
        reaches(session, lambda: session.stats.get("input") == "128x171")
    assert made.resized[-1] == 128
    assert session.stats.get("precision") == "fp32"
    assert output.leaks == 0


def test_a_size_that_was_fixed_stays() -> None:
    made = FakeSegmenter(ladder=(32, 64, 128))
    output = FakeOutput()
    run(plan(fake_source(), output, segmenter=made), lambda: output.composed > 40)
    assert not made.prepared
    assert not made.resized


def test_a_stop_while_the_network_is_being_prepared_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads are left behind, and say so; the network is not closed under the one that prepares it."""
    monkeypatch.setattr(pace, "END", 0.05)
    begun, go = threading.Event(), threading.Event()
    made = FakeSegmenter(ladder=(32, 64, 128))

    def preparing(_size: int) -> None:
        begun.set()
        assert go.wait(PATIENCE)

    made.preparing = preparing
    what = plan(fake_source(), FakeOutput(), segmenter=made, size_auto=True)
    session = Session(what, Stats())
    session.start()
    session.wait(PATIENCE, begun)
    assert not session.stop()
    assert not made.closed
    go.set()
    for thread in threads():
        thread.join(PATIENCE)
    assert made.closed


def test_garbage_is_collected_again_once_the_network_is_there() -> None:
    output = FakeOutput()
    run(plan(fake_source(), output), lambda: output.composed > 3)
    assert gc.isenabled()
    with inference.garbage_collection_paused.hold(None):
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_camera_that_is_lost_is_covered_reopened_and_its_old_masks_are_never_used() -> None:
    """The new epoch's person stands elsewhere: an old mask would show the room."""
    gone = CameraError("unplugged")
    steps: Iterator[bool | CameraError] = itertools.chain([True] * 10, [gone], [True] * 10, [gone], forever())
    source, output = FakeSource(steps, period=0.001), FakeOutput()
    segmenter = FakeSegmenter()
    run(plan(source, output, segmenter=segmenter), lambda: source.opened >= 3 and output.composed > 30)
    assert source.closed >= source.opened
    assert segmenter.resets >= 2
    assert output.leaks == 0


def test_a_camera_that_cannot_be_opened_is_tried_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    busy = [CameraError("camera is busy") for _ in range(5)]
    source, output = FakeSource(forever(), period=0.001, open_errors=busy), FakeOutput()
    run(plan(source, output), lambda: output.composed > 3)
    assert source.opened == 6
    assert [record.message for record in caplog.records if "busy" in record.message] == [
        "camera is busy (trying again)"
    ]


def test_a_run_that_never_showed_anybody_ends_with_the_reason() -> None:
    source, output = FakeSource(open_errors=[CameraError("busy")] * 100000), FakeOutput()
    with pytest.raises(CameraError, match="busy"):
        run(plan(source, output), lambda: output.covers > 10)
    assert output.composed == 0


def test_a_file_that_fails_ends_the_session() -> None:
    source = FakeSource(iter([True, CameraError("damaged")]), clocked=False)
    with pytest.raises(CameraError, match="damaged"):
        run(plan(source, FakeOutput(), retry=False))


def test_weights_that_cannot_be_fetched_now_are_tried_again() -> None:
    tries = itertools.count()

    def build(_progress: Progress) -> Segmenter:
        if next(tries) < 3:
            raise ModelError("no network", retry=True)
        return FakeSegmenter()

    source, output = fake_source(), FakeOutput()
    run(plan(source, output, build=build), lambda: output.composed > 3)
    assert output.covers > 0


@pytest.mark.parametrize("error", [ModelError("not an ONNX file"), ZeroDivisionError("a bug")])
def test_a_wrong_model_or_an_unforeseen_error_ends_the_session_with_its_line(error: Exception) -> None:
    def build(_progress: Progress) -> Segmenter:
        raise error

    with pytest.raises(type(error), match=str(error)):
        run(plan(fake_source(), FakeOutput(), build=build))


def test_a_download_breaks_off_when_the_session_ends() -> None:
    stopped, begun = threading.Event(), threading.Event()

    def build(progress: Progress) -> Segmenter:
        try:
            for done in itertools.count():
                progress(done % 100, 100, "a host")
                if done == 1000:
                    begun.set()
        except inference.StopRequested:
            stopped.set()
            raise
        raise AssertionError("unreachable")

    run(plan(fake_source(), FakeOutput(), build=build), begun.is_set)
    assert stopped.is_set()


@pytest.mark.parametrize("at", [-1, 0, 5])
def test_an_output_that_fails_ends_the_session_and_is_closed(at: int) -> None:
    output = FakeOutput(fail=OutputError("the device is gone"), fail_at=at)
    source = fake_source()
    with pytest.raises(OutputError, match="the device is gone"):
        run(plan(source, output))
    assert not output.is_open


def test_a_background_that_breaks_off_keeps_its_last_picture() -> None:
    background = FakeBackground(moves=True)
    output = FakeOutput()
    with running(plan(fake_source(), output, background=background)) as session:
        reaches(session, lambda: output.composed > 5)
        background.fail = BackgroundError("the film is damaged")
        reaches(session, lambda: background.closed)
        composes(session, output, 10)
    assert output.leaks == 0


def test_blur_shows_the_room_out_of_focus_but_its_cover_shows_nobody() -> None:
    output = FakeOutput(keep=True)
    run(plan(fake_source(), output, blur=Blur(0.5)), lambda: output.composed > 3)
    card = output.frames[0]
    assert len(set(card[: SIZE.pixels].tolist())) == 1


def test_stopping_before_starting_and_twice_is_harmless() -> None:
    session = Session(plan(FakeSource(), FakeOutput()), Stats())
    assert session.stop()
    assert session.stop()


def test_the_end_by_duration_is_no_failure() -> None:
    stats = Stats()
    session = Session(plan(fake_source(), FakeOutput()), stats)
    session.start()
    session.wait(0.05, threading.Event())
    session.stop()
    assert stats.snapshot()["state"] == "stopped"


def test_figures_hold_what_is_promised() -> None:
    stats = run(plan(FakeSource(iter([True] * 10), clocked=False), FakeOutput(), retry=False)).snapshot()
    assert set(stats) >= {"state", "source", "sink", "model", "device", "size", "fps", "frames", "rss_mb", "uptime_s"}
    assert set(stats["frames"]) == {"captured", "sent", "dropped", "covered"}
    assert set(stats["mask_age_ms"]) == set(stats["added_latency_ms"]) == {"p50", "p95", "p99", "max"}
    assert set(stats["inference_ms"]) == {"p50", "p95"}
    assert stats["model"] == "fake"


def test_percentiles_by_hand() -> None:
    series = Series()
    assert series.percentiles() == {"p50": None, "p95": None, "p99": None, "max": None}
    for value in range(101):
        series.add(value / 1000)
    assert series.percentiles() == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def test_percentiles_are_of_the_newest_values_and_the_maximum_of_all() -> None:
    series = Series()
    for value in [9.0, *[1.0] * 9000]:
        series.add(value)
    assert series.percentiles() == {"p50": 1000.0, "p95": 1000.0, "p99": 1000.0, "max": 9000.0}


def test_figures_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    from vbgcam.app import write_stats

    with pytest.raises(VbgcamError, match="could not be written"):
        write_stats(tmp_path / "none" / "stats.json", Stats())
