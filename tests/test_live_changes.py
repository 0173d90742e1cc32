"""live: what is shown, the camera and the network change while it runs; nothing is lost by it, and nothing leaks."""

import contextlib
import gc
import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NoReturn

import numpy as np
import pytest

from tests.support.fakes import PERSON, SECRET, SIZE, FakeAudience, FakeBackground, FakeSegmenter, FakeSource
from tests.support.live import (
    PATIENCE,
    Colour,
    Dancer,
    Watched,
    built_after,
    chosen,
    fake_source,
    hold,
    on_air,
    plan,
    reaches,
    running,
    threads,
)
from vbgcam.camera import Captured, Negotiated
from vbgcam.core.errors import BackgroundError, CameraError, ModelError, OutputError
from vbgcam.core.frames import RawFrame, SafeFrame, Size
from vbgcam.core.options import PRESETS, Blur
from vbgcam.core.policy import Why
from vbgcam.live import pace
from vbgcam.live.plan import Network
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.live.workers import inference
from vbgcam.segment import Progress, Segmenter

pytestmark = pytest.mark.usefixtures("quick")


def given(camera: FakeSource, count: int) -> bool:
    return camera.number > count


def test_a_background_changes_between_two_pictures_and_none_is_a_cover() -> None:
    """Each is closed once another is shown or the session ends; one that cannot be shown is, and changes nothing."""
    output, backgrounds = Watched(), [Colour(50 + 20 * number, moves=number % 2 == 1) for number in range(5)]
    what = plan(fake_source(), output, background=backgrounds[0])
    with running(what) as session:
        on_air(output)
        begun = len(output.kinds)
        for background in backgrounds[1:]:
            session.set_scene(what.options, background)
            output.shows(background.luma)
        broken = FakeBackground(fail=BackgroundError("no picture"), moves=True)
        with pytest.raises(BackgroundError, match="no picture"):
            session.set_scene(replace(what.options, mirror=True), broken)
        assert broken.closed
        output.more(5)
        assert not any(output.kinds[begun:])
    assert [background.closed for background in backgrounds] == [True] * 5
    changes = [luma for luma, _ in itertools.groupby(output.seen[begun:])]
    assert [luma for luma in changes if luma != 50] == [70, 90, 110, 130]
    assert output.leaks == 0


def test_a_mirror_a_blur_and_other_steps_are_taken_from_the_next_picture_on() -> None:
    output = Watched(keep=True)
    what = plan(fake_source(), output, background=Colour(50))
    with running(what) as session:
        on_air(output)
        plain = output.frames[-1][: SIZE.pixels].reshape(SIZE.height, SIZE.width)
        session.set_scene(replace(what.options, mirror=True))
        # On a busy machine a cover may come between.
        mirrored = plain[:, ::-1].reshape(-1)
        output.wait(lambda: bool(np.array_equal(output.frames[-1][: SIZE.pixels], mirrored)))
        assert output.leaks == 0
        session.set_scene(replace(what.options, blur=Blur(1.0), mask=PRESETS["fast"]))
        output.wait(lambda: output.seen[-1] > 100)  # the room, which is bright


def test_the_plain_room_is_shown_only_when_asked_for_and_never_after_it() -> None:
    """The network answers nothing while the room is shown as it is; coming back, the cover stands until it has."""
    output, network = Watched(), FakeSegmenter()
    what = plan(fake_source(), output, background=Colour(50), segmenter=network)
    with running(what) as session:
        on_air(output)
        assert not session.stats.get("room_shown")
        session.set_scene(replace(what.options, plain=True))
        output.wait(lambda: output.seen[-1] == SECRET[0])
        shown = output.leaks
        assert shown > 0
        calls = network.calls
        output.more(10)
        assert network.calls <= calls + 1
        assert session.stats.get("room_shown")
        assert session.stats.in_words() == "on air: your room is visible"
        session.pause(True)
        output.more(2)
        assert not session.stats.get("room_shown")
        session.pause(False)
        output.wait(lambda: session.stats.get("room_shown"))
        session.set_scene(what.options)
        output.shows(50)
        leaks = output.leaks
        output.composes(10)
        assert output.leaks == leaks
        assert not session.stats.get("room_shown")


def test_a_run_that_ended_does_not_say_that_the_room_is_visible() -> None:
    output = Watched()
    what = plan(fake_source(), output, background=Colour(50))
    with running(replace(what, options=replace(what.options, plain=True))) as session:
        output.wait(lambda: session.stats.get("room_shown"))
    assert not session.stats.get("room_shown")
    assert session.stats.in_words() == "stopped"


