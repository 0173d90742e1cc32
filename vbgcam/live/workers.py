"""What each thread does. A worker's error never vanishes: it stands on the board, the cover goes out, the log says it
once, and what cannot be cured ends the session.

Each worker stops within a fraction of a second after `board.stop` is set, unless a library keeps it (a network in the
middle of one inference); those threads are daemons.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from vbgcam.background import Background
from vbgcam.camera import Source
from vbgcam.compose import Behind, Composer
from vbgcam.compose import warm_up as warm_up_compose
from vbgcam.errors import BackgroundError, CameraError, ModelError, OutputError, VbgcamError
from vbgcam.frames import Backdrop, Mask, RawFrame, Size
from vbgcam.live.slots import Slot
from vbgcam.live.stats import Stats
from vbgcam.mask import finish
from vbgcam.output import Output
from vbgcam.pixels import fit
from vbgcam.policy import Compose, Limits, Situation, Why, decide
from vbgcam.segment import Progress, Segmenter

log = logging.getLogger(__name__)

# Seconds between tries to open a camera, or to build a network that could not be fetched.
_RETRIES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# A camera that gives no frame for this long, or for three of its periods, is no clock any more: the output's rate is.
_STALLED = 0.25


@dataclass(slots=True)
class Board:
    """What the workers know of each other. `stop` ends the session; `failure` is why, set before `stop`. Each trouble
    is written by its own worker alone and read by the compositor, a single reference each, so no lock is needed."""

    stop: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    camera_trouble: Why | None = None
    model_trouble: Why | None = Why.LOADING
    last_problem: VbgcamError | None = None
    source_ended: bool = False

    def fail(self, error: BaseException) -> None:
        """The first failure counts."""
        if self.failure is None:
            self.failure = error
        self.stop.set()


class Stopped(Exception):  # noqa: N818  # it is no error
    """Breaks off a download when the session ends."""


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
                if not self._open():
                    return
                try:
                    self._read(epoch)
                except CameraError as exc:
                    self.board.camera_trouble = Why.CAMERA
                    if not self.retry:
                        raise
                    self.board.last_problem = exc
                    log.warning("%s", exc)
                else:
                    self.board.source_ended = True
                    return
                finally:
                    self.source.close()
                    self.stats.dropped(self.source.dropped())
                if self.board.stop.is_set():
                    return
        except VbgcamError as exc:
            self.board.fail(exc)

    def _open(self) -> bool:
        said = ""
        for wait in itertools.chain(_RETRIES, itertools.repeat(_RETRIES[-1])):
            if self.board.stop.is_set():
                return False
            try:
                got = self.source.open()
            except CameraError as exc:
                self.board.camera_trouble = Why.CAMERA
                if not self.retry:
                    raise
                self.board.last_problem = exc
                if str(exc) != said:
                    said = str(exc)
                    log.warning("%s (trying again)", exc)
                self.board.stop.wait(wait)
                continue
            kind = f" {got.format}" if got.format else ""
            log.info("source: %s, %s at %.4g frames a second%s", got.label, got.size, got.fps, kind)
            self.stats.fact(source_format=got.format, source_size=str(got.size), source_fps=round(got.fps, 3))
            return True
        return False

    def _read(self, epoch: int) -> None:
        for number in itertools.count():
            if self.board.stop.is_set():
                return
            captured = self.source.read()
            if captured is None:
                return
            frame = RawFrame(fit(captured.planes, self.size).frozen(), captured.captured_at, epoch, number)
            self.board.camera_trouble = None
            self.to_segment.put(frame)
            if self.source.clocked:
                self.stats.captured(dropped=self.to_compose.put(frame))
                continue
            while not self.to_compose.wait_taken(0.1) and not self.board.stop.is_set():
                pass
            self.to_compose.put(frame)
            self.stats.captured()


@dataclass(slots=True)
class Inference:
    """Builds the network, then makes masks of the newest frame, again and again."""

    build: Callable[[Progress], Segmenter]
    hard: bool
    board: Board
    stats: Stats
    frames: Slot[RawFrame]
    masks: Slot[Mask]

    def run(self) -> None:
        try:
            while not self.board.stop.is_set():
                segmenter = self._build()
                if segmenter is None:
                    return
                try:
                    self._infer(segmenter)
                finally:
                    segmenter.close()
        except Stopped:
            return
        except VbgcamError as exc:
            self.board.fail(exc)

    def _build(self) -> Segmenter | None:
        warm_up_compose()
        for wait in itertools.chain(_RETRIES[3:], itertools.repeat(_RETRIES[-1])):
            try:
                segmenter = self.build(self._progress())
            except ModelError as exc:
                if not exc.retry:
                    raise
                self.board.model_trouble = Why.MODEL
                self.board.last_problem = exc
                log.warning("%s (on the cover; trying again in %.0f s)", exc, wait)
                if self.board.stop.wait(wait):
                    return None
                continue
            log.info("model: %s on %s", segmenter.name, segmenter.device)
            self.stats.fact(model=segmenter.name, device=segmenter.device)
            return segmenter
        return None

    def _infer(self, segmenter: Segmenter) -> None:
        epoch, troubles = -1, 0
        while not self.board.stop.is_set():
            frame = self.frames.take(0.1)
            if frame is None:
                continue
            if frame.epoch != epoch:
                segmenter.reset()
                epoch = frame.epoch
            started = time.monotonic()
            try:
                mask = finish(segmenter.probability(frame), frame, hard=self.hard)
            except ModelError as exc:
                # The cover is on air until a mask comes again; a network that fails thrice in a row is built anew.
                self.board.model_trouble = Why.MODEL
                self.board.last_problem = exc
                self.masks.clear()
                troubles += 1
                if troubles == 1:
                    log.warning("%s", exc)
                if troubles == 3:
                    return
                continue
            self.stats.inferred(time.monotonic() - started)
            troubles = 0
            self.masks.put(mask)
            self.board.model_trouble = None

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
    composer: Composer
    behind: Callable[[], Behind]
    cover: Callable[[], Backdrop]
    limits: Limits
    fps: float
    board: Board
    stats: Stats
    frames: Slot[RawFrame]
    masks: Slot[Mask]
    newest: RawFrame | None = None

    def run(self) -> None:
        try:
            self._send_until_stopped()
        except OutputError as exc:
            self.board.fail(exc)
        finally:
            try:
                self.output.close()
            except OutputError as exc:
                self.board.fail(exc)

    def _send_until_stopped(self) -> None:
        period = 1 / self.fps
        due, said = time.monotonic(), ""
        while not self.board.stop.is_set():
            frame = self.frames.take(max(0.0, due - time.monotonic()))
            if frame is not None:
                self.newest = frame
            elif self.board.source_ended:
                self.board.stop.set()
                return
            said = self._send(said)
            now = time.monotonic()
            # A camera that gives frames is the clock; the next deadline only matters when it stalls.
            due = now + max(_STALLED, 3 * period) if frame is not None else max(due + period, now)

    def _send(self, said: str) -> str:
        trouble = self.board.camera_trouble or self.board.model_trouble
        situation = Situation(self.newest, self.masks.peek(), trouble)
        decision = decide(situation, time.monotonic(), self.limits)
        if isinstance(decision, Compose):
            frame, mask = decision.frame, decision.mask
            picture = self.composer.compose(frame, mask, self.behind())
            self.output.send(picture, time.monotonic())
            now = time.monotonic()
            self.stats.sent(now, now - frame.captured_at, frame.captured_at - mask.captured_at)
            why = ""
        else:
            self.output.send(self.composer.cover(self.cover()), time.monotonic())
            self.stats.sent(time.monotonic(), None, None)
            why = str(decision.why)
        if why != said:
            log.info("on the cover: %s" if why else "on air%s", why)
            self.stats.fact(state="covered" if why else "on air", why=why)
        return why
