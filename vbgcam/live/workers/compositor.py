"""The compositor: the worker that sends a picture for each frame of the camera.

A frame may wait for its own mask, within limits (`pairing`); whatever the network does, it goes out before the next one
is due. A source that waits for its reader has no next one that is due: its frames wait for their masks, and for the
network to load, since nothing is lost by it.

What is to be shown (`scene`) is looked up anew for each picture. After a camera was opened anew, its last picture stays
until there is a mask of the new ones, a second at most.
"""

from __future__ import annotations

import itertools
import logging
import math
import time
from dataclasses import dataclass, field

import numpy as np

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Mask, Prediction, RawFrame, SafeFrame, read_only
from vbgcam.core.options import RenderOptions
from vbgcam.core.policy import Compose, Cover, Decision, Situation, Why, decide
from vbgcam.live import pace
from vbgcam.live.slots import Slot
from vbgcam.live.state import ChainState, Shown
from vbgcam.live.stats import Stats
from vbgcam.live.sync import patience
from vbgcam.live.workers.background import SceneSnapshot
from vbgcam.live.workers.readers import Always
from vbgcam.mask import MaskTracker
from vbgcam.mask.plain import full_size
from vbgcam.output import Output
from vbgcam.render.composer import Composer

log = logging.getLogger(__name__)

# What the newest frame counts in the mean of what composing takes: one that was held up changes little.
_NEW_SHARE = 0.1
# Times the output's period: a camera whose frames are further apart is slower than the output.
_SLOWER = 1.5
_STATES = {"": "on air", Why.IDLE: "idle", Why.PAUSED: "paused"}


