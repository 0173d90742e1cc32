"""loopback: which device, what is said to it, and the line for each thing that goes wrong, on a stand-in for the
driver. The real one is in `tests/v4l2`."""

import errno
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("v4l2loopback is a module of Linux", allow_module_level=True)

from tests.support.frames import plain
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import U8, Size
from vbgcam.core.specs import SinkSpec
from vbgcam.output import Output, open_output
from vbgcam.output.base import VirtualCameraInfo
from vbgcam.output.loopback import LOAD, RELOAD, Loopback, absent, choose, module_version
from vbgcam.output.virtualcam import virtual_cameras
from vbgcam.system import v4l2
from vbgcam.system.v4l2 import CAP_CAPTURE, CAP_OUTPUT, Capability, Format, Holder, Node

SIZE = Size(64, 48)
FRAME = plain(SIZE)
WRITER = Holder(80, "obs", write_only=True)
READER = Holder(900, "zoom")


def device(number: int, label: str, caps: int | None, *holders: Holder, refused: int = 0) -> Loopback:
    node = Node(Path(f"/dev/video{number}"), label)
    if caps is None:
        return Loopback(node, None, refused, holders)
    return Loopback(node, Capability("v4l2 loopback", caps), holders=holders)


def refusal(target: str, *devices: Loopback) -> str:
    with pytest.raises(OutputError) as caught:
        choose(target, devices)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FREE, TAKEN, LOST = CAP_OUTPUT, CAP_CAPTURE, 0
OURS = device(10, "VBG Camera", FREE)
OTHER = device(4, "OBS Virtual Camera", FREE)


def test_the_device_that_is_meant_is_found_by_name_or_path_else_the_first_free_one(tmp_path: Path) -> None:
    second, busy = device(11, "VBG Camera", FREE), device(10, "VBG Camera", TAKEN, WRITER)
    link = tmp_path / "camera"
    link.symlink_to("/dev/video4")
    for target, devices, meant in (
        ("", [OTHER, OURS], OURS),
        ("", [device(3, "Busy", TAKEN, WRITER), OTHER], OTHER),
        ("", [busy, second], second),
        ("OBS Virtual Camera", [OURS, OTHER], OTHER),
        ("/dev/video4", [OURS, OTHER], OTHER),
        (str(link), [OURS, OTHER], OTHER),
    ):
        assert choose(target, devices) is meant
    # A busy one of our name is not replaced by another.
    assert "VBG Camera (/dev/video10) is in use by obs (pid 80)" in refusal("", OTHER, busy)


@pytest.mark.parametrize(
    ("caps", "holders", "refused", "state"),
    [
        (FREE, [WRITER], 0, "busy"),  # it has not written yet
        (FREE, [READER], 0, "free"),
        (CAP_CAPTURE | CAP_OUTPUT, [READER], 0, "free"),
        (LOST, [], 0, "free"),
        (None, [READER], errno.EBUSY, "busy"),  # it takes no more openers
        (None, [], errno.EACCES, "no permission"),
        (None, [], errno.EPERM, "no permission"),
    ],
)
def test_writers_make_a_device_busy_and_readers_do_not(
    caps: int | None, holders: list[Holder], refused: int, state: str
) -> None:
    assert device(10, "VBG Camera", caps, *holders, refused=refused).state == state


FEEDS = "the virtual camera VBG Camera (/dev/video10) is in use by"


@pytest.mark.parametrize(
    ("holders", "user", "text"),
    [
        ([READER, WRITER], 0, f"{FEEDS} obs (pid 80); end that program: kill 80"),
        ([READER], 0, f"{FEEDS} zoom (pid 900); end that program: kill 900"),
        (
            [READER, Holder(901, "ffmpeg")],
            0,
            f"{FEEDS} zoom (pid 900), ffmpeg (pid 901); end the one that feeds it",
        ),
        (
            [],
            0,
            "the virtual camera VBG Camera (/dev/video10) takes no writer although nobody has it open; "
            f"v4l2-ctl -d /dev/video10 -c keep_format=0, or {RELOAD}",
        ),
        (
            [],
            1000,
            f"{FEEDS} a program of another user; sudo fuser -v /dev/video10 names it; if it names nobody: {RELOAD}",
        ),
    ],
)
def test_who_feeds_a_busy_device_is_named_as_well_as_it_can_be_known(
    holders: list[Holder], user: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert refusal("", device(10, "VBG Camera", TAKEN, *holders)) == text


def touch(root: Path, path: str, text: str = "") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


RELEASE = platform.release()


def test_each_way_to_have_no_device_has_its_own_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "debian"})
    assert str(absent(tmp_path)) == (
        f"the kernel module v4l2loopback is not installed; sudo apt install v4l2loopback-dkms && {LOAD}"
    )
    touch(tmp_path, "lib/modules/0.0.1-next/modules.dep", "")
    assert str(absent(tmp_path)) == f"the running kernel {RELEASE} was replaced by an update; sudo reboot"
    touch(tmp_path, f"lib/modules/{RELEASE}/modules.dep", "kernel/drivers/media/v4l2-core/videodev.ko:\n")
    touch(tmp_path, "usr/src/v4l2loopback-0.12.7/dkms.conf")
    assert str(absent(tmp_path)) == (
        f"the kernel module v4l2loopback is installed but not built for the running kernel {RELEASE}; "
        f"sudo apt install linux-headers-$(uname -r) && sudo dkms autoinstall && {LOAD}"
    )
    touch(tmp_path, f"lib/modules/{RELEASE}/modules.dep", "updates/dkms/v4l2loopback.ko.xz: kernel/videodev.ko.xz\n")
    assert str(absent(tmp_path)) == f"the kernel module v4l2loopback is not loaded; {LOAD}"
    touch(tmp_path, "sys/module/v4l2loopback/refcnt", "0")
    assert str(absent(tmp_path)) == f"the kernel module v4l2loopback is loaded but has no device; {RELOAD}"


