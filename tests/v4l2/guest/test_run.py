"""`vbgcam run` as a person starts it: from a webcam to "VBG Camera", read by other programs."""

import itertools
import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.v4l2.guest.support.daemon import HD, VGA, assert_composed, assert_vivid, running, sees
from tests.v4l2.guest.support.kernel import until, vivid
from tests.v4l2.guest.support.readers import BLUE, by_ffmpeg, by_opencv, opencv, read
from tests.v4l2.guest.support.usb import UsbWebcam
from vbgcam.core.frames import Size
from vbgcam.system import v4l2


@pytest.mark.parametrize("size", [VGA, HD], ids=str)
def test_a_webcam_comes_out_composed_in_ffmpeg_and_opencv(camera: Path, network: Path, size: Size) -> None:
    with running(network, vivid(), size):
        sees(partial(by_ffmpeg, camera), assert_vivid, size)
        sees(partial(by_opencv, camera), assert_vivid, size)


def test_a_reader_that_stays_over_a_restart_gets_pictures_again(camera: Path, network: Path) -> None:
    with ExitStack() as still_open:
        with running(network, vivid(), VGA):
            capture = still_open.enter_context(opencv(camera))
            sees(partial(read, capture), assert_vivid, VGA)
        with running(network, vivid(), VGA):
            until(lambda: bool(capture.read()[0]), "a picture after the restart")
            sees(partial(read, capture), assert_vivid, VGA)


def test_a_usb_webcam_in_mjpg(camera: Path, network: Path, usb_webcam: UsbWebcam) -> None:
    with running(network, usb_webcam.name, HD, "--set", "camera.format=mjpg") as daemon:
        assert daemon.says("MJPG"), daemon.lines
        sees(partial(by_ffmpeg, camera), assert_composed, HD)
        with opencv(camera) as capture:
            sees(partial(read, capture), assert_composed, HD)
            pictures = [read(capture) for _ in range(10)]
    moves = [np.abs(a.astype(float) - b)[:, : HD.width // 2].mean() for a, b in itertools.pairwise(pictures)]
    assert max(moves) > 1, "the camera's half stands still"


def test_sigterm_releases_both_devices_and_writes_the_figures(camera: Path, network: Path, tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    with running(network, vivid(), VGA, "--stats", str(stats)) as daemon:
        pid = daemon.process.pid
        for path in (vivid(), camera):
            assert pid in [holder.pid for holder in v4l2.holders(path)]
    assert not v4l2.holders(vivid())
    assert not v4l2.holders(camera)
    figures = json.loads(stats.read_text())
    assert figures["state"] == "stopped"
    assert figures["sink"].startswith("VBG Camera")
    assert figures["frames"]["sent"] > figures["frames"]["covered"] > 0


def test_before_the_first_mask_a_reader_sees_the_background_alone(camera: Path, network: Path) -> None:
    """The reader is there from the first picture on: it sees the background alone, then the composition."""
    with running(network, vivid(), VGA):
        pass
    with running(network, vivid(), VGA, says="source: "):
        until(lambda: v4l2.query(camera).captures, "the first picture")
        with opencv(camera) as capture:
            seen = [read(capture) for _ in range(15)]
    for picture in seen:
        assert np.abs(picture[:, VGA.width * 5 // 8 :].astype(float) - BLUE).max() <= 6
