"""What each thread does. A worker's error never vanishes: it stands on the board, the cover goes out, the log says it
once, and what cannot be cured ends the session.

A frame may wait for its own mask, within limits (`pairing`); whatever the network does, it goes out before the next one
is due. A source that waits for its reader has no next one that is due: its frames wait for their masks, and for the
network to load, since nothing is lost by it.

All threads have one priority. With 5 steps of niceness for the network's, and both cores busy with them alone, the p95
of the added latency fell from 9.2 to 7.8 ms (1080p, 30 frames a second); but beside other programs' load twice as many
covers went out, and with 10 steps every fifth frame was lost to a network's thread that held the interpreter's lock and
did not get to run.

Each worker stops within a fraction of a second after `board.stop` is set, unless a library keeps it (a network in the
middle of one inference); those threads are daemons.
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

from vbgcam.background import Background
from vbgcam.camera import Source
from vbgcam.compose import Behind, Composer
from vbgcam.compose import warm_up as warm_up_compose
from vbgcam.errors import BackgroundError, CameraError, ModelError, OutputError, VbgcamError
from vbgcam.frames import Backdrop, Mask, RawFrame, SafeFrame, Sighting, Size
from vbgcam.live.pairing import RESERVE, How, Pairing, patience
from vbgcam.live.sizing import Sizing, in_words
from vbgcam.live.slots import Slot
from vbgcam.live.stats import Stats
from vbgcam.mask import Looks, Present
from vbgcam.mask import warm_up as warm_up_mask
from vbgcam.output import Audience, Output
from vbgcam.pixels import fit
from vbgcam.policy import Compose, Cover, Limits, Situation, Why, decide
from vbgcam.segment import Progress, Segmenter

log = logging.getLogger(__name__)

# Seconds between covers while nobody watches: the device stays listed, and who begins to read gets a picture at once.
_IDLE_PERIOD = 0.5
# Seconds that the camera stays on after the last reader left: apps close and open it when they change its size.
_LINGER = 1.0
# Steps that fail one after the other: so often a frame is composed, or a network built, before it is given up.
_GIVE_UP = 30
# Seconds between tries to open a device, or to build a network that could not be fetched.
_RETRIES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# Seconds between tries to open a device again, at most: who reads the camera waits.
_DEVICE = 2.0
# A camera that gives no frame for this long, or for three of its periods, is no clock any more: the output's rate is.
_STALLED = 0.25
# Seconds that a frame of a source without a clock waits for its mask: a network that takes longer has hung.
_UNHURRIED = 10.0
# What the newest frame counts in the mean of what composing takes: one that was held up changes little.
_NEW_SHARE = 0.1
# Times that a network is built anew before a lighter one takes its place.
_BUILDS = 2
_PAIRED = {"exact": "each frame goes out with its own mask", "newest": "each frame takes the newest mask"}


@dataclass(slots=True)
class Board:
    """What the workers know of each other. `stop` ends the session; `failure` is why, set before `stop`. The rest is
    written by one worker each, a single reference at a time, so no lock is needed: by capture the camera's trouble,
    `period`, the seconds between two frames, and `filming_since`, when the camera was asked for what it gives now; by
    inference the model's trouble, `paired`, `looks` and `inferring_since`, when the network was given the frame that it
    is at; by the compositor `compose`, the seconds that composing and sending take, `beat`, when its last round began,
    and `audience`, who can tell whether anybody reads the output; by the watch `wanted`: somebody does, or nobody can
    tell."""

    period: float
    paired: How = "newest"
    compose: float = 0.0
    beat: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    camera_trouble: Why | None = None
    model_trouble: Why | None = Why.LOADING
    wanted: threading.Event = field(default_factory=threading.Event)
    audience: Audience | None = None
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
class Capture:
    """Reads the source; every frame that goes on has the output's size."""

    source: Source
    size: Size
    retry: bool
    board: Board
    stats: Stats
    to_compose: Slot[RawFrame]
    to_segment: Slot[RawFrame]

    def run(self) -> None:
        try:
            for epoch in itertools.count():
                if not self._wanted() or not self._open():
                    return
                try:
                    ended = self._read(epoch)
                except CameraError as exc:
                    self.board.camera_trouble = Why.CAMERA
                    if not self.retry:
                        raise
                    self.board.last_problem = exc
                    self.stats.fact(problem=str(exc))
                    log.warning("%s", exc)
                else:
                    if ended:
                        self.board.source_ended = True
                        self.to_compose.close()
                        return
                    self.board.camera_trouble = Why.IDLE
                    log.info("the camera is off: nobody is watching")
                finally:
                    self.board.filming_since = None
                    self.source.close()
                    self.stats.dropped(self.source.dropped())
                if self.board.stop.is_set():
                    return
        except VbgcamError as exc:
            self.board.fail(exc)

    def _wanted(self) -> bool:
        """Waits for somebody to watch; False where the session ends before."""
        if not self.board.wanted.is_set():
            self.board.camera_trouble = Why.IDLE
            while not self.board.wanted.wait(0.1):
                if self.board.stop.is_set():
                    return False
            self.board.camera_trouble = Why.STARTING
        return not self.board.stop.is_set()

    def _open(self) -> bool:
        said = ""
        for wait in itertools.chain(_RETRIES, itertools.repeat(_RETRIES[-1])):
            if self.board.stop.is_set():
                return False
            if not self.board.wanted.is_set() and not self._wanted():
                return False
            self.board.filming_since = time.monotonic()
            try:
                got = self.source.open()
            except CameraError as exc:
                self.board.camera_trouble = Why.CAMERA
                if not self.retry:
                    raise
                self.board.last_problem = exc
                self.stats.fact(problem=str(exc))
                if str(exc) != said:
                    said = str(exc)
                    log.warning("%s (trying again)", exc)
                self.board.filming_since = None
                self.board.stop.wait(min(wait, _DEVICE))
                continue
            kind = f" {got.format}" if got.format else ""
            log.info("source: %s, %s at %.4g frames a second%s", got.label, got.size, got.fps, kind)
            self.board.period = 1 / got.fps if got.fps > 0 else self.board.period
            self.stats.fact(source_format=got.format, source_size=str(got.size), source_fps=round(got.fps, 3))
            return True
        return False

    def _read(self, epoch: int) -> bool:
        """Until the source has ended (True), or nobody watches any more."""
        for number in itertools.count():
            if self.board.stop.is_set():
                return True
            if not self.board.wanted.is_set():
                return False
            self.board.filming_since = time.monotonic()
            captured = self.source.read()
            self.board.filming_since = None
            if captured is None:
                if not self.source.clocked:
                    self._wait_for_the_compositor()
                return True
            frame = RawFrame(fit(captured.planes, self.size).frozen(), captured.captured_at, epoch, number)
            self.board.camera_trouble = None
            if not self.source.clocked:
                self._wait_for_the_compositor()
            self.to_segment.put(frame)
            self.stats.captured(dropped=self.to_compose.put(frame))
        return True

    def _wait_for_the_compositor(self) -> None:
        """Until the frame before is out: only then may the network's slot be written again."""
        while not self.to_compose.wait_taken(0.1) and not self.board.stop.is_set():
            pass


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
                segmenter = self._build()
                if segmenter is None:
                    return
                sizing = Sizing(segmenter, self.max_age) if self.size_auto else None
                try:
                    unneeded = self._infer(segmenter, sizing)
                finally:
                    if sizing is not None:
                        sizing.end()
                    segmenter.close()
                if unneeded:
                    self._wait_unloaded()
        except Stopped:
            return
        except VbgcamError as exc:
            self.board.fail(exc)

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
        for wait in itertools.chain(_RETRIES[3:], itertools.repeat(_RETRIES[-1])):
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
                    if self.failures > _GIVE_UP:
                        raise _as_model_error(exc) from exc
                    self.board.stop.wait(_RETRIES[min(self.failures, len(_RETRIES)) - 1])
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


