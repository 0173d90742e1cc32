"""The virtual camera on the real v4l2loopback 0.12.7."""

import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.frames import plain
from tests.v4l2.guest.support.kernel import (
    CAMERA,
    PLAIN_PRODUCER,
    another_program,
    captures,
    load_loopback,
    mode,
    nobody,
    sh,
    unload_loopback,
    until,
    vivid,
)
from tests.v4l2.guest.support.readers import (
    BLUE,
    FPS,
    GREEN,
    GREY,
    RED,
    assert_shows,
    by_ffmpeg,
    by_opencv,
    cover,
    feeding,
    opencv,
    read,
)
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Size
from vbgcam.core.specs import SinkSpec
from vbgcam.output import Output, open_output
from vbgcam.output.loopback import LOAD, RELOAD
from vbgcam.output.virtualcam import virtual_cameras
from vbgcam.system import v4l2

VGA = Size(640, 480)
HD = Size(1280, 720)


@contextmanager
def on_air(target: str = "", size: Size = VGA, fps: float = FPS) -> Iterator[Output]:
    output = open_output(SinkSpec("virtualcam", target), size, fps)
    output.open()
    try:
        yield output
    finally:
        output.close()


def refusal(target: str = "", size: Size = VGA) -> OutputError:
    """Why the virtual camera does not open: one line."""
    output = open_output(SinkSpec("virtualcam", target), size, FPS)
    try:
        with pytest.raises(OutputError) as caught:
            output.open()
    finally:
        output.close()
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("size", [HD, Size(854, 480)], ids=str)
def test_ffmpeg_and_opencv_read_the_picture_that_was_sent(camera: Path, size: Size) -> None:
    colors = RED, GREEN, BLUE, GREY
    with on_air(size=size) as output:
        assert output.name == "VBG Camera (/dev/video10)"
        with feeding(output, cover(size, *colors)):
            assert_shows(by_ffmpeg(camera), size, *colors)
            assert_shows(by_opencv(camera), size, *colors)


def test_it_starts_again_and_again_on_one_module_load_at_any_size(camera: Path) -> None:
    for size, colors in (
        (VGA, (RED, GREEN, BLUE, GREY)),
        (HD, (GREY, RED, GREEN, BLUE)),
        (VGA, (BLUE, BLUE, RED, RED)),
    ):
        with on_air(size=size) as output, feeding(output, cover(size, *colors)):
            assert_shows(by_ffmpeg(camera), size, *colors)
            assert_shows(by_opencv(camera), size, *colors)
        assert v4l2.query(camera).outputs


def test_it_starts_again_when_nothing_was_ever_sent(camera: Path) -> None:
    for _ in range(2):
        with on_air():
            pass
    with on_air() as output, feeding(output, cover(VGA, RED, GREEN, BLUE, GREY)):
        assert_shows(by_ffmpeg(camera), VGA, RED, GREEN, BLUE, GREY)


def test_it_starts_again_after_it_was_killed(camera: Path) -> None:
    daemon = (
        "import time\n"
        "from tests.support.frames import plain\n"
        "from vbgcam.core.frames import Size\n"
        "from vbgcam.core.specs import SinkSpec\n"
        "from vbgcam.output import open_output\n"
        "output = open_output(SinkSpec('virtualcam'), Size(640, 480), 30.0)\n"
        "output.open()\n"
        "while True: output.send(plain(Size(640, 480), 99), time.monotonic()); time.sleep(0.02)\n"
    )
    with another_program(sys.executable, "-c", daemon) as process:
        until(captures, "the first daemon is on air")
        process.kill()
        process.wait()
    with on_air(size=HD) as output, feeding(output, cover(HD, RED, GREEN, BLUE, GREY)):
        assert_shows(by_opencv(camera), HD, RED, GREEN, BLUE, GREY)


def test_a_device_that_another_producer_left_unusable_is_revived(camera: Path) -> None:
    sh(sys.executable, "-c", PLAIN_PRODUCER.format(frames=2))
    left = v4l2.query(camera)
    assert not left.captures
    assert not left.outputs
    assert [listed.state for listed in virtual_cameras()] == ["free"]
    with on_air(size=HD) as output, feeding(output, cover(HD, RED, GREEN, BLUE, GREY)):
        assert_shows(by_opencv(camera), HD, RED, GREEN, BLUE, GREY)


def test_a_device_that_pyvirtualcam_feeds_is_busy_and_the_line_says_by_whom(camera: Path) -> None:
    with another_program(sys.executable, "-c", PLAIN_PRODUCER.format(frames=10_000)) as process:
        until(captures, "the other producer is on air")
        error = refusal()
        assert "VBG Camera (/dev/video10) is in use by python" in error.message
        assert error.fix == f"end that program: kill {process.pid}"
        assert [(listed.state, str(process.pid) in listed.users[0]) for listed in virtual_cameras()] == [("busy", True)]
        sh("bash", "-c", error.fix.removeprefix("end that program: "))  # where kill is no program of its own
        process.wait()
    with on_air() as output, feeding(output, plain(VGA, 60)):
        assert by_opencv(camera).shape == (480, 640, 3)


def test_a_device_that_ffmpeg_feeds_is_busy(camera: Path) -> None:
    source = ["-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=10", "-pix_fmt", "yuv420p"]
    with another_program("ffmpeg", "-nostdin", "-v", "error", *source, "-f", "v4l2", camera) as process:
        until(captures, "ffmpeg is on air")
        assert str(refusal()).endswith(f"is in use by ffmpeg (pid {process.pid}); end that program: kill {process.pid}")


def test_two_of_us_do_not_share_a_device(camera: Path) -> None:
    with on_air():
        error = refusal()
        assert f"pid {os.getpid()}" in error.message


