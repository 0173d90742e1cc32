"""The inference worker: a network, built and built anew, and what it predicts for the newest frame.

One that was chosen while another works is built beside it and looks at one frame before it takes the other's place, so
that masks go on meanwhile. Where it cannot be built, the other one stays.
"""

import gc
import logging
import math
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from vbgcam.core.errors import ModelError, VbgcamError
from vbgcam.core.frames import RawFrame
from vbgcam.core.options import MaskOptions, SyncMode
from vbgcam.core.policy import Why
from vbgcam.core.text import megabytes
from vbgcam.live import pace
from vbgcam.live.input_size import InputSizeController, in_words
from vbgcam.live.plan import Network, Plan
from vbgcam.live.state import ChainState, NetworkState
from vbgcam.live.stats import Stats
from vbgcam.live.sync import RESERVE, Synchronizer, patience
from vbgcam.mask import Looks, NetworkGuard, RoiSegmenter, warm_up
from vbgcam.segment import Progress, Segmenter
from vbgcam.system.process_wide import ProcessWide

log = logging.getLogger(__name__)

# Times that a network is built anew before a lighter one takes its place.
_BUILDS = 2
# Frames in a row that a network may fail at before it is built anew.
_FAILURES_IN_A_ROW = 3
# Bytes of a download after which it is reported.
_REPORTED = 500_000
_SYNC_IN_WORDS = {"exact": "each frame goes out with its own mask", "newest": "each frame takes the newest mask"}


class StopRequested(Exception):  # noqa: N818  # it is no error
    """Breaks off a download when the session ends."""


def _collect_or_not(holders: Collection[None]) -> None:
    if holders:
        gc.disable()
    else:
        gc.freeze()
        gc.enable()


# While held no garbage is collected, and what was made meanwhile is never looked through again. While torch is
# imported, half a million objects, the collector stopped all threads for 30 to 130 ms, four or five times; later it
# would for 150 ms each time. None of it is garbage.
garbage_collection_paused: Final = ProcessWide(_collect_or_not)


def loading_of(network: Network) -> dict[str, object]:
    """The fact `loading` before a byte was asked for."""
    return {"model": network.name, "done": None, "total": None, "host": ""}


class Owner(Protocol):
    """Who knows which network counts; any of their threads may call it."""

    def take_over(self, inference: "Inference") -> bool:
        """A candidate is ready. Whether it is still the one that was chosen last: then it counts from now on."""

    def refuse(self, inference: "Inference", error: str) -> None:
        """A candidate was chosen, and cannot be had."""

    def report_loading(self, inference: "Inference", loading: object) -> None:
        """What is being loaded; None when that is over."""

    def report(self, inference: "Inference", error: VbgcamError | None = None, **facts: object) -> None:
        """What the figures are to say, and the error that brings the cover, where this network counts."""


