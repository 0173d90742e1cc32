"""The compositor: the worker that sends a picture for each frame of the camera.

A frame may wait for its own mask, within limits (`pairing`); whatever the network does, it goes out before the next one
is due. A source that waits for its reader has no next one that is due: its frames wait for their masks, and for the
network to load, since nothing is lost by it.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from vbgcam.compose import Behind, Composer
from vbgcam.errors import OutputError
from vbgcam.frames import Backdrop, Mask, RawFrame, SafeFrame, Sighting
from vbgcam.live import pace
from vbgcam.live.board import Board
from vbgcam.live.pairing import patience
from vbgcam.live.slots import Slot
from vbgcam.live.stats import Stats
from vbgcam.live.watch import Always
from vbgcam.mask import Present
from vbgcam.output import Output
from vbgcam.policy import Compose, Cover, Limits, Situation, Why, decide

log = logging.getLogger(__name__)

# What the newest frame counts in the mean of what composing takes: one that was held up changes little.
_NEW_SHARE = 0.1


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
        for wait in itertools.chain(pace.RETRIES, itertools.repeat(pace.RETRIES[-1])):
            self.board.beat = time.monotonic()
            self.board.audiences.put(None)
            if str(error) != said:
                said = str(error)
                log.warning("%s (trying again)", error)
            self.board.last_problem = error
            self.stats.fact(state="no output", why=str(Why.OUTPUT), problem=str(error))
            try:
                self.output.close()
                if self.board.stop.wait(min(wait, pace.DEVICE)):
                    self.board.fail(error)
                    return
                self.output.open()
                self.output.send(self.composer.cover(self.cover()), time.monotonic())
                if self.on_demand:
                    self.board.audiences.put(self.output.audience() or Always())
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
                due = now + max(pace.STALLED, 3 * period)
            else:
                due = max(due + (pace.IDLE_PERIOD if self.board.camera_trouble is Why.IDLE else period), now)

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
        until = frame.captured_at + patience(board.period, board.compose) if self.clocked else now + pace.UNHURRIED

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
            if self.failures > pace.GIVE_UP:
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
