"""The watch, which tells whether anybody reads the output."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from vbgcam.live import pace
from vbgcam.live.state import ChainState
from vbgcam.live.stats import Stats
from vbgcam.output import ReaderMonitor

log = logging.getLogger(__name__)


class Always:
    """Where nobody can tell: an audience that is always there. See `vbgcam.output.ReaderMonitor`."""

    def watched(self, timeout: float) -> bool:
        time.sleep(timeout)
        return True

    def close(self) -> None:
        """There is nothing to release."""


@dataclass(slots=True)
class ReaderWatch:
    """Whether anybody watches: while nobody does, or there is no output at all, the camera is off. It alone uses and
    closes what the compositor lays on the board for it."""

    state: ChainState
    stats: Stats
    reader_monitor: ReaderMonitor | None = None

    def run(self) -> None:
        left: float | None = None
        while not self.state.stop.is_set():
            self._take()
            if self.reader_monitor is None:
                self.state.stop.wait(pace.LINGER / 10)
            if self.reader_monitor is not None and self.reader_monitor.watched(pace.IDLE_PERIOD):
                left = None
                self._tell(True)
            elif left is None:
                left = time.monotonic()
            elif time.monotonic() - left >= pace.LINGER:
                self._tell(False)

    def end(self) -> None:
        """After `run` and the compositor have ended: closes whatever was laid there."""
        self._take()
        if self.reader_monitor is not None:
            self.reader_monitor.close()

    def _take(self) -> None:
        """The newest; those before it are over."""
        while not self.state.reader_monitors.empty():
            if self.reader_monitor is not None:
                self.reader_monitor.close()
            self.reader_monitor = self.state.reader_monitors.get()

    def _tell(self, watched: bool) -> None:
        if watched == self.state.demand.read:
            return
        if watched:
            log.info("somebody is watching")
        self.state.demand.reads(watched)
        self.stats.fact(watched=watched)
