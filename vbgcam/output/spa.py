"""What a camera sends to PipeWire and receives from it about pictures: SPA's values ("pods"), as bytes.

A pod is the size of its body and its type, each 32 bits, and the body, filled up to whole 8 bytes. An object's body is
its own type and id, and then its properties: key, flags and a pod each. All is in the machine's byte order. The numbers
are those of PipeWire 0.3's headers <spa/utils/type.h>, <spa/param/...> and <spa/buffer/meta.h>. Nothing here has a
state, and what comes from elsewhere is read within its bounds.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from vbgcam.core.frames import Size

# SPA_TYPE_*, and how a choice is meant.
_ID, _INT, _RECTANGLE, _FRACTION, _OBJECT, _CHOICE = 3, 4, 10, 11, 15, 19
_CHOICE_RANGE, _CHOICE_FLAGS = 1, 4
# SPA_TYPE_OBJECT_*, and the SPA_PARAM_* that each is sent as.
OBJECT_FORMAT, OBJECT_BUFFERS, OBJECT_META = 0x40003, 0x40004, 0x40005
PARAM_ENUM_FORMAT, PARAM_FORMAT, PARAM_BUFFERS, PARAM_META = 3, 4, 5, 6
# Keys of a format and some of their values.
MEDIA_TYPE, MEDIA_SUBTYPE = 1, 2
_VIDEO, _RAW = 2, 1
VIDEO_FORMAT, VIDEO_SIZE, VIDEO_RATE = 0x20001, 0x20003, 0x20004
COLOR_RANGE, COLOR_MATRIX = 0x2000C, 0x2000D
_RANGE_16_235, _MATRIX_BT601 = 2, 4
_I420, _YUY2, _BGRX = 2, 4, 8
# Keys of what buffers are to be like: how many; blocks in each; bytes, and bytes from line to line, of a block; memory.
BUFFERS_COUNT, BUFFERS_BLOCKS, BUFFERS_SIZE, BUFFERS_STRIDE, BUFFERS_MEMORY = 1, 2, 3, 4, 6
_MEMORY_FD: Final = 1 << 2
MOST_BUFFERS: Final = 16
_BUFFERS_WANTED, _FEWEST_BUFFERS = 8, 2
# Keys of what comes with each buffer, and its kinds.
_META_TYPE, _META_SIZE = 1, 2
META_HEADER, META_BUSY = 1, 7
# flags, offset, presentation time in ns, decoding offset in ns, sequence number
_HEADER: Final = struct.Struct("=IIqqQ")
HEADER_BYTES: Final = _HEADER.size
BUSY_BYTES, BUSY_COUNT = 8, 4
"""What the library keeps of a buffer's readers: its size, and where in it their number stands, 32 bits."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a picture lies in a buffer: one block, all planes in it. `pixels`: SPA's number of the pixel format.
    `stride`: bytes of a line of the first plane."""

    name: str
    pixels: int
    size: Size
    stride: int
    bytes: int


def layouts(size: Size) -> tuple[Layout, ...]:
    """What is offered, the best first. `size` has even sides.

    GStreamer takes a line of I420's chroma for a multiple of 4 bytes, browsers for half the width: where these differ
    there is no I420."""
    width, pixels = size.width, size.pixels
    packed = (Layout("YUY2", _YUY2, size, 2 * width, 2 * pixels), Layout("BGRx", _BGRX, size, 4 * width, 4 * pixels))
    return packed if width % 8 else (Layout("I420", _I420, size, width, size.i420_bytes), *packed)


def offer(layout: Layout, fps: float) -> bytes:
    """One format, without a choice in it: of formats to be chosen from browsers take none."""
    rate = Fraction(fps).limit_denominator(1001)
    said = {
        MEDIA_TYPE: pod(_ID, _VIDEO),
        MEDIA_SUBTYPE: pod(_ID, _RAW),
        VIDEO_FORMAT: pod(_ID, layout.pixels),
        VIDEO_SIZE: pod(_RECTANGLE, layout.size.width, layout.size.height),
        VIDEO_RATE: pod(_FRACTION, rate.numerator, rate.denominator),
    }
    if layout.pixels != _BGRX:
        said |= {COLOR_RANGE: pod(_ID, _RANGE_16_235), COLOR_MATRIX: pod(_ID, _MATRIX_BT601)}
    return obj(OBJECT_FORMAT, PARAM_ENUM_FORMAT, said)


def buffers(layout: Layout) -> tuple[bytes, bytes]:
    """What the buffers must be like, and that each has a place for `header`."""
    said = {
        BUFFERS_COUNT: _choice(_CHOICE_RANGE, _BUFFERS_WANTED, _FEWEST_BUFFERS, MOST_BUFFERS),
        BUFFERS_BLOCKS: pod(_INT, 1),
        BUFFERS_SIZE: pod(_INT, layout.bytes),
        BUFFERS_STRIDE: pod(_INT, layout.stride),
        BUFFERS_MEMORY: _choice(_CHOICE_FLAGS, _MEMORY_FD),
    }
    meta = {_META_TYPE: pod(_ID, META_HEADER), _META_SIZE: pod(_INT, HEADER_BYTES)}
    return obj(OBJECT_BUFFERS, PARAM_BUFFERS, said), obj(OBJECT_META, PARAM_META, meta)


def header(at: float, number: int) -> bytes:
    """What goes with a picture. `at`: seconds on the monotonic clock, which is PipeWire's too."""
    return _HEADER.pack(0, 0, round(at * 1e9), 0, number)


