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
from queue import SimpleQueue
from typing import Final

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import SafeFrame
from vbgcam.output.base import Output, ReaderMonitor

log = logging.getLogger(__name__)

# Seconds between two tries to open the one that is missing.
_AGAIN: Final = 2.0
# Seconds of one look at an audience while the other one is looked at, too.
_LOOK: Final = 0.1


class Both:
    """See `vbgcam.output.Output`. `outputs`: two, or more. `again`: seconds between two tries to open a missing one."""

    def __init__(self, outputs: Sequence[Output], again: float = _AGAIN) -> None:
        self._legs = [_Leg(output, again) for output in outputs]
        self._reader_monitor: _Either | None = None
        self.name = self._names(self._legs)

    def open(self) -> None:
        self._reader_monitor = None
        for leg in self._legs:
            leg.open()
        self._look()

    def send(self, frame: SafeFrame, at: float) -> None:
        for place, leg in enumerate(self._legs):
            if leg.send(frame, at) and self._reader_monitor is not None:
                self._reader_monitor.change(place, leg.reader_monitor())
        self._look()

    def reader_monitor(self) -> ReaderMonitor | None:
        self._reader_monitor = _Either([leg.reader_monitor() for leg in self._legs])
        return self._reader_monitor

    def close(self) -> None:
        for leg in self._legs:
            leg.close()

    def _look(self) -> None:
        """Raises OutputError where all of them are missing."""
        there = [leg for leg in self._legs if leg.there]
        self.name = self._names(there or self._legs)
        errors = [leg.error for leg in self._legs if leg.error is not None]
        if not there and errors:
            fixes = [error.fix for error in errors if error.fix]
            raise OutputError("; ".join(error.message for error in errors), fix="; or ".join(fixes))

    @staticmethod
    def _names(legs: Sequence[_Leg]) -> str:
        return " and ".join(leg.output.name for leg in legs)


class _Leg:
    """One of the outputs, for the compositor's thread. `there`: it is open. `error`: why it is not. While `_opening` is
    at work, its thread alone uses the output."""

    def __init__(self, output: Output, again: float) -> None:
        self.output = output
        self.there = False
        self.error: OutputError | None = None
        self._again = again
        self._due = 0.0
        self._opening: _Opening | None = None
        self._said = ""

    def open(self) -> None:
        if self._opening is not None:
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
        if not self.there:
            return False
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
            return self.output.reader_monitor() or _Always()
        except OutputError as exc:
            self._missing(exc)
            return None

    def close(self) -> None:
        if self._opening is not None:
            self._opening.abandon()
        elif self.there:
            self.output.close()
        self.there = False

    def _come(self) -> None:
        self.there, self.error = True, None
        if self._said:
            log.info("%s is there again", self.output.name)
            self._said = ""

    def _missing(self, error: OutputError) -> None:
        if self.there:
            self.output.close()
        self.there, self.error = False, error
        self._due = time.monotonic() + self._again
        if str(error) != self._said:
            self._said = str(error)
            log.warning("%s (trying again)", error)

    def _back(self) -> bool:
        """Whether it is there again."""
        if self._opening is None:
            if time.monotonic() >= self._due:
                self._opening = _Opening(self.output)
            return False
        if not self._opening.over.is_set():
            return False
        error, self._opening = self._opening.error, None
        if error is not None:
            self._missing(error)
            return False
        self._come()
        return True


class _Opening:
    """Opens an output in a thread of its own. `over`: the thread is done with it, with `error` or without."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._lock = threading.Lock()
        # By _lock:
        self._abandoned = False
        self.over = threading.Event()
        self.error: OutputError | None = None
        threading.Thread(target=self._run, name="opening", daemon=True).start()

    def abandon(self) -> None:
        """What it opens, or has opened, is closed, and counts as an error."""
        with self._lock:
            self._abandoned = True
            if self.over.is_set():
                self._shut()

    def _run(self) -> None:
        try:
            self._output.open()
        except OutputError as exc:
            self.error = exc
        except Exception as exc:  # whatever it is, it must not vanish with the thread
            self.error = OutputError(f"{self._output.name} cannot be opened ({' '.join(str(exc).split())})")
        with self._lock:
            if self._abandoned:
                self._shut()
            self.over.set()

    def _shut(self) -> None:
        if self.error is None:
            self._output.close()
            self.error = OutputError(f"{self._output.name} came too late")


class _Always:
    """Where nobody can tell. See `vbgcam.output.ReaderMonitor`."""

    def watched(self, timeout: float) -> bool:
        time.sleep(timeout)
        return True

    def close(self) -> None:
        """There is nothing to release."""


class _Either:
    """Whether anybody reads one of the outputs. See `vbgcam.output.ReaderMonitor`; `change` is the compositor's, and
    what it brings is used and closed by the other methods' thread alone."""

    def __init__(self, reader_monitors: Sequence[ReaderMonitor | None]) -> None:
        self._there = list(reader_monitors)
        self._news: SimpleQueue[tuple[int, ReaderMonitor | None]] = SimpleQueue()

    def change(self, place: int, reader_monitor: ReaderMonitor | None) -> None:
        self._news.put((place, reader_monitor))

    def watched(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        before: bool | None = None
        while True:
            self._take()
            there = [reader_monitor for reader_monitor in self._there if reader_monitor is not None]
            left = max(0.0, end - time.monotonic())
            if not there:
                time.sleep(min(left, _LOOK))
            now = any(reader_monitor.watched(min(left, _LOOK) / len(there)) for reader_monitor in there)
            if left <= 0 or (before is not None and now != before):
                return now
            before = now

    def close(self) -> None:
        self._take()
        for reader_monitor in self._there:
            if reader_monitor is not None:
                reader_monitor.close()
        self._there = []

    def _take(self) -> None:
        while not self._news.empty():
            place, reader_monitor = self._news.get()
            old, self._there[place] = self._there[place], reader_monitor
            if old is not None:
                old.close()