@dataclass(slots=True)
class Compositor:
    """Sends a picture for each frame of the camera, and covers at the output's rate while there is none. `missing`: why
    the output is not open yet."""

    output: Output
    composer: Composer
    fps: float
    state: ChainState
    stats: Stats
    clocked: bool
    frames: Slot[RawFrame]
    masks: Slot[Prediction]
    comes_back: bool = False
    on_demand: bool = False
    missing: OutputError | None = None
    newest: RawFrame | None = None
    failures: int = 0
    tracker: MaskTracker = field(init=False)
    _scene: SceneSnapshot = field(init=False)
    _on_air: Compose | None = None

    def __post_init__(self) -> None:
        self._scene = self.state.scene
        self.tracker = MaskTracker(self._scene.options.mask)
        self.composer.options = self._scene.options

    def run(self) -> None:
        try:
            if self.missing is not None:
                self._wait_for_the_output(self.missing)
            while not self.state.stop.is_set():
                try:
                    self._send_until_stopped()
                except OutputError as exc:
                    if not self.comes_back:
                        raise
                    self._wait_for_the_output(exc)
        except OutputError as exc:
            self.state.fail(exc)
        finally:
            try:
                self.output.close()
            except OutputError as exc:
                self.state.fail(exc)

    def _wait_for_the_output(self, error: OutputError) -> None:
        """The device has gone (its module was loaded anew, say): it is opened again as soon as that can be, and begins
        with the cover."""
        said = ""
        for wait in itertools.chain(pace.RETRIES, itertools.repeat(pace.RETRIES[-1])):
            self.state.beat = time.monotonic()
            if self.on_demand:
                self.state.reader_monitors.put(None)
            if str(error) != said:
                said = str(error)
                log.warning("%s (trying again)", error)
            self.state.last_problem = error
            self.stats.fact(state="no output", why=str(Why.OUTPUT), problem=str(error))
            try:
                self.output.close()
                if self.state.stop.wait(min(wait, pace.DEVICE)):
                    self.state.fail(error)
                    return
                self.output.open()
                self.output.send(self.composer.cover(self.state.scene.player.backdrop()), time.monotonic())
                if self.on_demand:
                    self.state.reader_monitors.put(self.output.reader_monitor() or Always())
            except OutputError as exc:
                error = exc
                continue
            log.info("back on %s", self.output.name)
            self.stats.fact(sink=self.output.name)
            return

    def _send_until_stopped(self) -> None:
        period = 1 / self.fps
        due, said = time.monotonic(), ""
        while not self.state.stop.is_set():
            self.state.beat = time.monotonic()
            frame = self._next_frame(max(0.0, due - time.monotonic()))
            if frame is not None:
                self.newest = frame
                self._wait_for_its_mask(frame)
            elif self.state.source_ended and not self.frames.fresh():
                self.state.stop.set()
            if self.state.stop.is_set():
                return
            self._look_up()
            said = self._send(frame, said)
            self.state.rounds += 1
            if frame is not None and not self.clocked:
                self.frames.done()
            now = time.monotonic()
            if frame is not None:
                due = now + self._next_at_last(period)
            else:
                due = max(due + (pace.IDLE_PERIOD if self._idle() else period), now)

    def _next_at_last(self, period: float) -> float:
        """Seconds until something goes out, whatever the camera does. One that gives frames is the clock, and this
        matters only when it stalls; one that is slower than the output has its pictures doubled."""
        return period if self.state.period > _SLOWER * period else max(pace.STALLED, 3 * period)

    def _idle(self) -> bool:
        return self.state.camera_trouble is Why.IDLE and not self.state.demand.read

    def _look_up(self) -> None:
        """What is to be shown from now on."""
        before, self._scene = self._scene, self.state.scene
        self.composer.options = self._scene.options
        if before.options.mask != self._scene.options.mask:
            self.tracker = MaskTracker(self._scene.options.mask)

    def _next_frame(self, timeout: float) -> RawFrame | None:
        """A source that waits for its reader waits until its frame is out, and with its first one for the network."""
        if self.clocked:
            return self.frames.take(timeout)
        if self._loading():
            self.state.stop.wait(timeout)
            timeout = 0.0
        return None if self._loading() else self.frames.take(timeout, done=False)

    def _loading(self) -> bool:
        return self._network_trouble(self.state.scene.options) is Why.LOADING

    def _network_trouble(self, options: RenderOptions) -> Why | None:
        """What keeps masks from coming, where they are needed."""
        return None if options.plain else self.state.model_trouble

    def _wait_for_its_mask(self, frame: RawFrame) -> None:
        """Where frames and masks are paired exactly: until the frame's own mask is there, or a newer frame or mask, or
        the frame's patience is at its end, or the network failed."""
        state = self.state
        if state.paired != "exact" or state.model_trouble is not None or state.scene.options.plain:
            return
        now = time.monotonic()
        until = frame.captured_at + patience(state.period, state.compose) if self.clocked else now + pace.UNHURRIED

        def enough(mask: Prediction | None) -> bool:
            own = mask is not None and mask.epoch == frame.epoch and mask.captured_at >= frame.captured_at
            return own or (self.clocked and self.frames.fresh()) or state.model_trouble is not None

        self.masks.wait(enough, max(0.0, until - now))

    def _send(self, fresh: RawFrame | None, said: str) -> str:
        """The newest frame, which is `fresh` unless the camera has stalled, or the cover."""
        started = time.monotonic()
        decision = self._decided(started)
        made = self._composed(decision) if isinstance(decision, Compose) else None
        if isinstance(made, tuple):
            frame, mask, picture = made
            self.output.send(picture, time.monotonic())
            now = time.monotonic()
            self.state.compose += _NEW_SHARE * (now - started - self.state.compose)
            latency = now - frame.captured_at if frame is fresh else None
            self.stats.sent(now, latency, frame.captured_at - mask.captured_at)
            why = ""
        else:
            picture, mask = self.composer.cover(self._scene.player.backdrop()), None
            self.output.send(picture, time.monotonic())
            self.stats.sent(time.monotonic(), None, None)
            why = str(decision.why if isinstance(decision, Cover) else made)
            self._on_air = None
        before = self.state.shown
        self.state.shown = Shown(before.number + 1 if before else 1, picture, mask, self._scene.options.mirror)
        if why != said:
            log.info("on the cover: %s" if why else "on air%s", why)
            if not why:
                self.stats.fact(problem="")
            self.stats.fact(state=_STATES.get(why, "covered"), why=why)
        return why

    def _decided(self, now: float) -> Decision:
        state, options = self.state, self._scene.options
        trouble = state.camera_trouble or self._network_trouble(options)
        if trouble is Why.IDLE and state.wanted.is_set():
            trouble = Why.STARTING  # the camera is about to be opened
        seen = self.masks.peek()
        if options.plain:
            seen = None if self.newest is None else _all_of(self.newest)
        elif seen is not None and self.newest is not None and _follows(seen.frame, self.newest):
            # The network had it first: never an earlier frame by its mask, which may show where somebody was.
            self.newest = seen.frame
        # A frame that waited for its reader is not stale.
        limits = options.max_mask_age, options.max_frame_age if self.clocked else math.inf
        situation = Situation(self.newest, seen, trouble, paused=state.demand.paused)
        decision = decide(situation, now, *limits)
        if decision == Cover(Why.OTHER_EPOCH) and self._on_air is not None and not options.plain:
            stays = Situation(self._on_air.frame, self._on_air.mask, trouble, paused=state.demand.paused)
            if isinstance(still := decide(stays, now, *limits), Compose):
                return still
        return decision

    def _composed(self, decision: Compose) -> tuple[RawFrame, Mask, SafeFrame] | Why:
        """The picture, or why there is none."""
        try:
            mask = self._mask(decision)
            if mask is None:
                return Why.TOO_FAR
            made = decision.frame, mask, self.composer.compose(decision.frame, mask, self._scene.behind())
        except Exception as exc:  # whatever it is: the cover goes out, and the call goes on
            self.failures += 1
            if self.failures == 1:
                log.warning("a frame could not be composed (%s)", " ".join(str(exc).split())[:160])
                log.debug("composing failed", exc_info=True)
            if self.failures > pace.GIVE_UP:
                raise
            self.tracker.reset()
            return Why.ERROR
        self.failures = 0
        self._on_air = None if self._scene.options.plain else decision
        return made

    def _mask(self, decision: Compose) -> Mask | None:
        """The mask of the frame that is shown; the network is told where it has the person."""
        tracker, frame = self.tracker, decision.frame
        if self._scene.options.plain:
            return full_size(decision.mask.alpha, frame, frame.captured_at)
        mask = tracker.mask(frame, decision.mask)
        if self.state.looks is not None:
            self.state.looks.update_roi(frame.epoch, tracker.box, elsewhere=tracker.elsewhere)
        return mask


def _follows(frame: RawFrame, other: RawFrame) -> bool:
    return frame.epoch == other.epoch and frame.number > other.number


def _all_of(frame: RawFrame) -> Prediction:
    """The room as it is: everything is shown. Made only where a person asked for it by name."""
    return Prediction(frame, read_only(np.full((1, 1), 255, np.uint8)), exact=True)
