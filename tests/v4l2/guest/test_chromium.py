"""A real browser in the guest: it lists "VBG Camera" and shows the composed picture, and only while its page reads it
is the webcam on."""

import os
from pathlib import Path

from tests.support.meeting import meeting
from tests.v4l2.guest.support.daemon import LOADED, WHITE, idle
from tests.v4l2.guest.support.kernel import until
from tests.v4l2.guest.support.readers import BLUE, opencv, read

PERSON, ROOM = (0.06, 0.5), (0.8, 0.5)


def test_the_webcam_is_on_while_a_page_shows_it_and_no_longer(camera: Path, network: Path) -> None:
    with idle(network) as daemon:
        with opencv(camera) as capture:  # until all is loaded, which takes longer than the page waits
            until(lambda: bool(read(capture) is not None) and daemon.says("on air"), "on air", LOADED)
        until(lambda: not daemon.camera_on(), "the webcam is off")
        with meeting("chromium", os.environ, [PERSON, ROOM], [WHITE, BLUE], v4l2="VBG Camera") as page:
            until(daemon.camera_on, "the webcam is on", 200)
            seen = page.round(LOADED)
            until(lambda: not daemon.camera_on(), "the webcam is off")
    assert seen["label"].startswith("VBG Camera")
    assert seen["good"], seen
