"""What the live chain's threads know of each other, and who may write what.

A worker's error never vanishes: the cover goes out, the log says it once, and what cannot be cured ends the session.
Each worker stops within a fraction of a second after `ChainState.halt`, unless a library keeps it (a network in the
middle of one inference); those threads are daemons.

All threads have one priority. With 5 steps of niceness for the network's, and both cores busy with them alone, the p95
of the added latency fell from 9.2 to 7.8 ms (1080p, 30 frames a second); but beside other programs' load twice as many
covers went out, and with 10 steps every fifth frame was lost to a network's thread that held the interpreter's lock and
did not get to run.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from vbgcam.core.errors import VbgcamError
from vbgcam.core.frames import Backdrop, Mask, Prediction, RawFrame, SafeFrame
from vbgcam.core.options import RenderOptions
from vbgcam.core.policy import Why
from vbgcam.live.slots import Slot
from vbgcam.live.sync import Sync
from vbgcam.mask import RoiSegmenter
from vbgcam.output import ReaderMonitor


class Demand:
    """Whether the camera is to be on: somebody reads the output, or watches the preview, and nobody has paused. Any
    thread; `_lock` guards all fields, each of which is one reference that is read without it."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """`changed`: called after each change, by whoever made it, without the lock."""
        self._changed = changed
        self._lock = threading.Lock()
        self._read = False
        self._previews = 0
        self._pause: threading.Event | None = None

    @property
    def on(self) -> bool:
        """Whether the camera is to be on."""
        return (self._read or self._previews > 0) and self._pause is None

    @property
    def paused(self) -> bool:
        """Whether somebody has paused."""
        return self._pause is not None

    @property
    def pause(self) -> threading.Event | None:
        """The pause in force. The compositor sets it when no picture of somebody goes out any more."""
        return self._pause

    @property
    def read(self) -> bool:
        """Whether somebody reads the output, or nobody can tell."""
        return self._read

    def set_read(self, somebody: bool) -> None:
        """Somebody reads the output, or nobody does any more."""
        with self._lock:
            self._read = somebody
        self._changed()

    def watch_preview(self, begins: bool) -> None:
        """Somebody watches the preview, until it is taken back with False, once for each True."""
        with self._lock:
            self._previews = max(0, self._previews + (1 if begins else -1))
        self._changed()

    def set_paused(self, paused: bool) -> threading.Event | None:
        """The pause that is in force then; see `pause`."""
        with self._lock:
            self._pause = (self._pause or threading.Event()) if paused else None
            pause = self._pause
        self._changed()
        return pause


@dataclass(frozen=True, slots=True)
class SceneSnapshot:
    """What is to be shown. `backdrop`: gives the background's newest picture, at once and in any thread."""

    options: RenderOptions
    backdrop: Callable[[], Backdrop]


@dataclass(frozen=True, slots=True)
class SentPicture:
    """What went out last, and the mask that it was made with, None for a cover. `number` grows with each. `mirrored`:
    the picture is, its mask is not."""

    number: int
    frame: SafeFrame
    mask: Mask | None
    mirrored: bool


@dataclass(slots=True)
class NetworkState:
    """What one network's thread tells the others. That thread alone writes it, a single reference at a time. Each
    network has its own, and `ChainState.network` is the one that counts: one that was replaced, and goes on in a
    library's call, can disturb nothing.

    `predictions`: the newest one. `trouble`: what keeps them from coming. `sync`: how frames and masks are paired now.
    `roi`: is told where the person is. `call`: when the library's call began that it is in, on the monotonic clock, and
    the seconds after which it has hung; None while it is in none. `considered_at`: when the newest frame was captured
    that the newest prediction is for, or does for."""

    predictions: Slot[Prediction]
    trouble: Why | None = Why.LOADING
    sync: Sync = "newest"
    roi: RoiSegmenter | None = None
    call: tuple[float, float] | None = None
    considered_at: float = -math.inf


class ChainState:
    """What the workers know of each other. Each field has one owner, who alone writes it, a single reference at a time,
    so that all may read it without a lock; or one lock. Both are named beside it."""

    def __init__(self, period: float, options: RenderOptions) -> None:
        """`period`: seconds between two pictures of the output."""
        # Notified by `wake` after each change that comes without a frame; guards nothing.
        self._changed: Final = threading.Condition()
        # Guards `to_compose` and all networks' predictions, which the compositor waits for together.
        self._pixels: Final = threading.Condition()
        self.to_compose: Final = Slot[RawFrame](self._pixels)
        self.to_segment: Final = Slot[RawFrame]()
        self.demand: Final = Demand(self.wake)
        self.stop: Final = threading.Event()
        # The session's, by its lock; none before its start.
        self.scene: SceneSnapshot = SceneSnapshot(options, _no_backdrop)
        # `Networks`', by its lock.
        self.network: NetworkState = self.network_state()
        # Set by a network's thread that has ended, cleared by one that sweeps up; twice does no harm.
        self.garbage: Final = threading.Event()
        # Capture's: what keeps frames from coming; seconds between two of them; when the driver's call began that it is
        # in; whether the source has ended.
        self.camera_trouble: Why | None = None
        self.period = period
        self.driver_called_at: float | None = None
        self.source_ended = False
        # The compositor's: seconds that composing and sending take; how much less than all is done (`load`); when its
        # last round began; what went out last.
        self.compose_seconds = 0.0
        self.level = 0
        self.round_began_at = time.monotonic()
        self.last_sent: SentPicture | None = None
        # Put by the compositor, used and closed by the reader watch: what tells whether anybody reads the output, None
        # while there is no output.
        self.reader_monitors: Final[SimpleQueue[ReaderMonitor | None]] = SimpleQueue()
        # By _lock:
        self._lock: Final = threading.Lock()
        self._failure: BaseException | None = None
        self._last_problem: VbgcamError | None = None

    def network_state(self, trouble: Why = Why.LOADING) -> NetworkState:
        """One for another network."""
        return NetworkState(Slot(self._pixels), trouble)

    @property
    def failure(self) -> BaseException | None:
        """Why the session has failed, if it has."""
        with self._lock:
            return self._failure

    @property
    def last_problem(self) -> VbgcamError | None:
        """The newest error that brought the cover."""
        with self._lock:
            return self._last_problem

    def report(self, error: VbgcamError) -> None:
        """An error that brings the cover, and that the session survives."""
        with self._lock:
            self._last_problem = error

    def fail(self, error: BaseException) -> None:
        """Ends the session; the first failure counts."""
        with self._lock:
            self._failure = self._failure or error
        self.halt()

    def halt(self) -> None:
        """The workers are to end."""
        self.stop.set()
        self.wake()

    def wake(self) -> None:
        """After a change of demand, scene, camera or network: whoever waits for one looks again."""
        with self._changed:
            self._changed.notify_all()
        self.to_segment.wake()

    def wait(self, enough: Callable[[], bool], timeout: float | None = None) -> bool:
        """Until `enough`, asked again at each `wake`, or the session's end (False), up to `timeout` seconds (False)."""
        with self._changed:
            self._changed.wait_for(lambda: self.stop.is_set() or enough(), timeout)
        return not self.stop.is_set() and enough()

    def close(self) -> None:
        """Wakes whoever waits for a frame, for good."""
        for slot in (self.to_segment, self.to_compose):
            slot.close()


def _no_backdrop() -> Backdrop:
    raise AssertionError("the session has not been started")
