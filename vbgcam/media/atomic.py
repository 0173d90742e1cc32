"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# A file's name has at most 255 bytes; of the target's own as many characters as fit beside the rest, four bytes each.
_STEM: Final = 40
# Nothing that a person names looks like this: it is what may be removed from a person's folder.
_PART: Final = re.compile(r"\..*\.vbgcam-[0-9a-f]{12}(\.[^.]*)?", re.DOTALL)
# Seconds after which a part is taken for left over where there are no locks (Windows): longer than films take to make.
_OLD: Final = 7 * 86400

_tidied: Final[set[Path]] = set()


@contextlib.contextmanager
def whole(target: Path, *, mode: int | None = None) -> Iterator[Path]:
    """A temporary path in the target's folder, with the target's suffix, to write to. It takes the target's name when
    the block ends well and is removed when it does not; a target that was there before stays until then. What killed
    programs left half written in that folder is removed, too, once in each process.

    `mode`: the new file's permission bits; None is what the umask gives. Raises OSError as the file system does."""
    _tidy(target.parent)
    part, lock = _begun(target)
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
    finally:
        if lock is not None:
            os.close(lock)


def _begun(target: Path) -> tuple[Path, int | None]:
    """An empty file that its owner alone can read, and the descriptor whose lock says that it is being written."""
    while True:
        part = target.parent / f".{target.stem[:_STEM]}.vbgcam-{secrets.token_hex(6)}{target.suffix}"
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if sys.platform == "win32":
            os.close(handle)  # an open file cannot be renamed there
            return part, None
        # Between the two calls another program may have taken it for left over.
        if _lock(handle) is not False and _is_there(part, handle):
            return part, handle
        os.close(handle)


def _tidy(folder: Path) -> None:
    """Once: of many files written to one folder each would look through all that are there, 10 ms for 10,000."""
    if folder in _tidied:
        return
    _tidied.add(folder)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_if_left_over(Path(entry.path))


def _remove_if_left_over(part: Path) -> None:
    if sys.platform == "win32":
        if time.time() - part.stat().st_mtime > _OLD:
            part.unlink()
        return
    handle = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _lock(handle) and _is_there(part, handle):
            part.unlink()
    finally:
        os.close(handle)


def _is_there(part: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), part.stat())
    except FileNotFoundError:
        return False


if sys.platform != "win32":
    import fcntl

    def _lock(handle: int) -> bool | None:
        """False where another program has it; None where the file system knows no locks."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True
