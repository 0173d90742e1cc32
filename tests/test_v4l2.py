"""v4l2: what is said to the kernel and what is made of its answers. The real kernel is asked in `tests/v4l2`."""

import errno
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("video devices of Linux", allow_module_level=True)

import fcntl

from vbgcam.core.frames import Size
from vbgcam.system import v4l2

Answer = Callable[[int, bytearray], None]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], list[int]]:
    """Answers ioctls; gives the list of the requests that came."""

    def install(answer: Answer) -> list[int]:
        requests: list[int] = []

        def ioctl(fd: int, request: int, buffer: bytearray) -> int:
            requests.append(request)
            answer(request, buffer)
            return 0

        monkeypatch.setattr(fcntl, "ioctl", ioctl)
        return requests

    return install


def sysfs_node(root: Path, name: str, label: str) -> None:
    (root / name).mkdir()
    (root / name / "name").write_text(label + "\n")


def test_nodes_come_in_the_order_of_their_numbers_with_their_labels(tmp_path: Path) -> None:
    sysfs_node(tmp_path, "video10", "VBG Camera")
    sysfs_node(tmp_path, "video2", "Integrated Camera: HD")
    sysfs_node(tmp_path, "videodev", "not a node")
    sysfs_node(tmp_path, "vbi0", "teletext")
    (tmp_path / "video3").mkdir()  # its driver has just gone
    assert v4l2.nodes(tmp_path) == [
        v4l2.Node(Path("/dev/video2"), "Integrated Camera: HD"),
        v4l2.Node(Path("/dev/video10"), "VBG Camera"),
    ]


def test_holders_are_the_processes_with_the_node_open_and_a_writer_is_told_from_readers(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.touch()
    with node.open("r+"), (tmp_path / "other").open("w"):
        [reader] = v4l2.holders(node)
        assert (reader.pid, reader.write_only, str(reader).endswith(f"(pid {os.getpid()})")) == (
            os.getpid(),
            False,
            True,
        )
        with node.open("w"):
            assert [(holder.pid, holder.write_only) for holder in v4l2.holders(node)] == [(os.getpid(), True)]
    assert v4l2.holders(node) == []


def test_a_capability_is_the_nodes_own_not_its_whole_devices(kernel: Callable[[Answer], list[int]]) -> None:
    def answer(_request: int, buffer: bytearray) -> None:
        both, metadata = v4l2.CAP_CAPTURE | v4l2.CAP_DEVICE_CAPS, 0x0080_0000
        fields = (b"uvcvideo", b"A Camera", b"usb-0000:00:14.0-6", 0x060105, both, metadata)
        struct.pack_into("16s32s32s3I", buffer, 0, *fields)

    requests = kernel(answer)
    capability = v4l2.capability(0)
    assert requests == [0x80685600]  # VIDIOC_QUERYCAP
    assert capability == v4l2.Capability("uvcvideo", 0x0080_0000)
    assert not capability.captures
    assert not capability.outputs


def test_an_old_driver_says_only_what_the_whole_device_can(kernel: Callable[[Answer], list[int]]) -> None:
    kernel(lambda _request, buffer: struct.pack_into("I", buffer, 84, v4l2.CAP_CAPTURE | v4l2.CAP_OUTPUT))
    capability = v4l2.capability(0)
    assert capability.captures
    assert capability.outputs


def test_a_format_is_read_and_none_where_nothing_is_agreed_yet(kernel: Callable[[Answer], list[int]]) -> None:
    requests = kernel(lambda _request, buffer: struct.pack_into("II4s", buffer, 8, 1280, 720, b"YU12"))
    assert v4l2.get_format(0, v4l2.OUTPUT) == v4l2.Format(Size(1280, 720), "YU12")
    assert requests == [0xC0D05604]  # VIDIOC_G_FMT
    kernel(lambda _request, _buffer: None)
    assert v4l2.get_format(0, v4l2.OUTPUT) is None


def test_a_signal_does_not_break_a_request_off_and_other_errors_stay_os_errors(
    kernel: Callable[[Answer], list[int]],
) -> None:
    errors = [InterruptedError(errno.EINTR, ""), InterruptedError(errno.EINTR, "")]

    def interrupted(_request: int, _buffer: bytearray) -> None:
        if errors:
            raise errors.pop()

    requests = kernel(interrupted)
    assert v4l2.get_rate(0, v4l2.CAPTURE) == 0.0
    assert len(requests) == 3

    def gone(_request: int, _buffer: bytearray) -> None:
        raise OSError(errno.ENODEV, "No such device")

    kernel(gone)
    with pytest.raises(OSError, match="No such device"):
        v4l2.capability(0)
