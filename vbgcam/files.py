"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(target: Path, *, mode: int | None = None) -> Iterator[Path]:
    """A temporary path in the target's folder, with the target's suffix, to write to. It takes the target's name when
    the block ends well and is removed when it does not; a target that was there before stays until then.

    `mode`: the new file's permission bits; None is what the umask gives. Raises OSError as the file system does."""
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        if mode is None:
            umask = os.umask(0)
            os.umask(umask)
            mode = 0o666 & ~umask
        part.chmod(mode)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
