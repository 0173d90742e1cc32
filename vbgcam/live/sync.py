"""Whether a frame waits for its own mask. Pure: measured times in, a decision out; no clock, no thread, no pixels.

    exact    the frame goes out with the mask that was made from it, late by the network's time; where that is not there
             when the frame's patience ends, with the newest one
    newest   the frame goes out at once with the newest mask

A mask that is one frame old costs .025 mean error for a man who dances, as much as a network's input of 144 lines costs
against one without end (see `input_size`). So masks that can be had in time are waited for.
"""

import math
from collections import deque
from typing import Final, Literal

from vbgcam.core.options import SyncMode

Sync = Literal["exact", "newest"]
"""How frames and masks are paired."""

LONGEST: Final = 0.045
"""Seconds of added delay that still count as good lip sync (ITU-R BT.1359)."""

RESERVE: Final = 0.9
"""Of the patience, what must do for a network that is to be waited for, so that noise alone changes nothing."""

_SHARE: Final = 0.8  # of a period: what is left covers the jitter of a camera's arrivals
_WINDOW: Final = 30  # masks, a second of camera
_LATE: Final = 3  # of them may come too late, a tenth
_SHORT_STAY: Final = 1800  # masks: who leaves sooner than that has to show twice as many good ones before the next try
_MOST_GOOD: Final = 960


def patience(period: float, compose: float) -> float:
    """Seconds after its capture until which a frame may wait for its mask, so that it goes out before the next one is
    due. `period`: between two frames; `compose`: what composing and sending take. Never more than `LONGEST`."""
    return max(0.0, min(LONGEST, _SHARE * period - compose))


class Synchronizer:
    """`mode`: how frames and masks are paired now. "auto" begins with "newest", and changes to "exact" when nine of
    ten masks of the last second came well within the patience; back when more than a tenth came too late. A network
    on the edge would change all the time: after each short stay twice as many good masks are asked for."""

    def __init__(self, asked: SyncMode) -> None:
        """`asked`: the setting."""
        self.mode: Sync = "exact" if asked == "exact" else "newest"
        self.asked: Final = asked
        self._auto = asked == "auto"
        self._ready: deque[float] = deque(maxlen=_WINDOW)
        self._good = 0
        self._needed = 1
        self._stayed = 0

    def ready(self, seconds: float, within: float) -> bool:
        """A mask was ready so many seconds after its frame's capture, `within` being the patience. True where `mode`
        has changed. What is not a number was not in time."""
        if not self._auto:
            return False
        self._ready.append(seconds if math.isfinite(seconds) else math.inf)
        self._stayed += 1
        if self.mode == "exact":
            if self._later_than(within) <= _LATE:
                return False
            self._needed = min(_MOST_GOOD, 2 * self._needed + _WINDOW) if self._stayed < _SHORT_STAY else 1
            return self._change("newest")
        good = len(self._ready) == _WINDOW and self._later_than(RESERVE * within) <= _LATE
        self._good = self._good + 1 if good else 0
        return self._good >= self._needed and self._change("exact")

    def _later_than(self, seconds: float) -> int:
        return sum(not ready <= seconds for ready in self._ready)

    def _change(self, mode: Sync) -> bool:
        self.mode, self._good, self._stayed = mode, 0, 0
        self._ready.clear()
        return True
