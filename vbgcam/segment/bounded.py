"""How much memory a network's file may take while it is loaded.

An ONNX file of 300 bytes may ask for a tensor of any size, and a checkpoint of 100 bytes for a `bytearray` of any
length, which PyTorch's reader of "numbers alone" makes; both were seen to take 4 GB, and would take all there is.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vbgcam.core.errors import ModelError

ROOM: Final = 2 << 30
"""Bytes beside the file's own."""

# The file's bytes are read, parsed, copied into tensors and brought into the order that the processor likes.
_COPIES: Final = 4

# The limit is the whole process's: one at a time sets it and takes it back.
_alone: Final = threading.Lock()


@contextlib.contextmanager
def bounded(file: Path) -> Iterator[None]:
    """While the block lasts, the process's memory grows by at most `ROOM` and four times the file's size; allocations
    beyond fail, as if the machine had no more. Raises ModelError where that met Python; a library raises its own error.

    On Linux alone; elsewhere nothing is limited. What other threads allocate meanwhile counts, too."""
    if sys.platform != "linux":
        yield
        return
    import resource

    with _alone:
        before, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = _data() + ROOM + _COPIES * file.stat().st_size
        for other in (before, hard):
            if other != resource.RLIM_INFINITY:
                limit = min(limit, other)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
        try:
            yield
        except MemoryError as exc:
            raise ModelError(f"{file} wants far more memory than a network of its size") from exc
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def _data() -> int:
    """Bytes that count for the limit now: private memory that can be written to (proc(5), VmData)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmData":
            return int(value.split()[0]) << 10
    raise AssertionError("Linux tells a process's VmData")