def test_the_version_is_the_modules_own_or_else_the_one_that_was_built(tmp_path: Path) -> None:
    assert module_version(tmp_path) == ""
    (tmp_path / f"var/lib/dkms/v4l2loopback/0.12.7/{RELEASE}").mkdir(parents=True)
    (tmp_path / "var/lib/dkms/v4l2loopback/0.13.1/some-other-kernel").mkdir(parents=True)
    assert module_version(tmp_path) == "0.12.7"
    touch(tmp_path, "sys/module/v4l2loopback/version", "0.15.0\n")
    assert module_version(tmp_path) == "0.15.0"


@dataclass
class Driver:
    """One v4l2loopback device with exclusive_caps=1, seen through `system.v4l2` and pyvirtualcam. `modern`: as from
    0.14 on, where STREAMON without buffers is refused and a first write makes the writer."""

    modern: bool = False
    caps: int = CAP_OUTPUT
    kept: Format | None = None
    readers: list[Holder] = field(default_factory=list)
    refuse: Callable[[], None] = lambda: None
    gone: bool = False
    deaf: bool = False
    room: int | None = None
    log: list[str] = field(default_factory=list)
    writer: Path | None = None
    frames: list[U8] = field(default_factory=list)
    node: Node = field(default_factory=lambda: Node(Path("/dev/video10"), "VBG Camera"))

    def query(self, _path: Path) -> Capability:
        return self.capability(0)

    def capability(self, _fd: int) -> Capability:
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")
        return Capability("v4l2 loopback", self.caps)

    @contextmanager
    def opened(self, _path: Path) -> Iterator[int]:
        self.log.append("open")
        yield 3
        self.log.append("close")

    def get_format(self, _fd: int, _kind: int) -> Format | None:
        return self.kept

    def set_rate(self, _fd: int, kind: int, fps: float) -> float:
        self.log.append(f"rate {kind} {fps:g}")
        return fps

    def stream_on(self, _fd: int, kind: int) -> None:
        self.log.append(f"on {kind}")
        if self.modern:
            raise OSError(errno.EINVAL, "Invalid argument")
        self.caps = CAP_CAPTURE if self.writer else CAP_OUTPUT

    def stream_off(self, _fd: int, kind: int) -> None:
        self.log.append(f"off {kind}")

    def write(self, _fd: int, frame: U8) -> int:
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")
        self.frames.append(frame)
        if not self.deaf:
            self.caps = CAP_CAPTURE
        return frame.size if self.room is None else min(self.room, frame.size)

    def descriptors(self, _process: Path, _path: Path) -> Iterator[tuple[int, bool]]:
        return iter([(5, False), (7, True)])

    def holders(self, _path: Path) -> list[Holder]:
        return [*self.readers, *([Holder(os.getpid(), "vbgcam", write_only=True)] if self.writer else [])]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Driver:
    driver = Driver()
    monkeypatch.setattr(v4l2, "nodes", lambda: [driver.node] if not driver.gone else [])
    for name in vars(Driver).keys() & vars(v4l2).keys() - vars(object).keys():
        if not name.startswith("_"):
            monkeypatch.setattr(v4l2, name, getattr(driver, name))

    class Camera:
        """pyvirtualcam's: opens the node for writing alone."""

        def __init__(self, width: int, height: int, fps: float, *, fmt: object, device: str, backend: str) -> None:
            driver.refuse()
            assert (device, backend, str(fmt)) == ("/dev/video10", "v4l2loopback", "I420")
            driver.kept = driver.kept or Format(Size(width, height), "YU12")
            driver.writer = tmp_path

        def close(self) -> None:
            if driver.writer:
                driver.log.append("pyvirtualcam closes")
            driver.writer = None

    monkeypatch.setattr("pyvirtualcam.Camera", Camera)
    return driver


