"""Which camera a person means, and which of its modes suits best: pure decisions over lists."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from vbgcam.camera.base import CameraInfo, Mode, Requested
from vbgcam.camera.listing import listed, offers
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import Size
from vbgcam.core.specs import nearest

# From the cheapest to turn into planes to the dearest (see `unpack`); all of them are cheaper than JPEG.
RAW: Final = ("YU12", "YV12", "NV12", "NV21", "YUYV", "YVYU", "UYVY", "BGR3", "RGB3")
JPEG: Final = ("MJPG", "JPEG")
# An infrared camera: taken only where it has nothing else.
GREY: Final = ("GREY",)
READABLE: Final = (*RAW, *JPEG, *GREY)

# Bytes of one pixel, for what a picture takes on its way.
_BYTES: Final = {"YU12": 1.5, "YV12": 1.5, "NV12": 1.5, "NV21": 1.5, "BGR3": 3.0, "RGB3": 3.0, "GREY": 1.0}
# Of USB's bits this part arrives as pictures: 40 MB/s at high speed. Some cameras list raw rates beyond it.
_BUS_BYTES: Final = 1e6 / 12

# A camera that calls its 29.97 frames a second 30, or the other way round, gives what is wanted.
_SAME_RATE: Final = 0.5

_SETTING: Final = {"mjpg": JPEG, "yuyv": ("YUYV",)}


def by_index(number: int, cameras: Sequence[CameraInfo]) -> CameraInfo:
    """/dev/videoN where that is a camera, else the N-th of the list, from 0. `cameras`: no virtual ones; raises
    CameraError."""
    for camera in cameras:
        if camera.path == f"/dev/video{number}":
            return camera
    if number < len(cameras):
        return cameras[number]
    raise not_found(f"there is no camera {number}", cameras)


def by_name(text: str, cameras: Sequence[CameraInfo]) -> CameraInfo:
    """The camera of that id, of that name, or whose name holds the text, in this order; upper and lower case are the
    same. `cameras`: no virtual ones. Raises CameraError where none or more than one is meant."""
    folded = text.casefold()
    for found in (
        [camera for camera in cameras if camera.id.casefold() == folded],
        [camera for camera in cameras if camera.name.casefold() == folded],
        [camera for camera in cameras if folded in camera.name.casefold()],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f"{camera} id {camera.id}" for camera in found)
            raise CameraError(f"{text!r} may be any of {names}", fix="name the one you mean by its id or path")
    close = nearest(text, [name for camera in cameras for name in (camera.name, camera.id) if name])
    raise not_found(f"there is no camera called {text!r}{close}", cameras)


def best_mode(camera: CameraInfo, wanted: Requested) -> tuple[Mode, float, Size | None]:
    """The nearest size; of its formats a raw one that reaches the wanted rate, else JPEG that does, else the fastest.
    With it the rate to ask for and, where that is too slow, the nearest size that reaches the wanted rate.
    `wanted.format` other than "auto" leaves only that format. Raises CameraError where nothing can be used."""
    names = READABLE if wanted.format == "auto" else _SETTING.get(wanted.format, (wanted.format.upper(),))
    usable = [mode for mode in camera.modes if mode.format in names and mode.size == mode.size.even]
    if not usable:
        raise _no_format(camera, wanted.format)
    usable = [mode for mode in usable if mode.format not in GREY] or usable
    usable = [_carried(mode, camera.bus) for mode in usable]
    fast = [mode for mode in usable if _reaches(mode, wanted.fps)]
    size = _nearest_size(usable, wanted.size)

    def rank(mode: Mode) -> tuple[float, int]:
        return -math.inf if mode in fast else -mode.rates[0], READABLE.index(mode.format)

    mode = min((mode for mode in usable if mode.size == size), key=rank)
    if mode not in fast:
        return mode, mode.rates[0], _nearest_size(fast, wanted.size) if fast else None
    return mode, min((rate for rate in mode.rates if rate >= wanted.fps - _SAME_RATE), default=wanted.fps), None


def _carried(mode: Mode, bus: int) -> Mode:
    """With those of its rates that the bus carries, or the slowest alone."""
    if not bus or not mode.rates or mode.format in JPEG:
        return mode
    limit = bus * _BUS_BYTES / (mode.size.pixels * _BYTES.get(mode.format, 2.0))
    return replace(mode, rates=tuple(rate for rate in mode.rates if rate <= limit) or mode.rates[-1:])


def _nearest_size(modes: Sequence[Mode], size: Size) -> Size:
    """By the ratios of the sides; of two that are as near, the larger."""

    def distance(other: Size) -> tuple[float, int]:
        sides = abs(math.log(other.width / size.width)) + abs(math.log(other.height / size.height))
        return round(sides, 9), -other.pixels

    return min((mode.size for mode in modes), key=distance)


def _reaches(mode: Mode, fps: float) -> bool:
    return not mode.rates or mode.rates[0] >= fps - _SAME_RATE


def not_found(what: str, cameras: Sequence[CameraInfo]) -> CameraError:
    """`what` is wrong, with the cameras that there are."""
    fix = "`vbgcam devices` says more" if cameras else "plug one in, or see `vbgcam demo`, which needs none"
    return CameraError(f"{what}; {listed(cameras)}", fix=fix)


def _no_format(camera: CameraInfo, asked: str) -> CameraError:
    given = offers(camera) or "nothing that it names"
    if asked == "auto":
        message = f"{camera} gives no format that vbgcam reads; it gives {given}"
        return CameraError(message, fix=f"formats that are read: {', '.join(READABLE)}")
    return CameraError(
        f"{camera} does not give the format {asked!r} of camera.format; it gives {given}",
        fix='camera.format = "auto" takes the best of these',
    )