def test_who_begins_with_the_plain_room_needs_no_network_until_it_is_wanted() -> None:
    output, built = Watched(), threading.Event()

    def build(_progress: Progress) -> Segmenter:
        built.set()
        return FakeSegmenter()

    what = plan(fake_source(), output, background=Colour(50), build=build)
    with running(replace(what, options=replace(what.options, plain=True))) as session:
        output.wait(lambda: output.seen[-1] == SECRET[0])
        output.more(5)
        assert not built.is_set()
        session.set_scene(what.options)
        assert built.wait(PATIENCE)
        leaks = output.leaks
        output.wait(lambda: output.seen[-1] == 50 and not output.kinds[-1])
        output.more(5)
        assert output.leaks <= leaks + 1  # one that was under way


def test_the_camera_changes_and_the_outputs_size_stays() -> None:
    output, cameras = Watched(), [fake_source(size=Size(*size)) for size in ((64, 48), (32, 24), (128, 96))]
    what = plan(cameras[0], output, background=Colour(50))
    with running(what) as session:
        for number, camera in enumerate(cameras[1:], 1):
            on_air(output)
            camera.opened = 10 * number  # the person stands elsewhere
            session.set_camera(camera)
            output.wait(partial(given, camera, 5))
            output.composes(3)
        assert cameras[0].closed
    assert output.sizes == {SIZE}
    assert output.leaks == 0
    assert session.stats.get("source_size") == "128x96"


def test_while_the_camera_is_opened_anew_its_last_picture_stays_and_no_cover_goes_out() -> None:
    """The new camera's first mask is waited for: until then the old picture, not the cover, and never the new frame
    with the old mask. Its age is no delay."""
    output, late = Watched(), []
    segmenter, second = FakeSegmenter(), fake_source()
    second.opened = 5
    with running(plan(fake_source(), output, background=Colour(50), segmenter=segmenter)) as session:
        on_air(output)
        begun = len(output.kinds)
        segmenter.before, _busy, go = hold()
        session.set_camera(second)
        output.wait(lambda: second.number > 3)
        output.more(3)
        sent = session.stats.sent

        def spy(at: float, latency: float | None, mask_age: float | None) -> None:
            late.append(latency)
            sent(at, latency, mask_age)

        session.stats.sent = spy  # type: ignore[method-assign]
        output.more(5)
        assert late[:4] == [None] * 4
        assert not any(output.kinds[begun:])
        go.set()
        output.composes(10)
    assert output.leaks == 0


def test_a_camera_that_cannot_be_opened_is_covered_and_the_next_choice_is_taken_at_once() -> None:
    output, busy = Watched(), fake_source(open_errors=[CameraError("busy")] * 100_000)
    what = plan(fake_source(), output, background=Colour(50))
    with running(what) as session:
        on_air(output)
        session.set_camera(busy)
        output.wait(lambda: output.kinds[-1])
        assert session.stats.get("problem") == "busy"
        session.set_camera(fake_source())
        output.composes(3)
        assert session.stats.get("problem") == ""


def test_a_film_that_was_chosen_later_and_ends_is_covered_and_not_begun_anew_before_somebody_watches_anew() -> None:
    output = Watched()
    film = FakeSource(itertools.chain([True] * 5, [False], itertools.repeat(True)), period=0.001)
    with running(plan(fake_source(), output, retry=False)) as session:
        on_air(output)
        session.set_camera(film)
        output.wait(lambda: "ended" in session.stats.get("problem"))
        output.more(20)
        assert film.opened == 1
        assert output.kinds[-1]
        session.pause(True)
        reaches(session, lambda: session._state.camera_trouble is Why.IDLE)
        session.pause(False)
        output.composes(3)
        assert film.opened == 2


def test_a_faster_camera_gives_no_more_than_the_outputs_rate() -> None:
    output, fast = Watched(), FakeSource(itertools.repeat(True), period=0.0005)
    clock = itertools.count()
    fast.now = lambda: began + next(clock) / 1000  # a thousand a second, whatever the machine does

    class Thousand(FakeSource):
        def open(self) -> Negotiated:
            FakeSource.open(self)
            return Negotiated("fast", SIZE, 1000.0)

    quick = Thousand(itertools.repeat(True), period=0.0005, now=fast.now)
    what = plan(fake_source(), output, background=Colour(50))
    with running(what) as session:  # 200 a second
        on_air(output)
        before = session.stats.snapshot()["frames"]["captured"]
        began = time.monotonic()
        session.set_camera(quick)
        output.wait(lambda: quick.number >= 500)
        given = session.stats.snapshot()["frames"]["captured"] - before
    assert given < quick.number / 3


