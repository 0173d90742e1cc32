"""A reader stays on "VBG Camera" and judges every frame, while the webcam, the daemon and the driver fail beneath it.

The network of these tests says that the left half is the person: whatever is not the background on the right is the
room. VBGCAM_TEST_ROUNDS repeats each cause so often (2; the figures in the notes are of 20)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.networks import left_half
from tests.v4l2.guest.conftest import UsbWebcam, load_loopback, sh, unload_loopback, until
from tests.v4l2.guest.readers import BLUE
from tests.v4l2.guest.test_run import HD, VGA, VIVID, Daemon, running
from vbgcam.core.frames import Size

ROUNDS = int(os.environ.get("VBGCAM_TEST_ROUNDS", "2"))
MINUTES = float(os.environ.get("VBGCAM_TEST_MINUTES", "0"))
# Seconds after the cause is gone.
SOON = 5.0
# Seconds for Python, the network and, in a fresh checkout, the loops, which this one slow processor has to compile.
LOADED = 120.0
HEX = "#{:02x}{:02x}{:02x}".format(*BLUE)
# What may keep a call from seeing anybody while all is well: nobody is there, or they have just come.
CAUSES = {
    "nobody is watching",
    "the model is loading",
    "waiting for the first camera frame",
    "waiting for the first mask",
    "the mask belongs to an earlier opening of the camera",
}
DRIVER = Path("/sys/bus/platform/drivers/vivid")

JUDGE = """
import sys, time
import cv2, numpy as np
cv2.utils.logging.setLogLevel(0)
def planes(bgr):
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb).astype(np.int16)
texts = sys.argv[2:]
known = planes(np.array([[[int(text[n : n + 2], 16) for n in (5, 3, 1)] for text in texts]], np.uint8))[0]
capture = None
print("begun", flush=True)
while True:
    if capture is None or not capture.isOpened():
        capture = cv2.VideoCapture(sys.argv[1], cv2.CAP_V4L2)
        if not capture.isOpened():
            time.sleep(0.05)
            continue
    good, bgr = capture.read()
    if not good:
        print("nothing", flush=True)
        capture.release()
        continue
    width = bgr.shape[1]
    # The driver may write the next picture's planes while these are read: of each plane alone, none may be the room's.
    apart = np.abs(planes(bgr)[:, :, None] - known).min(axis=2)
    off = apart.max(axis=2) > 10
    here = "person" if off[:, : width * 3 // 8].any() else "cover"
    print("room" if off[:, width * 5 // 8 :].any() else here, flush=True)
"""


class Judge:
    """What a program sees that reads the camera all the time; it opens it again when it gets nothing. `colours`: what
    may stand behind, #rrggbb; each picture shows one of them, or the room."""

    def __init__(self, camera: Path, colours: Sequence[str]) -> None:
        # Without a frame for a second it looks again: OpenCV's own ten would be counted as the daemon's.
        environment = {**os.environ, "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1"}
        command = [sys.executable, "-c", JUDGE, str(camera), *colours]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
        self.seen = {"room": 0, "person": 0, "cover": 0, "nothing": 0}
        self.last = {"room": 0.0, "person": 0.0, "cover": 0.0, "nothing": 0.0}
        self._thread = threading.Thread(target=self._listen)
        self._begun = threading.Event()
        self._thread.start()
        assert self._begun.wait(60), "the reader itself did not start"

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            what = line.strip()
            self._begun.set()
            if what in self.seen:
                self.seen[what] += 1
                self.last[what] = time.monotonic()

    def sees(self, what: str, since: float, seconds: float) -> float:
        """Seconds from then to the first such picture."""
        until(lambda: self.last[what] > since or self.last["person"] > since, f"{what} ({self.seen})", seconds)
        return max(self.last[what], self.last["person"]) - since

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return left_half(tmp_path / "left.onnx")


@contextmanager
def judged(camera: Path, colours: Sequence[str] = (HEX,)) -> Iterator[Judge]:
    judge = Judge(camera, colours)
    try:
        yield judge
    finally:
        judge.end()
    assert judge.seen["room"] == 0, f"frames that show the room: {judge.seen}"
    assert judge.seen["person"] > 0, judge.seen


@contextmanager
def watched(network: Path, source: Path | str, camera: Path, size: Size = VGA) -> Iterator[tuple[Daemon, Judge]]:
    with running(network, source, size, on_demand=True, says="nobody is watching") as daemon, judged(camera) as judge:
        judge.sees("person", 0.0, LOADED)
        yield daemon, judge


def control(**values: int) -> None:
    sh("v4l2-ctl", "-d", VIVID, *(f"--set-ctrl={name}={value}" for name, value in values.items()))


def bound(yes: bool) -> None:
    (DRIVER / ("bind" if yes else "unbind")).write_text("vivid.0")
    until(lambda: VIVID.exists() == yes, f"{VIVID} {'is there' if yes else 'is gone'}")


def test_a_webcam_that_is_unplugged_and_plugged_in_again(camera: Path, network: Path) -> None:
    with watched(network, VIVID, camera) as (_daemon, judge):
        for _ in range(ROUNDS):
            bound(False)
            judge.sees("cover", time.monotonic(), SOON)
            bound(True)
            judge.sees("person", time.monotonic(), SOON)


def test_a_usb_webcam_that_is_pulled(camera: Path, network: Path, usb_webcam: UsbWebcam) -> None:
    with watched(network, usb_webcam.name, camera, HD) as (_daemon, judge):
        usb_webcam.unplug()
        gone = time.monotonic()
        until(lambda: judge.last["cover"] > gone, "the cover", SOON)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_daemon_that_ends_and_is_started_again(camera: Path, network: Path, end: signal.Signals) -> None:
    with judged(camera) as judge:
        for _ in range(ROUNDS):
            with running(network, VIVID, VGA, on_demand=True, says="somebody is watching", end=end):
                # Python and the network take their time here: what counts is from its first line on.
                judge.sees("person", time.monotonic(), LOADED)


def test_a_module_that_is_loaded_anew_between_two_daemons(camera: Path, network: Path) -> None:
    for _ in range(ROUNDS):
        with watched(network, VIVID, camera) as (_daemon, judge):
            judge.sees("person", time.monotonic(), SOON)
        unload_loopback()
        load_loopback("video_nr=10", "exclusive_caps=1", "card_label=VBG Camera")


def test_a_webcam_that_is_busy_at_first(camera: Path, network: Path) -> None:
    command = ["v4l2-ctl", "-d", str(VIVID), "--stream-mmap", "--stream-count=100000"]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other,
        running(network, VIVID, VGA, on_demand=True, says="nobody is watching") as daemon,
        judged(camera) as judge,
    ):
        until(lambda: daemon.says("is busy"), "said", 20)
        judge.sees("cover", time.monotonic(), SOON)
        other.kill()
        other.wait()
        judge.sees("person", time.monotonic(), SOON)


FAULTS: dict[str, Callable[[], None]] = {
    "a fatal error of the stream": lambda: control(inject_fatal_streaming_error=1),
    "buffers with an error": lambda: control(inject_v4l2_buf_flag_error=1),
    "a buffer that is refused": lambda: control(inject_vidioc_qbuf_error=1),
    "half of the pictures lost": lambda: control(percentage_of_dropped_buffers=50),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_driver_that_fails(camera: Path, network: Path, fault: str) -> None:
    with watched(network, VIVID, camera) as (_daemon, judge):
        for _ in range(ROUNDS):
            FAULTS[fault]()
            begun = time.monotonic()
            until(lambda begun=begun: time.monotonic() - begun > 0.5, "half a second")  # type: ignore[misc]
            control(percentage_of_dropped_buffers=0)
            judge.sees("person", time.monotonic(), SOON)


@pytest.mark.guest(seconds=round(60 * MINUTES) + 600)
@pytest.mark.timeout(round(60 * MINUTES) + 500)
@pytest.mark.skipif(not MINUTES, reason="VBGCAM_TEST_MINUTES says for how long; the notes' figures are of 30")
def test_a_long_run_with_a_reader_that_comes_and_goes(camera: Path, network: Path) -> None:
    """Memory, descriptors and threads are the same in the last minute as in the fifth."""
    hd = Size(1280, 720)
    with running(network, VIVID, hd, on_demand=True, says="nobody is watching") as daemon:
        process = Path(f"/proc/{daemon.process.pid}")
        began = time.monotonic()
        kept: list[tuple[float, float, int, int]] = []
        while time.monotonic() - began < 60 * MINUTES:
            with judged(camera) as judge:
                # The first time the network is loaded, or the loops are compiled.
                judge.sees("person", time.monotonic(), SOON if kept else LOADED)
                end = time.monotonic() + 20
                until(lambda end=end: time.monotonic() > end, "twenty seconds", 30)  # type: ignore[misc]
            end = time.monotonic() + 5
            until(lambda end=end: time.monotonic() > end, "five seconds", 30)  # type: ignore[misc]
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
