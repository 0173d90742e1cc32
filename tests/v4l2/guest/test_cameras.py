"""Cameras on the real kernel: vivid, a USB webcam with MJPG and YUYV, virtual cameras beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.support.frames import plain
from tests.v4l2.bench.uvc_webcam import LOOP, picture
from tests.v4l2.guest.support.kernel import (
    VIVID,
    control,
    load_loopback,
    mode,
    nobody,
    until,
    vivid,
    vivid_unplugged,
)
from tests.v4l2.guest.support.readers import another_reader, feeding
from tests.v4l2.guest.support.usb import UsbWebcam, place
from vbgcam.camera import Captured, Negotiated, Requested
from vbgcam.camera.device import DeviceSource
from vbgcam.camera.listing import cameras
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import Planes, Size
from vbgcam.core.specs import SinkSpec
from vbgcam.output import open_output
from vbgcam.pixels.convert import color_yuv, to_rgb

HD, VGA, QUARTER = Size(1280, 720), Size(640, 480), Size(640, 360)

# vivid's picture: bars of three quarters of full colour, as a television's test picture.
BARS = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191), (0, 0, 0)]


@contextmanager
def on(target: str | Path, size: Size = QUARTER, fps: float = 30.0, format_: str = "auto") -> Iterator[DeviceSource]:
    """The camera, opened."""
    camera = DeviceSource(str(target), Requested(size, fps, format_))
    camera.open()
    try:
        yield camera
    finally:
        camera.close()


def refusal(target: str | Path, size: Size = QUARTER, format_: str = "auto") -> CameraError:
    """Why the camera does not open: one line."""
    camera = DeviceSource(str(target), Requested(size, format=format_))
    with pytest.raises(CameraError) as caught:
        camera.open()
    assert "\n" not in str(caught.value)
    return caught.value


def frame(camera: DeviceSource) -> Captured:
    captured = camera.read()
    assert captured is not None
    return captured


def failure(camera: DeviceSource) -> CameraError:
    """Reads until the camera gives no more pictures: why."""
    try:
        while True:
            frame(camera)
    except CameraError as exc:
        return exc


def assert_bars(planes: Planes) -> None:
    """At half height and below, where vivid writes no text over them."""
    row, bar = planes.size.height * 3 // 4, planes.size.width // 8
    for number, rgb in enumerate(BARS):
        columns = slice(number * bar + bar // 4, number * bar + bar * 3 // 4)
        seen = (
            planes.y[row - 4 : row + 4, columns].mean(),
            *(
                plane[row // 2 - 2 : row // 2 + 2, columns.start // 2 : columns.stop // 2].mean()
                for plane in (planes.u, planes.v)
            ),
        )
        assert np.abs(np.array(seen) - color_yuv(rgb)).max() <= 3, f"bar {number}: {seen}, not {color_yuv(rgb)}"


@pytest.mark.parametrize("target", ["0", "{node}", "/dev/..{node}", "vivid", "platform-vivid.0-video-index0"])
def test_vivid_opens_by_number_path_name_and_id(target: str) -> None:
    target = target.format(node=vivid())
    camera = DeviceSource(target, Requested(QUARTER))
    expected = camera.expected()
    with on(target) as camera:
        assert expected == camera.open() == Negotiated(VIVID, QUARTER, 30.0, "YU12")
        first, second = frame(camera), frame(camera)
        assert first.planes.size == QUARTER
        assert_bars(first.planes)
        assert second.captured_at > first.captured_at
        assert np.any(first.planes.y != second.planes.y), "vivid writes the time into its picture"


@pytest.mark.parametrize("format_", ["yuyv", "uyvy", "yvyu", "yu12", "yv12", "nv12", "nv21", "bgr3", "rgb3"])
@pytest.mark.parametrize("size", [QUARTER, HD], ids=str)
def test_every_format_shows_the_bars_in_their_colours(format_: str, size: Size) -> None:
    with on("0", size, 10.0, format_) as camera:
        assert_bars(frame(camera).planes)


# A grabber that scales nothing: whatever is asked, it gives what is plugged into it, here 1280x720 in BT.709.
@pytest.mark.guest(vivid="n_devs=1 node_types=0x1 num_inputs=1 input_types=3 vid_cap_nr=0 ccs_cap_mode=0")
@pytest.mark.parametrize("format_", ["auto", "yuyv"])
def test_an_hdmi_grabbers_colours_are_brought_to_the_houses(format_: str) -> None:
    with on("0", VGA, 30.0, format_) as camera:
        planes = frame(camera).planes
        assert planes.size == HD
        assert_bars(planes)


@pytest.mark.parametrize(
    ("target", "size", "format_"),
    [
        ("usb-Bench_Bench_UVC_Webcam-video-index0", HD, "auto"),
        ("bench uvc", HD, "mjpg"),
        ("bench uvc", VGA, "yuyv"),
    ],
)
def test_the_usb_webcam_shows_its_picture(usb_webcam: UsbWebcam, target: str, size: Size, format_: str) -> None:
    camera = DeviceSource(target, Requested(size, format=format_))
    expected = camera.expected()
    with on(target, size, 30.0, format_) as camera:
        assert expected == Negotiated(usb_webcam.name, size, 30.0, "YUYV" if format_ == "yuyv" else "MJPG")
        places = []
        for _ in range(3):
            rgb = to_rgb(frame(camera).planes)
            number = round(place(rgb))
            true = picture((size.width, size.height), number % LOOP)[:, :, ::-1]
            assert np.abs(rgb.astype(int) - true).mean() < 3
            places.append(number)
        assert len(set(places)) > 1, "the bar does not move"


def test_raw_pictures_are_not_asked_for_where_usb_cannot_carry_them(usb_webcam: UsbWebcam) -> None:
    found = next(camera for camera in cameras() if camera.name == usb_webcam.name)
    assert found.bus == 480
    assert any(mode.format == "YUYV" and mode.size == HD and 30 in mode.rates for mode in found.modes)
    got = DeviceSource(usb_webcam.name, Requested(HD)).expected()
    assert got is not None
    assert got.format == "MJPG"


def test_an_unplugged_webcam_is_gone_and_comes_back_by_its_name(usb_webcam: UsbWebcam) -> None:
    camera = DeviceSource("bench", Requested(VGA, format="mjpg"))
    camera.open()
    frame(camera)
    usb_webcam.unplug()
    error = str(failure(camera))
    assert "is gone: it was unplugged" in error or "has stopped: it was unplugged" in error
    camera.close()
    until(lambda: not usb_webcam.path.exists(), "the node goes")
    assert str(refusal("bench")).startswith("there is no camera called 'bench'; cameras here: \"vivid")
    assert "there is no camera at" in str(refusal(usb_webcam.path))


def test_vivid_unplugged_and_plugged_in_again_is_opened_again() -> None:
    camera = DeviceSource("0", Requested(QUARTER))
    camera.open()
    with vivid_unplugged():
        assert "is gone: it was unplugged; no camera is plugged in; plug it in again" in str(failure(camera))
        camera.close()
        assert "no camera is plugged in; plug one in" in str(refusal("0"))
    camera.open()
    assert_bars(frame(camera).planes)
    camera.close()


@pytest.mark.parametrize("usb", [False, True], ids=["vivid", "USB"])
def test_a_busy_camera_names_the_program_that_holds_it(usb: bool, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue("usb_webcam").path if usb else vivid()
    with another_reader(path) as process:
        error = refusal(path)
        assert f"is busy: python (pid {process.pid}) uses it; cameras here: " in error.message
        assert error.fix == "close that program or choose another camera"
        # It is still there, and says so in the list.
        assert str(path) in [camera.path for camera in cameras()]
    with on(path, VGA) as camera:
        frame(camera)


def test_a_camera_of_another_users_program_is_busy_too() -> None:
    with mode(vivid(), 0o666), another_reader(vivid()), nobody():
        assert "is busy: another program uses it" in str(refusal(vivid()))


def test_without_permission_the_line_names_the_command_that_fixes_it() -> None:
    with mode(vivid(), 0o600), nobody():
        for target in ("0", "vivid", str(vivid())):
            error = refusal(target)
            assert error.message == f'"{VIVID}" ({vivid()}) may not be opened: no permission'
            assert error.fix == "run `sudo usermod -aG video $USER` and log in again"
            with pytest.raises(CameraError, match="no permission"):
                DeviceSource(target, Requested(HD)).expected()


def test_what_is_not_there_lists_what_is(usb_webcam: UsbWebcam) -> None:
    there = f'cameras here: "{VIVID}" ({vivid()}), "{usb_webcam.name}" ({usb_webcam.path})'
    for target, what in (
        ("7", "there is no camera 7"),
        ("/dev/video77", "there is no camera at /dev/video77"),
        ("brio", "there is no camera called 'brio'"),
        ("/tmp", "there is no camera at /tmp"),
    ):
        assert str(refusal(target)) == f"{what}; {there}; `vbgcam devices` says more"


def test_a_format_that_the_camera_lacks_lists_those_that_it_has() -> None:
    text = str(refusal("0", format_="mjpg"))
    assert "does not give the format 'mjpg' of camera.format; it gives YUYV up to 3840x2160 at 2, " in text


def test_a_webcams_second_device_is_no_camera_and_number_1_means_the_next_one(usb_webcam: UsbWebcam) -> None:
    second = Path(f"/dev/video{int(usb_webcam.path.name.removeprefix('video')) + 1}")
    assert "gives no pictures" in str(refusal(second))
    got = DeviceSource("1", Requested(VGA)).expected()
    assert got is not None
    assert got.label == usb_webcam.name


def test_a_virtual_camera_is_taken_only_by_its_path(camera: Path) -> None:
    with vivid_unplugged():
        assert "that nobody feeds" in str(refusal(camera))
        output = open_output(SinkSpec("virtualcam"), VGA, 30.0)
        output.open()
        try:
            with feeding(output, plain(VGA, 60)):
                for target in ("0", "10", "vbg", "VBG Camera"):
                    assert "no camera is plugged in" in str(refusal(target))
                with on(camera) as reader:
                    assert abs(float(frame(reader).planes.y.mean()) - 60) < 2
                assert cameras() == []
        finally:
            output.close()


# Where the first number is a virtual camera's.
@pytest.mark.guest(vivid="n_devs=1 node_types=0x1 num_inputs=1 input_types=0 vid_cap_nr=4")
def test_number_0_takes_the_first_camera_where_video0_is_a_virtual_one(caplog: pytest.LogCaptureFixture) -> None:
    load_loopback("video_nr=10,0", "exclusive_caps=0,0", "card_label=VBG Camera,Other")
    with caplog.at_level("INFO", "vbgcam"):
        got = DeviceSource("0", Requested(QUARTER)).expected()
    assert got is not None
    assert got.label == VIVID
    assert f'/dev/video0 is no camera; taking "{VIVID}" (/dev/video4)' in caplog.text


def test_a_camera_that_falls_silent_is_an_error_and_can_be_opened_again() -> None:
    with on("0") as camera:
        control(percentage_of_dropped_buffers=100)
        try:
            assert "has sent no picture for 2 seconds" in str(failure(camera))
        finally:
            control(percentage_of_dropped_buffers=0)
        camera.open()
        assert_bars(frame(camera).planes)


def test_a_camera_that_is_silent_from_the_start_is_refused() -> None:
    control(percentage_of_dropped_buffers=100)
    try:
        assert "starts but sends no usable picture" in str(refusal("0"))
    finally:
        control(percentage_of_dropped_buffers=0)


@pytest.mark.parametrize("fault", ["inject_fatal_streaming_error", "inject_vidioc_streamon_error"])
def test_a_camera_whose_driver_fails_is_an_error_and_can_be_opened_again(fault: str) -> None:
    camera = DeviceSource("0", Requested(QUARTER))
    if fault == "inject_fatal_streaming_error":
        camera.open()
        control(**{fault: 1})
        assert "has stopped: it was unplugged, or its driver failed" in str(failure(camera))
    else:
        control(**{fault: 1})
        with pytest.raises(CameraError):
            camera.open()
    camera.open()
    assert_bars(frame(camera).planes)
    camera.close()


def test_nothing_but_our_own_lines_reaches_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with another_reader(vivid()):
        refusal(vivid())
    refusal("7")
    with on("0") as camera:
        control(inject_fatal_streaming_error=1)
        failure(camera)
    assert capfd.readouterr() == ("", "")
