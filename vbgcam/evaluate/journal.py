"""What an evaluation has found so far, on disk: it survives whatever breaks the evaluation off, and holds the masks, so
that memory does not grow with the data.

SQLite with a write-ahead log: each item is there whole or not at all, also after a kill, and adding one does not wait
for the disk.
"""

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import cv2
import numpy as np
import platformdirs

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import U8
from vbgcam.evaluate.base import Item

# Seconds after which nobody resumes an evaluation any more. One of 506 frames of 640x360 took 12 MB.
_OLD: Final = 30 * 86400
_PREPARE: Final = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "CREATE TABLE IF NOT EXISTS items (number INTEGER PRIMARY KEY, name TEXT NOT NULL, found TEXT NOT NULL, mask BLOB)",
)


def usual_folder() -> Path:
    """Where journals are kept."""
    return Path(platformdirs.user_cache_dir("vbgcam", appauthor=False)) / "evaluations"


class Journal:
    """Of one evaluation of the same data: another one has another journal. Belongs to one thread. Everything raises
    OutputError."""

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        """`key`: all that the results depend on, as JSON can hold it."""
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        self.path: Final = folder / f"{name}.sqlite"
        with self._translated(), contextlib.ExitStack() as stack:
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.glob("*.sqlite*"):
                if not path.name.startswith(name) and time.time() - path.stat().st_mtime > _OLD:
                    path.unlink(missing_ok=True)
            self._base = sqlite3.connect(self.path, timeout=0.5, isolation_level=None)
            stack.callback(self._base.close)
            for statement in _PREPARE:
                self._base.execute(statement)
            stack.pop_all()

    @property
    def numbers(self) -> frozenset[int]:
        """Of the items that stand in it."""
        with self._translated():
            return frozenset(number for (number,) in self._base.execute("SELECT number FROM items"))

    def add(self, item: Item) -> None:
        """Keeps an item with its mask."""
        mask = None
        if item.mask is not None:
            mask = cv2.imencode(".png", item.mask, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
        with self._translated():
            values = (item.number, item.name, json.dumps(item.found), mask)
            self._base.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)", values)

    def items(self) -> Iterator[Item]:
        """In the order of the data, without their masks."""
        with self._translated():
            for number, name, found in self._base.execute("SELECT number, name, found FROM items ORDER BY number"):
                yield Item(number, name, json.loads(found))

    def mask(self, number: int) -> U8 | None:
        """None where the item was added without one, or not yet."""
        with self._translated():
            row = self._base.execute("SELECT mask FROM items WHERE number = ?", (number,)).fetchone()
            if row is None or row[0] is None:
                return None
            mask = cv2.imdecode(np.frombuffer(row[0], np.uint8), cv2.IMREAD_GRAYSCALE)
            if mask is None:
                raise ValueError("no mask")
            return np.asarray(mask, np.uint8)

    def remove(self) -> None:
        """Closes it for good: the results are kept elsewhere."""
        self._base.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        """It can be resumed."""
        self._base.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the disk, and of a file in which something else stands by now."""
        try:
            yield
        except (sqlite3.OperationalError, OSError) as exc:
            if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:  # not all have one
                raise OutputError("this evaluation is running already", fix="wait for it, or stop it") from exc
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise OutputError(f"{self.path}: what is found cannot be kept there: {why}") from exc
        except (sqlite3.Error, ValueError, TypeError, cv2.error) as exc:
            fix = f"remove it: rm '{self.path}'"
            raise OutputError(f"{self.path}: what was found so far is damaged", fix=fix) from exc
