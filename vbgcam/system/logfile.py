"""The log that stays: what the program said, with its times, in the user's state folder, for the person and for
`vbgcam doctor`. Tracebacks of errors that nobody expected stand here and nowhere else.

It is bounded whatever goes wrong: five files of a megabyte, a line of 2,000 characters, and of one message, however
often it comes, ten lines a minute; the first of the next minute says how many were left out. It holds no picture: of
what a message is made of, only texts, numbers, paths and errors are written out, of everything else its type's name.

An entry begins with its time in UTC; the lines that belong to it begin with four spaces.
"""

import contextlib
import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from numbers import Number
from pathlib import Path, PurePath
from typing import Final

import platformdirs

from vbgcam import __version__
from vbgcam.core.text import printable

NAME: Final = "vbgcam.log"
"""Older files have .1 to .4 behind it, the oldest the highest."""

_BYTES: Final = 1_000_000
_OLDER: Final = 4
_LONGEST: Final = 2000
_A_MINUTE: Final = 10
# Messages are texts in the program, some hundreds of them; one that was made up on the way must not fill the memory.
_TEMPLATES: Final = 1000
_PARTS: Final = 8  # of a tuple or the like: a size, a list of names; a row of pixels has more
_CAUSES: Final = 8


def log_path() -> Path:
    """Of the newest file; it need not exist."""
    return Path(platformdirs.user_state_dir("vbgcam", appauthor=False)) / NAME


class LogFile(RotatingFileHandler):
    """Writes to `path` from the first message on; the folder is made then. Where that cannot be done, one warning says
    so, on the terminal, and all else goes on; a disk that has room again is written to again. The file and a folder
    that is made are for their owner alone. Any thread."""

    def __init__(self, path: Path, verb: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`verb`: what the program does, for the file's first line. `clock`: seconds."""
        super().__init__(path, maxBytes=_BYTES, backupCount=_OLDER, encoding="utf-8", delay=True)
        self._verb = verb
        self._rates: Final = Rates(clock)
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        """One entry, or one more that is left out."""
        more = self._rates.more((record.name, record.levelno, str(record.msg)))
        if more is not None:
            record = logging.makeLogRecord({**record.__dict__, "more": more})
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        text, more = _message(record), getattr(record, "more", 0)
        if more:
            text += f" ({more} more like this were left out)"
        entry = f"{_stamp(record.created)} {record.levelname.lower()} {record.name}: {_bounded(text)}"
        if record.exc_info and record.exc_info[1] is not None:
            entry += "\n    " + _traceback(record.exc_info[1])
        return entry

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the base class's name
        """Called by `emit` while its exception is handled."""
        exc = sys.exc_info()[1]
        if self.stream is not None:
            stream, self.stream = self.stream, None
            with contextlib.suppress(OSError):  # what a full disk did not take would be tried again
                stream.close()
        if not self._failed:
            self._failed = True
            why = getattr(exc, "strerror", None) or exc
            logging.getLogger(__name__).warning("%s: the log cannot be written: %s", self.baseFilename, why)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if sys.platform != "win32":
            os.fchmod(handle, 0o600)
        stream = os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")
        machine = f"{platform.system()} {platform.release()} {platform.machine()}, process {os.getpid()}"
        python = f"Python {platform.python_version()}"
        stream.write(f"{_stamp(time.time())} info vbgcam: {__version__} {self._verb}, {python}, {machine}\n")
        return stream


class Rates:
    """Lets each message through ten times a minute. `clock`: seconds. One thread at a time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # By logger, level and message: when its minute began, and how often it came since.
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def more(self, template: tuple[str, int, str]) -> int | None:
        """None where it may not be written now, else how many of its kind were left out in its last minute."""
        now = self._clock()
        since, count = self._seen.pop(template, (now, 0))
        left_out = 0
        if now - since >= 60:
            since, count, left_out = now, 0, max(0, count - _A_MINUTE)
        self._seen[template] = since, count + 1
        if len(self._seen) > _TEMPLATES:
            del self._seen[next(iter(self._seen))]
        return left_out if count < _A_MINUTE else None


def _message(record: logging.LogRecord) -> str:
    args = record.args
    if not args:
        return str(record.msg) if isinstance(record.msg, str) and _harmless(record.msg) else _name(record.msg)
    try:
        return str(record.msg) % (tuple(map(_plain, args)) if isinstance(args, tuple) else _name(args))
    except (TypeError, ValueError, LookupError):  # a number was wanted where there is a type's name now
        return str(record.msg)


def _plain(arg: object) -> object:
    return arg if _harmless(arg) else _name(arg)


def _name(arg: object) -> str:
    return f"<{type(arg).__name__}>"


def _harmless(arg: object, depth: int = 3) -> bool:
    """Whether it can be written out and be no picture: an allow-list, since an array has many disguises."""
    if arg is None or isinstance(arg, str | Number | PurePath | Enum):
        return True
    if not depth:
        return False
    if isinstance(arg, BaseException):
        return all(_harmless(part, depth - 1) for part in arg.args)
    if isinstance(arg, tuple | list):
        return len(arg) <= _PARTS and all(_harmless(part, depth - 1) for part in arg)
    if is_dataclass(arg) and not isinstance(arg, type):
        return all(_harmless(getattr(arg, field.name), depth - 1) for field in fields(arg))
    return False


def _traceback(error: BaseException) -> str:
    """The error with where it came from, then what caused it. A traceback shows lines of the program and no values."""
    text: list[str] = []
    exc: BaseException | None = error
    for _ in range(_CAUSES):
        if exc is None:
            break
        told = _bounded(f"{type(exc).__qualname__}: {_plain(exc)}")
        text += [told, *"".join(traceback.format_tb(exc.__traceback__, -20)).splitlines()]
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    return "\n    ".join(text)


def _bounded(text: str) -> str:
    """On lines that belong to one entry, without what would move a terminal's cursor."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... ({len(text) - _LONGEST} characters more)"
    return printable(text).replace("\n", "\n    ")


def _stamp(seconds: float) -> str:
    moment = time.gmtime(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{int(seconds % 1 * 1000):03}Z"
