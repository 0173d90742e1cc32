"""Two outputs at once, such as v4l2loopback's device for Zoom and a camera of PipeWire's for an app in a sandbox.

One of them may be missing, go and come back: the other one goes on. The missing one is opened in a thread of its own,
for that may take long (a daemon that hangs), and the picture never waits for it. Where both are missing it is an error
like any other's, and the live chain opens both again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Final

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import SafeFrame
from vbgcam.output.base import AlwaysRead, Output, ReaderMonitor

log = logging.getLogger(__name__)

# Seconds between two tries to open the one that is missing.
_AGAIN: Final = 2.0
# Seconds that one output's readers are waited for before the other's are looked at.
_LOOK: Final = 0.1


class Both:
    """See `vbgcam.output.Output`. `outputs`: two, or more. `again`: seconds between two tries to open a missing one."""

    def __init__(self, outputs: Sequence[Output], again: float = _AGAIN) -> None:
        """Opens nothing yet."""
        self._members = [_Member(output, again) for output in outputs]
        self._monitor: _AnyReader | None = None
        self.name = self._names(self._members)

    def open(self) -> None:
        """Raises OutputError where all of them are missing."""
        self._monitor = None
        for member in self._members:
            member.open()
        self._look()

    def send(self, frame: SafeFrame, at: float) -> None:
        """To those that are there. Raises OutputError where all of them are missing."""
        for place, member in enumerate(self._members):
            if member.send(frame, at) and self._monitor is not None:
                self._monitor.change(place, member.reader_monitor())
        self._look()

    def reader_monitor(self) -> ReaderMonitor | None:
        """Whether any of them is read."""
        self._monitor = _AnyReader([member.reader_monitor() for member in self._members])
        return self._monitor

    def close(self) -> None:
        """Closes those that are there, and what is still being opened as soon as it is."""
        for member in self._members:
            member.close()

    def _look(self) -> None:
        there = [member for member in self._members if member.there]
        self.name = self._names(there or self._members)
        errors = [member.error for member in self._members if member.error is not None]
        if not there and errors:
            fixes = [error.fix for error in errors if error.fix]
            raise OutputError("; ".join(error.message for error in errors), fix="; or ".join(fixes))

    @staticmethod
    def _names(members: Sequence[_Member]) -> str:
        return " and ".join(member.output.name for member in members)


class _Member:
    """One of the outputs, for the compositor's thread. `there`: it is open. `error`: why it is not. While `_thread` is
    alive, it opens the output and alone uses it; what comes of it is `_opening`, unless that is called off."""

    def __init__(self, output: Output, again: float) -> None:
        self.output = output
        self.there = False
        self.error: OutputError | None = None
        self._again = again
        self._due = 0.0
        self._logged = ""
        self._thread = threading.Thread()
        self._opening: Future[OutputError | None] | None = None

    def open(self) -> None:
        if self._thread.is_alive():
            return  # it hangs since the last time
        try:
            self.output.open()
        except OutputError as exc:
            self._missing(exc)
        else:
            self._come()

    def send(self, frame: SafeFrame, at: float) -> bool:
        """Whether the output has come or gone by it."""
        came = not self.there and self._back()
        if self.there:
            try:
                self.output.send(frame, at)
            except OutputError as exc:
                self._missing(exc)
                return True
        return came

    def reader_monitor(self) -> ReaderMonitor | None:
        """None where nobody can be there."""
        if not self.there:
            return None
        try:
            return self.output.reader_monitor() or AlwaysRead()
        except OutputError as exc:
            self._missing(exc)
            return None

    def close(self) -> None:
        opening, self._opening = self._opening, None
        opened = opening is not None and not opening.cancel() and opening.result() is None
        if self.there or opened:
            self.output.close()
        self.there = False

    def _come(self) -> None:
        self.there, self.error = True, None
        if self._logged:
            log.info("%s is there again", self.output.name)
            self._logged = ""

    def _missing(self, error: OutputError) -> None:
        if self.there:
            self.output.close()
        self.there, self.error = False, error
        self._due = time.monotonic() + self._again
        if str(error) != self._logged:
            self._logged = str(error)
            log.warning("%s (trying again)", error)

    def _back(self) -> bool:
        """Whether it is there again; begins to open it when that is due."""
        if self._thread.is_alive():
            return False
        opening, self._opening = self._opening, None
        if opening is not None:
            error = opening.result()
            if error is None:
                self._come()
            else:
                self._missing(error)
        elif time.monotonic() >= self._due:
            opening = self._opening = Future()
            self._thread = threading.Thread(target=_open, args=(self.output, opening), name="opening", daemon=True)
            self._thread.start()
        return self.there


def _open(output: Output, opening: Future[OutputError | None]) -> None:
    """In a thread of its own. What nobody waits for any more is closed again."""
    error = None
    try:
        output.open()
    except OutputError as exc:
        error = exc
    except Exception as exc:  # whatever it is, it must not vanish with the thread
        error = OutputError(f"{output.name} cannot be opened ({' '.join(str(exc).split())})")
    if opening.set_running_or_notify_cancel():
        opening.set_result(error)
    elif error is None:
        output.close()


class _AnyReader:
    """A `ReaderMonitor`: whether anybody reads one of the outputs. `change` is the compositor's, and what it brings is
    used and closed by the other methods' thread alone."""

    def __init__(self, monitors: Sequence[ReaderMonitor | None]) -> None:
        self._there = list(monitors)
        self._news: SimpleQueue[tuple[int, ReaderMonitor | None]] = SimpleQueue()

    def change(self, place: int, monitor: ReaderMonitor | None) -> None:
        self._news.put((place, monitor))

    def watched(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        before: bool | None = None
        while True:
            self._take()
            there = [monitor for monitor in self._there if monitor is not None]
            left = max(0.0, end - time.monotonic())
            if not there:
                time.sleep(min(left, _LOOK))
            now = any(monitor.watched(min(left, _LOOK) / len(there)) for monitor in there)
            if left <= 0 or (before is not None and now != before):
                return now
            before = now

    def close(self) -> None:
        self._take()
        for monitor in self._there:
            if monitor is not None:
                monitor.close()
        self._there = []

    def _take(self) -> None:
        while not self._news.empty():
            place, monitor = self._news.get()
            old, self._there[place] = self._there[place], monitor
            if old is not None:
                old.close()
