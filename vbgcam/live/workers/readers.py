"""The reader watch: turns the camera off while nobody reads the output."""

import contextlib
import logging
import queue
import time
from dataclasses import dataclass

from vbgcam.live import pace
from vbgcam.live.state import ChainState
from vbgcam.live.stats import Stats
from vbgcam.output import ReaderMonitor

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ReaderWatch:
    """While nobody reads, or there is no output at all, the camera is off. Its thread alone uses and closes the
    monitors that the compositor puts into `ChainState.reader_monitors`."""

    state: ChainState
    stats: Stats
    _monitor: ReaderMonitor | None = None

    def run(self) -> None:
        """The worker, until the session ends."""
        unread_since: float | None = None
        while not self.state.stop.is_set():
            self._take(pace.LINGER if self._monitor is None else 0.0)
            if self._monitor is not None and self._monitor.watched(pace.IDLE_PERIOD):
                unread_since = None
                self._tell(True)
            elif unread_since is None:
                unread_since = time.monotonic()
            elif time.monotonic() - unread_since >= pace.LINGER:
                self._tell(False)

    def end(self) -> None:
        """After `run` and the compositor have ended: closes whatever is left. Any thread."""
        self._take(0.0)
        if self._monitor is not None:
            self._monitor.close()

    def _take(self, timeout: float) -> None:
        """The newest monitor, waiting for one up to `timeout` seconds; those before it are over."""
        with contextlib.suppress(queue.Empty):
            while True:
                newest = self.state.reader_monitors.get(timeout > 0, timeout or None)
                if self._monitor is not None:
                    self._monitor.close()
                self._monitor, timeout = newest, 0.0

    def _tell(self, watched: bool) -> None:
        if watched == self.state.demand.read:
            return
        if watched:
            log.info("somebody is watching")
        self.state.demand.set_read(watched)
        self.stats.fact(watched=watched)