@pytest.mark.parametrize("when", ["building", "looking"])
def test_another_network_takes_over_once_it_is_ready_and_masks_go_on_meanwhile(when: str) -> None:
    """Libraries choose and compile at the first frame: the old network works until that is done."""
    output, (before, _busy, go) = Watched(), hold()
    old, new = FakeSegmenter(name="old"), FakeSegmenter(name="new")
    if when == "looking":
        new.before = before
    with running(plan(fake_source(), output, segmenter=old)) as session:
        on_air(output)
        begun = len(output.kinds)
        session.set_network(Network("new", built_after(go, new)) if when == "building" else chosen(new))
        assert session.stats.get("loading") == {"model": "new", "done": None, "total": None, "host": ""}
        output.wait(lambda: when == "building" or new.calls > 0)
        calls = old.calls
        output.wait(lambda: old.calls > calls + 5)
        assert not old.closed
        go.set()
        output.wait(lambda: new.calls > 5 and old.closed and len(threads("inference")) == 1)
        assert not any(output.kinds[begun:])
        assert session.stats.get("model") == "new"
        assert session.stats.get("loading") is None
        # What is left of the old one is not looked through again: torch alone would stop all threads for 150 ms.
        assert gc.get_freeze_count() > 0
    assert new.closed
    assert output.leaks == 0


@pytest.mark.parametrize("when", ["building", "looking"])
def test_a_network_that_cannot_be_had_leaves_the_old_one_and_says_why(when: str) -> None:
    def fail(_: object) -> NoReturn:
        raise ModelError("damaged", fix="get another")

    output, broken = Watched(), FakeSegmenter(before=fail)
    build = fail if when == "building" else lambda _progress: broken
    with running(plan(fake_source(), output)) as session:
        on_air(output)
        begun = len(output.kinds)
        session.set_network(Network("broken", build))
        output.wait(lambda: bool(session.stats.get("refused")))
        output.more(10)
        assert session.stats.get("refused") == "damaged; get another"
        assert session.stats.get("model") == "fake"
        assert session.stats.get("loading") is None
        assert not any(output.kinds[begun:])
        assert broken.closed == (when == "looking")
        assert session._state.network.roi is not None


def test_of_networks_that_are_chosen_in_a_row_the_last_one_works_and_all_others_are_closed() -> None:
    output, made = Watched(), [FakeSegmenter(name=str(number)) for number in range(6)]
    with running(plan(fake_source(), output, segmenter=made[0])) as session:
        on_air(output)
        for segmenter in made[1:]:
            session.set_network(chosen(segmenter))
        output.wait(lambda: made[5].calls > 3 and made[0].closed)
        assert session.stats.get("model") == "5"
    # Those that were overtaken while they were built were never begun, or are closed.
    assert all(segmenter.closed or not segmenter.calls for segmenter in made)
    assert output.leaks == 0


def test_a_pause_is_on_air_when_it_returns_and_the_camera_is_off() -> None:
    output, camera = Watched(), fake_source()
    with running(plan(camera, output, background=Colour(50))) as session:
        on_air(output)
        session.pause(True)
        begun = len(output.kinds)
        output.more(10)
        assert all(output.kinds[begun:])
        assert session.stats.snapshot()["state"] == "paused"
        output.wait(lambda: camera.closed > 0)
        number = camera.number
        output.more(5)
        assert camera.number == number
        session.pause(False)
        output.composes(1)
    assert output.leaks == 0


def test_who_begins_paused_sees_nobody_and_opens_no_camera() -> None:
    output, camera = Watched(), fake_source()
    session = Session(plan(camera, output, background=Colour(50)), Stats())
    session.pause(True)
    session.start()
    output.more(10)
    assert not camera.opened
    assert all(output.kinds)
    session.pause(False)
    on_air(output)
    session.stop()


def test_who_looks_at_the_preview_turns_the_camera_on_and_off() -> None:
    output, camera = Watched(readers=FakeAudience()), fake_source()
    with running(replace(plan(camera, output), on_demand=True)) as session:
        assert session.stats.get("watched") is False
        output.more(3)
        assert not camera.opened
        session.watch_preview(True)
        session.watch_preview(True)
        on_air(output)
        session.watch_preview(False)
        output.composes(3)
        session.watch_preview(False)
        output.wait(lambda: output.kinds[-1] and camera.closed > 0)
        shown = session.last_sent()
        assert shown is not None
        assert shown.mask is None


