from enum import Enum

import numpy as np
from numpy.typing import NDArray

__version__: str

class PixelFormat(Enum):
    RGB = "raw "
    BGR = "24BG"
    RGBA = "ABGR"
    GRAY = "J400"
    I420 = "I420"
    NV12 = "NV12"
    YUYV = "YUY2"
    UYVY = "UYVY"

class Camera:
    def __init__(
        self,
        width: int,
        height: int,
        fps: float,
        *,
        fmt: PixelFormat = ...,
        device: str | None = None,
        backend: str | None = None,
        print_fps: bool = False,
    ) -> None: ...
    @property
    def backend(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def fps(self) -> float: ...
    @property
    def fmt(self) -> PixelFormat: ...
    @property
    def native_fmt(self) -> PixelFormat | None: ...
    @property
    def frames_sent(self) -> int: ...
    def send(self, frame: NDArray[np.uint8]) -> None: ...
    def close(self) -> None: ...
