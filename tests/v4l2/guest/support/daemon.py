"""The running program, and a reader of its camera that judges every picture.

Its network says that the left half is the person: whatever is not the background on the right is the room."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np

from tests.v4l2.guest.support.kernel import PATIENCE, until, vivid
from tests.v4l2.guest.support.readers import BLUE
from vbgcam.core.frames import U8, Size
from vbgcam.system import v4l2

VGA, HD = Size(640, 480), Size(1280, 720)
HEX: Final = "#{:02x}{:02x}{:02x}".format(*BLUE)
LOADED: Final = 300.0
"""Seconds after which Python and the network hang that are loaded, however busy the machine is."""
ROUNDS: Final = int(os.environ.get("VBGCAM_TEST_ROUNDS", "2"))
# vivid's test pattern begins with these two bars, an eighth of the width each, at 75 %.
WHITE, _YELLOW = (180, 180, 180), (180, 180, 16)


class Daemon:
    """The running program; its lines are read as they come, so that it never waits for its reader."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def says(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def camera_on(self) -> bool:
        """Whether it has the webcam open."""
        return any(holder.pid == self.process.pid for holder in v4l2.holders(vivid()))

    def wait(self) -> int:
        code = self.process.wait(60)
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@contextmanager
def running(
    network: Path,
    source: Path | str,
    size: Size,
    *more: str,
    on_demand: bool = False,
    says: str = "on air",
    end: signal.Signals = signal.SIGTERM,
    by: Sequence[str] = (),
) -> Iterator[Daemon]:
    """On air, or what else it `says`, when the block begins; ended by `end`, if it still runs, when it ends. `by`: the
    command that starts it and becomes it."""
    command = [*by, sys.executable, "-m", "vbgcam", "run", "--no-tray", "--source", f"camera:{source}"]
    command += ["--sink", "virtualcam", "--background", HEX, "--model", f"onnx:{network}"]
    # This network says the same of a part of the picture as of the whole: no crop.
    settings = ["mask.preset=none", f"camera.size={size}", "mask.max_age_ms=3000"]
    settings += [f"output.on_demand={str(on_demand).lower()}"]
    command += [word for setting in settings for word in ("--set", setting)]
    process = subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True)
    daemon = Daemon(process)
    try:
        until(lambda: daemon.says(says) or process.poll() is not None, says, LOADED)
        assert daemon.says(says), daemon.lines
        yield daemon
    finally:
        process.send_signal(end)
        code = daemon.wait()
        assert code == (0 if end == signal.SIGTERM else -end), f"{code}: {daemon.lines}"


@contextmanager
def idle(network: Path, source: Path | str = "", size: Size = VGA) -> Iterator[Daemon]:
    """Nobody watches yet. Without a `source` it has vivid."""
    with running(network, source or vivid(), size, on_demand=True, says="nobody is watching") as daemon:
        yield daemon


def assert_no_room(rgb: U8, size: Size) -> None:
    """The background on the right, whatever is on the left."""
    assert rgb.shape == (size.height, size.width, 3)
    right = rgb[:, size.width * 5 // 8 :].reshape(-1, 3)
    assert np.abs(right.astype(float) - BLUE).max() <= 6


def assert_composed(rgb: U8, size: Size) -> None:
    """And the camera on the left."""
    assert_no_room(rgb, size)
    assert not (np.abs(rgb[:, : size.width * 3 // 8].astype(float) - BLUE).max(axis=2) <= 6).any()


def sees(picture: Callable[[], U8], right: Callable[[U8, Size], None], size: Size) -> None:
    """Reads pictures until one is right: on a loaded machine a frame or a mask may be too old, and the cover is."""

    def seen() -> bool:
        rgb = picture()
        assert_no_room(rgb, size)
        with suppress(AssertionError):
            right(rgb, size)
            return True
        return False

    until(seen, right.__name__)


def assert_vivid(rgb: U8, size: Size) -> None:
    assert_composed(rgb, size)
    row, bar = size.height * 3 // 4, size.width // 8
    for index, color in enumerate((WHITE, _YELLOW)):
        seen = rgb[row : row + 8, bar * index + bar // 2 : bar * index + bar // 2 + 8].reshape(-1, 3).mean(axis=0)
        assert np.abs(seen - color).max() <= 20, f"bar {index}: {seen}"


_JUDGE = """
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
        command = [sys.executable, "-c", _JUDGE, str(camera), *colours]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
        self.seen = {"room": 0, "person": 0, "cover": 0, "nothing": 0}
        self.last = {"room": 0.0, "person": 0.0, "cover": 0.0, "nothing": 0.0}
        self._thread = threading.Thread(target=self._listen)
        self._begun = threading.Event()
        self._thread.start()
        assert self._begun.wait(PATIENCE), "the reader itself did not start"

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            what = line.strip()
            self._begun.set()
            if what in self.seen:
                self.seen[what] += 1
                self.last[what] = time.monotonic()

    def sees(self, what: str, seconds: float = PATIENCE) -> None:
        """Waits for such a picture, from now on."""
        since = time.monotonic()
        until(lambda: self.last[what] > since, f"{what} ({self.seen})", seconds)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


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
def watched(network: Path, camera: Path, source: Path | str = "", size: Size = VGA) -> Iterator[tuple[Daemon, Judge]]:
    """With a person in the picture when the block begins."""
    with idle(network, source, size) as daemon, judged(camera) as judge:
        judge.sees("person", LOADED)
        yield daemon, judge
