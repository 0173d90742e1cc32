"""A background on its way into the gallery: a temporary file that its owner alone can read."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, TypeVar

T = TypeVar("T")

_NAME: Final = "upload-"


def created(folder: Path, ending: str) -> IO[bytes]:
    """A new file, to be given to `moved_to` or `discard`. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.NamedTemporaryFile(prefix=_NAME, suffix=ending, dir=folder, delete=False)


def write(file: IO[bytes], piece: bytes) -> None:
    """Appends a piece; nothing, once it was discarded in another thread. Raises OSError."""
    with contextlib.suppress(ValueError):  # a closed file
        file.write(piece)


def moved_to(take: Callable[[Path], T], file: IO[bytes]) -> T:
    """Returns what `take` makes of the whole file, which is removed afterwards. Raises OSError."""
    try:
        file.close()
        return take(Path(file.name))
    finally:
        discard(file)


def discard(file: IO[bytes]) -> None:
    """Removes the file, where it is still there."""
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(OSError):
        Path(file.name).unlink()


def remove_leftovers(folder: Path) -> None:
    """Removes the uploads of an earlier run that was killed."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{_NAME}*"):
            path.unlink()
