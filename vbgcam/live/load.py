"""How much is done for each frame, by what this machine does in time: the levels of `mask.preset = "auto"`. Pure: times
in, a level out; no clock, no thread, no pixels.

A frame that was dropped, or went out later than the next one came, is one that waited: three in a second and less is
done from then on. More is tried again when composing took less than two fifths of the time between frames and none
waited, for ten seconds at first; each time that this proved too much the wait is twice as long.
"""

import math
from dataclasses import dataclass
from typing import Final

# Frames, a second of camera, and how many of them may have waited.
_WINDOW: Final = 30
_WAITED: Final = 2
# Of the time between two frames, what composing one may take before more is tried.
_SPARE: Final = 0.4
_WAIT_S: Final = 10.0
_LONGEST_S: Final = 600.0


@dataclass(slots=True)
class Load:
    """`levels`: how many there are; `level`: 0 is the most. The compositor's."""

    levels: int
    level: int = 0
    _wait: float = _WAIT_S
    _rose_at: float = -math.inf
    _calm_since: float = 0.0
    _frames: int = 0
    _busy: float = 0.0
    _waited: int = 0

    def frame(self, now: float, busy: float, waited: int) -> bool:
        """A frame went out. `busy`: what composing it took, of the time between two frames. `waited`: of it and those
        dropped before it, how many came too late. True where the level has changed."""
        self._frames += 1
        self._busy += busy
        self._waited += waited
        if self._waited > _WAITED:
            return self._less(now)
        if self._frames < _WINDOW:
            return False
        spare = self._busy < _SPARE * self._frames and not self._waited
        self._calm_since = self._calm_since if spare else now
        self._frames, self._busy, self._waited = 0, 0.0, 0
        return self.level > 0 and now - self._calm_since >= self._wait and self._more(now)

    def _less(self, now: float) -> bool:
        if now - self._rose_at < self._wait:
            self._wait = min(_LONGEST_S, 2 * self._wait)
        self._rose_at = -math.inf
        self._begin(now)
        self.level, before = min(self.levels - 1, self.level + 1), self.level
        return self.level != before

    def _more(self, now: float) -> bool:
        self.level -= 1
        self._rose_at = now
        self._begin(now)
        return True

    def _begin(self, now: float) -> None:
        """A window, and the wait for more."""
        self._frames, self._busy, self._waited = 0, 0.0, 0
        self._calm_since = now
