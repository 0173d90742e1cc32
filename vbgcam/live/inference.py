"""The inference worker: a network, built and built anew, and what it sees in the newest frame."""

from __future__ import annotations

import contextlib
import gc
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from vbgcam.compose import warm_up as warm_up_compose
from vbgcam.errors import ModelError, VbgcamError
from vbgcam.frames import RawFrame, Sighting
from vbgcam.live import pace
from vbgcam.live.board import Board
from vbgcam.live.pairing import RESERVE, Pairing, patience
from vbgcam.live.sizing import Sizing, in_words
from vbgcam.live.slots import Slot
from vbgcam.live.stats import Stats
from vbgcam.mask import Looks
from vbgcam.mask import warm_up as warm_up_mask
from vbgcam.policy import Why
from vbgcam.segment import Progress, Segmenter

log = logging.getLogger(__name__)

# Times that a network is built anew before a lighter one takes its place.
_BUILDS = 2
_PAIRED = {"exact": "each frame goes out with its own mask", "newest": "each frame takes the newest mask"}


class Stopped(Exception):  # noqa: N818  # it is no error
    """Breaks off a download when the session ends."""


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection, and what was made meanwhile is never looked through again. While torch is imported,
    half a million objects, the collector stopped all threads for 30 to 130 ms, four or five times; later it would for
    150 ms each time. None of it is garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@dataclass(slots=True)
