"""OpenCV's capture on Linux, with a stand-in for it: the newest picture, errors, and why a camera does not start."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import cv2
import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("video devices of Linux", allow_module_level=True)

import grp

from vbgcam.camera import Requested, listing, v4l2_camera, v4l2_modes
from vbgcam.camera.base import CameraInfo, Layout, Mode, StreamError
from vbgcam.camera.v4l2_camera import V4l2Backend, V4l2Stream
from vbgcam.core.frames import Size
from vbgcam.system import v4l2

HD = Size(1280, 720)
MODE = Mode("YUYV", HD, (30.0, 15.0))
CAMERA = CameraInfo("Cam", "/dev/video0", "usb-Cam", "uvcvideo", (MODE,))
OTHER = CameraInfo("Other", "/dev/video2", "usb-Other", "uvcvideo", (MODE,))


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Capture:
    """cv2.VideoCapture as far as a camera needs it. Pictures arrive at the times of `due`; each holds its number."""

    clock: ClassVar[Clock]
    due: ClassVar[list[float]]
    opens: ClassVar[bool]
    breaks: ClassVar[bool]
    hangs_up: ClassVar[bool]
    refuses_settings: ClassVar[bool]
    made: ClassVar[list[Capture]]

    @classmethod
    def plug_in(cls, *due: float) -> None:
        cls.clock, cls.due, cls.made = Clock(), list(due), []
        cls.opens, cls.breaks, cls.hangs_up, cls.refuses_settings = True, False, False, False

    def __init__(self, path: str, backend: int) -> None:
        assert backend == cv2.CAP_V4L2
        self.path = path
        self.settings: dict[int, float] = {cv2.CAP_PROP_FPS: 30.0}
        self.number = -1
        self.pending = False
        self.released = 0
        self.made.append(self)

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return self.opens

    def set(self, key: int, value: float) -> bool:
        if self.refuses_settings:
            raise cv2.error("no")
        self.settings[key] = value
        return True

    def get(self, key: int) -> float:
        return self.settings.get(key, -1.0)

    def grab(self) -> bool:
        return False

    def retrieve(self) -> tuple[bool, np.ndarray]:
        assert self.pending, "nothing was grabbed"
        self.pending = False
        return True, np.full((2, 4, 2), self.number, np.uint8)

    def release(self) -> None:
        self.released += 1

    @staticmethod
    def waitAny(streams: list[Capture], nanoseconds: int) -> tuple[bool, tuple[int, ...]]:  # noqa: N802
        [self] = streams
        assert nanoseconds > 0, "OpenCV would wait for ever"
        assert not self.pending, "OpenCV would give the same picture again"
        if self.breaks:
            raise cv2.error("Error is reported for camera stream")
        if self.hangs_up:
            return True, ()
        due = self.due[self.number + 1] if self.number + 1 < len(self.due) else float("inf")
        end = self.clock.now + max(0.001, nanoseconds / 1e9)
        self.clock.now = max(self.clock.now, min(due, end))
        if due > end:
            return False, ()
        self.number += 1
        self.pending = True
        return True, (0,)


@pytest.fixture(autouse=True)
def opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    Capture.plug_in()
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    monkeypatch.setattr(v4l2_camera, "time", SimpleNamespace(monotonic=lambda: Capture.clock.now))
    monkeypatch.setattr(v4l2, "opened", opened())
    monkeypatch.setattr(v4l2_modes, "layout", lambda fd: Layout("YUYV", HD, 2560))
    monkeypatch.setattr(listing, "cameras", lambda: [OTHER])


def opened(number: int = 0) -> object:
    @contextmanager
    def manager(path: str) -> Iterator[int]:
        if number:
            raise OSError(number, os.strerror(number))
        yield 3

    return manager


def stream(*due: float) -> V4l2Stream:
    Capture.plug_in(*due)
    return V4l2Stream("/dev/video0", MODE, 30.0)


def test_the_cameras_own_bytes_are_asked_for_in_the_chosen_mode() -> None:
    opened_stream = stream()
    assert Capture.made[0].settings == {
        cv2.CAP_PROP_CONVERT_RGB: 0,
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV"),
        cv2.CAP_PROP_FRAME_WIDTH: 1280,
        cv2.CAP_PROP_FRAME_HEIGHT: 720,
        cv2.CAP_PROP_FPS: 30.0,
    }
    assert (opened_stream.layout, opened_stream.fps, opened_stream.note) == (Layout("YUYV", HD, 2560), 30.0, "")


def test_a_camera_that_gives_something_else_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2_modes, "layout", lambda fd: Layout("MJPG", Size(640, 480)))
    assert stream().note == "asked for 1280x720 YUYV, got 640x480 MJPG"


def test_a_camera_that_nobody_may_open_twice_is_taken_at_opencvs_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "opened", opened(errno.EBUSY))
    assert stream().layout == Layout("YUYV", HD)


def number(camera: V4l2Stream, seconds: float) -> int:
    """Of the next picture."""
    data = camera.wait(seconds)
    assert data is not None
    assert data.shape == (16,)
    return int(data[0])


def test_pictures_come_one_by_one_while_the_reader_keeps_up() -> None:
    camera = stream(1.0, 1.033, 1.066)
    assert [number(camera, 2) for _ in range(3)] == [0, 1, 2]
    assert camera.skipped == 0


def test_after_a_pause_only_the_newest_picture_is_given() -> None:
    camera = stream(0.0, 0.1, 0.2, 0.9)
    Capture.clock.now = 0.5
    assert (number(camera, 0.1), camera.skipped) == (2, 2)
    assert (number(camera, 0.4), camera.skipped) == (3, 2)


def test_a_source_faster_than_its_reader_still_gives_a_picture() -> None:
    assert number(stream(*[0.0] * 100), 0.1) == 3


def test_nothing_in_time_is_no_error() -> None:
    camera = stream(9.0)
    assert camera.wait(0.1) is None
    assert Capture.clock.now == pytest.approx(0.1)


@pytest.mark.parametrize(("fault", "text"), [("breaks", "Error is reported"), ("hangs_up", "hung up")])
def test_an_unplugged_camera_is_broken_at_once(fault: str, text: str) -> None:
    camera = stream(1.0)
    setattr(Capture, fault, True)
    with pytest.raises(StreamError, match=text):
        camera.wait(0.1)


@pytest.mark.parametrize(("fault", "value"), [("opens", False), ("refuses_settings", True)])
def test_a_camera_that_does_not_open_or_refuses_its_settings_is_broken_and_released(fault: str, value: bool) -> None:
    setattr(Capture, fault, value)
    with pytest.raises(StreamError):
        V4l2Stream("/dev/video0", MODE, 30.0)
    assert Capture.made[0].released == (fault != "opens")


def test_a_slow_size_is_noted_with_the_faster_one() -> None:
    camera = CameraInfo(
        "Cam", "/dev/video0", "", "", (Mode("YUYV", HD, (10.0,)), Mode("YUYV", Size(640, 360), (30.0,)))
    )
    note = V4l2Backend().start(camera, Requested(HD)).note
    assert note == "Cam gives 1280x720 at 10 frames a second at most; 640x360 would be faster (camera.size)"


HOLDERS = [v4l2.Holder(4711, "cheese"), v4l2.Holder(os.getpid(), "vbgcam")]

REASONS = {
    errno.ENODEV: '"Cam" (/dev/video0) is gone: it was unplugged; cameras here: "Other" (/dev/video2); '
    "plug it in again",
    errno.EBUSY: '"Cam" (/dev/video0) is busy: cheese (pid 4711) uses it; cameras here: "Other" (/dev/video2); '
    "close that program or choose another camera",
    errno.EACCES: '"Cam" (/dev/video0) may not be opened: no permission; '
    "run `sudo usermod -aG video $USER` and log in again",
    errno.ENOSPC: '"Cam" (/dev/video0) gets no room on its USB bus, which other devices fill; '
    "plug it in elsewhere, or ask for less with `--set camera.size=640x480`",
    errno.EPROTO: '"Cam" (/dev/video0) does not start: Protocol error; unplug it and plug it in again',
}


@pytest.mark.parametrize(("number", "text"), REASONS.items())
def test_why_a_camera_does_not_start_is_said_in_one_line(
    number: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v4l2, "holders", lambda path: HOLDERS)
    monkeypatch.setattr(v4l2_camera, "_group", lambda path: "video")

    def try_start(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(v4l2_modes, "try_start", try_start)
    assert str(V4l2Backend().refusal(CAMERA)) == text
    monkeypatch.setattr(v4l2, "opened", opened(number))
    assert str(V4l2Backend().refusal(CAMERA)) == text


def test_a_camera_that_starts_but_sends_nothing_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2_modes, "try_start", lambda fd: None)
    assert "starts but sends no usable picture" in str(V4l2Backend().refusal(CAMERA))


def test_a_camera_that_was_lost_is_gone_or_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "capability", lambda fd: None)
    assert "has stopped" in str(V4l2Backend().loss(CAMERA))
    monkeypatch.setattr(v4l2, "opened", opened(errno.ENOENT))
    assert "is gone: it was unplugged" in str(V4l2Backend().loss(CAMERA))


def test_the_group_of_the_device_is_named_unless_udev_left_it_to_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for group, said in (("webcams", "webcams"), ("root", "video")):
        monkeypatch.setattr(grp, "getgrgid", lambda number, name=group: SimpleNamespace(gr_name=name))
        assert v4l2_camera._group(str(tmp_path)) == said
    monkeypatch.undo()
    assert v4l2_camera._group(str(tmp_path / "gone")) == "video"