def test_a_background_is_shown_at_once_although_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cover goes out twice a second then; a change does not wait for the next one."""
    reader_monitor = FakeAudience()
    output = Watched(readers=reader_monitor)
    monkeypatch.setattr(pace, "IDLE_PERIOD", PATIENCE)
    what = replace(plan(fake_source(), output, background=Colour(50)), on_demand=True)
    with running(what) as session:
        output.wait(lambda: session.stats.get("state") == "idle")
        session.set_scene(what.options, Colour(90))
        output.shows(90)
        reader_monitor.set(True)  # who looks out for readers need not do so for as long


class Absent(Watched):
    """Not there until `there` is set."""

    there = False

    def open(self) -> None:
        if not self.there:
            raise OutputError("no module", fix="modprobe it")
        super().open()


def test_an_output_that_is_not_there_yet_is_waited_for_where_that_is_wanted() -> None:
    output = Absent()
    what = replace(plan(fake_source(), output, background=Colour(50)), comes_back=True)
    with pytest.raises(OutputError, match="no module"):
        Session(what, Stats()).start()
    with running(replace(what, waits=True)) as session:
        reaches(session, lambda: session.stats.get("problem") == "no module; modprobe it")
        assert session.stats.get("state") == "no output"
        assert session._state.reader_monitors.empty()
        output.there = True
        on_air(output)
    assert output.leaks == 0


def test_what_goes_out_can_be_looked_at_with_its_mask() -> None:
    output = Watched()
    with running(plan(fake_source(), output, background=Colour(50))) as session:
        on_air(output)
        output.wait(lambda: not output.kinds[-1])
        shown = session.last_sent()
        assert shown is not None
        assert shown.mask is not None
        assert type(shown.frame) is SafeFrame
        person = shown.mask.alpha == 255
        assert np.all(shown.frame.planes.y[person] == PERSON[0])
        output.more(2)
        later = session.last_sent()
        assert later is not None
        assert later.number > shown.number


def test_frames_with_their_own_masks_go_on_through_every_change() -> None:
    """Each frame's person stands elsewhere: a mask of another frame would show the room."""
    output = Watched()
    what = plan(Dancer(itertools.repeat(True), period=0.002), output, background=Colour(50), sync="newest")
    exact = replace(what, options=replace(what.options, sync="exact", max_mask_age=0.0))
    with running(exact) as session:
        on_air(output)
        for number in range(20):
            session.set_scene(replace(exact.options, mirror=number % 2 == 0), Colour(60 + number))
            output.more(3)
    assert output.leaks == 0


def test_a_network_that_is_being_loaded_is_told_of_although_the_first_one_begins_meanwhile() -> None:
    """Else whoever chose it takes it for loaded, and one that cannot be had in the end for had."""
    output, first, second = Watched(), threading.Event(), threading.Event()

    def fail(_progress: Progress) -> Segmenter:
        assert second.wait(PATIENCE)
        raise ModelError("damaged")

    with running(plan(fake_source(), output, build=built_after(first, FakeSegmenter(name="first")))) as session:
        session.set_network(Network("second", fail))
        first.set()
        on_air(output)
        assert session.stats.get("model") == "first"
        assert session.stats.get("loading") == {"model": "second", "done": None, "total": None, "host": ""}
        second.set()
        output.wait(lambda: session.stats.get("refused") == "damaged")
        assert session.stats.get("loading") is None


def test_a_network_that_was_overtaken_before_its_turn_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    output, go, built = Watched(), threading.Event(), []

    def build(name: str, _progress: Progress) -> Segmenter:
        built.append(name)
        return FakeSegmenter(name=name)

    with running(plan(fake_source(), output)) as session:
        on_air(output)
        monkeypatch.setattr(inference, "warm_up", lambda: go.wait(PATIENCE))
        for name in ("one", "two", "three"):
            session.set_network(Network(name, partial(build, name)))
        go.set()
        output.wait(lambda: session.stats.get("model") == "three")
    assert built == ["three"]