@dataclass(slots=True)
class Inference:
    """Builds the network, then predicts the newest frame's mask, again and again. Its thread alone writes `own` and all
    other fields but `retired`, which the owner sets, once and for good, when another one has taken its place.

    `candidate`: another network works until this one is ready. `lost`: it cannot be had, and the session goes on.
    `thread`: the identity of its thread, once that runs. `cancelled`, `hurried`: the owner's wishes, see `cancel` and
    `hurry`."""

    network: Network
    owner: Owner
    plan: Plan
    state: ChainState
    own: NetworkState
    stats: Stats
    candidate: bool = False
    retired: bool = False
    lost: bool = False
    thread: int = 0
    cancelled: bool = False
    hurried: bool = False
    _builds_failed: int = 0
    _hindered: str = ""
    _rests_until: float = 0.0
    _sync: Synchronizer = field(init=False)

    def __post_init__(self) -> None:
        self._sync = Synchronizer(self._sync_mode())

    def retire(self) -> None:
        """Another one has taken its place: it takes no frame any more, and ends. Any thread."""
        self.retired = True
        self.state.wake()

    def cancel(self) -> None:
        """Ends a download that is under way, as if it could not be had. Any thread."""
        self.cancelled = True

    def hurry(self) -> None:
        """Does not wait any longer before it tries again. Any thread."""
        self.hurried = True
        self.state.wake()

    def run(self) -> None:
        """The worker, until the session ends, it is retired or its network cannot be had."""
        self.thread = threading.get_ident()
        if not self.candidate:
            self._apply_sync()
        try:
            while not self._ended():
                if self._life_of_one():
                    self._wait_unloaded()
        except StopRequested:
            return
        except Exception as exc:
            if self.retired:
                log.debug("a network that is not needed any more has ended", exc_info=True)
            elif self.candidate:
                error = _as_model_error(exc)
                log.warning("%s (the network stays as it is)", error)
                self.owner.refuse(self, str(error))
            elif isinstance(exc, ModelError) and (self.plan.waits or self.cancelled):
                self.lost = True
                self._not_had(exc)
                log.warning("%s (hidden until another network is chosen)", exc)
            elif isinstance(exc, VbgcamError):
                self.state.fail(exc)
            else:
                raise
        finally:
            self.own.call = None
            self.stats.fixed(self._hindered)
            self.owner.report_loading(self, None)

    def _life_of_one(self) -> bool:
        """The life of one network; nothing holds it afterwards. True where nobody has needed it for long."""
        segmenter = self._build()
        if segmenter is None:
            return False
        max_age = self.state.scene.options.max_mask_age
        input_size = InputSizeController(segmenter, max_age) if self.network.size_auto else None
        try:
            return self._begins(segmenter) and self._infer(segmenter, input_size)
        finally:
            if input_size is not None:
                input_size.end()
            segmenter.close()
            self.own.roi = None
            if not self.state.stop.is_set():  # at the end all of it goes anyway, and the session does not wait for long
                self.state.garbage.set()
                self._collect_garbage()

    def _collect_garbage(self) -> None:
        """Gives back what networks that have ended left in circles. It stops all threads for a fifth of a second, so it
        waits until nobody watches."""
        if not self.state.garbage.is_set() or self.state.demand.on:
            return
        self.state.garbage.clear()
        # Frozen when it was built, so that no collection would ever find its circles.
        gc.unfreeze()
        gc.collect()
        # What is left is none, and would be looked through again while pictures are on air.
        gc.freeze()

    def _begins(self, segmenter: Segmenter) -> bool:
        """It is built; a candidate has to show that it works, and then takes the other's place. False where it is not
        to any more. Raises what the network does."""
        if self.candidate:
            frame = self.state.to_segment.peek()
            if frame is not None:
                # The first frame takes the longest: libraries choose and compile for its size.
                self.own.call = time.monotonic(), pace.FRAME_HUNG
                RoiSegmenter(segmenter, roi=False).predict(frame)
                segmenter.reset()
                self.own.call = None
            if self.retired or not self.owner.take_over(self):
                return False
            self.candidate = False
            self.stats.another_network()
            self.stats.fixed(self._hindered)
            self._apply_sync()
        log.info("model: %s on %s", segmenter.name, segmenter.device)
        self.owner.report(
            self,
            model=segmenter.name,
            model_why=segmenter.why,
            model_problem="",
            device=segmenter.device,
            precision=segmenter.precision,
        )
        self.owner.report_loading(self, None)
        return True

    def _ended(self) -> bool:
        return self.state.stop.is_set() or self.retired

    def _failed(self, error: VbgcamError) -> None:
        """The cover is on air until a mask comes again."""
        self.own.trouble = Why.MODEL
        self.own.predictions.clear()
        self.owner.report(self, error, problem=str(error))

    def _not_had(self, error: VbgcamError) -> None:
        """It could not be built: nothing is being loaded, and what can be done is up to a person."""
        self._failed(error)
        self.owner.report(self, model_problem=str(error))
        self.owner.report_loading(self, None)

    def _needed(self) -> bool:
        """Whether masks are: while the camera is to be on, and the room is not shown as it is."""
        return self.state.demand.on and not self.state.scene.options.plain

    def _build(self) -> Segmenter | None:
        """The first one is built although nobody watches yet, but not where the room is shown as it is."""
        if not self.candidate:
            self.state.wait(lambda: self.retired or not self.state.scene.options.plain)
        with garbage_collection_paused.hold(None):
            warm_up()
        for wait in pace.retries(3):
            if self._ended():
                return None
            try:
                return self._build_now()
            except ModelError as exc:
                if not exc.retry or self.retired:
                    raise
                if self.candidate:
                    self._hindered = str(exc)
                    self.stats.fact(problem=str(exc))
                else:
                    self._not_had(exc)
                meanwhile = "the network stays as it is" if self.candidate else "hidden"
                log.warning("%s (%s; trying again in %.0f s)", exc, meanwhile, wait)
                self.hurried = False
                self.state.wait(lambda: self.retired or self.hurried, wait)
            finally:
                self.own.call = None
        return None

    def _build_now(self) -> Segmenter:
        build = self.network.build
        if self._builds_failed > _BUILDS and self.network.lighter is not None:
            log.warning("the network fails again and again: a lighter one takes its place")
            build = self.network.lighter
        self.owner.report_loading(self, loading_of(self.network))
        self.own.call = time.monotonic(), pace.BUILD_HUNG
        with garbage_collection_paused.hold(None):
            return build(self._progress())

    def _sync_mode(self) -> SyncMode:
        """A source that waits for its reader loses nothing by it."""
        mode = self.state.scene.options.sync
        return "exact" if mode == "auto" and not self.plan.clocked else mode

    def _infer(self, segmenter: Segmenter, input_size: InputSizeController | None) -> bool:
        """Until the end, or the network has to be built anew (False), or nobody has needed it for long (True)."""
        state, own = self.state, self.own
        epoch, failures = -1, 0
        ways: tuple[bool, bool] | None = None
        roi: RoiSegmenter | None = None
        reported: object = None
        used = time.monotonic()
        while not self._ended():
            options = state.scene.options
            if roi is None or ways != _ways(options.mask):
                crop, rest = ways = _ways(options.mask)
                looks = Looks() if rest else None
                roi = own.roi = RoiSegmenter(segmenter, roi=crop, guard=NetworkGuard(live=True), looks=looks)
            if self._sync.asked != self._sync_mode():
                self._sync = Synchronizer(self._sync_mode())
                self._apply_sync()
            if not self._needed():
                self._collect_garbage()
                if time.monotonic() - used > self.plan.unload_after:
                    return True
                left = None if math.isinf(self.plan.unload_after) else used + self.plan.unload_after - time.monotonic()
                state.wait(lambda: self.retired or self._needed(), left)
                continue
            frame = self._next_frame(first=epoch < 0)
            used = time.monotonic()
            if frame is None:
                continue
            if frame.epoch != epoch:
                roi.reset()
                epoch = frame.epoch
            try:
                looked = self._predict(roi, frame)
            except Exception as exc:  # whatever a network's library raises: it is as broken as by its own errors
                failures += 1
                if self.retired or self._hopeless(exc, failures):
                    return False
                continue
            if self.retired:
                return False
            if not looked:
                continue
            failures = self._builds_failed = 0
            now = time.monotonic()
            if reported != (reported := (segmenter.input, segmenter.device, segmenter.precision)):
                self.owner.report(self, input=in_words(reported[0]), device=reported[1], precision=reported[2])
            within = patience(state.period, state.compose_seconds)
            if self._sync.ready(now - frame.captured_at, within):
                self._apply_sync()
            if input_size is not None:
                # In time for its own frame, or, where none is waited for, for the next.
                budget = RESERVE * (within if self._sync.asked != "newest" else state.period)
                input_size.measured(frame.size, now, now - used, budget)
        return False

    def _predict(self, roi: RoiSegmenter, frame: RawFrame) -> bool:
        """Publishes the frame's prediction, or that the last one does for it: then False. Raises what the network
        does."""
        started = time.monotonic()
        self.own.call = started, pace.FRAME_HUNG
        try:
            prediction = roi.predict(frame, rest=started < self._rests_until)
        finally:
            self.own.call = None
        if self.retired:
            return True
        self.own.considered_at = frame.captured_at
        if prediction.frame is not frame:
            self.own.predictions.wake()
            return False
        self.own.trouble = None
        self.own.predictions.put(prediction)
        took = time.monotonic() - started
        self.stats.inferred(took)
        # Where frames wait for the processor, a look leaves it to them for as long as it took.
        self._rests_until = started + 2 * took if self.state.level else 0.0
        return True

    def _next_frame(self, *, first: bool) -> RawFrame | None:
        """Waits for it; None where it is not wanted any more."""
        frames = self.state.to_segment
        if first and not self.plan.clocked and not frames.fresh():
            # The network before may have taken it, and until it is out its source gives no other.
            frame = frames.peek()
            if frame is not None:
                return frame
        return frames.take(None, unless=lambda: self._ended() or not self._needed())

    def _hopeless(self, exc: Exception, failures: int) -> bool:
        """The network failed, so many times in a row. True where it has to be built anew: after a while, for one that
        fails at once must not be built in a circle. Raises the error where that was done too often."""
        error = _as_model_error(exc)
        self._failed(error)
        if failures == 1:
            log.warning("%s", error)
        if failures < _FAILURES_IN_A_ROW:
            return False
        self._builds_failed += 1
        if self._builds_failed > pace.GIVE_UP:
            raise error from exc
        self.state.wait(lambda: self.retired, pace.RETRIES[min(self._builds_failed, len(pace.RETRIES)) - 1])
        return True

    def _wait_unloaded(self) -> None:
        """Until somebody watches, or the session ends."""
        self.own.trouble = Why.LOADING
        self.own.predictions.clear()
        log.info("the network is unloaded: nobody has needed it for %.0f s", self.plan.unload_after)
        self.state.wait(lambda: self.retired or self.state.demand.on)

    def _apply_sync(self) -> None:
        if self.own.sync != self._sync.mode:
            log.info("pairing: %s", _SYNC_IN_WORDS[self._sync.mode])
        self.own.sync = self._sync.mode
        self.owner.report(self, pairing=self._sync.mode)

    def _progress(self) -> Progress:
        """Called from within a build, in this thread."""
        logged, reported = -1, -_REPORTED

        def progress(done: int, total: int, host: str) -> None:
            nonlocal logged, reported
            if self._ended():
                raise StopRequested
            if self.cancelled:
                raise ModelError("the download was cancelled", fix="choose the network again to download it")
            self.own.call = time.monotonic(), pace.BUILD_HUNG
            tenth = done * 10 // total if total else 0
            if done - reported >= _REPORTED or done == total:
                reported = done
                loading = {"model": self.network.name, "done": done, "total": total, "host": host}
                self.owner.report_loading(self, loading)
            if tenth != logged:
                logged = tenth
                log.info("downloading from %s: %s of %s", host, megabytes(done), megabytes(total))

        return progress


def _ways(options: MaskOptions) -> tuple[bool, bool]:
    """Whether the network sees a part of the frame, and whether it may rest."""
    return options.roi and not options.hard, options.rest and options.any


def _as_model_error(exc: Exception) -> ModelError:
    if isinstance(exc, ModelError):
        return exc
    log.debug("the network failed", exc_info=exc)
    return ModelError(f"the network failed: {' '.join(str(exc).split())[:160] or type(exc).__name__}")
