"""Backgrounds, the webcam's size and a pause, changed while a program reads "VBG Camera": its pictures go on, all of
one size, and none of them shows the room."""

import itertools
from pathlib import Path

from tests.v4l2.guest.support.daemon import HEX, LOADED, ROUNDS, VGA, idle, judged
from tests.v4l2.guest.support.kernel import until
from vbgcam.control.client import Client

COLOURS = (HEX, "#c02020", "#20a040")
SIZES = ("640x360", "320x180", "1280x720", "640x480")


def test_a_reader_gets_pictures_through_every_change(camera: Path, network: Path) -> None:
    with idle(network) as daemon, judged(camera, COLOURS) as judge:
        judge.sees("person", LOADED)
        client, sizes = Client.find(), itertools.cycle(SIZES)
        for turn in range(15 * ROUNDS):
            client.do({"do": "background", "to": COLOURS[turn % len(COLOURS)]})
            if turn % 3 == 0:
                client.do({"do": "set", "settings": {"camera.size": next(sizes)}})
            judge.sees("person")
        assert client.status()["size"] == str(VGA)
        until(lambda: client.status()["state"] == "on air", "on air")
        assert not daemon.says("warning")


def test_a_pause_covers_at_once_and_the_webcam_is_off_until_it_goes_on(camera: Path, network: Path) -> None:
    with idle(network) as daemon, judged(camera) as judge:
        judge.sees("person", LOADED)
        client = Client.find()
        for _ in range(ROUNDS):
            assert client.do({"do": "pause"}).startswith("paused")
            judge.sees("cover")
            until(lambda: not daemon.camera_on(), "the webcam is closed")
            shown = judge.seen["person"]
            covers = judge.seen["cover"]
            until(lambda covers=covers: judge.seen["cover"] > covers + 10, "more of them")  # type: ignore[misc]
            assert judge.seen["person"] == shown
            client.do({"do": "resume"})
            judge.sees("person")
