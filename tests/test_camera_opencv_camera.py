"""OpenCV's capture on Windows and macOS, with a stand-in for it: one thread owns it, whatever the others do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from typing import ClassVar

import cv2
import numpy as np
import pytest

from vbgcam.camera import Requested, listing, opencv_camera
from vbgcam.camera.base import CameraInfo, Layout, StreamError
from vbgcam.camera.opencv_camera import OpencvBackend, OpencvStream
from vbgcam.camera.unpack import unpacker
from vbgcam.core.frames import U8, Size
from vbgcam.pixels.convert import color_yuv

SIZE = Size(64, 48)
WANTED = Requested(SIZE)


def picture(blue: int, size: Size = SIZE) -> U8:
    """BGR."""
    return np.full((size.height, size.width, 3), (blue, 0, 0), np.uint8)


@dataclass
class Capture:
    """cv2.VideoCapture: `read` waits for ever until the test puts a picture, None for a failure, or an exception.
    Fails where it is released under a running read or by another thread than the reader."""

    feed: Queue[U8 | Exception | None] = field(default_factory=Queue)
    given: dict[int, float] = field(default_factory=lambda: {3: SIZE.width, 4: SIZE.height, 5: 30.0})
    asked: dict[int, float] = field(default_factory=dict)
    taken: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)
    reader: int = 0
    reading: bool = False

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return True

    def set(self, key: int, value: float) -> bool:
        self.asked[key] = value
        return True

    def get(self, key: int) -> float:
        return self.given.get(key, -1.0)

    def read(self) -> tuple[bool, U8 | None]:
        self.reader, self.reading = threading.get_ident(), True
        self.taken.release()
        step = self.feed.get(timeout=30)
        self.reading = False
        if isinstance(step, Exception):
            raise step
        return step is not None, step

    def release(self) -> None:
        assert not self.reading
        assert self.reader in (0, threading.get_ident())
        self.released.set()


@contextmanager
def pumped(
    capture: Capture | None = None, wanted: Requested = WANTED, backend: int = cv2.CAP_MSMF
) -> Iterator[tuple[OpencvStream, Capture]]:
    """A stream whose reader ends, and has released the camera, when the block has ended."""
    capture = capture or Capture()
    stream = OpencvStream(capture, backend, wanted)  # type: ignore[arg-type]
    yield stream, capture
    end(stream, capture)


def end(stream: OpencvStream, capture: Capture) -> None:
    capture.feed.put(None)
    stream.release()
    assert capture.released.wait(30)


def test_only_the_newest_picture_is_kept_in_the_houses_colours() -> None:
    with pumped() as (stream, capture):
        for blue in (10, 20, 255):
            capture.feed.put(picture(blue))
        for _ in range(4):  # three pictures are taken when the fourth read begins
            assert capture.taken.acquire(timeout=30)
        data = stream.wait(0.1)
        assert data is not None
        assert stream.skipped == 2
        planes = unpacker(stream.layout).planes(data)
        assert planes is not None
        assert np.abs(np.array([planes.y[9, 9], planes.u[9, 9], planes.v[9, 9]]) - color_yuv((0, 0, 255))).max() <= 1
        assert stream.wait(0.001) is None


def test_release_returns_while_a_read_hangs_and_the_reader_releases_the_camera_later() -> None:
    with pumped() as (stream, capture):
        assert capture.taken.acquire(timeout=30)
        stream.release()
        assert not capture.released.is_set()


@pytest.mark.parametrize(
    "steps",
    [[*[None] * 9, picture(1), *[None] * 10], [picture(1), cv2.error("lost")]],
    ids=["a few failed reads are forgiven, many are not", "an error of OpenCV's"],
)
def test_a_capture_that_fails_ends_the_stream(
    steps: list[U8 | Exception | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opencv_camera, "_PAUSE", 0.0)
    with pumped() as (stream, capture):
        for step in steps:
            capture.feed.put(step)
        assert capture.released.wait(30)
        assert stream.wait(1) is not None
        with pytest.raises(StreamError):
            stream.wait(30)


def test_a_picture_of_another_size_than_agreed_counts_as_damaged() -> None:
    with pumped() as (stream, capture):
        capture.feed.put(picture(1, Size(128, 96)))
        data = stream.wait(30)
        assert data is not None
        assert unpacker(stream.layout).planes(data) is None


def test_what_the_camera_gives_is_read_back() -> None:
    with pumped(Capture(given={3: 32.0, 4: 24.0, 5: 0.0})) as (stream, _):
        assert (stream.layout, stream.fps) == (Layout("BGR3", Size(32, 24)), 30.0)
        assert stream.note == "asked for 64x48, got 32x24"


HD, VGA = Size(1280, 720), Size(640, 480)


@pytest.mark.parametrize(
    ("wanted", "backend", "mjpg"),
    [
        (Requested(HD), cv2.CAP_DSHOW, True),
        (Requested(VGA), cv2.CAP_DSHOW, False),
        (Requested(HD), cv2.CAP_MSMF, False),
        (Requested(VGA, format="mjpg"), cv2.CAP_MSMF, True),
        (Requested(HD, format="yuyv"), cv2.CAP_DSHOW, False),
    ],
)
def test_jpeg_is_asked_for_where_it_was_forced_or_directshow_would_be_slow(
    wanted: Requested, backend: int, mjpg: bool
) -> None:
    with pumped(None, wanted, backend) as (_, capture):
        assert (cv2.CAP_PROP_FOURCC in capture.asked) is mjpg
        assert (capture.asked[3], capture.asked[4], capture.asked[5]) == (wanted.size.width, wanted.size.height, 30.0)


WEBCAM = CameraInfo("Webcam", "usb#1", "usb#1", "", opens=((0, cv2.CAP_MSMF), (2, cv2.CAP_DSHOW)))


class Opener:
    """cv2.VideoCapture as a class: only those in `works` open."""

    works: ClassVar[set[tuple[int, int]]]
    tried: ClassVar[list[tuple[int, int]]]
    capture: ClassVar[Capture]

    def __new__(cls, index: int, backend: int) -> Capture:  # type: ignore[misc]
        cls.tried.append((index, backend))
        if (index, backend) in cls.works:
            return cls.capture
        closed = Capture()
        closed.isOpened = lambda: False  # type: ignore[method-assign]
        return closed


def test_the_next_backend_is_tried_where_the_first_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Opener)
    Opener.works, Opener.tried, Opener.capture = {(2, cv2.CAP_DSHOW)}, [], Capture()
    stream = OpencvBackend().start(WEBCAM, WANTED)
    assert Opener.tried == list(WEBCAM.opens)
    assert isinstance(stream, OpencvStream)
    end(stream, Opener.capture)
    Opener.works = set()
    with pytest.raises(StreamError):
        OpencvBackend().start(WEBCAM, WANTED)


def test_why_is_said_as_far_as_it_can_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "enumerated", lambda: [WEBCAM])
    assert "does not start: it is busy, or may not be used; close other programs" in str(
        OpencvBackend().refusal(WEBCAM)
    )
    assert "has stopped sending pictures" in str(OpencvBackend().loss(WEBCAM))
    monkeypatch.setattr(listing, "enumerated", list)
    monkeypatch.setattr(listing, "cameras", list)
    for error in (OpencvBackend().refusal(WEBCAM), OpencvBackend().loss(WEBCAM)):
        assert str(error) == '"Webcam" is gone: it was unplugged; no camera is plugged in; plug it in again'
