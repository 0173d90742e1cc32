"""Backgrounds, the webcam's size and a pause, changed while a program reads "VBG Camera": its pictures go on, all of
one size, and none of them shows the room."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from tests.support.networks import left_half
from tests.v4l2.guest.conftest import until
from tests.v4l2.guest.test_demand import filmed
from tests.v4l2.guest.test_endurance import HEX, LOADED, ROUNDS, SOON, judged
from tests.v4l2.guest.test_run import VGA, VIVID, running
from vbgcam.control.client import Client

COLOURS = (HEX, "#c02020", "#20a040")
SIZES = ("640x360", "320x180", "1280x720", "640x480")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return left_half(tmp_path / "left.onnx")


@pytest.mark.timeout(500)
@pytest.mark.guest(seconds=520)
def test_a_reader_gets_pictures_through_every_change(camera: Path, network: Path) -> None:
    with (
        running(network, VIVID, VGA, on_demand=True, says="nobody is watching") as daemon,
        judged(camera, COLOURS) as judge,
    ):
        judge.sees("person", 0.0, LOADED)
        client, sizes = Client.find(), itertools.cycle(SIZES)
        for turn in range(15 * ROUNDS):
            client.do({"do": "background", "to": COLOURS[turn % len(COLOURS)]})
            if turn % 3 == 0:
                client.do({"do": "set", "settings": {"camera.size": next(sizes)}})
            judge.sees("person", time.monotonic(), SOON)
        status = client.status()
        assert status["size"] == str(VGA)
        assert status["state"] == "on air"
        assert not daemon.says("warning")


@pytest.mark.timeout(300)
def test_a_pause_covers_at_once_and_the_webcam_is_off_until_it_goes_on(camera: Path, network: Path) -> None:
    with (
        running(network, VIVID, VGA, on_demand=True, says="nobody is watching") as daemon,
        judged(camera) as judge,
    ):
        judge.sees("person", 0.0, LOADED)
        client = Client.find()
        for _ in range(ROUNDS):
            assert client.do({"do": "pause"}).startswith("paused")
            until(lambda: judge.last["cover"] > judge.last["person"], "the cover", SOON)
            until(lambda: not filmed(daemon), "the webcam is closed", SOON)
            shown = judge.seen["person"]
            covers = judge.seen["cover"]
            until(lambda covers=covers: judge.seen["cover"] > covers + 10, "more of them", SOON)  # type: ignore[misc]
            assert judge.seen["person"] == shown
            client.do({"do": "resume"})
            judge.sees("person", time.monotonic(), SOON)
