"""Files that are there whole or not at all."""

import contextlib
import os
import re
import secrets
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock

from vbgcam.core.errors import OutputError

# The names of a part and of its lock. Nothing that a person names looks like this, so it may be removed from a
# person's folder.
_PART: Final = re.compile(r"\.vbgcam-([0-9a-f]{12})(-lock|\.[^.]*)?", re.DOTALL)

_cleaned: Final[set[Path]] = set()


@contextlib.contextmanager
def whole(target: Path, *, mode: int | None = None) -> Iterator[Path]:
    """A temporary path in the target's folder, with the target's suffix, to write to. It takes the target's name when
    the block ends well and is removed when it does not; a target that was there before stays until then. What killed
    programs left half written in that folder is removed, too, once in each process.

    `mode`: the new file's permission bits; None is what the umask gives. Raises OSError as the file system does. Any
    thread."""
    folder = target.parent
    folder.stat()  # some releases of filelock make a folder that is missing
    _remove_leftovers(folder)
    token = secrets.token_hex(6)
    part = folder / f".vbgcam-{token}{target.suffix}"
    with _locked(folder, token):
        try:
            # The system applies the umask here. To ask for it is to change it, and in all threads.
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600))
            yield part
            if mode is not None:
                part.chmod(mode)
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            part.replace(target)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def write_whole(path: Path, data: str | bytes, what: str) -> None:
    """Writes a file of its own, a text as UTF-8. `what`: for the message, as in "the figures". Raises OutputError."""
    try:
        with whole(path) as part:
            part.write_bytes(data.encode() if isinstance(data, str) else data)
    except OSError as exc:
        fix = make_folder(path.parent) if isinstance(exc, FileNotFoundError) else ""
        raise OutputError(f"{path}: {what} could not be written: {exc.strerror}", fix=fix) from exc


def make_folder(folder: Path) -> str:
    """The command that makes a folder."""
    return f"mkdir -p {shlex.quote(str(folder))}"


@contextlib.contextmanager
def _locked(folder: Path, token: str) -> Iterator[bool]:
    """Holds the lock that says that the part of this token is being written. False where another program holds it, or
    where the file system has no locks. The lock lies beside the part, since Windows renames no open file."""
    path = folder / f".vbgcam-{token}-lock"
    lock = FileLock(path, mode=0o600, thread_local=False)  # a video may be finished by another thread
    with contextlib.suppress(OSError, NotImplementedError):
        lock.acquire(blocking=False)
    try:
        yield lock.is_locked
    finally:
        if lock.is_locked:
            lock.release()
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _remove_leftovers(folder: Path) -> None:
    """Once: to look through a folder of 10,000 files takes 10 ms, and many files may be written to one."""
    if folder in _cleaned:
        return
    _cleaned.add(folder)
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            found = _PART.fullmatch(path.name)
            if found and path.is_file() and not path.is_symlink():
                with _locked(folder, found[1]) as held, contextlib.suppress(OSError):
                    if held:
                        path.unlink(missing_ok=True)
