"""The webcam is on only while some program reads "VBG Camera": with real readers, and with one that only asks."""

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.frames import plain
from tests.v4l2.guest.support.daemon import LOADED, VGA, assert_vivid, idle, sees
from tests.v4l2.guest.support.kernel import (
    CAMERA,
    another_program,
    load_loopback,
    load_newer_loopback,
    unload_loopback,
    until,
)
from tests.v4l2.guest.support.readers import opencv, read
from vbgcam.core.specs import SinkSpec
from vbgcam.output import open_output
from vbgcam.output.readers import OpenFileMonitor, UsageEventMonitor
from vbgcam.system import v4l2

FFMPEG = ("ffmpeg", "-nostdin", "-v", "error", "-f", "v4l2", "-i")
PROBE = """
import sys, time
from vbgcam.system import v4l2
while True:
    v4l2.query(sys.argv[1])
    time.sleep(0.1)
"""


@pytest.fixture(params=["0.12 looks who has it open", "0.15 tells who reads"])
def camera(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Both ways to know who reads."""
    load = load_newer_loopback if "0.15" in request.param else load_loopback
    load("video_nr=10", "exclusive_caps=1", "card_label=VBG Camera")
    yield CAMERA
    unload_loopback()


def wakeups(pid: int) -> int:
    """How often its threads have waited for something: a busy host makes them fewer, processor time more."""
    status = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in status)


def test_the_webcam_is_on_while_ffmpeg_or_opencv_reads_and_off_when_it_ends(camera: Path, network: Path) -> None:
    with idle(network) as daemon:
        assert not daemon.camera_on()
        for _ in range(3):
            with opencv(camera) as capture:
                # Who only opens it and reads nothing is no reader where the driver can tell.
                until(lambda: read(capture) is not None and daemon.camera_on(), "the webcam is on")
                until(lambda: bool(read(capture) is not None) and daemon.says("on air"), "on air", LOADED)
                sees(partial(read, capture), assert_vivid, VGA)
            until(lambda: not daemon.camera_on(), "the webcam is off")
        assert v4l2.query(camera).captures, "it stays listed"
        with another_program(*FFMPEG, camera, "-f", "null", "-"):
            until(daemon.camera_on, "the webcam is on")
        until(lambda: not daemon.camera_on(), "the webcam is off")


def test_a_program_that_only_asks_does_not_wake_it_and_does_not_keep_it_on(camera: Path, network: Path) -> None:
    with idle(network) as daemon:
        with another_program(sys.executable, "-c", PROBE, camera):
            end = time.monotonic() + 5
            while time.monotonic() < end:
                assert not daemon.camera_on(), daemon.lines
            with opencv(camera) as capture:
                until(lambda: read(capture) is not None and daemon.camera_on(), "the webcam is on")
            until(lambda: not daemon.camera_on(), "the webcam is off")
        assert not daemon.says("failed")


def test_idle_takes_next_to_nothing(camera: Path, network: Path) -> None:
    with idle(network) as daemon:
        until(lambda: daemon.says("model: "), "the network is there", LOADED)
        before, began = wakeups(daemon.process.pid), time.monotonic()
        time.sleep(5)
        rate = (wakeups(daemon.process.pid) - before) / (time.monotonic() - began)
    sys.stdout.write(f"{rate:.1f} wakeups a second\n")
    assert rate < 100, f"idle: {rate:.0f} wakeups a second"


def test_the_driver_is_asked_where_it_can_tell(camera: Path, request: pytest.FixtureRequest) -> None:
    output = open_output(SinkSpec("virtualcam", str(camera)), VGA, 30.0)
    output.open()
    try:
        cover = plain(VGA, 60)
        output.send(cover, 0.0)
        reader_monitor = output.reader_monitor()
        assert type(reader_monitor) is (UsageEventMonitor if "0.15" in request.node.name else OpenFileMonitor)
        assert not reader_monitor.watched(0.5)
        with another_program(*FFMPEG, camera, "-f", "null", "-"):

            def seen() -> bool:
                output.send(cover, 0.0)
                return reader_monitor.watched(0.05)

            until(seen, "a reader")
        until(lambda: not reader_monitor.watched(0.05), "nobody")
        reader_monitor.close()
    finally:
        output.close()
