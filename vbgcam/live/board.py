"""What the live chain's workers know of each other.

A worker's error never vanishes: it stands on the board, the cover goes out, the log says it once, and what cannot be
cured ends the session. Each worker stops within a fraction of a second after `Board.stop` is set, unless a library
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

from vbgcam.errors import VbgcamError
from vbgcam.live.pairing import How
from vbgcam.mask import Looks
from vbgcam.output import Audience
from vbgcam.policy import Why


@dataclass(slots=True)
class Board:
    """What the workers know of each other. `stop` ends the session; `failure` is why, set before `stop`. The rest is
    written by one worker each, a single reference at a time, so no lock is needed: by capture the camera's trouble,
    `period`, the seconds between two frames, and `filming_since`, when the camera was asked for what it gives now; by
    inference the model's trouble, `paired`, `looks` and `inferring_since`, when the network was given the frame that it
    is at; by the compositor `compose`, the seconds that composing and sending take, `beat`, when its last round began,
    and `audiences`, the newest of which can tell whether anybody reads the output, None while there is no output; by
    the watch `wanted`: somebody does, or nobody can tell."""

    period: float
    paired: How = "newest"
    compose: float = 0.0
    beat: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    camera_trouble: Why | None = None
    model_trouble: Why | None = Why.LOADING
    wanted: threading.Event = field(default_factory=threading.Event)
    audiences: SimpleQueue[Audience | None] = field(default_factory=SimpleQueue)
    inferring_since: float | None = None
    filming_since: float | None = None
    last_problem: VbgcamError | None = None
    looks: Looks | None = None
    source_ended: bool = False

    def fail(self, error: BaseException) -> None:
        """The first failure counts."""
        if self.failure is None:
            self.failure = error
        self.stop.set()
