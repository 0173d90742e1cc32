"""Where a measured frame is written to: memory of the kernel's, one frame large and always the same. A write to it
copies the frame once, as a write to v4l2loopback does; no module, no device and no rights are needed."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import IO, Self

from vbgcam.core.frames import Planes

if sys.platform == "linux":
    NAME = "memfd"

    def _file() -> IO[bytes]:
        return open(os.memfd_create("vbgcam-bench"), "w+b", buffering=0)  # noqa: PTH123  # a descriptor has no path

else:
    NAME = "temporary file"

    def _file() -> IO[bytes]:
        return tempfile.TemporaryFile(buffering=0)


class MemorySink:
    """Used by one thread, within `with`."""

    def __init__(self) -> None:
        self._file = _file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, planes: Planes) -> None:
        self._file.seek(0)
        self._file.write(planes.data.data)
