"""The ways that most projects take, written here to be compared with: the frame becomes BGR, and everything happens on
whole BGR frames, the blend in floats. Each gives the same picture as this project's way (the tests hold how nearly),
so that the comparison is fair. The blur alone is another picture: a plain Gaussian of the whole frame, the person
included.

Frames are BGR, uint8, (height, width, 3); alphas float32, (height, width), 0 to 1.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8, Size

F32 = NDArray[np.float32]

_KERNEL: Final = (55, 55)
# As `cv2.VideoCapture` converts before it hands a frame over.
_CONVERSIONS: Final = {
    "YUYV": cv2.COLOR_YUV2BGR_YUYV,
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "YU12": cv2.COLOR_YUV2BGR_I420,
}


def unpack(fourcc: str, data: U8, size: Size) -> U8:
    """A camera's bytes as BGR."""
    if fourcc == "MJPG":
        return _u8(cv2.imdecode(data, cv2.IMREAD_COLOR))
    shape = (size.height, size.width, 2) if fourcc == "YUYV" else (-1, size.width)
    return _u8(cv2.cvtColor(data.reshape(shape), _CONVERSIONS[fourcc]))


def network_input(bgr: U8, size: Size) -> F32:
    """RGB, 0 to 1, (size.height, size.width, 3): the whole frame to RGB, to floats, then smaller."""
    rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.float32) / np.float32(255)
    return np.asarray(cv2.resize(rgb, (size.width, size.height), interpolation=cv2.INTER_AREA), np.float32)


def mask(probability: F32, size: Size) -> F32:
    """The network's answer at the frame's size."""
    return np.clip(np.asarray(cv2.resize(probability, (size.width, size.height)), np.float32), 0, 1)


def blend(front: U8, behind: U8, alpha: F32) -> U8:
    """The person in front of a picture."""
    three = alpha[..., None]
    mixed = three * front.astype(np.float32) + (1 - three) * behind.astype(np.float32)
    return mixed.astype(np.uint8)


def blur(front: U8, alpha: F32) -> U8:
    """The person in front of the blurred frame."""
    return blend(front, _u8(cv2.GaussianBlur(front, _KERNEL, 0)), alpha)


def to_i420(bgr: U8) -> U8:
    """What a virtual camera takes."""
    return _u8(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420))


def _u8(picture: object) -> U8:
    return np.asarray(picture, np.uint8)
