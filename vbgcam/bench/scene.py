"""The picture that is measured on: the drawn presenter with camera noise, in every form in which a camera sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vbgcam.background.drawn import hills
from vbgcam.camera import drawn
from vbgcam.camera.drawn.grain import add_grain
from vbgcam.core.frames import U8, Backdrop, Mask, Planes, RawFrame, Size, read_only
from vbgcam.mask.plain import full_size
from vbgcam.pixels import convert
from vbgcam.pixels.workframe import work_size
from vbgcam.segment import Probability

NETWORK: Final = Size(256, 256)
"""The input of the network whose work is left out in `stages`."""

_DRAWN: Final = Size(1280, 720)  # drawn once and resized: the room takes 2 s at 4K
_QUALITY: Final = 85  # 0.6 MB a frame at 1080p, about what webcams send
_MOMENTS: Final = (1.0, 1.2, 1.4, 1.6)


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame. `probability`: of a network that is right, float32, `NETWORK`. `mask`: the true alpha, stretched from
    the grid's size as the chain does it. `yuyv`, `nv12`, `i420`, `mjpg`: the frame's bytes, uint8, one dimension; the
    JPEG is 4:2:2 as a webcam's. `bgr`: the frame as OpenCV gives it to most projects. `behind`, `behind_bgr`: the
    picture to stand before."""

    frame: RawFrame
    mask: Mask
    probability: Probability
    yuyv: U8
    nv12: U8
    i420: U8
    mjpg: U8
    bgr: U8
    behind: Backdrop
    behind_bgr: U8

    @property
    def size(self) -> Size:
        return self.frame.size


def scene(size: Size) -> Scene:
    """`size`: even sides."""
    planes = frames(size, 1)[0]
    alpha = convert.resize_alpha(drawn.presenter(_DRAWN, _MOMENTS[0])[1], work_size(size))
    rgb = convert.to_rgb(planes)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    behind = np.asarray(cv2.resize(hills(_DRAWN), (size.width, size.height)), np.uint8)
    return Scene(
        frame=RawFrame(planes, 0.0),
        mask=full_size(alpha, RawFrame(planes, 0.0), 0.0),
        probability=truth(),
        yuyv=_yuyv(planes),
        nv12=np.concatenate([planes.y.ravel(), np.stack([planes.u, planes.v], -1).ravel()]),
        i420=planes.data.copy(),
        mjpg=_jpeg(bgr),
        bgr=bgr,
        behind=Backdrop(convert.from_rgb(behind).frozen()),
        behind_bgr=np.ascontiguousarray(behind[..., ::-1]),
    )


def truth() -> Probability:
    """The first moment's alpha at the size of `NETWORK`, 0 to 1."""
    alpha = convert.resize_alpha(drawn.presenter(_DRAWN, _MOMENTS[0])[1], NETWORK)
    return alpha.astype(np.float32) / np.float32(255)


def frames(size: Size, count: int = len(_MOMENTS)) -> list[Planes]:
    """A few moments of the presenter, each with noise of its own, read-only."""
    made = []
    for number, seconds in enumerate(_MOMENTS[:count]):
        planes = convert.resize(convert.from_rgb(drawn.frame(_DRAWN, seconds)), size)
        noisy = Planes(size, planes.data.copy())
        add_grain(noisy, number)
        made.append(noisy.frozen())
    return made


def moving(size: Size, count: int = 16) -> list[tuple[Planes, U8]]:
    """The presenter at 30 frames a second, each with noise of its own, and the alpha at the size of `NETWORK`."""
    made = []
    for number in range(count):
        seconds = 1 + number / 30
        planes = convert.resize(convert.from_rgb(drawn.frame(_DRAWN, seconds)), size)
        noisy = Planes(size, planes.data.copy())
        add_grain(noisy, number)
        made.append((noisy.frozen(), read_only(convert.resize_alpha(drawn.presenter(_DRAWN, seconds)[1], NETWORK))))
    return made


def there_and_back(number: int, count: int) -> int:
    """Which of `count` frames of a film is shown as the one of that number, so that nothing jumps at its ends."""
    place = number % (2 * count - 2)
    return min(place, 2 * count - 2 - place)


def _yuyv(planes: Planes) -> U8:
    """Both lines of a pair carry the pair's chroma."""
    height, width = planes.y.shape
    out = np.empty((height, width // 2, 4), np.uint8)
    out[..., 0], out[..., 2] = planes.y[:, ::2], planes.y[:, 1::2]
    out[..., 1], out[..., 3] = np.repeat(planes.u, 2, 0), np.repeat(planes.v, 2, 0)
    return out.ravel()


def _jpeg(bgr: U8) -> U8:
    settings = [
        cv2.IMWRITE_JPEG_QUALITY, _QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    ]  # fmt: skip
    _, data = cv2.imencode(".jpg", bgr, settings)
    return np.asarray(data, np.uint8).ravel()
