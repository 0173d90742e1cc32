"""The values that travel through the house: sizes, planes, and the three kinds of picture.

All pixels are planar YUV 4:2:0, 8 bits, BT.601, limited range (Y 16-235): what v4l2loopback's readers take I420 for, so
that a frame needs no conversion between the camera and the write. `pixels` converts at the edges.

Three kinds of picture, so that the type checker sees who may show what:

    RawFrame    the camera's picture, the room in it     only ever an input of `segment`, `mask` and `compose`
    Backdrop    what stands behind, nobody in it         made by `background`, which never sees a RawFrame
    SafeFrame   what an output takes                     made by `compose` alone

Values are frozen and their arrays read-only. A buffer is written again only by the owner that allocated it.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a size needs positive width and height, not {self.width}x{self.height}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """`"1280x720"`; ValueError on anything else."""
        width, _, height = text.lower().partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise ValueError(f"{text!r} is not a size like 1280x720")
        return cls(int(width), int(height))

    @property
    def chroma(self) -> "Size":
        """The size of the two chroma planes: half, rounded up."""
        return Size((self.width + 1) // 2, (self.height + 1) // 2)

    @property
    def pixels(self) -> int:
        """Of the luma plane."""
        return self.width * self.height

    @property
    def i420_bytes(self) -> int:
        """Bytes of one picture in I420 layout."""
        return self.pixels + 2 * self.chroma.pixels

    @property
    def even(self) -> "Size":
        """The next smaller size whose sides are even, as encoders and virtual cameras need it."""
        return Size(max(2, self.width & ~1), max(2, self.height & ~1))

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def read_only(array: NDArray[_Number]) -> NDArray[_Number]:
    """A read-only view of the same memory."""
    view = array.view()
    view.flags.writeable = False
    return view


class Planes:
    """One picture in I420 layout: `data` is one contiguous block, `y`, `u`, `v` are views of it.

    `data`: uint8, shape (size.i420_bytes,); `y`: (height, width); `u`, `v`: the chroma size.
    """

    __slots__ = ("data", "size", "u", "v", "y")

    def __init__(self, size: Size, data: U8) -> None:
        if data.shape != (size.i420_bytes,) or data.dtype != np.uint8:
            raise ValueError(f"I420 at {size} is {size.i420_bytes} bytes, not {data.dtype}{list(data.shape)}")
        chroma = size.chroma
        luma_end, u_end = size.pixels, size.pixels + chroma.pixels
        self.size: Final = size
        self.data: Final = data
        self.y: Final = data[:luma_end].reshape(size.height, size.width)
        self.u: Final = data[luma_end:u_end].reshape(chroma.height, chroma.width)
        self.v: Final = data[u_end:].reshape(chroma.height, chroma.width)

    @classmethod
    def empty(cls, size: Size) -> Self:
        """Writable planes of undefined content."""
        return cls(size, np.empty(size.i420_bytes, np.uint8))

    @classmethod
    def filled(cls, size: Size, yuv: tuple[int, int, int]) -> Self:
        """Writable planes of one colour, each value 0 to 255."""
        planes = cls.empty(size)
        planes.y[:], planes.u[:], planes.v[:] = yuv
        return planes

    def frozen(self) -> "Planes":
        """The same block behind read-only views."""
        return Planes(self.size, read_only(self.data))


class PlanePool:
    """Blocks of one owner that are written again once nobody else holds a view of them.

    A fresh 3 MB block costs its page faults each time (about three copies of a 1080p frame); a block that was used
    before does not. Not thread-safe: each thread that makes frames owns its pool.
    """

    def __init__(self, keep: int = 8) -> None:
        self._keep = keep
        self._blocks: list[U8] = []

    def take(self, size: Size) -> Planes:
        """Writable planes of undefined content."""
        for index in range(len(self._blocks)):  # no name is bound to a block here: that would count as a holder
            if _holders(self._blocks, index) <= _IDLE and self._blocks[index].size == size.i420_bytes:
                return Planes(size, self._blocks[index].view())
        block = np.empty(size.i420_bytes, np.uint8)
        self._blocks = [*self._blocks[-(self._keep - 1) :], block]
        return Planes(size, block.view())


def _holders(blocks: list[U8], index: int) -> int:
    return sys.getrefcount(blocks[index])


# What the interpreter counts for a block that the list alone holds: it differs between versions of CPython.
_IDLE: Final = _holders([np.empty(1, np.uint8)], 0)


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A camera's picture. `captured_at`: seconds on the monotonic clock, stamped once, at capture; in files
    read offline, seconds from the start. `epoch` counts how often the source was opened: a mask of another epoch
    shows another scene. `number` counts the frames of one epoch from 0."""

    planes: Planes
    captured_at: float
    epoch: int = 0
    number: int = 0

    @property
    def size(self) -> Size:
        """In pixels."""
        return self.planes.size


