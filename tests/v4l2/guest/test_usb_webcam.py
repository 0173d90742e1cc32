"""The USB webcam in software is a webcam like any other."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from tests.v4l2.bench.uvc_webcam import LOOP, picture
from tests.v4l2.guest.support.kernel import sh, until
from tests.v4l2.guest.support.readers import opencv, read
from tests.v4l2.guest.support.usb import UsbWebcam, place


@pytest.mark.parametrize("fourcc", ["MJPG", "YUYV"])
def test_both_formats_show_the_bar_going_right(usb_webcam: UsbWebcam, fourcc: str) -> None:
    assert fourcc in sh("v4l2-ctl", "-d", usb_webcam.path, "--list-formats")
    with opencv(usb_webcam.path) as capture:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc))
        seen = [read(capture) for _ in range(4)]
    assert seen[0].shape == (480, 640, 3)
    steps = [(place(after) - place(before)) % LOOP for before, after in pairwise(seen)]
    assert all(0 < step < LOOP / 2 for step in steps), steps


def test_the_picture_is_told_apart_by_its_place() -> None:
    assert place(np.ascontiguousarray(picture((640, 480), 12)[:, :, ::-1])) == pytest.approx(12, abs=0.1)


def test_ending_the_program_pulls_the_plug(usb_webcam: UsbWebcam) -> None:
    usb_webcam.unplug()
    until(lambda: not usb_webcam.path.exists(), "the node goes")
