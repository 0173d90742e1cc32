"""Programs that read a camera, as the tests need them: ffmpeg, OpenCV, and a picture that cannot be mistaken."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from tests.support.frames import safe
from tests.v4l2.guest.support.kernel import PATIENCE
from vbgcam.core.frames import U8, SafeFrame, Size
from vbgcam.output import Output
from vbgcam.pixels.convert import from_rgb

FPS = 30.0
RED, GREEN, BLUE, GREY = (200, 30, 40), (20, 180, 60), (30, 60, 210), (128, 128, 128)


def quadrants(size: Size, *colors: tuple[int, int, int]) -> U8:
    """RGB: one colour in each quarter, row by row."""
    picture = np.zeros((size.height, size.width, 3), np.uint8)
    middle, half = size.height // 2, size.width // 2
    for index, color in enumerate(colors):
        rows = slice(middle, None) if index >= 2 else slice(0, middle)
        picture[rows, slice(half, None) if index % 2 else slice(0, half)] = color
    return picture


def cover(size: Size, *colors: tuple[int, int, int]) -> SafeFrame:
    """That picture as a frame for an output."""
    return safe(from_rgb(quadrants(size, *colors)))


def assert_shows(rgb: U8, size: Size, *colors: tuple[int, int, int]) -> None:
    """Each quarter's middle has its colour, within what 8-bit YUV and a decoder's rounding lose."""
    assert rgb.shape == (size.height, size.width, 3)
    quarter = size.height // 4, size.width // 4
    for index, color in enumerate(colors):
        row, column = quarter[0] * (3 if index >= 2 else 1), quarter[1] * (3 if index % 2 else 1)
        seen = rgb[row - 8 : row + 8, column - 8 : column + 8].reshape(-1, 3).mean(axis=0)
        assert np.abs(seen - color).max() <= 4, f"quarter {index}: {seen} instead of {color}"


@contextmanager
def feeding(output: Output, frame: SafeFrame) -> Iterator[None]:
    """Sends the frame again and again from a thread of its own, as the daemon does, until the block ends."""
    stop = threading.Event()
    problems: list[BaseException] = []

    def send() -> None:
        try:
            while not stop.wait(1 / FPS):
                output.send(frame, time.monotonic())
        except BaseException as exc:
            problems.append(exc)

    output.send(frame, time.monotonic())
    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not problems, problems[0]


def by_ffmpeg(path: Path) -> U8:
    """The camera's fifth picture as ffmpeg reads it: RGB."""
    source = ["-f", "v4l2", "-i", str(path)]
    fifth = ["-vf", r"select=gte(n\,4)", "-frames:v", "1", "-f", "image2pipe", "-c:v", "ppm", "-"]
    command = ["ffmpeg", "-nostdin", "-v", "error", *source, *fifth]
    ppm = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    assert ppm.returncode == 0, ppm.stderr.decode()
    return _rgb(cv2.imdecode(np.frombuffer(ppm.stdout, np.uint8), cv2.IMREAD_COLOR))


@contextmanager
def opencv(path: Path) -> Iterator[cv2.VideoCapture]:
    """An application that reads the camera through OpenCV."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    assert capture.isOpened()
    try:
        yield capture
    finally:
        capture.release()


def read(capture: cv2.VideoCapture) -> U8:
    """RGB."""
    good, bgr = capture.read()
    assert good
    return _rgb(bgr)


def by_opencv(path: Path) -> U8:
    """The camera's fifth picture as OpenCV reads it: RGB."""
    with opencv(path) as capture:
        return [read(capture) for _ in range(5)][-1]


def _rgb(bgr: object) -> U8:
    return np.ascontiguousarray(np.asarray(bgr, np.uint8)[:, :, ::-1])


_READER = """
import sys
from vbgcam.camera import Requested
from vbgcam.camera.device import DeviceSource
from vbgcam.core.frames import Size
camera = DeviceSource(sys.argv[1], Requested(Size(640, 360)))
camera.open()
print("reading", flush=True)
while True:
    camera.read()
"""


@contextmanager
def another_reader(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of vbgcam's that has the camera on."""
    process = subprocess.Popen([sys.executable, "-c", _READER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield process
    finally:
        process.kill()
        process.communicate()
