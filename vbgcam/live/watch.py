"""The watch, which tells whether anybody reads the output, and the worker that decodes a moving background for them."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import dataclass

from vbgcam.background import Background
from vbgcam.errors import BackgroundError
from vbgcam.frames import Backdrop
from vbgcam.live import pace
from vbgcam.live.board import Board
from vbgcam.live.slots import Slot
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
        if watched == self.board.wanted.is_set():
            return
        if watched:
            log.info("somebody is watching")
            self.board.wanted.set()
        else:
            self.board.wanted.clear()
        self.stats.fact(watched=watched)


@dataclass(slots=True)
class Backdrops:
    """Decodes a moving background, so that the compositor never waits for a film."""

    background: Background
    period: float
    board: Board
    backdrops: Slot[Backdrop]

    def run(self) -> None:
        started = time.monotonic()
        try:
            for tick in itertools.count(1):
                if self.board.wanted.is_set():
                    self.backdrops.put(self.background.at(time.monotonic() - started))
                if self.board.stop.wait(max(0.0, started + tick * self.period - time.monotonic())):
                    return
        except BackgroundError as exc:
            # The last picture stays: it shows nobody.
            self.board.last_problem = exc
            log.warning("%s", exc)