def opened(size: Size = SIZE) -> Output:
    output = open_output(SinkSpec("virtualcam"), size, 25.0)
    output.open()
    return output


def open_error() -> str:
    with pytest.raises(OutputError) as caught:
        opened()
    return str(caught.value)


@pytest.mark.parametrize("modern", [False, True])
def test_a_device_is_opened_started_fed_stopped_and_closed_in_this_order(driver: Driver, modern: bool) -> None:
    driver.modern = modern  # which refuses the start, and is used without it
    output = opened()
    assert output.name == "VBG Camera (/dev/video10)"
    output.send(FRAME, 0.0)
    output.close()
    output.close()
    assert driver.log == ["rate 2 25", "on 2", "off 2", "pyvirtualcam closes"]
    assert np.shares_memory(driver.frames[0], FRAME.planes.data)
    assert driver.frames[0].shape == (SIZE.i420_bytes,)


NAME = "the virtual camera VBG Camera (/dev/video10)"


@pytest.mark.parametrize(
    ("then", "text"),
    [
        ({"gone": True}, f"{NAME} is gone (No such device); {LOAD}"),
        ({"modern": True, "deaf": True, "caps": CAP_OUTPUT}, f"{NAME} takes no frames; {RELOAD}"),
        ({"room": 100}, f"{NAME} cuts the frames short; {RELOAD}"),
    ],
)
def test_a_frame_that_does_not_arrive_whole_is_an_output_error(
    driver: Driver, then: dict[str, object], text: str
) -> None:
    output = opened()
    output.send(FRAME, 0.0)
    for name, value in then.items():
        setattr(driver, name, value)
    with pytest.raises(OutputError) as caught:
        output.send(FRAME, 0.1)
    assert str(caught.value) == text
    output.close()
    assert driver.writer is None


VGA = Size(640, 480)


@pytest.mark.parametrize(
    ("like", "refusal", "text"),
    [
        (
            {"kept": Format(VGA, "YU12"), "readers": [READER]},
            "could not be configured: Device or resource busy",
            f"{NAME} is kept at 640x480 YU12 by zoom (pid 900) and cannot become 64x48; "
            "close the camera there, or: kill 900",
        ),
        ({}, "something new", f"{NAME} cannot be opened (something new); {RELOAD}"),
    ],
)
def test_why_a_device_does_not_open_is_one_line(
    driver: Driver, like: dict[str, object], refusal: str, text: str
) -> None:
    for name, value in like.items():
        setattr(driver, name, value)

    def refuse() -> None:
        if refusal:
            raise RuntimeError(refusal)

    driver.refuse = refuse
    assert open_error() == text
    assert driver.writer is None


def test_somebody_who_was_faster_is_named(driver: Driver) -> None:
    def refuse() -> None:
        driver.readers, driver.caps = [WRITER], CAP_CAPTURE
        raise RuntimeError("'v4l2loopback' backend: Device /dev/video10 is not a video output device.")

    driver.refuse = refuse
    assert "is in use by obs (pid 80)" in open_error()


def test_devices_are_listed_with_their_state_and_users(driver: Driver) -> None:
    driver.readers = [READER]
    (listed,) = virtual_cameras()
    assert listed == VirtualCameraInfo("VBG Camera", "/dev/video10", listed.driver, "free", ("zoom (pid 900)",))
    assert listed.driver.startswith("v4l2loopback")
    driver.readers, driver.caps = [WRITER, READER], CAP_CAPTURE
    assert [(one.state, one.users) for one in virtual_cameras()] == [("busy", ("obs (pid 80)", "zoom (pid 900)"))]
    driver.gone = True
    assert virtual_cameras() == []


def test_a_camera_of_another_driver_is_no_virtual_camera(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "query", lambda _path: Capability("uvcvideo", CAP_CAPTURE))
    assert virtual_cameras() == []
    assert driver.log == []


def test_a_node_that_cannot_be_asked_counts_only_where_it_is_v4l2loopbacks(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def denied(_path: Path) -> Capability:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(v4l2, "query", denied)
    monkeypatch.setattr(v4l2, "SYSFS", tmp_path)
    driver.node = Node(tmp_path / "video10", "VBG Camera")
    driver.node.path.mkdir()
    assert virtual_cameras() == []
    touch(tmp_path, "video10/max_openers", "10")
    assert [one.state for one in virtual_cameras()] == ["no permission"]
