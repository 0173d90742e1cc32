"""The background worker: decodes a background that moves, so that the compositor never waits for a video."""

import logging
import time

from vbgcam.background import Background
from vbgcam.core.errors import BackgroundError
from vbgcam.core.frames import Backdrop
from vbgcam.live.state import ChainState

log = logging.getLogger(__name__)


class BackgroundPlayer:
    """A background on show. Where it moves, the worker's thread alone uses it after the first picture, and closes it;
    `_now`, one reference, is that thread's, and read by any."""

    def __init__(self, background: Background, period: float, state: ChainState) -> None:
        """`period`: seconds between two pictures of it. Raises BackgroundError where it has no first picture; it is
        closed then."""
        self.moves = background.moves
        self._background = background
        self._period = period
        self._state = state
        self._ended = False
        try:
            self._now = background.at(0.0)
        except BackgroundError:
            background.close()
            raise

    def backdrop(self) -> Backdrop:
        """The newest picture. Any thread."""
        return self._now

    def run(self) -> None:
        """The worker, where it moves: decodes while the camera is on."""
        started = due = time.monotonic()
        try:
            while self._state.wait(lambda: self._ended or self._state.demand.on) and not self._ended:
                self._now = self._background.at(time.monotonic() - started)
                due = max(due + self._period, time.monotonic())
                self._state.wait(lambda: self._ended, due - time.monotonic())
        except BackgroundError as exc:
            # The last picture stays: it shows nobody.
            self._state.report(exc)
            log.warning("%s", exc)
        finally:
            self._background.close()

    def end(self) -> None:
        """Another one stands in its place. Any thread, once."""
        self._ended = True
        self._state.wake()
        if not self.moves:
            self._background.close()