@dataclass(frozen=True, slots=True)
class Fringe:
    """By how much the person's colours at their outline differ from those of the room around, which are mixed into the
    outline's pixels. `foreground_minus_background`: float32 (cells down, cells across, 3) of y, u, v, 0 where there
    is no outline; `rows`, `columns`: int32, where the cells begin, and the last one ends, in pixels. All read-only."""

    foreground_minus_background: NDArray[np.float32]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]

    def mirrored(self, width: int) -> "Fringe":
        """Of the flipped frame, which is so many pixels wide."""
        columns = np.ascontiguousarray(width - self.columns[::-1], np.int32)
        difference = np.ascontiguousarray(self.foreground_minus_background[:, ::-1])
        return Fringe(read_only(difference), self.rows, read_only(columns))


@dataclass(frozen=True, slots=True)
class Mask:
    """Where the person is. `alpha`: uint8, (height, width) of the frame it was made from, 255 is the person.
    `captured_at` and `epoch` are that frame's, so that the mask's age is a subtraction. `kinds`: what the blend is
    to do with each pair of lines (`loops.classify`), where whoever made the alpha found it in passing. `fringe`: what
    is to be taken out of the person's outline, if anything."""

    alpha: U8
    captured_at: float
    epoch: int = 0
    kinds: U8 | None = None
    fringe: Fringe | None = None

    @property
    def size(self) -> Size:
        """The frame's, in pixels."""
        return Size(self.alpha.shape[1], self.alpha.shape[0])


class Doubt(Enum):
    """Why nothing of a frame may be shown by a network's answer."""

    START = 1
    """It is among the first, and nobody was seen to move yet."""
    NETWORK = 2
    """It is none of a person: almost all of the frame, say."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network made of a frame, before `mask` makes the Mask of it for this frame and those that follow until
    the next prediction. `alpha`: uint8, 255 is the person, of any size, over the whole frame, read-only. `exact`: it is
    not a network's guess, and as good for its own frame as it can be. `doubt`: why it is not believed, if it is not."""

    frame: RawFrame
    alpha: U8
    exact: bool = False
    doubt: Doubt | None = None

    @property
    def captured_at(self) -> float:
        """The frame's."""
        return self.frame.captured_at

    @property
    def epoch(self) -> int:
        """The frame's."""
        return self.frame.epoch


@dataclass(frozen=True, slots=True)
class Backdrop:
    """What stands behind the person, at the output's size. Made by `background`."""

    planes: Planes

    @property
    def size(self) -> Size:
        """In pixels."""
        return self.planes.size


class SafeFrame:
    """A picture that may leave the house. Only `compose` can make one: the class cannot be called, and the one maker
    is handed out once, to the first who claims it (see `claim_seal`)."""

    __slots__ = ("captured_at", "cover", "planes")

    planes: Final[Planes]  # type: ignore[misc]  # set by the seal's holder, never by __init__
    captured_at: Final[float | None]  # type: ignore[misc]
    cover: Final[bool]  # type: ignore[misc]

    def __init__(self) -> None:
        raise TypeError("only compose makes a SafeFrame")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a SafeFrame is read-only: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a SafeFrame is read-only: {name}")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SafeFrame cannot be copied or pickled: only compose makes one")

    def __init_subclass__(cls) -> None:
        raise TypeError("SafeFrame cannot be subclassed")


Seal = Callable[[Planes, "float | None", bool], SafeFrame]
_unclaimed = [True]


def claim_seal() -> Seal:
    """The maker of SafeFrames: `seal(planes, captured_at, cover)`. Whoever asks second gets a RuntimeError, so a second
    room that makes output frames cannot come into being unnoticed. `compose` claims it when it is imported."""
    if not _unclaimed:
        raise RuntimeError("the seal of SafeFrame is taken: compose alone makes output frames")
    _unclaimed.clear()
    fields = {name: vars(SafeFrame)[name] for name in SafeFrame.__slots__}

    def seal(planes: Planes, captured_at: float | None, cover: bool) -> SafeFrame:
        frame = SafeFrame.__new__(SafeFrame)
        for name, value in (("planes", planes.frozen()), ("captured_at", captured_at), ("cover", cover)):
            fields[name].__set__(frame, value)
        return frame

    return seal
