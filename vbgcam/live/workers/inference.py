"""The inference worker: a network, built and built anew, and what it sees in the newest frame.

One that was chosen while another works is built beside it and looks at one frame before it takes the other's place, so
that masks go on meanwhile. Where it cannot be built, the other one stays.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from vbgcam.core.errors import ModelError, VbgcamError
from vbgcam.core.frames import Prediction, RawFrame
from vbgcam.core.options import MaskOptions, RenderOptions, SyncMode
from vbgcam.core.policy import Why
from vbgcam.live import pace
from vbgcam.live.input_size import InputSizeController, in_words
from vbgcam.live.slots import Slot
from vbgcam.live.state import ChainState
from vbgcam.live.stats import Stats
from vbgcam.live.sync import RESERVE, Pairing, patience
from vbgcam.mask import RoiSegmenter
from vbgcam.mask import warm_up as warm_up_mask
from vbgcam.render.composer import warm_up as warm_up_compose
from vbgcam.segment import Progress, Segmenter

log = logging.getLogger(__name__)

# Times that a network is built anew before a lighter one takes its place.
_BUILDS = 2
# Frames in a row that a network may fail at before it is built anew.
_TROUBLES = 3
# Bytes of a download after which it is told.
_TOLD = 500_000
# Seconds between two looks at whether masks are needed again.
_SLICE = 0.05
_PAIRED = {"exact": "each frame goes out with its own mask", "newest": "each frame takes the newest mask"}


class StopRequested(Exception):  # noqa: N818  # it is no error
    """Breaks off a download when the session ends."""


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Without garbage collection, and what was made meanwhile is never looked through again. While torch is imported,
    half a million objects, the collector stopped all threads for 30 to 130 ms, four or five times; later it would for
    150 ms each time. None of it is garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@dataclass(frozen=True, slots=True)
class Network:
    """What is to be built. `size_auto`: the size of its input follows what the machine can do. `lighter`: builds
    another network where this one fails again and again."""

    name: str
    build: Callable[[Progress], Segmenter]
    lighter: Callable[[Progress], Segmenter] | None = None
    size_auto: bool = False


@dataclass(slots=True)
class Inference:
    """Builds the network, then makes masks of the newest frame, again and again. `unload_after`: seconds without
    anybody watching after which the network's memory is given back. `takes_over`, where another network works: called
    once this one is ready, and says whether it still is to be; until then it touches nothing of the board, and where it
    cannot be had, `stays_out` is told why. `loads` is told what is being loaded, None when that is over. `may_fail`:
    one that cannot be had leaves the cover on air, and does not end the session; it is `lost` then."""

    network: Network
    unload_after: float
    exact: bool
    state: ChainState
    stats: Stats
    frames: Slot[RawFrame]
    masks: Slot[Prediction]
    loads: Callable[[Inference, object], None]
    stays_out: Callable[[Inference, str], None]
    takes_over: Callable[[Inference], bool] | None = None
    may_fail: bool = False
    retired: threading.Event = field(default_factory=threading.Event)
    failures: int = 0
    lost: bool = False
    pairing: Pairing = field(init=False)
    _hindered: str = ""

    def __post_init__(self) -> None:
        self.pairing = Pairing(self._asked())

    def run(self) -> None:
        if self.takes_over is None:
            self._paired()
        try:
            while not self._ended():
                if self._one():
                    self._wait_unloaded()
        except StopRequested:
            return
        except Exception as exc:
            if self.retired.is_set():
                log.debug("a network that is not needed any more has ended", exc_info=True)
            elif self.takes_over is not None:
                error = _as_model_error(exc)
                log.warning("%s (the network stays as it is)", error)
                self.stays_out(self, str(error))
            elif isinstance(exc, ModelError) and self.may_fail:
                self.lost = True
                self._failed(exc)
                log.warning("%s (on the cover until another network is chosen)", exc)
            elif isinstance(exc, VbgcamError):
                self.state.fail(exc)
            else:
                raise
        finally:
            self._unhindered()
            self.loads(self, None)

    def _one(self) -> bool:
        """The life of one network; nothing holds it afterwards. True where nobody has needed it for long."""
        segmenter = self._build()
        if segmenter is None:
            return False
        max_age = self.state.scene.options.max_mask_age
        sizing = InputSizeController(segmenter, max_age) if self.network.size_auto else None
        try:
            if not self._begins(segmenter):
                return False
            return self._infer(segmenter, sizing)
        finally:
            if sizing is not None:
                sizing.end()
            segmenter.close()
            if not self.state.stop.is_set():  # at the end all of it goes anyway, and the session does not wait for long
                if self.takes_over is None and not self.retired.is_set():
                    self.state.looks = None
                self.state.uncollected_network = True
                self._tidy_when_idle()

    def _tidy_when_idle(self) -> None:
        """Gives back what networks that have ended left in circles. It stops all threads for a fifth of a second, so it
        waits until nobody watches."""
        if not self.state.uncollected_network or self.state.wanted.is_set():
            return
        self.state.uncollected_network = False
        # Frozen when it was built, so that no collection would ever find its circles.
        gc.unfreeze()
        gc.collect()
        # What is left is none, and would be looked through again while pictures are on air.
        gc.freeze()

    def _begins(self, segmenter: Segmenter) -> bool:
        """It is built; one that was chosen later has to show that it works, and then takes the other's place. False
        where it is not to any more. Raises what the network does."""
        if self.takes_over is not None:
            frame = self.frames.peek()
            if frame is not None:
                # The first frame takes the longest: libraries choose and compile for its size.
                RoiSegmenter(segmenter, roi=False).predict(frame)
                segmenter.reset()
            if self.retired.is_set() or not self.takes_over(self):
                return False
            self.takes_over = None
            self.stats.another_network()
            self._unhindered()
            self._paired()
        log.info("model: %s on %s", segmenter.name, segmenter.device)
        self.stats.fact(model=segmenter.name, device=segmenter.device, precision=segmenter.precision)
        self.loads(self, None)
        return True

    def _unhindered(self) -> None:
        """What hindered it is no trouble any more; of the network that works, a picture on air says so."""
        self.stats.fixed(self._hindered)

    def _ended(self) -> bool:
        """The session has, or another inference stands in this one's place, which must touch the board no more."""
        return self.state.stop.is_set() or self.retired.is_set()

    def _failed(self, error: VbgcamError) -> None:
        """The cover is on air until a mask comes again."""
        self.state.model_trouble = Why.MODEL
        self.state.last_problem = error
        self.stats.fact(problem=str(error))
        self.masks.clear()

    def _needed(self) -> bool:
        """Whether masks are: not where the room is shown as it is. Waits while they are not."""
        while self.state.scene.options.plain and not self._ended():
            self.state.stop.wait(_SLICE)
        return not self._ended()

    def _build(self) -> Segmenter | None:
        if self.takes_over is None and not self._needed():
            return None
        with without_garbage_collection():
            warm_up_compose()
            warm_up_mask()
        network = self.network
        for wait in itertools.chain(pace.RETRIES[3:], itertools.repeat(pace.RETRIES[-1])):
            if self._ended():
                return None
            try:
                build = network.build
                if self.failures > _BUILDS and network.lighter is not None:
                    log.warning("the network fails again and again: a lighter one takes its place")
                    build = network.lighter
                self.loads(self, {"model": network.name, "done": None, "total": None})
                with without_garbage_collection():
                    return build(self._progress())
            except ModelError as exc:
                if not exc.retry or self.retired.is_set():
                    raise
                if self.takes_over is None:
                    self.state.model_trouble = Why.MODEL
                    self.state.last_problem = exc
                else:
                    self._hindered = str(exc)
                self.stats.fact(problem=str(exc))
                log.warning("%s (%s; trying again in %.0f s)", exc, self._meanwhile(), wait)
                if self.state.stop.wait(wait) or self.retired.is_set():
                    return None
        return None

    def _meanwhile(self) -> str:
        return "on the cover" if self.takes_over is None else "the network stays as it is"

    def _asked(self) -> SyncMode:
        """A source that waits for its reader loses nothing by it."""
        asked = self.state.scene.options.sync
        return "exact" if asked == "auto" and self.exact else asked

    def _infer(self, segmenter: Segmenter, sizing: InputSizeController | None) -> bool:
        """Until the end, or the network has to be built anew (False), or nobody has needed it for long (True)."""
        epoch, troubles = -1, 0
        seen: object = None
        options = self.state.scene.options
        looks = self.state.looks = RoiSegmenter(segmenter, roi=_crops(options.mask))
        used = time.monotonic()
        while not self._ended():
            before, options = options, self.state.scene.options
            if _crops(options.mask) != _crops(before.mask):
                looks = self.state.looks = RoiSegmenter(segmenter, roi=_crops(options.mask))
            if self.pairing.asked != self._asked():
                self.pairing = Pairing(self._asked())
                self._paired()
            frame = self._frame(options, first=epoch < 0)
            if self._ended():
                return False
            if frame is None:
                self._tidy_when_idle()
                if self.state.wanted.is_set() and not options.plain:
                    used = time.monotonic()
                elif time.monotonic() - used > self.unload_after:
                    return True
                continue
            if frame.epoch != epoch:
                looks.reset()
                epoch = frame.epoch
            started = self.state.inferring_since = time.monotonic()
            try:
                mask = looks.predict(frame)
            except Exception as exc:  # whatever a network's library raises: it is as broken as by its own errors
                if self.retired.is_set():
                    return False
                troubles += 1
                if self._hopeless(exc, troubles):
                    return False
                continue
            finally:
                if not self.retired.is_set():
                    self.state.inferring_since = None
            if self.retired.is_set():
                return False
            troubles = self.failures = 0
            self.state.model_trouble = None
            self.masks.put(mask)
            now = time.monotonic()
            self.stats.inferred(now - started)
            if seen != (seen := (segmenter.input, segmenter.device, segmenter.precision)):
                self.stats.fact(input=in_words(seen[0]), device=seen[1], precision=seen[2])
            within = patience(self.state.period, self.state.compose)
            if self.pairing.ready(now - frame.captured_at, within):
                self._paired()
            if sizing is not None:
                sizing.measured(frame.size, now, now - started, self._budget(within))
        return False

    def _frame(self, options: RenderOptions, *, first: bool) -> RawFrame | None:
        """The next one to look at; None where there is none yet, or none is looked at."""
        if options.plain:
            self.state.stop.wait(_SLICE)
            return None
        frame = self.frames.take(0.1)
        if frame is None and first and self.exact:
            # The network before may have taken it, and until it is out its source gives no other.
            return self.frames.peek()
        return frame

    def _hopeless(self, exc: Exception, troubles: int) -> bool:
        """The network failed, `troubles` times in a row. True where it has to be built anew: after a while, for one
        that fails at once must not be built in a circle. Raises the error where that was done too often."""
        self._failed(_as_model_error(exc))
        if troubles == 1:
            log.warning("%s", self.state.last_problem)
        if troubles < _TROUBLES:
            return False
        self.failures += 1
        if self.failures > pace.GIVE_UP:
            raise _as_model_error(exc) from exc
        self.state.stop.wait(pace.RETRIES[min(self.failures, len(pace.RETRIES)) - 1])
        return True

    def _wait_unloaded(self) -> None:
        """Until somebody watches, or the session ends."""
        self.state.model_trouble = Why.LOADING
        self.masks.clear()
        log.info("the network is unloaded: nobody has needed it for %.0f s", self.unload_after)
        while not self._ended() and not self.state.wanted.wait(0.1):
            pass

    def _paired(self) -> None:
        if self.state.paired != self.pairing.holds:
            log.info("pairing: %s", _PAIRED[self.pairing.holds])
        self.state.paired = self.pairing.holds
        self.stats.fact(pairing=self.pairing.holds)

    def _budget(self, within: float) -> float:
        """Seconds in which a mask should be ready: for its own frame, or, where none is waited for, for the next."""
        return RESERVE * (within if self.pairing.asked != "newest" else self.state.period)

    def _progress(self) -> Progress:
        said, told = -1, -_TOLD

        def progress(done: int, total: int) -> None:
            nonlocal said, told
            if self._ended():
                raise StopRequested
            tenth = done * 10 // total if total else 0
            if done - told > _TOLD or done == total:
                told = done
                self.loads(self, {"model": self.network.name, "done": done, "total": total})
            if tenth != said:
                said = tenth
                log.info("fetching the weights: %d of %d MB", done // 10**6, total // 10**6)

        return progress


def _crops(options: MaskOptions) -> bool:
    return options.roi and not options.hard


def _as_model_error(exc: Exception) -> ModelError:
    if isinstance(exc, ModelError):
        return exc
    log.debug("the network failed", exc_info=exc)
    return ModelError(f"the network failed: {' '.join(str(exc).split())[:160] or type(exc).__name__}")