class Inference:
    """Builds the network, then makes masks of the newest frame, again and again. `size_auto`: the size of its input
    follows what the machine can do. `lighter`: builds another network where this one fails again and again.
    `unload_after`: seconds without anybody watching after which the network's memory is given back."""

    build: Callable[[Progress], Segmenter]
    lighter: Callable[[Progress], Segmenter] | None
    unload_after: float
    crop: bool
    pairing: Pairing
    size_auto: bool
    max_age: float
    board: Board
    stats: Stats
    frames: Slot[RawFrame]
    masks: Slot[Sighting]
    retired: threading.Event = field(default_factory=threading.Event)
    failures: int = 0

    def run(self) -> None:
        self._paired()
        try:
            while not self._ended():
                if self._one():
                    self._wait_unloaded()
        except Stopped:
            return
        except Exception as exc:
            if self.retired.is_set():
                log.debug("a network that had hung has ended", exc_info=True)
            elif isinstance(exc, VbgcamError):
                self.board.fail(exc)
            else:
                raise

    def _one(self) -> bool:
        """The life of one network; nothing holds it afterwards. True where nobody has needed it for long."""
        segmenter = self._build()
        if segmenter is None:
            return False
        sizing = Sizing(segmenter, self.max_age) if self.size_auto else None
        try:
            return self._infer(segmenter, sizing)
        finally:
            if sizing is not None:
                sizing.end()
            segmenter.close()
            if not self._ended():  # at the end all of it goes anyway, and the session does not wait for long
                self.board.looks = None
                # Frozen when it was built, so that no collection would ever find its circles.
                gc.unfreeze()
                gc.collect()

    def _ended(self) -> bool:
        """The session has, or another inference stands in this one's place, which must touch the board no more."""
        return self.board.stop.is_set() or self.retired.is_set()

    def _failed(self, error: VbgcamError) -> None:
        """The cover is on air until a mask comes again."""
        self.board.model_trouble = Why.MODEL
        self.board.last_problem = error
        self.stats.fact(problem=str(error))
        self.masks.clear()

    def _build(self) -> Segmenter | None:
        with uncollected():
            warm_up_compose()
            warm_up_mask()
        for wait in itertools.chain(pace.RETRIES[3:], itertools.repeat(pace.RETRIES[-1])):
            try:
                build = self.build
                if self.failures > _BUILDS and self.lighter is not None:
                    log.warning("the network fails again and again: a lighter one takes its place")
                    build = self.lighter
                with uncollected():
                    segmenter = build(self._progress())
            except ModelError as exc:
                if not exc.retry:
                    raise
                self.board.model_trouble = Why.MODEL
                self.board.last_problem = exc
                self.stats.fact(problem=str(exc))
                log.warning("%s (on the cover; trying again in %.0f s)", exc, wait)
                if self.board.stop.wait(wait):
                    return None
                continue
            log.info("model: %s on %s", segmenter.name, segmenter.device)
            self.stats.fact(model=segmenter.name, device=segmenter.device, precision=segmenter.precision)
            return segmenter
        return None

    def _infer(self, segmenter: Segmenter, sizing: Sizing | None) -> bool:
        """Until the end, or the network has to be built anew (False), or nobody has needed it for long (True)."""
        epoch, troubles = -1, 0
        seen: object = None
        looks = self.board.looks = Looks(segmenter, crop=self.crop)
        used = time.monotonic()
        while not self._ended():
            frame = self.frames.take(0.1)
            if frame is None:
                if self.board.wanted.is_set():
                    used = time.monotonic()
                elif time.monotonic() - used > self.unload_after:
                    return True
                continue
            if frame.epoch != epoch:
                looks.reset()
                epoch = frame.epoch
            started = self.board.inferring_since = time.monotonic()
            try:
                mask = looks.sight(frame)
            except Exception as exc:  # whatever a network's library raises: it is as broken as by its own errors
                if self.retired.is_set():
                    return False
                self._failed(_as_model_error(exc))
                troubles += 1
                if troubles == 1:
                    log.warning("%s", self.board.last_problem)
                if troubles == 3:
                    # Built anew, after a while: one that fails at once must not be built in a circle.
                    self.failures += 1
                    if self.failures > pace.GIVE_UP:
                        raise _as_model_error(exc) from exc
                    self.board.stop.wait(pace.RETRIES[min(self.failures, len(pace.RETRIES)) - 1])
                    return False
                continue
            finally:
                if not self.retired.is_set():
                    self.board.inferring_since = None
            if self.retired.is_set():
                return False
            troubles = self.failures = 0
            self.board.model_trouble = None
            self.masks.put(mask)
            now = time.monotonic()
            self.stats.inferred(now - started)
            if seen != (seen := (segmenter.input, segmenter.device, segmenter.precision)):
                device, precision = segmenter.device, segmenter.precision
                self.stats.fact(input=in_words(segmenter.input), device=device, precision=precision)
            within = patience(self.board.period, self.board.compose)
            if self.pairing.ready(now - frame.captured_at, within):
                self._paired()
            if sizing is not None:
                sizing.measured(frame.size, now, now - started, self._budget(within))
        return False

    def _wait_unloaded(self) -> None:
        """Until somebody watches, or the session ends."""
        self.board.model_trouble = Why.LOADING
        self.masks.clear()
        log.info("the network is unloaded: nobody has been watching for %.0f s", self.unload_after)
        while not self._ended() and not self.board.wanted.wait(0.1):
            pass

    def _paired(self) -> None:
        if self.board.paired != self.pairing.holds:
            log.info("pairing: %s", _PAIRED[self.pairing.holds])
        self.board.paired = self.pairing.holds
        self.stats.fact(pairing=self.pairing.holds)

    def _budget(self, within: float) -> float:
        """Seconds in which a mask should be ready: for its own frame, or, where none is waited for, for the next."""
        return RESERVE * (within if self.pairing.asked != "newest" else self.board.period)

    def _progress(self) -> Progress:
        said = -1

        def progress(done: int, total: int) -> None:
            nonlocal said
            if self.board.stop.is_set():
                raise Stopped
            tenth = done * 10 // total if total else 0
            if tenth != said:
                said = tenth
                log.info("fetching the weights: %d of %d MB", done // 10**6, total // 10**6)

        return progress


def _as_model_error(exc: Exception) -> ModelError:
    if isinstance(exc, ModelError):
        return exc
    log.debug("the network failed", exc_info=exc)
    return ModelError(f"the network failed: {' '.join(str(exc).split())[:160] or type(exc).__name__}")