def test_a_reader_that_holds_another_size_is_named_and_keeps_its_picture(camera: Path) -> None:
    with ExitStack() as still_open:
        with on_air() as output, feeding(output, plain(VGA, 60)):
            consumer = still_open.enter_context(opencv(camera))
            read(consumer)
        error = refusal(size=HD)
        assert "VBG Camera (/dev/video10) is kept at 640x480 YU12 by" in error.message
        assert error.message.endswith(f"(pid {os.getpid()}) and cannot become 1280x720")
        assert error.fix == f"close the camera there, or: kill {os.getpid()}"
        with on_air() as output, feeding(output, plain(VGA, 200)):
            assert [read(consumer).mean() for _ in range(5)][-1] > 190
    with on_air(size=HD) as output, feeding(output, cover(HD, RED, GREEN, BLUE, GREY)):
        assert_shows(by_opencv(camera), HD, RED, GREEN, BLUE, GREY)


def test_a_kept_format_is_named_with_the_command_that_lets_it_go(camera: Path) -> None:
    with on_air() as output:
        output.send(plain(VGA, 60), time.monotonic())
        sh("v4l2-ctl", "-d", camera, "-c", "keep_format=1")
    error = refusal(size=HD)
    assert "is kept at 640x480 YU12 and cannot become 1280x720" in error.message
    sh(*error.fix.partition(",")[0].split())
    with on_air(size=HD):
        pass


@pytest.mark.parametrize("fps", [15.0, 29.97])
def test_the_frame_rate_is_announced(camera: Path, fps: float) -> None:
    with on_air(fps=fps) as output, feeding(output, plain(VGA, 60)):
        assert f"Frames per second: {fps:.3f}" in sh("v4l2-ctl", "-d", camera, "--get-parm")
        query = ["-v", "error", "-show_entries", "stream=r_frame_rate", "-of", "csv=p=0"]
        assert float(Fraction(sh("ffprobe", *query, "-f", "v4l2", camera).strip())) == pytest.approx(fps, abs=0.001)


def test_an_unloaded_module_is_one_line_whose_command_fixes_it() -> None:
    unload_loopback()
    assert virtual_cameras() == []
    error = refusal()
    assert str(error) == f"the kernel module v4l2loopback is not loaded; {LOAD}"
    sh(*shlex.split(error.fix.removeprefix("sudo ")))
    until(CAMERA.exists, "the device appears")
    with on_air() as output, feeding(output, cover(VGA, RED, GREEN, BLUE, GREY)):
        assert_shows(by_opencv(CAMERA), VGA, RED, GREEN, BLUE, GREY)


def test_no_permission_is_one_line_that_names_the_group(camera: Path) -> None:
    with mode(camera, 0o600), nobody():
        error = refusal()
        states = [listed.state for listed in virtual_cameras()]
    assert error.message == "no permission to write to the virtual camera VBG Camera (/dev/video10)"
    assert error.fix == "sudo usermod -aG video $USER, then log in again"
    assert states == ["no permission"]


def test_a_camera_of_another_user_is_busy_although_its_program_cannot_be_seen(camera: Path) -> None:
    with another_program(sys.executable, "-c", PLAIN_PRODUCER.format(frames=10_000)):
        until(captures, "the other producer is on air")
        with mode(camera, 0o666), nobody():
            error = refusal()
    assert "in use by a program of another user" in error.message
    assert error.fix == f"sudo fuser -v /dev/video10 names it; if it names nobody: {RELOAD}"


def test_devices_are_chosen_by_name_by_path_and_otherwise_the_first_free_one() -> None:
    load_loopback("video_nr=10,11", "exclusive_caps=1,1", "card_label=One,Two")
    assert [(listed.name, listed.path, listed.driver) for listed in virtual_cameras()] == [
        ("One", "/dev/video10", "v4l2loopback"),
        ("Two", "/dev/video11", "v4l2loopback"),
    ]
    with on_air("Two") as two:
        assert two.name == "Two (/dev/video11)"
        with on_air() as first:
            assert first.name == "One (/dev/video10)"
            assert "One (/dev/video10) is in use by" in str(refusal())
            assert "Two (/dev/video11) is in use by" in str(refusal())
    with on_air("/dev/video11") as by_path:
        assert by_path.name == "Two (/dev/video11)"
    there = "; there is One (/dev/video10), Two (/dev/video11)"
    assert str(refusal("Three")) == f"there is no virtual camera named 'Three'{there}"
    assert str(refusal(str(vivid()))) == f"virtual camera {vivid()} is no v4l2loopback device{there}"
    assert str(refusal("/dev/video77")) == f"virtual camera /dev/video77 does not exist{there}"


def test_a_device_without_exclusive_caps_works_but_is_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    load_loopback("video_nr=10", "card_label=VBG Camera")
    for _ in range(2):
        caplog.clear()
        with on_air() as output, feeding(output, cover(VGA, RED, GREEN, BLUE, GREY)):
            assert_shows(by_opencv(CAMERA), VGA, RED, GREEN, BLUE, GREY)
        warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert warnings == [
            f"VBG Camera (/dev/video10) lacks exclusive_caps=1: Chrome and Zoom will not list it; {RELOAD}"
        ]


def test_a_camera_with_exclusive_caps_gives_no_warning(camera: Path, caplog: pytest.LogCaptureFixture) -> None:
    with on_air() as output, feeding(output, plain(VGA, 60)):
        assert by_opencv(camera).shape == (480, 640, 3)
    assert caplog.records == [record for record in caplog.records if record.levelname not in ("WARNING", "ERROR")]