@dataclass(slots=True)
class Watch:
    """Whether anybody watches: while nobody does, or there is no output at all, the camera is off. It alone uses and
    closes what the compositor lays on the board for it."""

    board: Board
    stats: Stats

    def run(self) -> None:
        audience: Audience | None = None
        left: float | None = None
        try:
            while not self.board.stop.is_set():
                if audience is not (newest := self.board.audience):
                    if audience is not None:
                        audience.close()
                    audience = newest
                if audience is None:
                    self.board.stop.wait(_LINGER / 10)
                if audience is not None and audience.watched(_IDLE_PERIOD):
                    left = None
                    self._tell(True)
                elif left is None:
                    left = time.monotonic()
                elif time.monotonic() - left >= _LINGER:
                    self._tell(False)
        finally:
            if audience is not None:
                audience.close()

    def _tell(self, watched: bool) -> None:
        if watched == self.board.wanted.is_set():
            return
        if watched:
            log.info("somebody is watching")
            self.board.wanted.set()
        else:
            self.board.wanted.clear()
        self.stats.fact(watched=watched)


@dataclass(slots=True)
class Backdrops:
    """Decodes a moving background, so that the compositor never waits for a film."""

    background: Background
    period: float
    board: Board
    backdrops: Slot[Backdrop]

    def run(self) -> None:
        started = time.monotonic()
        try:
            for tick in itertools.count(1):
                if self.board.wanted.is_set():
                    self.backdrops.put(self.background.at(time.monotonic() - started))
                if self.board.stop.wait(max(0.0, started + tick * self.period - time.monotonic())):
                    return
        except BackgroundError as exc:
            # The last picture stays: it shows nobody.
            self.board.last_problem = exc
            log.warning("%s", exc)


