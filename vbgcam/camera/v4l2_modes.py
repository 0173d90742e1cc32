"""What only a camera needs of Video4Linux: its modes, how its pictures lie in memory, whether it starts.

Layouts are those of <linux/videodev2.h> on 64-bit machines, as in `system.v4l2`, which has the calls that the virtual
camera shares. Errors stay `OSError`. Linux only.
"""

import errno
import struct
from collections.abc import Iterator
from typing import Final

from vbgcam.camera.base import Layout, Mode
from vbgcam.core.frames import Size
from vbgcam.system.v4l2 import CAPTURE, Ioctl, exchange, get_format, get_rate, rate_at, stream_off, stream_on

# What is asked of cameras that take any size or rate between two ends.
_COMMON_SIZES: Final = (
    *(Size(320, 240), Size(640, 360), Size(640, 480), Size(800, 600), Size(960, 540), Size(1024, 768)),
    *(Size(1280, 720), Size(1280, 960), Size(1600, 1200), Size(1920, 1080), Size(2560, 1440), Size(3840, 2160)),
)
_COMMON_RATES: Final = (60.0, 50.0, 30.0, 25.0, 15.0, 10.0, 5.0)

# V4L2_FRMSIZE_TYPE_DISCRETE and V4L2_FRMIVAL_TYPE_DISCRETE; what else there is are ranges.
_DISCRETE: Final = 1
_MEMORY_MMAP: Final = 1
# A driver that ignores the index would be asked for ever.
_ENDLESS: Final = 256
_NO_MORE: Final = (errno.EINVAL, errno.ENOTTY, errno.ENODATA)


def modes(fd: int) -> Iterator[Mode]:
    """Every format with its sizes and rates, in the driver's order. Where the driver lists no sizes (a grabber gives
    what is plugged into it), the one that is set now."""
    for reply in _enumerated(fd, Ioctl.ENUM_FMT, struct.pack("2I56x", 0, CAPTURE)):
        (code,) = struct.unpack_from("I", reply, 44)
        sizes = list(_sizes(fd, code))
        if not sizes:
            now = get_format(fd, CAPTURE)
            sizes = [now.size] if now else []
        for size in sizes:
            rates = _rates(fd, code, size) or ((get_rate(fd, CAPTURE),) if len(sizes) == 1 else ())
            yield Mode(_name(code), size, tuple(rate for rate in rates if rate))


def layout(fd: int) -> Layout:
    """The pictures as they are agreed on, with the colours that the driver announces; what it leaves open follows from
    the colour space, as the kernel's documentation lays down. Raises OSError."""
    reply = exchange(fd, Ioctl.G_FMT, struct.pack("I204x", CAPTURE))
    width, height, code, _field, stride, _bytes, space = struct.unpack_from("7I", reply, 8)
    encoding, quantization = struct.unpack_from("2I", reply, 44)
    if not encoding:
        encoding = _ENC_709 if space in (_SPACE_709, _SPACE_DCI_P3, _SPACE_2020, _SPACE_240M) else _ENC_601
    return Layout(
        fourcc=_name(code),
        size=Size(width, height),
        stride=stride,
        bt709=encoding not in (_ENC_601, _ENC_XV601, _ENC_SYCC),
        full=quantization == _FULL or (not quantization and space == _SPACE_JPEG),
    )


def try_start(fd: int) -> None:
    """Starts the camera in the mode that is set and stops it again: the OSError says why it would not."""
    current = exchange(fd, Ioctl.G_FMT, struct.pack("I204x", CAPTURE))
    exchange(fd, Ioctl.S_FMT, current)  # EBUSY while another program streams
    count = _request_buffers(fd, 4)
    try:
        for index in range(count):
            exchange(fd, Ioctl.QBUF, struct.pack("2I52xI24x", index, CAPTURE, _MEMORY_MMAP))
        stream_on(fd, CAPTURE)
        stream_off(fd, CAPTURE)
    finally:
        _request_buffers(fd, 0)


def try_reserve(fd: int) -> None:
    """Takes a buffer and gives it back, without starting the camera: EBUSY while another program has some."""
    _request_buffers(fd, 1)
    _request_buffers(fd, 0)


# V4L2_QUANTIZATION_, V4L2_YCBCR_ENC_ and V4L2_COLORSPACE_.
_FULL: Final = 1
_ENC_601, _ENC_709, _ENC_XV601, _ENC_SYCC = 1, 2, 3, 5
_SPACE_240M, _SPACE_709, _SPACE_JPEG, _SPACE_2020, _SPACE_DCI_P3 = 2, 3, 7, 10, 12


def _name(code: int) -> str:
    """A pixel format's four characters, without the highest bit, which says that its bytes are swapped."""
    return (code & 0x7FFF_FFFF).to_bytes(4, "little").decode("ascii", errors="replace").rstrip()


def _sizes(fd: int, code: int) -> Iterator[Size]:
    """Discrete sizes; of a range, its ends and the common sizes in it, of which the driver takes the nearest that it
    has a step for."""
    for reply in _enumerated(fd, Ioctl.ENUM_FRAMESIZES, struct.pack("2I36x", 0, code)):
        (kind,) = struct.unpack_from("I", reply, 8)
        if kind == _DISCRETE:
            yield Size(*struct.unpack_from("2I", reply, 12))
            continue
        left, right, top, bottom = struct.unpack_from("2I4x2I", reply, 12)
        inside = [size for size in _COMMON_SIZES if left <= size.width <= right and top <= size.height <= bottom]
        yield from sorted({Size(left, top), Size(right, bottom), *inside})
        return


def _rates(fd: int, code: int, size: Size) -> tuple[float, ...]:
    """Frames a second, the fastest first; of a range, its ends and the common rates in it."""
    found: set[float] = set()
    for reply in _enumerated(fd, Ioctl.ENUM_FRAMEINTERVALS, struct.pack("4I36x", 0, code, size.width, size.height)):
        (kind,) = struct.unpack_from("I", reply, 16)
        if kind == _DISCRETE:
            found.add(rate_at(reply, 20))
            continue
        fastest, slowest = rate_at(reply, 20), rate_at(reply, 28)
        found |= {fastest, slowest, *(rate for rate in _COMMON_RATES if slowest <= rate <= fastest)}
        break
    return tuple(sorted(found, reverse=True))


def _enumerated(fd: int, ioctl: Ioctl, ask: bytes) -> Iterator[bytes]:
    """The driver's answers for the indices 0, 1, ... until it has no more; the index stands first in the request."""
    for index in range(_ENDLESS):
        try:
            yield exchange(fd, ioctl, struct.pack("I", index) + ask[4:])
        except OSError as exc:
            if exc.errno in _NO_MORE:
                return
            raise


def _request_buffers(fd: int, count: int) -> int:
    """How many the driver gave."""
    reply = exchange(fd, Ioctl.REQBUFS, struct.pack("3I8x", count, CAPTURE, _MEMORY_MMAP))
    return int(struct.unpack_from("I", reply)[0])
