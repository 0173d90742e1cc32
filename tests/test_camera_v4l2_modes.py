"""What drivers say of a camera's modes, colours and refusals, from a driver made of structs."""

import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

pytest.importorskip("fcntl", reason="Video4Linux is Linux's")

from vbgcam.camera import v4l2_modes
from vbgcam.camera.base import Layout, Mode
from vbgcam.core.frames import Size
from vbgcam.system import v4l2
from vbgcam.system.v4l2 import Ioctl

HD, VGA = Size(1280, 720), Size(640, 480)


def fourcc(text: str) -> int:
    return int.from_bytes(text.encode("ascii"), "little")


@dataclass
class Driver:
    """Answers ioctls as <linux/videodev2.h> lays them out. `sizes` and `rates` are the unions' bodies by their index,
    after the type; a missing list is a call that the driver does not have. `refuses`: errno by ioctl."""

    formats: Sequence[int] = (fourcc("YUYV"),)
    sizes: Sequence[bytes] | None = ()
    rates: Sequence[bytes] | None = ()
    now: Size = VGA
    space: int = 8
    encoding: int = 0
    quantization: int = 0
    stride: int = 1280
    refuses: dict[Ioctl, int] = field(default_factory=dict)
    calls: list[Ioctl] = field(default_factory=list)

    def __call__(self, fd: int, ioctl: Ioctl, payload: bytes) -> bytes:
        self.calls.append(ioctl)
        if ioctl in self.refuses:
            raise OSError(self.refuses[ioctl], "refused")
        (index,) = struct.unpack_from("I", payload)
        if ioctl is Ioctl.ENUM_FMT:
            assert len(payload) == 64
            codes = [struct.pack("I", code) for code in self.formats[index : index + 1]]
            return payload[:44] + self._of([b""] * index + codes, index) + payload[48:]
        if ioctl is Ioctl.ENUM_FRAMESIZES:
            assert len(payload) == 44
            return (payload[:8] + self._of(self.sizes, index)).ljust(44, b"\0")
        if ioctl is Ioctl.ENUM_FRAMEINTERVALS:
            assert len(payload) == 52
            return (payload[:16] + self._of(self.rates, index)).ljust(52, b"\0")
        if ioctl is Ioctl.G_FMT:
            assert len(payload) == 208
            code = self.formats[0]
            head = struct.pack("II7I", 1, 0, self.now.width, self.now.height, code, 1, self.stride, 0, self.space)
            return (head + struct.pack("4I", 0, 0, self.encoding, self.quantization)).ljust(208, b"\0")
        if ioctl is Ioctl.G_PARM:
            return struct.pack("5I184x", 1, 0, 0, 1, 25)
        if ioctl is Ioctl.REQBUFS:
            assert len(payload) == 20
            return struct.pack("I", min(index, 2)) + payload[4:]
        if ioctl is Ioctl.QBUF:
            assert len(payload) == 88
            assert struct.unpack_from("I", payload, 60) == (1,)
        return payload

    def _of(self, answers: Sequence[bytes] | None, index: int) -> bytes:
        if answers is None:
            raise OSError(errno.ENOTTY, "no such call")
        if index >= len(answers):
            raise OSError(errno.EINVAL, "no more")
        return answers[index]


def discrete(*numbers: int) -> bytes:
    return struct.pack(f"{1 + len(numbers)}I", 1, *numbers)


def stepwise(*numbers: int) -> bytes:
    return struct.pack(f"{1 + len(numbers)}I", 3, *numbers)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    for module in (v4l2, v4l2_modes):
        monkeypatch.setattr(module, "exchange", driver)
    return driver


def test_a_webcams_modes_are_listed_with_their_rates_the_fastest_first(driver: Driver) -> None:
    driver.formats = [fourcc("MJPG"), fourcc("YUYV")]
    driver.sizes = [discrete(640, 480), discrete(1280, 720)]
    driver.rates = [discrete(1, 15), discrete(1001, 30000), discrete(2, 15)]
    rates = (29.97, 15.0, 7.5)
    assert list(v4l2_modes.modes(3)) == [Mode(name, size, rates) for name in ("MJPG", "YUYV") for size in (VGA, HD)]


