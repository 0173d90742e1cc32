"""What a camera sends to PipeWire and receives from it about pictures: SPA's values ("pods"), as bytes.

A pod is the size of its body and its type, each 32 bits, and the body, filled up to whole 8 bytes. An object's body is
its own type and id, and then its properties: key, flags and a pod each. All is in the machine's byte order. The numbers
are those of PipeWire 0.3's headers <spa/utils/type.h>, <spa/param/...> and <spa/buffer/meta.h>. Nothing here has a
state, and what comes from elsewhere is read within its bounds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from vbgcam.core.frames import Size

HEAD: Final = 8
"""Bytes before a pod's body."""
LONGEST: Final = 1 << 16
"""Bytes of a pod's body that are read at most. A format has less than 500."""

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

    @property
    def limited(self) -> bool:
        """Whether it is YUV, of limited range."""
        return self.name != "BGRx"


def layouts(size: Size) -> tuple[Layout, ...]:
    """What is offered, the best first. `size` has even sides.

    GStreamer takes a line of I420's chroma for a multiple of 4 bytes, browsers for half the width: where these differ
    there is no I420."""
    width, pixels = size.width, size.pixels
    packed = (Layout("YUY2", _YUY2, size, 2 * width, 2 * pixels), Layout("BGRx", _BGRX, size, 4 * width, 4 * pixels))
    return packed if width % 8 else (Layout("I420", _I420, size, width, size.i420_bytes), *packed)


def offer(layout: Layout, fps: float) -> bytes:
    """One format, without a choice in it: of formats to be chosen from browsers take none."""
    said = {
        MEDIA_TYPE: ident(_VIDEO),
        MEDIA_SUBTYPE: ident(_RAW),
        VIDEO_FORMAT: ident(layout.pixels),
        VIDEO_SIZE: rectangle(layout.size),
        VIDEO_RATE: fraction(Fraction(fps).limit_denominator(1001)),
    }
    if layout.limited:
        said |= {COLOR_RANGE: ident(_RANGE_16_235), COLOR_MATRIX: ident(_MATRIX_BT601)}
    return obj(OBJECT_FORMAT, PARAM_ENUM_FORMAT, said)


def buffers(layout: Layout) -> bytes:
    """What the buffers must be like."""
    said = {
        BUFFERS_COUNT: _choice(_CHOICE_RANGE, (_BUFFERS_WANTED, _FEWEST_BUFFERS, MOST_BUFFERS)),
        BUFFERS_BLOCKS: integer(1),
        BUFFERS_SIZE: integer(layout.bytes),
        BUFFERS_STRIDE: integer(layout.stride),
        BUFFERS_MEMORY: _choice(_CHOICE_FLAGS, (_MEMORY_FD,)),
    }
    return obj(OBJECT_BUFFERS, PARAM_BUFFERS, said)


def header_wanted() -> bytes:
    """That each buffer has a place for `header`."""
    return obj(OBJECT_META, PARAM_META, {_META_TYPE: ident(META_HEADER), _META_SIZE: integer(HEADER_BYTES)})


def header(at: float, number: int) -> bytes:
    """What goes with a picture. `at`: seconds on the monotonic clock, which is PipeWire's too."""
    return _HEADER.pack(0, 0, round(at * 1e9), 0, number)


def agreed(pod: bytes, offered: Iterable[Layout]) -> Layout:
    """Which of the offered ones a format is. Raises ValueError where it is none of them, or no format."""
    said = properties(pod, OBJECT_FORMAT)
    pixels, size = said.get(VIDEO_FORMAT), said.get(VIDEO_SIZE)
    if pixels is None or size is None or len(pixels) < 4 or len(size) < 8:
        raise ValueError("a format without pixels or size")
    (kind,), (width, height) = struct.unpack_from("=I", pixels), struct.unpack_from("=II", size)
    for layout in offered:
        if (layout.pixels, layout.size.width, layout.size.height) == (kind, width, height):
            return layout
    raise ValueError(f"a format that was not offered: {kind}, {width}x{height}")


def properties(pod: bytes, kind: int) -> Mapping[int, bytes]:
    """The bodies of an object's properties, by their keys; of a choice, its first value, which is the default. Raises
    ValueError where the pod is no object of that kind, or ends too early."""
    if len(pod) < HEAD + 8:
        raise ValueError("too short for an object")
    length, pod_kind, object_kind = struct.unpack_from("=III", pod)
    if pod_kind != _OBJECT or object_kind != kind or not 8 <= length <= len(pod) - HEAD:
        raise ValueError("not the object that was expected")
    return dict(_properties(pod[HEAD + 8 : HEAD + length]))


def _properties(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        if len(body) - at < 16:
            raise ValueError("a property that ends too early")
        key, _flags, length, kind = struct.unpack_from("=IIII", body, at)
        value = body[at + 16 : at + 16 + length]
        if len(value) < length:
            raise ValueError("a value that ends too early")
        yield key, _chosen(value) if kind == _CHOICE else value
        at += 16 + _filled(length)


def _chosen(body: bytes) -> bytes:
    if len(body) < 16:
        raise ValueError("a choice that ends too early")
    (length,) = struct.unpack_from("=I", body, 8)
    if len(body) < 16 + length:
        raise ValueError("a choice without a value")
    return body[16 : 16 + length]


def ident(value: int) -> bytes:
    """An id, 32 bits unsigned."""
    return _pod(_ID, struct.pack("=I", value))


def integer(value: int) -> bytes:
    """A number, 32 bits signed."""
    return _pod(_INT, struct.pack("=i", value))


def rectangle(size: Size) -> bytes:
    """A size in pixels."""
    return _pod(_RECTANGLE, struct.pack("=II", size.width, size.height))


def fraction(value: Fraction) -> bytes:
    """A ratio of two numbers of 32 bits."""
    return _pod(_FRACTION, struct.pack("=II", value.numerator, value.denominator))


def obj(kind: int, number: int, said: Mapping[int, bytes]) -> bytes:
    """An object of pods by their keys. `number`: its id."""
    body = b"".join(struct.pack("=II", key, 0) + pod for key, pod in said.items())
    return _pod(_OBJECT, struct.pack("=II", kind, number) + body)


def _choice(how: int, values: Iterable[int]) -> bytes:
    return _pod(_CHOICE, struct.pack("=IIII", how, 0, 4, _INT) + b"".join(struct.pack("=i", value) for value in values))


def _pod(kind: int, body: bytes) -> bytes:
    return struct.pack("=II", len(body), kind) + body.ljust(_filled(len(body)), b"\0")


def _filled(length: int) -> int:
    return (length + 7) & ~7
