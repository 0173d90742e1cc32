"""What is made of frame and mask, and what stands behind: both may change while the chain runs.

The compositor takes one `SceneSnapshot` for each picture. A new one is ready when it is laid there, its
background's first picture decoded, so that no picture waits for a change and the old scene is shown until then.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from vbgcam.background import Background
from vbgcam.core.errors import BackgroundError
from vbgcam.core.frames import Backdrop
from vbgcam.core.options import RenderOptions
from vbgcam.render.composer import Behind

log = logging.getLogger(__name__)


class BackgroundPlayer:
    """A background on show. One that moves is decoded by a worker of its own, so that the compositor never waits for a
    film; that worker closes it."""

    def __init__(
        self,
        background: Background,
        period: float,
        wanted: threading.Event,
        stop: threading.Event,
        failed: Callable[[BackgroundError], None],
    ) -> None:
        """`period`: seconds between two pictures of it. It is decoded while `wanted` is set, and until `stop` is.
        `failed`: called, by the worker, when it breaks off. Raises BackgroundError; it is closed then."""
        self._background = background
        self._period = period
        self._wanted, self._stop, self._failed = wanted, stop, failed
        self._ended = threading.Event()
        try:
            self._now = background.at(0.0)
        except BackgroundError:
            background.close()
            raise

    @property
    def moves(self) -> bool:
        return self._background.moves

    def backdrop(self) -> Backdrop:
        """The newest picture."""
        return self._now

    def run(self) -> None:
        """The worker, where it moves."""
        started = time.monotonic()
        try:
            for tick in itertools.count(1):
                if self._wanted.is_set():
                    self._now = self._background.at(time.monotonic() - started)
                wait = max(0.0, started + tick * self._period - time.monotonic())
                if self._ended.wait(wait) or self._stop.is_set():
                    return
        except BackgroundError as exc:
            # The last picture stays: it shows nobody.
            self._failed(exc)
            log.warning("%s", exc)
        finally:
            self._background.close()

    def end(self) -> None:
        """Another one stands in its place."""
        self._ended.set()
        if not self.moves:
            self._background.close()


@dataclass(frozen=True, slots=True)
class SceneSnapshot:
    options: RenderOptions
    player: BackgroundPlayer

    def behind(self) -> Behind:
        return self.options.blur or self.player.backdrop()
