"""The watch, which tells whether anybody reads the output."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from vbgcam.live import pace
from vbgcam.live.state import Board
from vbgcam.live.stats import Stats
from vbgcam.output import Audience

log = logging.getLogger(__name__)


class Always:
    """Where nobody can tell: an audience that is always there. See `vbgcam.output.Audience`."""

    def watched(self, timeout: float) -> bool:
        time.sleep(timeout)
        return True

    def close(self) -> None:
        """There is nothing to release."""


@dataclass(slots=True)
class Watch:
    """Whether anybody watches: while nobody does, or there is no output at all, the camera is off. It alone uses and
    closes what the compositor lays on the board for it."""

    board: Board
    stats: Stats
    audience: Audience | None = None

    def run(self) -> None:
        left: float | None = None
        while not self.board.stop.is_set():
            self._take()
            if self.audience is None:
                self.board.stop.wait(pace.LINGER / 10)
            if self.audience is not None and self.audience.watched(pace.IDLE_PERIOD):
                left = None
                self._tell(True)
            elif left is None:
                left = time.monotonic()
            elif time.monotonic() - left >= pace.LINGER:
                self._tell(False)

    def end(self) -> None:
        """After `run` and the compositor have ended: closes whatever was laid there."""
        self._take()
        if self.audience is not None:
            self.audience.close()

    def _take(self) -> None:
        """The newest; those before it are over."""
        while not self.board.audiences.empty():
            if self.audience is not None:
                self.audience.close()
            self.audience = self.board.audiences.get()

    def _tell(self, watched: bool) -> None:
        if watched == self.board.demand.read:
            return
        if watched:
            log.info("somebody is watching")
        self.board.demand.reads(watched)
        self.stats.fact(watched=watched)
