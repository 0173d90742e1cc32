"""The picture that is measured on: the drawn presenter with camera noise, in every form in which a camera sends it."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from vbgcam.background.gallery import SHIPPED
from vbgcam.camera import demo
from vbgcam.core.frames import U8, Backdrop, Mask, Planes, RawFrame, Size, read_only
from vbgcam.mask.plain import full_size
from vbgcam.media import images
from vbgcam.pixels import convert
from vbgcam.pixels.workframe import work_size
from vbgcam.segment import Probability

NETWORK: Final = Size(256, 256)
"""The input of the network whose work is left out in `stages`."""

_QUALITY: Final = 85  # 0.6 MB a frame at 1080p, about what webcams send
_MOMENTS: Final = range(30, 49, 6)  # of the clip: from 1.0 to 1.6 s
# The noise of a good webcam by daylight: sigma 1.3 of 255 in luma, 0.9 in chroma, each of the full range.
_LUMA_NOISE: Final = 1.3 * 219 / 255
_CHROMA_NOISE: Final = 0.9 * 224 / 255


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame. `probability`: of a network that is right, float32, `NETWORK`. `mask`: the true alpha, stretched from
    the grid's size as the chain does it. `data`: the frame's bytes by their FourCC, uint8, one dimension; the JPEG is
    4:2:2 as a webcam's. `bgr`: the frame as OpenCV gives it to most projects. `behind`, `behind_bgr`: the picture to
    stand before."""

    frame: RawFrame
    mask: Mask
    probability: Probability
    data: dict[str, U8]
    bgr: U8
    behind: Backdrop
    behind_bgr: U8


def scene(size: Size) -> Scene:
    """`size`: even sides."""
    planes = frames(size, 1)[0]
    alpha = convert.resize_alpha(demo.frames(_MOMENTS[:1])[0][1], work_size(size))
    rgb = convert.to_rgb(planes)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    behind = backdrop(size)
    return Scene(
        frame=RawFrame(planes, 0.0),
        mask=full_size(alpha, RawFrame(planes, 0.0), 0.0),
        probability=truth(),
        data={
            "YUYV": _packed(planes, "yuyv422"),
            "NV12": _packed(planes, "nv12"),
            "YU12": planes.data.copy(),
            "MJPG": _jpeg(bgr),
        },
        bgr=bgr,
        behind=Backdrop(behind),
        behind_bgr=np.ascontiguousarray(convert.to_rgb(behind)[..., ::-1]),
    )


def backdrop(size: Size) -> Planes:
    """A picture to stand before, read-only."""
    return convert.fit(convert.from_rgb(images.read(SHIPPED / "Hills at dusk.jpg").rgb), size).frozen()


def truth() -> Probability:
    """The first moment's alpha at the size of `NETWORK`, 0 to 1."""
    return shots(NETWORK, _MOMENTS[:1])[0][1].astype(np.float32) / np.float32(255)


def frames(size: Size, count: int = len(_MOMENTS)) -> list[Planes]:
    """A few moments of the presenter, each with noise of its own, read-only."""
    return [planes for planes, _alpha in shots(size, _MOMENTS[:count])]


def shots(size: Size, numbers: range = range(30, 46)) -> list[tuple[Planes, U8]]:
    """Frames of the presenter, each with noise of its own, and their alphas at the size of `NETWORK`; read-only."""
    made = []
    for number, (planes, alpha) in enumerate(demo.frames(numbers)):
        noisy = Planes(size, convert.resize(planes, size).data.copy())
        add_grain(noisy, number)
        made.append((noisy.frozen(), read_only(convert.resize_alpha(alpha, NETWORK))))
    return made


def moving(made: Sequence[tuple[Planes, U8]]) -> Iterator[tuple[RawFrame, U8]]:
    """These shots without end, there and back so that nothing jumps."""
    for number, (planes, alpha) in enumerate(itertools.cycle([*made, *made[-2:0:-1]])):
        yield RawFrame(planes, number / 30, 0, number), alpha


def add_grain(planes: Planes, number: int) -> None:
    """A camera's noise onto the planes themselves; the same for the same size and frame number."""
    random = np.random.default_rng(number)
    for plane, sigma in ((planes.y, _LUMA_NOISE), (planes.u, _CHROMA_NOISE), (planes.v, _CHROMA_NOISE)):
        noise = random.standard_normal(plane.shape, np.float32) * np.float32(sigma)
        np.copyto(plane, np.clip(np.rint(plane + noise), 0, 255), casting="unsafe")


def _packed(planes: Planes, form: str) -> U8:
    return np.asarray(convert.to_av(planes).reformat(format=form).to_ndarray(), np.uint8).ravel()


def _jpeg(bgr: U8) -> U8:
    settings = [
        cv2.IMWRITE_JPEG_QUALITY, _QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    ]  # fmt: skip
    _, data = cv2.imencode(".jpg", bgr, settings)
    return np.asarray(data, np.uint8).ravel()
