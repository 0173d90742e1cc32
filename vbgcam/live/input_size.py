"""How large the network's input is. `InputSizePredictor` decides, pure: measured times in, a size out. One
`InputSizeController` for each network carries it out: a helper thread prepares the network for another input while
masks go on with the old one; then the network's owner changes over between two masks.

The largest input whose masks are ready in time (`budget`), because then each frame gets its own mask or one that is one
frame old. Where none is, the one that shows the smallest error, as far as it can be told beforehand:

    error(size, age) = 4 / size + 0.013 * (30 * age) ** 0.7

Both parts are mean |error| over a 640x360 picture of one person, the mean of two clips with known alphas (a man who
talks at a desk, a man who dances). The first is what a true alpha loses on a network's grid of every eighth pixel and
back: .029 at 144 lines, .015 at 256, .0065 at 520. The second is what a true alpha is off after so many seconds: .013
after a frame at 30 a second, .038 after 4, .058 after 8, .084 after 15. A mask that takes t is shown while it is t to
2 t old, 1.5 t in the mean.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import Size
from vbgcam.segment import Segmenter

log = logging.getLogger(__name__)

_BY_SIZE: Final = 4.0
_BY_AGE, _AGE_POWER, _AGE_UNIT = 0.013, 0.7, 1 / 30

_FEWEST: Final = 4  # times before anything is concluded from them; the first after a change, a cold one, is left out
_WINDOW: Final = 30  # times at most: one second at 30 masks a second
_USUAL: Final = 0.75  # the quantile that counts: a spike is not the rule
_MARGIN: Final = 0.85  # of the budget, for a size that is not in use: predictions are off by that much
_PROBE: Final = 1.1  # of the budget, once for the next larger size: what has a fixed cost is guessed too high
_GAIN: Final = 0.85  # of the present error, for a change where nothing fits
_STEADY: Final = 10.0  # seconds that something better must look better before it is tried
_LONGEST_STEADY: Final = 640.0
_YOUNG: Final = 0.5  # seconds: an older mask is believed, but of somebody who moves it shows ever less
_SHORT_STAY: Final = 60.0  # seconds: a size that had to be left sooner is tried half as often
_FARTHEST: Final = 4.0  # times: a measured cost is trusted this far from what the pixels say


def error(size: int, seconds: float) -> float:
    """The mean error that is to be expected of an input with that short side whose masks take so long and are not in
    time for their own frames."""
    return _BY_SIZE / size + _BY_AGE * math.pow(1.5 * seconds / _AGE_UNIT, _AGE_POWER)


class InputSizePredictor:
    """`size`: the short side in use; `sizes`: those that can be prepared. Whoever owns the network reports each change
    with `changed` and each time with `measured`, which says what the size should be. Costs are taken to grow with the
    pixels until they are measured.

    At the start (`settled` is False) it goes where the prediction says at once; later down at once, up only after what
    is better has looked so for ten seconds."""

    def __init__(self, sizes: Sequence[int], size: int, max_age: float) -> None:
        """`sizes`: ascending, not empty; `size`: the one in use, one of them or not. `max_age`: seconds."""
        self.size = size
        self.settled = False
        self.sizes = tuple(sizes)
        self._max_age = max_age
        self._times: deque[float] = deque(maxlen=_WINDOW)
        self._cold = 1
        self._costs: dict[int, float] = {}
        self._unit_seconds: float | None = None  # seconds for a unit of cost when the size before was left
        self._better_since: float | None = None
        self._steady = _STEADY
        self._entered = -math.inf

    @property
    def usual(self) -> float | None:
        """Seconds that a mask takes at `size`; None while too few were measured."""
        if len(self._times) < _FEWEST:
            return None
        return sorted(self._times)[int(_USUAL * (len(self._times) - 1))]

    def measured(self, now: float, seconds: float, budget: float) -> int:
        """A mask at `size` took so long, `budget` being the time in which it should be ready; `now` grows from call to
        call. The size that should be prepared and used: `size` where all is well."""
        if self._cold:
            self._cold -= 1
            return self.size
        self._times.append(seconds)
        usual = self.usual
        if usual is None or not self.sizes:
            return self.size
        self._learn(usual)
        best = self._best(usual, budget)
        if best == self.size or (not self.settled and best > self.size and best in self._costs):
            self.settled = True
            self._better_since = None
            return self.size
        if not self.settled:
            return best
        late = usual > budget and self.predicted(best, usual) <= budget
        if best < self.size and (late or 2 * usual > self._max_age):
            return best
        if not late and not self._worth_it(best, usual, budget):
            self._better_since = None
            return self.size
        if self._better_since is None:
            self._better_since = now
        return best if now - self._better_since >= self._steady else self.size

    def predicted(self, size: int, usual: float) -> float:
        """Seconds of a mask at that size, `usual` being what one takes at the present size."""
        return usual * self._cost(size) / self._cost(self.size)

    def changed(self, now: float, size: int) -> None:
        """From now on the network runs at `size`."""
        usual = self.usual
        if usual is not None:
            self._unit_seconds = usual / self._cost(self.size)
        if size < self.size and self.settled:
            short = now - self._entered < _SHORT_STAY
            self._steady = min(_LONGEST_STEADY, 2 * self._steady) if short else _STEADY
        self.size, self._entered, self._better_since = size, now, None
        self._times.clear()
        self._cold = 1

    def failed(self, size: int) -> None:
        """That size cannot be prepared: it and all larger ones are not asked for again."""
        self.sizes = tuple(known for known in self.sizes if known < size)

    def _cost(self, size: int) -> float:
        """In pixels of a square input: of that size, or of the nearest that was measured, times the pixels."""
        if not self._costs:
            return float(size * size)
        near = min(self._costs, key=lambda known: abs(math.log(known / size)))
        return self._costs[near] * (size / near) ** 2

    def _learn(self, usual: float) -> None:
        """What a size costs beside others is learned while its times are few, and near in time to those of the size
        before; later times tell how fast the machine is at the moment."""
        if len(self._times) == _WINDOW and self.size in self._costs:
            return
        guess = self._cost(self.size)
        if self._unit_seconds is None:
            self._costs[self.size] = guess
            return
        pixels = float(self.size * self.size)
        cost = min(max(usual / self._unit_seconds, pixels / _FARTHEST), pixels * _FARTHEST)
        self._costs[self.size] = cost

    def _best(self, usual: float, budget: float) -> int:
        times = {size: self.predicted(size, usual) for size in {*self.sizes, self.size}}
        fitting = [s for s, seconds in times.items() if seconds <= (budget if s == self.size else _MARGIN * budget)]
        if fitting:
            best = max(fitting)
            above = min((s for s in self.sizes if s > best), default=best)
            untried = best == self.size and above not in self._costs
            return above if untried and times.get(above, 0.0) <= _PROBE * budget else best
        young = [s for s, seconds in times.items() if 2 * seconds <= self._max_age] or [min(times)]
        return min(young, key=lambda s: error(s, times[s]))

    def _worth_it(self, best: int, usual: float, budget: float) -> bool:
        seconds = self.predicted(best, usual)
        if best not in self._costs and seconds <= _PROBE * budget:
            return True
        return seconds <= budget or error(best, seconds) <= _GAIN * error(self.size, usual)


def in_words(size: Size | None) -> str:
    """A network's input as its makers write it, height first: "288x512"; "" where there is none."""
    return "" if size is None else f"{size.height}x{size.width}"