@dataclass(slots=True)
class Compositor:
    """Sends a picture for each frame of the camera, and covers at the output's rate while there is none."""

    output: Output
    present: Present
    composer: Composer
    behind: Callable[[], Behind]
    cover: Callable[[], Backdrop]
    limits: Limits
    fps: float
    board: Board
    stats: Stats
    clocked: bool
    frames: Slot[RawFrame]
    masks: Slot[Sighting]
    comes_back: bool = False
    on_demand: bool = False
    newest: RawFrame | None = None
    failures: int = 0

    def run(self) -> None:
        try:
            while not self.board.stop.is_set():
                try:
                    self._send_until_stopped()
                except OutputError as exc:
                    if not self.comes_back:
                        raise
                    self._wait_for_the_output(exc)
        except OutputError as exc:
            self.board.fail(exc)
        finally:
            try:
                self.output.close()
            except OutputError as exc:
                self.board.fail(exc)

    def _wait_for_the_output(self, error: OutputError) -> None:
        """The device has gone (its module was loaded anew, say): it is opened again as soon as that can be, and begins
        with the cover."""
        said = ""
        for wait in itertools.chain(_RETRIES, itertools.repeat(_RETRIES[-1])):
            self.board.beat = time.monotonic()
            self.board.audience = None
            if str(error) != said:
                said = str(error)
                log.warning("%s (trying again)", error)
            self.board.last_problem = error
            self.stats.fact(state="no output", why=str(Why.OUTPUT), problem=str(error))
            try:
                self.output.close()
                if self.board.stop.wait(min(wait, _DEVICE)):
                    self.board.fail(error)
                    return
                self.output.open()
                self.output.send(self.composer.cover(self.cover()), time.monotonic())
                if self.on_demand:
                    self.board.audience = self.output.audience()
            except OutputError as exc:
                error = exc
                continue
            log.info("back on %s", self.output.name)
            self.stats.fact(sink=self.output.name)
            return

    def _send_until_stopped(self) -> None:
        period = 1 / self.fps
        due, said = time.monotonic(), ""
        while not self.board.stop.is_set():
            self.board.beat = time.monotonic()
            frame = self._next_frame(max(0.0, due - time.monotonic()))
            if frame is not None:
                self.newest = frame
                self._wait_for_its_mask(frame)
            elif self.board.source_ended and not self.frames.fresh():
                self.board.stop.set()
            if self.board.stop.is_set():
                return
            said = self._send(frame, said)
            if frame is not None and not self.clocked:
                self.frames.done()
            now = time.monotonic()
            # A camera that gives frames is the clock; the next deadline only matters when it stalls.
            if frame is not None:
                due = now + max(_STALLED, 3 * period)
            else:
                due = max(due + (_IDLE_PERIOD if self.board.camera_trouble is Why.IDLE else period), now)

    def _next_frame(self, timeout: float) -> RawFrame | None:
        """A source that waits for its reader waits until its frame is out, and with its first one for the network."""
        if self.clocked:
            return self.frames.take(timeout)
        if self._loading():
            self.board.stop.wait(timeout)
            timeout = 0.0
        return None if self._loading() else self.frames.take(timeout, done=False)

    def _loading(self) -> bool:
        return self.board.model_trouble is Why.LOADING

    def _wait_for_its_mask(self, frame: RawFrame) -> None:
        """Where frames and masks are paired exactly: until the frame's own mask is there, or a newer frame or mask, or
        the frame's patience is at its end, or the network failed."""
        board = self.board
        if board.paired != "exact" or board.model_trouble is not None:
            return
        now = time.monotonic()
        until = frame.captured_at + patience(board.period, board.compose) if self.clocked else now + _UNHURRIED

        def enough(mask: Sighting | None) -> bool:
            own = mask is not None and mask.epoch == frame.epoch and mask.captured_at >= frame.captured_at
            return own or (self.clocked and self.frames.fresh()) or board.model_trouble is not None

        self.masks.wait(enough, max(0.0, until - now))

    def _send(self, fresh: RawFrame | None, said: str) -> str:
        """The newest frame, which is `fresh` unless the camera has stalled, or the cover."""
        started = time.monotonic()
        trouble = self.board.camera_trouble or self.board.model_trouble
        situation = Situation(self.newest, self.masks.peek(), trouble)
        decision = decide(situation, started, self.limits)
        made = self._composed(decision) if isinstance(decision, Compose) else None
        if isinstance(made, tuple):
            frame, mask, picture = made
            self.output.send(picture, time.monotonic())
            now = time.monotonic()
            self.board.compose += _NEW_SHARE * (now - started - self.board.compose)
            latency = now - frame.captured_at if fresh is not None else None
            self.stats.sent(now, latency, frame.captured_at - mask.captured_at)
            why = ""
        else:
            self.output.send(self.composer.cover(self.cover()), time.monotonic())
            self.stats.sent(time.monotonic(), None, None)
            why = str(decision.why if isinstance(decision, Cover) else made)
        if why != said:
            log.info("on the cover: %s" if why else "on air%s", why)
            if not why:
                self.stats.fact(problem="")
            idle = why == Why.IDLE
            self.stats.fact(state="idle" if idle else "covered" if why else "on air", why=why)
        return why

    def _composed(self, decision: Compose) -> tuple[RawFrame, Mask, SafeFrame] | Why:
        """The picture, or why there is none."""
        try:
            mask = self._mask(decision)
            if mask is None:
                return Why.TOO_FAR
            made = decision.frame, mask, self.composer.compose(decision.frame, mask, self.behind())
        except Exception as exc:  # whatever it is: the cover goes out, and the call goes on
            self.failures += 1
            if self.failures == 1:
                log.warning("a frame could not be composed (%s)", " ".join(str(exc).split())[:160])
                log.debug("composing failed", exc_info=True)
            if self.failures > _GIVE_UP:
                raise
            self.present.reset()
            return Why.ERROR
        self.failures = 0
        return made

    def _mask(self, decision: Compose) -> Mask | None:
        """The mask of the frame that is shown; the network is told where it has the person."""
        present, frame = self.present, decision.frame
        mask = present.mask(frame, decision.mask)
        if self.board.looks is not None:
            self.board.looks.seen(frame.epoch, present.box, elsewhere=present.elsewhere)
        return mask
