"""What the live chain's workers know of each other.

A worker's error never vanishes: it stands on the board, the cover goes out, the log says it once, and what cannot be
cured ends the session. Each worker stops within a fraction of a second after `ChainState.stop` is set, unless a library
keeps it (a network in the middle of one inference); those threads are daemons.

All threads have one priority. With 5 steps of niceness for the network's, and both cores busy with them alone, the p95
of the added latency fell from 9.2 to 7.8 ms (1080p, 30 frames a second); but beside other programs' load twice as many
covers went out, and with 10 steps every fifth frame was lost to a network's thread that held the interpreter's lock and
did not get to run.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from queue import SimpleQueue

from vbgcam.core.errors import VbgcamError
from vbgcam.core.frames import Mask, SafeFrame
from vbgcam.core.policy import Why
from vbgcam.live.sync import How
from vbgcam.live.workers.background import SceneSnapshot
from vbgcam.mask import RoiSegmenter
from vbgcam.output import ReaderMonitor


class Demand:
    """Whether the camera is to be on: somebody reads the output, or looks at the preview, and nobody has paused. Any
    thread. `on` is set while it is."""

    def __init__(self) -> None:
        self.on = threading.Event()
        self._lock = threading.Lock()
        # By _lock:
        self._read = False
        self._looking = 0
        self._paused = False

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def read(self) -> bool:
        """Whether somebody reads the output, or nobody can tell."""
        return self._read

    def reads(self, somebody: bool) -> None:
        with self._lock:
            self._read = somebody
            self._tell()

    def looks(self, begins: bool) -> None:
        """Somebody looks at the preview, until it is taken back with False, once for each True."""
        with self._lock:
            self._looking = max(0, self._looking + (1 if begins else -1))
            self._tell()

    def pause(self, paused: bool) -> None:
        with self._lock:
            self._paused = paused
            self._tell()

    def _tell(self) -> None:
        if (self._read or self._looking) and not self._paused:
            self.on.set()
        else:
            self.on.clear()


@dataclass(frozen=True, slots=True)
class Shown:
    """What went out last, and the mask that it was made with, None for a cover. `number` grows with each. `mirrored`:
    the picture is, its mask is not."""

    number: int
    frame: SafeFrame
    mask: Mask | None
    mirrored: bool


@dataclass(slots=True)
class ChainState:
    """What the workers know of each other. `stop` ends the session; `failure` is why, set before `stop`. The rest is
    written by one worker each, a single reference at a time, so no lock is needed: by capture the camera's trouble,
    `period`, the seconds between two frames, and `filming_since`, when the camera was asked for what it gives now; by
    inference the model's trouble, `paired`, `looks`, `inferring_since`, when the network was given the frame that it is
    at, and `uncollected_network`, whether a network that has ended is still to be swept up; by the compositor
    `compose`, the seconds that composing and sending take, `beat`, when its last round began, `shown`, `rounds`, how
    many there were, and `reader_monitors`, the newest of which can tell whether anybody reads the output, None while
    there is no output; by the session `scene`, what is to be shown. `demand` is everybody's, and `wanted` its
    answer."""

    period: float
    scene: SceneSnapshot = field(init=False)
    paired: How = "newest"
    compose: float = 0.0
    beat: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    camera_trouble: Why | None = None
    model_trouble: Why | None = Why.LOADING
    demand: Demand = field(default_factory=Demand)
    reader_monitors: SimpleQueue[ReaderMonitor | None] = field(default_factory=SimpleQueue)
    inferring_since: float | None = None
    filming_since: float | None = None
    last_problem: VbgcamError | None = None
    looks: RoiSegmenter | None = None
    uncollected_network: bool = False
    shown: Shown | None = None
    rounds: int = 0
    source_ended: bool = False

    @property
    def wanted(self) -> threading.Event:
        return self.demand.on

    def fail(self, error: BaseException) -> None:
        """The first failure counts."""
        if self.failure is None:
            self.failure = error
        self.stop.set()
