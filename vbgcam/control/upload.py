"""A background on its way into the gallery: a temporary file that its owner alone can read, and that goes whatever
happens."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from vbgcam.core.errors import ControlError

T = TypeVar("T")

_NAME: Final = "upload-"


class Part:
    """Any thread; `open`, `write` and `give` in this order, `discard` at any time."""

    def __init__(self, folder: Path, ending: str) -> None:
        self._folder, self._ending = folder, ending
        self._lock = threading.Lock()
        self._gone = False
        self._handle = -1  # guarded by _lock, as the rest
        self._path: Path | None = None

    def open(self) -> None:
        """Raises OSError, as `write` does."""
        with self._lock:
            if self._gone:
                return
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle, path = tempfile.mkstemp(self._ending, _NAME, self._folder)
            self._path = Path(path)

    def write(self, piece: bytes) -> None:
        """One more piece; nothing, once it was discarded."""
        with self._lock:
            view = memoryview(piece)
            while view and self._handle >= 0:
                view = view[os.write(self._handle, view) :]

    def give(self, take: Callable[[Path], T]) -> T:
        """What `take` makes of it; the file is gone afterwards."""
        with self._lock:
            self._close()
            path = self._path
        if path is None:
            raise ControlError("the upload was given up")
        try:
            return take(path)
        finally:
            self.discard()

    def discard(self) -> None:
        """It is not wanted any more, or has been taken."""
        with self._lock:
            self._gone = True
            self._close()
            if self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def tidy(folder: Path) -> None:
    """Uploads that an earlier run, which was killed, left behind."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{_NAME}*"):
            path.unlink()
