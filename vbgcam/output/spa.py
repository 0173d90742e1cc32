"""What is said to PipeWire and heard from it about pictures: SPA's values ("pods"), as bytes.

A pod is the size of its body and its type, each 32 bits, and the body, filled up to whole 8 bytes. An object's body is
its own type and id, and then its properties: key, flags and a pod each. All is in the machine's byte order. Only what a
camera has to say is here; it is pure, and what comes from elsewhere is read within its bounds.
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

_ID, _INT, _RECTANGLE, _FRACTION, _OBJECT, _CHOICE = 3, 4, 10, 11, 15, 19
_CHOICE_RANGE, _CHOICE_FLAGS = 1, 4

_FORMAT, _BUFFERS, _META = 0x40003, 0x40004, 0x40005
ENUM_FORMAT: Final = 3
FORMAT: Final = 4
_PARAM_BUFFERS, _PARAM_META = 5, 6

_MEDIA_TYPE, _MEDIA_SUBTYPE, _VIDEO, _RAW = 1, 2, 2, 1
_PIXELS, _SIZE, _RATE = 0x20001, 0x20003, 0x20004
_RANGE, _MATRIX = 0x2000C, 0x2000D
_LIMITED, _BT601 = 2, 4

_HEADER: Final = struct.Struct("=IIqqQ")
_MEMORY_FILES: Final = 1 << 2

MOST_BUFFERS: Final = 16
_BUFFERS_WANTED, _FEWEST_BUFFERS = 8, 2


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
    packed = (Layout("YUY2", 4, size, 2 * width, 2 * pixels), Layout("BGRx", 8, size, 4 * width, 4 * pixels))
    return packed if width % 8 else (Layout("I420", 2, size, width, size.i420_bytes), *packed)


def offer(layout: Layout, fps: float) -> bytes:
    """One format, without a choice in it: of formats to be chosen from browsers take none."""
    rate = Fraction(fps).limit_denominator(1001)
    said = {
        _MEDIA_TYPE: ident(_VIDEO),
        _MEDIA_SUBTYPE: ident(_RAW),
        _PIXELS: ident(layout.pixels),
        _SIZE: rectangle(layout.size),
        _RATE: fraction(rate),
    }
    if layout.limited:
        said |= {_RANGE: ident(_LIMITED), _MATRIX: ident(_BT601)}
    return obj(_FORMAT, ENUM_FORMAT, said)


def buffers(layout: Layout) -> bytes:
    """What the buffers must be like."""
    many = _choice(_CHOICE_RANGE, (_BUFFERS_WANTED, _FEWEST_BUFFERS, MOST_BUFFERS))
    kinds = _choice(_CHOICE_FLAGS, (_MEMORY_FILES,))
    return obj(
        _BUFFERS,
        _PARAM_BUFFERS,
        {1: many, 2: integer(1), 3: integer(layout.bytes), 4: integer(layout.stride), 6: kinds},
    )


META_HEADER, META_BUSY = 1, 7
BUSY_BYTES, BUSY_COUNT = 8, 4
"""What the library keeps of a buffer's readers: its size, and where in it their number stands, 32 bits."""


def header_wanted() -> bytes:
    """That each buffer has a place for `header`."""
    return obj(_META, _PARAM_META, {1: ident(META_HEADER), 2: integer(_HEADER.size)})


HEADER_BYTES: Final = _HEADER.size


def header(at: float, number: int) -> bytes:
    """What goes with a picture. `at`: seconds on the monotonic clock, which is PipeWire's too."""
    return _HEADER.pack(0, 0, round(at * 1e9), 0, number)


def agreed(pod: bytes, offered: Iterable[Layout]) -> Layout:
    """Which of the offered ones a format is. Raises ValueError where it is none of them, or no format."""
    said = properties(pod, _FORMAT)
    pixels, size = said.get(_PIXELS), said.get(_SIZE)
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
    return _pod(_ID, struct.pack("=I", value))


def integer(value: int) -> bytes:
    return _pod(_INT, struct.pack("=i", value))


def rectangle(size: Size) -> bytes:
    return _pod(_RECTANGLE, struct.pack("=II", size.width, size.height))


def fraction(value: Fraction) -> bytes:
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
