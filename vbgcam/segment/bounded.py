"""How much memory a network's file may take while it is loaded.

An ONNX file of 300 bytes may ask for a tensor of any size, and a checkpoint of 100 bytes for a `bytearray` of any
length, which PyTorch's reader of "numbers alone" makes; both were seen to take 4 GB, and would take all there is.
"""

import contextlib
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from vbgcam.core.errors import ModelError
from vbgcam.system.process_wide import ProcessWide

ROOM: Final = 2 << 30
"""Bytes beside the file's own."""

# The file's bytes are read, parsed, copied into tensors and brought into the order that the processor likes.
_COPIES: Final = 4

# The process's limits as they were before the first holder came; changed by `_limit` alone, which runs once at a time.
_usual: Final[list[tuple[int, int]]] = []


def _limit(allowances: Collection[int]) -> None:
    """The limit for what is used now and what is allowed beside it."""
    import resource

    if not _usual:
        _usual.append(resource.getrlimit(resource.RLIMIT_DATA))
    soft, hard = _usual[0]
    if allowances:
        # Private memory that can be written to, the stack's too: proc(5), statm.
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        limits = [used + sum(allowances), *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    else:
        resource.setrlimit(resource.RLIMIT_DATA, _usual.pop())


_memory: Final = ProcessWide(_limit)


@contextlib.contextmanager
def bounded(file: Path) -> Iterator[None]:
    """While the block lasts, the process's memory grows by at most `ROOM` and four times the file's size; allocations
    beyond fail, as if the machine had no more. Raises ModelError where that met Python; a library raises its own error.

    On Linux alone; elsewhere nothing is limited. What other threads allocate meanwhile counts, too."""
    if sys.platform != "linux":
        yield
        return
    with _memory.hold(ROOM + _COPIES * file.stat().st_size):
        try:
            yield
        except MemoryError as exc:
            raise ModelError(f"{file} wants far more memory than a network of its size") from exc
