"""What goes out now: pure decisions from ages, epochs and state. No clocks, no threads, no pixels.

The rule: a frame is shown only together with a mask of the same epoch that is young enough and of which enough still
fits the frame; in every other case the cover goes out, and the reason is said. Where masks are late, person and cover
do not alternate (`Hysteresis`).
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vbgcam.core.frames import Doubt, Prediction, RawFrame

ROOM_VISIBLE: Final = "your room is visible"
"""What is said in place of a `Why` while the room as it is (`RenderOptions.plain`) is on air."""


class Why(StrEnum):
    """Why the cover is on air, in the words of the status line."""

    STARTING = "waiting for the first camera frame"
    CAMERA = "the camera gives no frames"
    LOADING = "the model is loading"
    MODEL = "the model failed"
    NO_MASK = "waiting for the first mask"
    SETTLING = "looking for you in the first frames"
    NETWORK = "the network takes your room for a person"
    OTHER_EPOCH = "the mask belongs to an earlier opening of the camera"
    OTHER_SIZE = "the mask has another size than the frame"
    MASK_AGE = "the newest mask is too old"
    FRAME_AGE = "the newest frame is too old"
    NEW_SCENE = "waiting for the first mask of a new scene"
    TOO_FAR = "too much has moved since the newest mask"
    IDLE = "nobody is watching"
    OUTPUT = "the output takes no frames"
    PAUSED = "paused"
    ERROR = "a step failed"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the workers know: the newest frame, and what the network made of it or of an earlier one. `trouble` is the
    reason that a worker gives while it cannot work."""

    frame: RawFrame | None
    mask: Prediction | None
    trouble: Why | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Cover:
    """The background alone goes out."""

    why: Why


@dataclass(frozen=True, slots=True)
class Compose:
    """The frame goes out, with the mask that is made of the prediction."""

    frame: RawFrame
    mask: Prediction


Decision = Cover | Compose

_DOUBTS: Final = {Doubt.START: Why.SETTLING, Doubt.NETWORK: Why.NETWORK}


def decide(situation: Situation, now: float, max_mask_age: float, max_frame_age: float) -> Decision:
    """All in seconds; `now` on the clock that stamped the frame. The limits: see `options.RenderOptions`. A mask that
    is newer than its frame (the camera's newest frame is not always the one that is composed) has age 0."""
    frame, mask = situation.frame, situation.mask
    if situation.paused:
        return Cover(Why.PAUSED)
    if situation.trouble is not None:
        return Cover(situation.trouble)
    if frame is None:
        return Cover(Why.STARTING)
    if not now - frame.captured_at <= max_frame_age:  # "not <=": a NaN is no permission
        return Cover(Why.FRAME_AGE)
    if mask is None:
        return Cover(Why.NO_MASK)
    if mask.epoch != frame.epoch:
        return Cover(Why.OTHER_EPOCH)
    if mask.frame.size != frame.size:
        return Cover(Why.OTHER_SIZE)
    if not frame.captured_at - mask.captured_at <= max_mask_age:
        return Cover(Why.MASK_AGE)
    if mask.doubt is not None:
        return Cover(_DOUBTS[mask.doubt])
    return Compose(frame, mask)


LATE: Final = (Why.MASK_AGE, Why.TOO_FAR)
"""Why the cover is on air where masks are late."""

# Who is hidden for one of these is not shown again at once.
_HELD: Final = (*LATE, Why.NETWORK)
# Of the person: with less than the first, heads are missing on the clips of people who move; with the second, hands and
# elbows.
_LEAST: Final = 0.4
_ENOUGH: Final = 0.6
# Seconds between two changes. Who is hidden again before four times as long waits thrice as long, up to the longest: on
# a machine that is too slow, ten changes in two minutes.
_WAIT: Final = 2.0
_AGAIN: Final = 4
_LONGEST: Final = 32.0
# Seconds that somebody takes to come in.
_COMING: Final = 1.0


class Hysteresis:
    """Keeps person and cover from alternating where masks are late. One thread's."""

    def __init__(self) -> None:
        self._free_until = -math.inf
        self._forget()

    def _forget(self) -> None:
        self._why: Why | None = None
        self._changed_at, self._wait = -math.inf, _WAIT

    def settle(self, now: float, why: Why | None, kept: float | None) -> Why | None:
        """Why the cover goes out, None where the frame does. `why`: why it must; None where there is a mask to show.
        `kept`: of that, how much of the person is shown (`MaskTracker.kept`), None where nobody is there: who comes is
        shown at once. `now`: seconds."""
        if (why is None and kept is None) or why not in (None, *_HELD):
            self._forget()
            self._free_until = now + _COMING
            return why
        passed, free = now - self._changed_at, now < self._free_until
        if why is None and kept is not None:
            if self._why is None and kept < _LEAST and (free or passed >= _WAIT):
                why = Why.TOO_FAR
            elif self._why is not None and (kept < _ENOUGH or not (free or passed >= self._wait)):
                why = self._why
        if (why is None) != (self._why is None):
            if why is not None:
                self._wait = min(3 * self._wait, _LONGEST) if passed < _AGAIN * self._wait else _WAIT
            self._changed_at = now
        self._why = why
        return why


# Seconds that somebody was hidden, of the last so many: less is a spike of load. In that time something else than what
# works now has shown what it can do.
_HIDDEN: Final = 5.0
_OF: Final = 20.0


class TooSlow:
    """Tells when masks have been late for so long that something lighter has to make them. One thread's."""

    def __init__(self) -> None:
        self._hidden: deque[tuple[float, float]] = deque()
        self._since: float | None = None
        self._not_before = -math.inf

    def restart(self) -> None:
        """What was before says nothing of what makes the masks from now on."""
        self._hidden.clear()
        self._since = None

    def seen(self, now: float, hidden: bool) -> bool:
        """To be called several times a second. `now`: seconds; `hidden`: whether the cover is on air because masks are
        late. True where something has to be done: it counts as done, and there are 20 seconds until the next time."""
        if self._since is not None:
            self._hidden.append((self._since, now))
        self._since = now if hidden else None
        while self._hidden and self._hidden[0][1] <= now - _OF:
            self._hidden.popleft()
        long = sum(end - max(start, now - _OF) for start, end in self._hidden)
        if not hidden or long < _HIDDEN or now < self._not_before:
            return False
        self.restart()
        self._not_before = now + _OF
        return True
