"""PipeWire's camera on a real PipeWire: what programs that read it see, and what happens when they or PipeWire go.

`VBGCAM_TEST_ROUNDS=20` restarts PipeWire twenty times, and measures memory and descriptors."""

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("PipeWire is Linux's", allow_module_level=True)

from tests.support.frames import plain
from tests.support.pipewire_desktop import Feeder, PipeWireDesktop, skip_without, told, until
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Planes, SafeFrame, Size
from vbgcam.core.specs import SinkSpec
from vbgcam.output import Output, open_output
from vbgcam.output.both import Both
from vbgcam.output.null import NullOutput
from vbgcam.pixels.convert import color_yuv

HD = Size(1280, 720)
ROUNDS = int(os.environ.get("VBGCAM_TEST_ROUNDS", "2"))
BACK = 5.0
"""Seconds until the camera is there again after a restart of PipeWire's, at most."""


@pytest.fixture(scope="module")
def shared() -> Iterator[PipeWireDesktop]:
    skip_without()
    with PipeWireDesktop() as desktop:
        yield desktop


@pytest.fixture
def desktop(shared: PipeWireDesktop, monkeypatch: pytest.MonkeyPatch) -> PipeWireDesktop:
    """With this process as one of its programs."""
    for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.setenv(name, shared.environment[name])
    return shared


def pipewire_camera(name: str, size: Size, fps: float) -> Output:
    return open_output(SinkSpec("pipewire", name), size, fps)


def numbered(size: Size = HD) -> Callable[[], SafeFrame]:
    """Pictures whose brightness grows by one with each, from 16 to 235 and again."""
    frames = [plain(size, value, 90, 200) for value in range(16, 236)]
    count = iter(range(10**9))
    return lambda: frames[next(count) % len(frames)]


def test_it_is_listed_by_its_name_and_gone_when_it_is_closed(desktop: PipeWireDesktop) -> None:
    camera = pipewire_camera("", HD, 30.0)
    camera.open()
    until(lambda: desktop.cameras() == {"vbgcam": "VBG Camera"}, "the camera")
    assert camera.name == "VBG Camera (PipeWire)"
    camera.close()
    until(lambda: desktop.cameras() == {}, "its end")
    camera.close()


def test_a_name_with_quotes_and_commands_is_only_a_name(desktop: PipeWireDesktop) -> None:
    name = 'A "b" \\ {c} = [d] $(e) é'
    camera = pipewire_camera(f"\n{name}\0", HD, 30.0)
    camera.open()
    until(lambda: list(desktop.cameras().values()) == [name], name)
    camera.close()
    until(lambda: desktop.cameras() == {}, "its end")


