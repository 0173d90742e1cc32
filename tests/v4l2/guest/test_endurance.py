"""A reader stays on "VBG Camera" and judges every frame, while the webcam, the daemon and the driver fail beneath it.

VBGCAM_TEST_ROUNDS repeats each cause so often (2; the figures in the notes are of 20)."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.v4l2.guest.support.daemon import HD, LOADED, ROUNDS, VGA, idle, judged, running, watched
from tests.v4l2.guest.support.kernel import (
    another_program,
    control,
    load_loopback,
    plug_in_vivid,
    unload_loopback,
    unplug_vivid,
    until,
    vivid,
    vivid_unplugged,
)
from tests.v4l2.guest.support.usb import UsbWebcam

MINUTES = float(os.environ.get("VBGCAM_TEST_MINUTES", "0"))
# What may keep a call from seeing anybody while all is well: nobody is there, or they have just come.
CAUSES = {
    "nobody is watching",
    "the model is loading",
    "waiting for the first camera frame",
    "waiting for the first mask",
    "the mask belongs to an earlier opening of the camera",
}


def test_a_webcam_that_is_unplugged_and_plugged_in_again(camera: Path, network: Path) -> None:
    with watched(network, camera) as (_daemon, judge):
        for _ in range(ROUNDS):
            node = vivid()
            with vivid_unplugged():
                judge.sees("cover")
            # Its old node was closed before the cover was shown.
            assert vivid() == node
            judge.sees("person")


def test_a_webcam_that_comes_back_with_another_number(camera: Path, network: Path) -> None:
    before = vivid()
    with watched(network, camera, before) as (daemon, judge):
        with before.open("rb"):  # as long as somebody holds the old node, its number is taken
            unplug_vivid()
            judge.sees("cover")
            plug_in_vivid()
            assert vivid() != before
            judge.sees("person")
            assert daemon.says(f"is {vivid()} now")
            unplug_vivid()
            judge.sees("cover")
        plug_in_vivid()
        assert vivid() == before
        judge.sees("person")


def test_a_usb_webcam_that_is_pulled(camera: Path, network: Path, usb_webcam: UsbWebcam) -> None:
    with watched(network, camera, usb_webcam.name, HD) as (_daemon, judge):
        usb_webcam.unplug()
        judge.sees("cover")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_daemon_that_ends_and_is_started_again(camera: Path, network: Path, end: signal.Signals) -> None:
    with judged(camera) as judge:
        for _ in range(ROUNDS):
            with running(network, vivid(), VGA, on_demand=True, says="somebody is watching", end=end):
                judge.sees("person", LOADED)


def test_a_module_that_is_loaded_anew_between_two_daemons(camera: Path, network: Path) -> None:
    for _ in range(ROUNDS):
        with watched(network, camera):
            pass
        unload_loopback()
        load_loopback("video_nr=10", "exclusive_caps=1", "card_label=VBG Camera")


def test_a_webcam_that_is_busy_at_first(camera: Path, network: Path) -> None:
    with (
        another_program("v4l2-ctl", "-d", vivid(), "--stream-mmap", "--stream-count=100000") as other,
        idle(network) as daemon,
        judged(camera) as judge,
    ):
        until(lambda: daemon.says("is busy"), "said")
        judge.sees("cover")
        other.kill()
        judge.sees("person", LOADED)


FAULTS: dict[str, Callable[[], None]] = {
    "a fatal error of the stream": lambda: control(inject_fatal_streaming_error=1),
    "buffers with an error": lambda: control(inject_v4l2_buf_flag_error=1),
    "a buffer that is refused": lambda: control(inject_vidioc_qbuf_error=1),
    "half of the pictures lost": lambda: control(percentage_of_dropped_buffers=50),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_driver_that_fails(camera: Path, network: Path, fault: str) -> None:
    with watched(network, camera) as (_daemon, judge):
        for _ in range(ROUNDS):
            FAULTS[fault]()
            time.sleep(0.5)  # the fault's own time
            control(percentage_of_dropped_buffers=0)
            judge.sees("person")


@pytest.mark.guest(seconds=round(60 * MINUTES) + 600)
@pytest.mark.timeout(round(60 * MINUTES) + 500)
@pytest.mark.skipif(not MINUTES, reason="VBGCAM_TEST_MINUTES says for how long; the notes' figures are of 30")
def test_a_long_run_with_a_reader_that_comes_and_goes(camera: Path, network: Path) -> None:
    """Memory, descriptors and threads are the same in the last minute as in the fifth."""
    with idle(network, size=HD) as daemon:
        process = Path(f"/proc/{daemon.process.pid}")
        began = time.monotonic()
        kept: list[tuple[float, float, int, int]] = []
        while time.monotonic() - began < 60 * MINUTES:
            with judged(camera) as judge:
                judge.sees("person", LOADED)
                time.sleep(20)
            time.sleep(5)
            resident = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
            descriptors, threads = (len(list((process / name).iterdir())) for name in ("fd", "task"))
            kept.append((time.monotonic() - began, resident, descriptors, threads))
    sys.stdout.writelines(f"{row}\n" for row in kept)  # for -rP
    causes = [line.partition("on the cover: ")[2] for line in daemon.lines if "on the cover: " in line]
    sys.stdout.write(f"{Counter(causes)}\n")
    assert set(causes) <= CAUSES
    fifth = next(row for row in kept if row[0] >= min(300, 30 * MINUTES))
    assert kept[-1][1] <= 1.03 * fifth[1], kept
    assert kept[-1][2:] == fifth[2:], kept
