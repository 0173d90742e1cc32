"""Which camera is meant and which mode is taken, decided without a camera."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vbgcam.camera import Requested
from vbgcam.camera.base import CameraInfo, Mode
from vbgcam.camera.choose import JPEG, RAW, READABLE, best_mode, by_index, by_name
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import Size

HD, VGA, FULL_HD = Size(1280, 720), Size(640, 480), Size(1920, 1080)


def camera(*modes: Mode, name: str = "Cam", path: str = "/dev/video0", bus: int = 0, stable: str = "") -> CameraInfo:
    return CameraInfo(name, path, stable or f"usb-{name}-video-index0", "uvcvideo", tuple(modes), bus=bus)


def mode(fourcc: str, size: Size, *rates: float) -> Mode:
    return Mode(fourcc, size, rates)


def taken(found: CameraInfo, size: Size = HD, fps: float = 30.0, wanted: str = "auto") -> tuple[str, Size, float]:
    mode, rate, _faster = best_mode(found, Requested(size, fps, wanted))
    return mode.format, mode.size, rate


# A webcam as they are: raw at the full rate only when small.
WEBCAM = camera(
    mode("YUYV", VGA, 30, 15),
    mode("YUYV", HD, 10, 5),
    mode("MJPG", VGA, 30, 15),
    mode("MJPG", HD, 30, 15),
    mode("MJPG", FULL_HD, 30),
)


@pytest.mark.parametrize(
    ("size", "fps", "format_", "expected"),
    [
        (HD, 30.0, "auto", ("MJPG", HD, 30)),
        (VGA, 30.0, "auto", ("YUYV", VGA, 30)),
        (HD, 10.0, "auto", ("YUYV", HD, 10)),
        (HD, 12.0, "auto", ("MJPG", HD, 15)),
        (HD, 60.0, "auto", ("MJPG", HD, 30)),
        (HD, 30.0, "yuyv", ("YUYV", HD, 10)),
        (VGA, 30.0, "mjpg", ("MJPG", VGA, 30)),
        (Size(3840, 2160), 30.0, "auto", ("MJPG", FULL_HD, 30)),
        (Size(64, 64), 30.0, "auto", ("YUYV", VGA, 30)),
    ],
)
def test_a_webcam_is_asked_raw_where_raw_is_fast_enough_else_for_jpeg(
    size: Size, fps: float, format_: str, expected: tuple[str, Size, float]
) -> None:
    assert taken(WEBCAM, size, fps, format_) == expected


def test_a_raw_rate_that_its_usb_port_cannot_carry_is_not_believed() -> None:
    modes = mode("YUYV", HD, 30, 15), mode("MJPG", HD, 30, 15)
    assert taken(camera(*modes, bus=480)) == ("MJPG", HD, 30)
    assert taken(camera(*modes, bus=5000)) == ("YUYV", HD, 30)
    assert taken(camera(*modes)) == ("YUYV", HD, 30)
    assert taken(camera(*modes, bus=480), wanted="yuyv") == ("YUYV", HD, 15)
    assert taken(camera(mode("YUYV", HD, 30), bus=12), wanted="yuyv") == ("YUYV", HD, 30)


def test_a_slow_mode_says_which_size_would_be_faster() -> None:
    slow = camera(mode("YUYV", HD, 12.5), mode("YUYV", VGA, 25), mode("YUYV", Size(640, 360), 30))
    assert best_mode(slow, Requested(HD, 30.0)) == (slow.modes[0], 12.5, Size(640, 360))
    assert best_mode(slow, Requested(HD, 12.5))[2] is None
    assert best_mode(camera(mode("YUYV", HD, 12.5)), Requested(HD, 30.0))[2] is None


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ([mode("MJPG", HD, 60), mode("YUYV", HD, 29.97)], ("YUYV", HD, 29.97)),  # which is 30
        ([mode("GREY", HD, 30), mode("YUYV", VGA, 30)], ("YUYV", VGA, 30)),  # infrared only for want of colour
        ([mode("GREY", VGA, 30)], ("GREY", VGA, 30)),
        ([mode("YUYV", HD)], ("YUYV", HD, 30)),  # it tells no rates: what is wanted
    ],
)
def test_what_is_taken_of_odd_cameras(offered: list[Mode], expected: tuple[str, Size, float]) -> None:
    assert taken(camera(*offered)) == expected


def test_a_forced_format_that_is_not_there_says_what_is() -> None:
    with pytest.raises(CameraError) as caught:
        taken(camera(mode("MJPG", HD, 30), mode("MJPG", FULL_HD, 15), mode("H264", HD, 30)), wanted="yuyv")
    assert str(caught.value) == (
        "\"Cam\" (/dev/video0) does not give the format 'yuyv' of camera.format; it gives MJPG up to 1920x1080 at 15, "
        'H264 up to 1280x720 at 30; camera.format = "auto" takes the best of these'
    )


@pytest.mark.parametrize("modes", [(), (mode("H264", HD, 30),), (mode("YUYV", Size(1281, 720), 30),)])
def test_a_camera_without_a_usable_format_is_refused(modes: tuple[Mode, ...]) -> None:
    with pytest.raises(CameraError, match="gives no format that vbgcam reads"):
        taken(camera(*modes))


def test_an_error_does_not_name_dozens_of_formats() -> None:
    with pytest.raises(CameraError, match="and 14 more; ") as caught:
        taken(camera(*(mode(f"X{number:03}", HD, 30) for number in range(20))))
    assert len(str(caught.value)) < 500


sizes = st.builds(Size, st.integers(1, 200).map(lambda n: 16 * n), st.integers(1, 120).map(lambda n: 16 * n))
rates = st.lists(st.sampled_from([5.0, 7.5, 10.0, 15.0, 25.0, 29.97, 30.0, 60.0]), unique=True, max_size=4)
modes = st.builds(
    lambda name, size, some: Mode(name, size, tuple(sorted(some, reverse=True))),
    st.sampled_from([*READABLE, "H264"]),
    sizes,
    rates,
)


@given(st.lists(modes, max_size=12), sizes, st.sampled_from([10.0, 25.0, 30.0, 60.0]))
def test_whatever_a_camera_offers_the_choice_is_one_of_its_modes_and_none_is_better(
    offered: list[Mode], size: Size, fps: float
) -> None:
    usable = [one for one in offered if one.format in (*RAW, *JPEG)]
    assume(usable)
    taken, rate, faster = best_mode(camera(*offered), Requested(size, fps))

    def distance(one: Mode) -> float:
        return abs(math.log(one.size.width / size.width)) + abs(math.log(one.size.height / size.height))

    def reaches(one: Mode) -> bool:
        return not one.rates or one.rates[0] >= fps - 0.5

    assert taken in offered
    assert distance(taken) <= min(map(distance, usable)) + 1e-6
    assert rate in taken.rates or (not taken.rates and rate == fps)
    rivals = [one for one in usable if one.size == taken.size]
    if any(reaches(one) for one in rivals):
        assert reaches(taken)
        assert taken.format in RAW or not any(reaches(one) and one.format in RAW for one in rivals)
    else:
        assert rate == max(one.rates[0] for one in rivals)
        assert faster is None or faster in [one.size for one in usable if reaches(one)]


FRONT = camera(name="Integrated Camera", path="/dev/video0", stable="usb-Chicony_Camera_01-video-index0")
DESK = camera(name="Logitech BRIO", path="/dev/video2", stable="usb-Logitech_BRIO_AB-video-index0")
OTHER = camera(name="Logitech C920", path="/dev/video4", stable="usb-Logitech_C920_CD-video-index0")
ALL = [FRONT, DESK, OTHER]


def test_a_number_is_the_device_of_that_number_or_the_place_in_the_list() -> None:
    assert by_index(0, ALL) is FRONT
    assert by_index(2, ALL) is DESK  # /dev/video2, not the third
    assert by_index(4, ALL) is OTHER
    assert by_index(1, ALL) is DESK  # /dev/video1 is no camera: the second
    assert by_index(0, [DESK, OTHER]) is DESK


def test_a_camera_is_found_by_its_id_its_name_or_part_of_it_in_any_case() -> None:
    longer = camera(name="Logitech BRIO 4K", path="/dev/video6")
    for text, found in (
        ("integrated", FRONT),
        ("c920", OTHER),
        ("usb-logitech_c920_cd-VIDEO-index0", OTHER),
        ("Logitech Brio", DESK),  # a whole name beats a part of a longer one
    ):
        assert by_name(text, [*ALL, longer]) is found


def test_an_ambiguous_name_lists_those_that_are_meant() -> None:
    with pytest.raises(CameraError) as caught:
        by_name("logitech", ALL)
    text = str(caught.value)
    assert "/dev/video2" in text
    assert OTHER.id in text
    assert "Integrated" not in text
    assert "\n" not in text


def test_a_number_that_is_none_lists_the_cameras_and_a_name_suggests_the_nearest() -> None:
    for number in (3, 7):
        with pytest.raises(CameraError, match=rf"no camera {number}; cameras here: .Integrated Camera"):
            by_index(number, ALL)
    with pytest.raises(CameraError, match="did you mean 'Logitech BRIO'"):
        by_name("Logitec BRI0", ALL)


def test_without_any_camera_the_error_says_so_and_names_the_demo() -> None:
    words = "no camera is plugged in; plug one in, or see `vbgcam demo`"
    with pytest.raises(CameraError, match=words):
        by_index(0, [])
    with pytest.raises(CameraError, match=words):
        by_name("x", [])
