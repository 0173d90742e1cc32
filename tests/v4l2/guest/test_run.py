"""`vbgcam run` as a person starts it: from a webcam to "VBG Camera", read by other programs."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.support.networks import left_half
from tests.v4l2.guest.conftest import UsbWebcam, until
from tests.v4l2.guest.readers import BLUE, by_ffmpeg, by_opencv, opencv, read
from vbgcam.core.frames import U8, Size
from vbgcam.system import v4l2

VIVID = Path("/dev/video0")
VGA, HD = Size(640, 480), Size(1280, 720)
# vivid's test pattern begins with these two bars, an eighth of the width each, at 75 %.
WHITE, YELLOW = (180, 180, 180), (180, 180, 16)


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

    def wait(self) -> int:
        code = self.process.wait(60)
        self._reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """The left half of the picture is the person."""
    return left_half(tmp_path / "left.onnx")


@contextmanager
def running(
    network: Path,
    source: Path | str,
    size: Size,
    *more: str,
    on_demand: bool = False,
    says: str = "on air",
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[Daemon]:
    """On air, or what else it `says`, when the block begins; ended by `end`, if it still runs, when it ends."""
    command = [
        sys.executable,
        "-m",
        "vbgcam",
        "run",
        "--no-tray",
        "--source",
        f"camera:{source}",
        "--sink",
        "virtualcam",
    ]
    # This network says the same of a part of the picture as of the whole: no crop.
    model = ["--model", f"onnx:{network}", "--set", "mask.preset=none"]
    settings = [*model, "--background", "#{:02x}{:02x}{:02x}".format(*BLUE)]
    asked = ["--set", f"camera.size={size}", "--set", "mask.max_age_ms=3000", *more]
    asked += ["--set", f"output.on_demand={str(on_demand).lower()}"]
    process = subprocess.Popen([*command, *settings, *asked], stderr=subprocess.PIPE, text=True)
    daemon = Daemon(process)
    try:
        until(lambda: daemon.says(says) or process.poll() is not None, says, 60)
        assert daemon.says(says), daemon.lines
        yield daemon
    finally:
        process.send_signal(end)
        code = daemon.wait()
        assert code == (0 if end == signal.SIGTERM else -end), f"{code}: {daemon.lines}"


def assert_composed(rgb: U8, size: Size) -> None:
    """The background on the right, the camera on the left."""
    assert rgb.shape == (size.height, size.width, 3)
    right = rgb[:, size.width * 5 // 8 :].reshape(-1, 3)
    assert np.abs(right.astype(float) - BLUE).max() <= 6
    assert not (np.abs(rgb[:, : size.width * 3 // 8].astype(float) - BLUE).max(axis=2) <= 6).any()


def assert_vivid(rgb: U8, size: Size) -> None:
    assert_composed(rgb, size)
    row, bar = size.height * 3 // 4, size.width // 8
    for index, color in enumerate((WHITE, YELLOW)):
        seen = rgb[row : row + 8, bar * index + bar // 2 : bar * index + bar // 2 + 8].reshape(-1, 3).mean(axis=0)
        assert np.abs(seen - color).max() <= 20, f"bar {index}: {seen}"


@pytest.mark.parametrize("size", [VGA, HD], ids=str)
def test_a_webcam_comes_out_composed_in_ffmpeg_and_opencv(camera: Path, network: Path, size: Size) -> None:
    with running(network, VIVID, size):
        assert_vivid(by_ffmpeg(camera), size)
        assert_vivid(by_opencv(camera), size)


def test_it_starts_again_and_again_on_the_same_module_load(camera: Path, network: Path) -> None:
    for _ in range(3):
        with running(network, VIVID, VGA):
            assert_vivid(by_opencv(camera), VGA)


def test_a_reader_that_stays_over_a_restart_gets_pictures_again(camera: Path, network: Path) -> None:
    with running(network, VIVID, VGA):
        reader = opencv(camera)
        capture = reader.__enter__()
        assert_vivid(read(capture), VGA)
    with running(network, VIVID, VGA):
        until(lambda: bool(capture.read()[0]), "a picture after the restart", 40)
        assert_vivid([read(capture) for _ in range(5)][-1], VGA)
    reader.__exit__(None, None, None)


def test_a_usb_webcam_in_mjpg(camera: Path, network: Path, usb_webcam: UsbWebcam) -> None:
    with running(network, usb_webcam.name, HD, "--set", "camera.format=mjpg") as daemon:
        assert daemon.says("MJPG"), daemon.lines
        assert_composed(by_ffmpeg(camera), HD)
        pictures = []
        with opencv(camera) as capture:
            pictures = [read(capture) for _ in range(10)]
    assert_composed(pictures[-1], HD)
    moves = [np.abs(a.astype(float) - b)[:, : HD.width // 2].mean() for a, b in itertools.pairwise(pictures)]
    assert max(moves) > 1, "the camera's half stands still"


def test_sigterm_releases_both_devices_and_writes_the_figures(camera: Path, network: Path, tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    with running(network, VIVID, VGA, "--stats", str(stats)) as daemon:
        pid = daemon.process.pid
        for path in (VIVID, camera):
            assert pid in [holder.pid for holder in v4l2.holders(path)]
    assert not v4l2.holders(VIVID)
    assert not v4l2.holders(camera)
    figures = json.loads(stats.read_text())
    assert figures["state"] == "stopped"
    assert figures["sink"].startswith("VBG Camera")
    assert figures["frames"]["sent"] > figures["frames"]["covered"] > 0


def test_before_the_first_mask_a_reader_sees_the_background_alone(camera: Path, network: Path) -> None:
    """The reader is there from the first picture on: it sees the background alone, then the composition."""
    with running(network, VIVID, VGA):
        pass
    command = [sys.executable, "-m", "vbgcam", "run", "--source", f"camera:{VIVID}", "--sink", "virtualcam"]
    # This network says the same of a part of the picture as of the whole: no crop.
    model = ["--model", f"onnx:{network}", "--set", "mask.preset=none"]
    settings = [*model, "--background", "#{:02x}{:02x}{:02x}".format(*BLUE)]
    with subprocess.Popen([*command, *settings, "--set", "camera.size=640x480"], stderr=subprocess.PIPE) as process:
        until(lambda: any(holder.pid == process.pid for holder in v4l2.holders(camera)), "the virtual camera is open")
        until(lambda: v4l2.query(camera).captures, "the first picture", 30)
        with opencv(camera) as capture:
            seen = [read(capture) for _ in range(15)]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    for picture in seen:
        assert np.abs(picture[:, VGA.width * 5 // 8 :].astype(float) - BLUE).max() <= 6