def test_ranges_become_their_ends_and_what_is_common_between_them(driver: Driver) -> None:
    driver.sizes = [stepwise(48, 1284, 4, 32, 722, 2)]
    driver.rates = [stepwise(1, 60, 2, 1, 1, 1)]  # from 60 a second to one in two seconds
    found = list(v4l2_modes.modes(3))
    sizes = [mode.size for mode in found]
    assert sizes == sorted(sizes)
    assert {Size(48, 32), VGA, HD, Size(1284, 722)} <= set(sizes)
    assert Size(1600, 1200) not in sizes
    assert found[0].rates[0] == 60
    assert found[0].rates[-1] == 0.5
    assert 30 in found[0].rates
    assert 120 not in found[0].rates


@pytest.mark.parametrize("missing", [None, ()])
def test_a_grabber_that_lists_nothing_has_the_mode_that_is_set(driver: Driver, missing: tuple[()] | None) -> None:
    driver.sizes = driver.rates = missing
    driver.now = HD
    assert list(v4l2_modes.modes(3)) == [Mode("YUYV", HD, (25.0,))]


def test_a_driver_without_end_is_not_asked_for_ever(driver: Driver) -> None:
    driver.formats = [fourcc("YUYV")] * 1000
    driver.sizes = [discrete(640, 480)]
    assert len(list(v4l2_modes.modes(3))) == 256


def test_an_error_that_is_no_end_is_raised(driver: Driver) -> None:
    driver.refuses = {Ioctl.ENUM_FRAMESIZES: errno.ENODEV}
    with pytest.raises(OSError, match="refused") as caught:
        list(v4l2_modes.modes(3))
    assert caught.value.errno == errno.ENODEV


SRGB, REC709, JPEG, BT2020, SMPTE170M = 8, 3, 7, 10, 1


@pytest.mark.parametrize(
    ("said", "bt709", "full"),
    [
        ((SRGB, 0, 0), False, False),  # a webcam
        ((SMPTE170M, 0, 0), False, False),
        ((REC709, 0, 0), True, False),  # an HDMI grabber
        ((BT2020, 0, 0), True, False),
        ((JPEG, 0, 0), False, True),
        ((SRGB, 2, 0), True, False),  # said in words: BT.709
        ((REC709, 1, 0), False, False),  # said in words: BT.601
        ((SRGB, 1, 1), False, True),
        ((JPEG, 0, 2), False, False),
    ],
)
def test_colours_are_what_the_driver_says_or_what_its_colour_space_implies(
    driver: Driver, said: tuple[int, int, int], bt709: bool, full: bool
) -> None:
    driver.space, driver.encoding, driver.quantization = said
    assert v4l2_modes.layout(3) == Layout("YUYV", VGA, 1280, bt709, full)


def test_trying_to_start_starts_stops_and_gives_the_buffers_back(driver: Driver) -> None:
    v4l2_modes.try_start(3)
    assert driver.calls == [
        *(Ioctl.G_FMT, Ioctl.S_FMT, Ioctl.REQBUFS, Ioctl.QBUF, Ioctl.QBUF),
        *(Ioctl.STREAMON, Ioctl.STREAMOFF, Ioctl.REQBUFS),
    ]


@pytest.mark.parametrize("call", [Ioctl.S_FMT, Ioctl.STREAMON])
def test_trying_to_start_says_what_the_driver_said(driver: Driver, call: Ioctl) -> None:
    driver.refuses = {call: errno.ENOSPC}
    with pytest.raises(OSError, match="refused") as caught:
        v4l2_modes.try_start(3)
    assert caught.value.errno == errno.ENOSPC
    assert driver.calls[-1] == (Ioctl.REQBUFS if call is Ioctl.STREAMON else Ioctl.S_FMT)