class InputSizeController:
    """One network's. Used by the thread that owns it, and ended by that thread before the network is closed."""

    def __init__(self, segmenter: Segmenter, max_age: float) -> None:
        """`max_age`: seconds that a mask may be old; masks are kept younger than that, and than half a second."""
        self._segmenter = segmenter
        self._max_age = min(max_age, _YOUNG)
        self._predictor: InputSizePredictor | None = None
        self._helper: _Helper | None = None
        self._said = ""

    def measured(self, frame: Size, now: float, seconds: float, budget: float) -> None:
        """A mask of a frame of that size took so long; `budget`: seconds in which it should be ready."""
        used = self._segmenter.input
        if used is None:
            return
        if self._predictor is None:
            sizes = self._segmenter.sizes(frame)
            if not sizes:
                return
            self._predictor = InputSizePredictor(sizes, _nearest(sizes, used), self._max_age)
        point = self._predictor
        if _nearest((*point.sizes, point.size), used) < point.size:
            # It ran out of memory, and went back to a smaller input by itself.
            point.failed(point.size)
            point.changed(now, _nearest(point.sizes, used))
        if self._helper is not None:
            if not self._helper.is_alive():
                self._change_over(point, self._helper, now)
            return
        wanted = point.measured(now, seconds, budget)
        if wanted != point.size:
            self._helper = _Helper(self._segmenter, wanted)
            self._helper.start()
        elif point.usual is not None and point.settled:
            self._say(used, point.usual)

    def end(self) -> None:
        """Waits until no other thread uses the network."""
        if self._helper is not None:
            self._helper.join()

    def _change_over(self, point: InputSizePredictor, helper: _Helper, now: float) -> None:
        self._helper = None
        if isinstance(helper.failure, ModelError):
            log.warning("%s (the network's input stays as it is)", helper.failure)
            point.failed(helper.size)
            return
        if helper.failure is not None:
            raise helper.failure
        self._segmenter.resize(helper.size)
        point.changed(now, helper.size)

    def _say(self, used: Size, usual: float) -> None:
        if self._said.partition(",")[0] == in_words(used):
            return
        was = f" (was {self._said})" if self._said else ""
        self._said = f"{in_words(used)}, {usual * 1000:.0f} ms"
        log.info("working point: input %s a mask%s", self._said, was)


class _Helper(threading.Thread):
    """Prepares one size. `failure`, once it has ended: what went wrong, if anything did."""

    def __init__(self, segmenter: Segmenter, size: int) -> None:
        super().__init__(name="input size", daemon=True)
        self.size = size
        self.failure: BaseException | None = None
        self._segmenter = segmenter

    def run(self) -> None:
        try:
            self._segmenter.prepare(self.size)
        except BaseException as exc:  # whatever it is, the network's owner has to know
            self.failure = exc


def _nearest(sizes: tuple[int, ...], used: Size) -> int:
    short = min(used.width, used.height)
    return min(sizes, key=lambda size: abs(size - short))