def agreed(format_: bytes, offered: Iterable[Layout]) -> Layout:
    """Which of the offered ones a format is. Raises ValueError where it is none of them, or no format."""
    try:
        said = properties(format_, OBJECT_FORMAT)
        (kind,), (width, height) = struct.unpack("=I", said[VIDEO_FORMAT]), struct.unpack("=II", said[VIDEO_SIZE])
    except (struct.error, KeyError) as exc:
        raise ValueError(f"a format that cannot be read ({exc})") from exc
    for layout in offered:
        if (layout.pixels, layout.size.width, layout.size.height) == (kind, width, height):
            return layout
    raise ValueError(f"a format that was not offered: {kind}, {width}x{height}")


def properties(sent: bytes, kind: int) -> Mapping[int, bytes]:
    """The bodies of an object's properties, by their keys; of a choice, its first value, which is the default. Raises
    ValueError where the pod is no object of that kind, and it or struct.error where it ends too early."""
    length, pod_kind, object_kind = struct.unpack_from("=III", sent)
    if pod_kind != _OBJECT or object_kind != kind:
        raise ValueError("not the object that was expected")
    body, at, found = _cut(sent, 8, length), 8, {}
    while at < len(body):
        key, _flags, length, value_kind = struct.unpack_from("=IIII", body, at)
        value = _cut(body, at + 16, length)
        if value_kind == _CHOICE:
            value = _cut(value, 16, struct.unpack_from("=I", value, 8)[0])
        found[key] = value
        at += 16 + _filled(length)
    return found


def _cut(body: bytes, at: int, length: int) -> bytes:
    if at + length > len(body):
        raise ValueError("a value that ends too early")
    return body[at : at + length]


def pod(kind: int, *values: int) -> bytes:
    """A value: an id, a number, a size or a fraction, of 32 bits each."""
    return _pod(kind, struct.pack(f"={len(values)}{'i' if kind == _INT else 'I'}", *values))


def obj(kind: int, number: int, said: Mapping[int, bytes]) -> bytes:
    """An object of pods by their keys. `number`: its id."""
    body = b"".join(struct.pack("=II", key, 0) + value for key, value in said.items())
    return _pod(_OBJECT, struct.pack("=II", kind, number) + body)


def _choice(how: int, *values: int) -> bytes:
    return _pod(_CHOICE, struct.pack(f"=4I{len(values)}i", how, 0, 4, _INT, *values))


def _pod(kind: int, body: bytes) -> bytes:
    return struct.pack("=II", len(body), kind) + body.ljust(_filled(len(body)), b"\0")


def _filled(length: int) -> int:
    return (length + 7) & ~7