def test_how_frames_are_paired_may_change_while_a_network_is_loaded() -> None:
    output, go = Watched(), threading.Event()
    what = plan(fake_source(), output, build=built_after(go), sync="newest")
    with running(what) as session:
        session.set_scene(replace(what.options, sync="exact"))
        go.set()
        on_air(output)
        assert session.stats.get("pairing") == "exact"


def test_what_hinders_a_network_that_was_chosen_is_over_once_it_works() -> None:
    output, failed, go = Watched(), threading.Event(), threading.Event()

    def build(_progress: Progress) -> Segmenter:
        if not failed.is_set():
            failed.set()
            raise ModelError("no connection", retry=True)
        assert go.wait(PATIENCE)
        return FakeSegmenter(name="new")

    with running(plan(fake_source(), output)) as session:
        on_air(output)
        session.set_network(Network("new", build))
        output.wait(lambda: session.stats.get("problem") == "no connection")
        go.set()
        output.wait(lambda: session.stats.get("model") == "new")
        output.wait(lambda: session.stats.get("problem") == "")
        assert not output.kinds[-1]


def test_a_source_that_waits_does_not_wait_for_a_frame_that_the_network_before_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "UNHURRIED", 10 * PATIENCE)
    output, busy, go = Watched(), threading.Event(), threading.Event()

    def before(_frame: RawFrame) -> None:
        if len(output.seen) > 5:
            busy.set()
            assert go.wait(PATIENCE)

    old, new = FakeSegmenter(before=before), FakeSegmenter(name="new")
    what = plan(fake_source(clocked=False), output, segmenter=old)
    with running(what) as session:
        assert busy.wait(PATIENCE)
        session.set_network(chosen(new))
        reaches(session, lambda: session.stats.get("model") == "new")
        go.set()
        output.composes(5)
    assert output.leaks == 0


def test_the_times_of_the_network_before_are_not_those_of_another() -> None:
    output, (before, busy, go) = Watched(), hold(1)
    with running(plan(fake_source(), output)) as session:
        on_air(output)
        assert session.stats.inference_ms() is not None
        session.set_network(chosen(FakeSegmenter(name="new", before=before)))
        assert busy.wait(PATIENCE)
        assert session.stats.inference_ms() is None
        go.set()


def test_a_moving_background_is_closed_where_the_output_cannot_be_opened() -> None:
    film = FakeBackground(moves=True)
    session = Session(plan(fake_source(), Watched(fail=OutputError("busy")), background=film), Stats())
    with pytest.raises(OutputError):
        session.start()
    with contextlib.suppress(OutputError):
        session.stop()
    assert film.closed


def test_a_film_that_fails_when_another_camera_was_chosen_does_not_end_the_call() -> None:
    output, reading, go = Watched(), threading.Event(), threading.Event()

    class Failing(FakeSource):
        def read(self) -> Captured | None:
            if self.number < 10:
                return FakeSource.read(self)
            reading.set()
            assert go.wait(PATIENCE)
            raise CameraError("damaged")

    other = fake_source()
    with running(plan(Failing(itertools.repeat(True), period=0.001), output, retry=False)) as session:
        assert reading.wait(PATIENCE)
        session.set_camera(other)
        go.set()
        output.wait(lambda: other.number > 3)
        output.composes(3)


def test_a_camera_that_was_lost_for_a_moment_is_no_trouble_any_more() -> None:
    output = Watched()
    script: Iterator[bool | CameraError] = itertools.chain([True] * 20, [CameraError("lost")], itertools.repeat(True))
    with running(plan(FakeSource(script, period=0.001), output)) as session:
        on_air(output)
        output.wait(lambda: session._state.last_problem is not None)
        output.composes(5)
        assert session.stats.get("problem") == ""


def test_no_frame_is_shown_by_the_mask_of_a_later_one() -> None:
    """Which the network may have had before the compositor has its frame."""
    output = Watched()
    session = Session(plan(Dancer(itertools.repeat(True), period=0.002), output, sync="exact"), Stats())
    put = session._state.to_compose.put

    def later(value: RawFrame) -> bool:
        def seen() -> bool:
            newest = session._state.network.predictions.peek()
            return newest is not None and newest.frame is value

        session._state.to_compose.wait(seen, PATIENCE if output.composed else 0.1)
        rounds = len(output.seen)
        session._state.to_compose.interrupt()
        output.wait(lambda: len(output.seen) > rounds or session.ended())
        return put(value)

    session._state.to_compose.put = later  # type: ignore[method-assign]
    session.start()
    on_air(output)
    output.composes(10)
    assert session.stop()
    assert output.leaks == 0
