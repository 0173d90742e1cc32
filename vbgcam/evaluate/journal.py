"""What an evaluation has found so far, on disk: it survives whatever breaks the evaluation off, and holds the masks, so
that memory does not grow with the data.

SQLite, since what it has said to be written is there whole, or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import cv2
import numpy as np
import platformdirs

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import U8

# Seconds after which nobody goes on with an evaluation any more. One of 506 frames of
# 640x360 took 12 MB.
_OLD: Final = 30 * 86400
# Seconds of work that may be lost; each commit waits for the disk.
_COMMIT: Final = 2.0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS items (number INTEGER PRIMARY KEY, name TEXT NOT NULL, found TEXT NOT NULL, mask BLOB);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def usual_folder() -> Path:
    """Where journals are kept."""
    return Path(platformdirs.user_cache_dir("vbgcam", appauthor=False)) / "evaluations"


def _forget_old(folder: Path, kept: Path) -> None:
    for path in folder.glob("*.sqlite"):
        if path != kept and time.time() - path.stat().st_mtime > _OLD:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Row:
    """`number`: of the picture in the set, or of the frame in the clip. `found`: what the JSON is to say of it."""

    number: int
    name: str
    found: dict[str, Any]


class Journal:
    """Of one question, asked of the same data: another one has another journal. Belongs to one thread."""

    def __init__(self, folder: Path, question: Mapping[str, Any]) -> None:
        """`question`: all that the answer depends on, as JSON can hold it. Raises OutputError."""
        text = json.dumps(question, sort_keys=True)
        self.path: Final = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _forget_old(folder, self.path)
            # `isolation_level=None`: transactions begin where it says so below.
            self._base = sqlite3.connect(self.path, timeout=0.5, isolation_level=None)
            try:
                self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._base.execute("BEGIN EXCLUSIVE")
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._base.execute(statement)
            except BaseException:
                self._base.close()
                raise
        except (OSError, sqlite3.Error, ValueError) as exc:  # ValueError: a text in it is no text any more
            raise self._failed(exc) from exc
        self._committed = time.monotonic()

    @property
    def numbers(self) -> frozenset[int]:
        """Of what stands in it."""
        with self._telling():
            return frozenset(number for (number,) in self._base.execute("SELECT number FROM items"))

    def add(self, row: Row, mask: U8 | None = None) -> None:
        """`mask`: uint8, (height, width). Raises OutputError."""
        blob = cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes() if mask is not None else None
        with self._telling():
            self._base.execute(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)", (row.number, row.name, json.dumps(row.found), blob)
            )
            if time.monotonic() - self._committed > _COMMIT:
                self.commit()

    def commit(self) -> None:
        """What was added is on disk from here on. Raises OutputError."""
        with self._telling():
            self._base.execute("COMMIT")
            self._base.execute("BEGIN EXCLUSIVE")
        self._committed = time.monotonic()

    def rows(self) -> Iterator[Row]:
        """In the order of the data."""
        with self._telling():
            for number, name, found in self._base.execute("SELECT number, name, found FROM items ORDER BY number"):
                yield Row(number, name, _held(found))

    def mask(self, number: int) -> U8 | None:
        """None where it was added without one, or not yet."""
        with self._telling():
            found = self._base.execute("SELECT mask FROM items WHERE number = ?", (number,)).fetchone()
        if found is None or found[0] is None:
            return None
        with self._telling():
            try:
                mask = cv2.imdecode(np.frombuffer(found[0], np.uint8), cv2.IMREAD_GRAYSCALE)
            except (cv2.error, TypeError):  # what stands there is no picture, or not even bytes
                mask = None
            if mask is None:
                raise ValueError("no mask")
            return np.asarray(mask, np.uint8)

    def note(self, name: str, value: object) -> None:
        """Something that is true of the whole, as JSON can hold it."""
        with self._telling():
            self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def noted(self) -> dict[str, Any]:
        """All that was noted."""
        with self._telling():
            return {name: _held(value) for name, value in self._base.execute("SELECT name, value FROM facts")}

    def close(self) -> None:
        """It can be gone on with."""
        with contextlib.suppress(sqlite3.Error, ValueError):
            self._base.execute("COMMIT")
        self._base.close()

    def remove(self) -> None:
        """The question is answered."""
        self._base.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as exc:  # ValueError: a text in it is no JSON any more
            raise self._failed(exc) from exc

    def _failed(self, exc: OSError | sqlite3.Error | ValueError) -> OutputError:
        if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return OutputError("this evaluation is running already", fix="wait for it, or stop it")
        damaged = isinstance(exc, sqlite3.DatabaseError | ValueError)
        if damaged and not isinstance(exc, sqlite3.OperationalError):
            return OutputError(f"{self.path}: what was found so far is damaged", fix=f"remove it: rm '{self.path}'")
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        return OutputError(f"{self.path}: what is found cannot be kept there: {why}")


def _held(text: object) -> Any:
    """What the JSON in the data base says. Raises ValueError where it is none any more."""
    return json.loads(text if isinstance(text, str) else "")