@pytest.mark.parametrize(
    ("size", "pixels"),
    [
        *itertools.product([HD, Size(640, 360), Size(1920, 1080)], ["I420", "YUY2", "BGRx"]),
        *itertools.product([Size(854, 480)], ["YUY2", "BGRx"]),
    ],
    ids=str,
)
def test_a_reader_gets_the_pixels_that_were_sent(desktop: PipeWireDesktop, size: Size, pixels: str) -> None:
    yuv, rgb = color_yuv((40, 90, 210)), (40, 90, 210)
    with Feeder(pipewire_camera("", size, 30.0), lambda: plain(size, *yuv)), desktop.reader(size, pixels) as reader:
        picture = np.frombuffer(reader.pictures(5)[-1], np.uint8)
    if pixels == "I420":
        assert np.array_equal(picture, Planes.filled(size, yuv).data)
    elif pixels == "YUY2":
        assert np.array_equal(picture.reshape(-1, 4), np.tile((yuv[0], yuv[1], yuv[0], yuv[2]), (size.pixels // 2, 1)))
    else:
        assert np.abs(picture.reshape(-1, 4)[:, 2::-1].astype(int) - rgb).max() <= 2


def test_pictures_come_whole_and_in_order(desktop: PipeWireDesktop) -> None:
    with Feeder(pipewire_camera("", HD, 30.0), numbered()), desktop.reader(HD) as reader:
        pictures = reader.pictures(40)
    assert all(map(whole, pictures)), "a picture is torn"
    shown = [picture[0] for picture in pictures]
    steps = [(after - before) % 220 for before, after in itertools.pairwise(shown)]
    assert all(1 <= step <= 30 for step in steps), shown


def whole(picture: bytes) -> bool:
    return picture[: HD.pixels] == picture[:1] * HD.pixels


def test_several_read_it_at_once_and_one_that_is_killed_takes_no_other_along(desktop: PipeWireDesktop) -> None:
    camera = pipewire_camera("", HD, 30.0)
    with Feeder(camera, numbered()) as feeder:
        reader_monitor = camera.reader_monitor()
        assert reader_monitor is not None
        with desktop.reader(HD) as first, desktop.reader(HD) as second, desktop.reader(HD) as third:
            for reader in (first, second, third):
                assert all(map(whole, reader.pictures(10)))
            second.kill()
            for reader in (first, third):
                pictures = reader.pictures(60)
                assert all(map(whole, pictures))
                assert len({picture[0] for picture in pictures}) > 30
            assert reader_monitor.watched(0.0)
        until(lambda: not reader_monitor.watched(0.1), "nobody reads")
        assert not feeder.troubles


def test_it_is_watched_from_the_first_reader_to_the_last_one_s_end(desktop: PipeWireDesktop) -> None:
    camera = pipewire_camera("", HD, 30.0)
    with Feeder(camera, numbered()):
        reader_monitor = camera.reader_monitor()
        assert reader_monitor is not None
        desktop.cameras()  # to list it is not to read it
        assert not reader_monitor.watched(0.2)
        for _ in range(3):
            with desktop.reader(HD) as first:
                until(lambda: reader_monitor.watched(0.1), "somebody reads")
                with desktop.reader(HD) as second:
                    second.pictures(1)
                first.pictures(1)
                assert reader_monitor.watched(0.0)
            until(lambda: not reader_monitor.watched(0.1), "nobody reads")
        reader_monitor.close()


@pytest.mark.parametrize("stopped", [False, True])
def test_a_reader_that_hangs_holds_up_neither_us_nor_others(desktop: PipeWireDesktop, stopped: bool) -> None:
    with (
        Feeder(pipewire_camera("", HD, 30.0), numbered()) as feeder,
        desktop.reader(HD) as other,
        desktop.reader(HD) as hangs,
    ):
        hangs.pictures(5)
        if stopped:
            hangs.process.send_signal(signal.SIGSTOP)
        else:
            hangs.hangs.set()  # its connection lives on, and takes in buffers
        for _ in range(3):
            pictures = other.pictures(60)
        assert all(map(whole, pictures))
        assert len({picture[0] for picture in pictures}) > 30
        hangs.process.send_signal(signal.SIGCONT)
        hangs.hangs.clear()
        hangs.pictures(90)
        assert all(map(whole, hangs.pictures(30)))
        assert all(map(whole, other.pictures(60)))
        assert not feeder.troubles


def test_a_daemon_that_stands_still_does_not_hold_up_the_picture(desktop: PipeWireDesktop) -> None:
    with Feeder(pipewire_camera("", HD, 30.0), numbered()) as feeder, desktop.reader(HD) as reader:
        reader.pictures(5)
        desktop.tell("pipewire", signal.SIGSTOP)
        sent = feeder.sent
        until(lambda: feeder.sent >= sent + 60, "pictures are sent")
        desktop.tell("pipewire", signal.SIGCONT)
        reader.pictures(60)
        assert not feeder.troubles


def test_a_daemon_that_gives_no_answer_is_an_error(desktop: PipeWireDesktop) -> None:
    desktop.tell("pipewire", signal.SIGSTOP)
    try:
        camera = pipewire_camera("", HD, 30.0)
        with pytest.raises(OutputError, match=r"PipeWire takes no camera \(no answer in 2 s\); systemctl"):
            camera.open()
    finally:
        desktop.tell("pipewire", signal.SIGCONT)
    camera.open()
    camera.close()


def test_where_pipewire_does_not_run_its_start_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    skip_without()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    camera = pipewire_camera("", HD, 30.0)
    with pytest.raises(
        OutputError, match=r"^PipeWire does not run in this session; systemctl --user enable --now pipe"
    ):
        camera.open()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match=r"^PipeWire is not installed; .*install.* pipewire wireplumber"):
        camera.open()


def held() -> tuple[int, int]:
    """This process's resident memory in KiB, and how many descriptors it has open."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4, len(list(Path("/proc/self/fd").iterdir()))


def test_it_is_there_again_after_each_restart_of_pipewire(desktop: PipeWireDesktop) -> None:
    camera = pipewire_camera("", HD, 30.0)
    back: list[float] = []
    figures: list[tuple[int, int]] = []
    with Feeder(camera, numbered()) as feeder:
        for number in range(ROUNDS):
            with desktop.reader(HD) as reader:
                reader.pictures(3)
                desktop.kill_pipewire()
                until(lambda number=number: len(feeder.troubles) > number, "the connection is lost")  # type: ignore[misc]
            desktop.start_pipewire()
            began = time.monotonic()
            until(lambda: "vbgcam" in desktop.cameras(), "the camera is back", BACK)
            with desktop.reader(HD) as reader:
                reader.pictures(3)
            back.append(time.monotonic() - began)
            if figures:  # those of the last reader's end are closed in a moment
                until(lambda: held()[1] <= figures[0][1], "no descriptor is lost")
            figures.append(held())
        assert len(feeder.troubles) == ROUNDS
        assert all(trouble.startswith("PipeWire has gone (") for trouble in feeder.troubles), feeder.troubles
    told(f"{ROUNDS} restarts; back with pictures after {max(back):.2f} s at most; KiB and descriptors {figures}")
    if ROUNDS >= 10:  # the first rounds fill caches
        assert figures[-1][0] - figures[ROUNDS // 2][0] < 2048, "memory grows"


def test_both_go_on_when_pipewire_goes_and_comes_back(desktop: PipeWireDesktop) -> None:
    other = NullOutput()
    both = Both([other, pipewire_camera("", HD, 30.0)], again=0.1)
    with Feeder(both, numbered()) as feeder:
        until(lambda: "vbgcam" in desktop.cameras(), "the camera")
        desktop.kill_pipewire()
        until(lambda: both.name == "nowhere", "one is left")
        desktop.start_pipewire()
        until(lambda: both.name == "nowhere and VBG Camera (PipeWire)", "both are there")
        with desktop.reader(HD) as reader:
            reader.pictures(3)
        assert not feeder.troubles
