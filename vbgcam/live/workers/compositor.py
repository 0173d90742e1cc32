"""The compositor: the worker that sends a picture for each frame of the camera. Each round is one decision, one picture
and one send.

A frame may wait for its own mask, within limits (`sync`); whatever the network does, it goes out before the next one is
due. A source that waits for its reader has no next one that is due: its frames wait for their masks, and for the
network to load, since nothing is lost by it.

What is to be shown, and by which network, is looked up once for each round. After a camera was opened anew, its last
picture stays until there is a mask of the new ones, a second at most.
"""

import logging
import math
import time
from dataclasses import dataclass, field

import numpy as np

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Mask, Prediction, RawFrame, SafeFrame, read_only
from vbgcam.core.policy import ROOM_VISIBLE, Compose, Cover, Decision, Hysteresis, Situation, Why, decide
from vbgcam.live import pace
from vbgcam.live.load import Load
from vbgcam.live.plan import Plan
from vbgcam.live.state import ChainState, NetworkState, SceneSnapshot, SentPicture
from vbgcam.live.stats import Stats
from vbgcam.live.sync import patience
from vbgcam.mask import MaskTracker
from vbgcam.mask.plain import full_size
from vbgcam.output import AlwaysRead, ReaderMonitor
from vbgcam.render.composer import Composer

log = logging.getLogger(__name__)

# What the newest frame counts in the mean of what composing takes: one that was held up changes little.
_NEW_SHARE = 0.1
# Times the output's period: a camera whose frames are further apart is slower than the output.
_SLOWER = 1.5
# Seconds: a network that is wrong for longer is a problem, and not a moment's mistake.
_LASTING = 3.0
# Seconds: a frame that goes out later after its capture waited, also where the camera is faster.
_LATE = 1 / 30
_STATES = {"": "on air", Why.IDLE: "idle", Why.PAUSED: "paused"}


@dataclass(frozen=True, slots=True)
class _Picture:
    """What a round sends: a frame of the camera with its mask, or a cover and why."""

    safe: SafeFrame
    why: str = ""
    frame: RawFrame | None = None
    mask: Mask | None = None


@dataclass(slots=True)
class Compositor:
    """Sends a picture for each frame of the camera, and covers at the output's rate while there is none. All fields are
    the worker's own; `open` is called before it."""

    plan: Plan
    state: ChainState
    stats: Stats
    _composer: Composer = field(init=False)
    _scene: SceneSnapshot = field(init=False)
    _network: NetworkState = field(init=False)
    _tracker: MaskTracker = field(init=False)
    _hysteresis: Hysteresis = field(default_factory=Hysteresis)
    _load: Load = field(init=False)
    _composed: RawFrame | None = None
    _missing: OutputError | None = None
    _monitors: bool = False
    _newest: RawFrame | None = None
    _on_air: Compose | None = None
    _failures: int = 0
    _why: str | None = None
    _why_at: float = 0.0

    def __post_init__(self) -> None:
        self._scene, self._network = self.state.scene, self.state.network
        self._tracker = MaskTracker(self._scene.options.mask)
        self._load = Load(1 + len(self._scene.options.less))
        self._composer = Composer(self.plan.size, self._scene.options)

    def open(self) -> bool:
        """Opens the output and sends the first cover. Whether monitors tell who reads it. Raises OutputError, but for
        an output that is not there yet and may come: it is waited for by `run`."""
        plan = self.plan
        reader_monitor: ReaderMonitor | None = None
        try:
            reader_monitor = self._open_output()
            self.stats.sent(time.monotonic(), None, None)
            self.stats.fact(state="covered")
        except OutputError as exc:
            if not (plan.waits and plan.comes_back):
                raise
            self._missing = exc
        self._monitors = plan.on_demand and (reader_monitor is not None or self._missing is not None)
        if self._monitors:
            self.state.reader_monitors.put(reader_monitor)
            self.stats.fact(watched=False)
        else:
            self.state.demand.set_read(True)
        self.stats.fact(sink=plan.output.name, size=str(plan.size))
        return self._monitors

    def _open_output(self) -> ReaderMonitor | None:
        """And sends the cover. What tells who reads it, where that is asked for and can be told."""
        output = self.plan.output
        output.open()
        try:
            output.send(self._composer.cover(self.state.scene.backdrop()), time.monotonic())
            return output.reader_monitor() if self.plan.on_demand else None
        except OutputError:
            output.close()
            raise

    def run(self) -> None:
        """The worker, until the session ends; closes the output."""
        try:
            if self._missing is not None:
                self._wait_for_output(self._missing)
            while not self.state.stop.is_set():
                try:
                    self._send_until_stopped()
                except OutputError as exc:
                    if not self.plan.comes_back:
                        raise
                    self._wait_for_output(exc)
        except OutputError as exc:
            self.state.fail(exc)
        finally:
            try:
                self.plan.output.close()
            except OutputError as exc:
                self.state.fail(exc)

    def _wait_for_output(self, error: OutputError) -> None:
        """The device has gone (its module was loaded anew, say): it is opened again as soon as that can be, and begins
        with the cover."""
        said = ""
        for wait in pace.retries():
            self.state.round_began_at = time.monotonic()
            if self._monitors:
                self.state.reader_monitors.put(None)
            if str(error) != said:
                said = str(error)
                log.warning("%s (trying again)", error)
            self.state.report(error)
            self.stats.fact(state="no output", why=str(Why.OUTPUT), room_shown=False, problem=str(error))
            try:
                self.plan.output.close()
                if self.state.stop.wait(min(wait, pace.DEVICE)):
                    self.state.fail(error)
                    return
                reader_monitor = self._open_output()
                if self._monitors:
                    self.state.reader_monitors.put(reader_monitor or AlwaysRead())
            except OutputError as exc:
                error = exc
                continue
            log.info("back on %s", self.plan.output.name)
            self.stats.fact(sink=self.plan.output.name)
            return

    def _send_until_stopped(self) -> None:
        state, period, due = self.state, 1 / self.plan.fps, time.monotonic()
        self._why = None
        while not state.stop.is_set():
            state.round_began_at = time.monotonic()
            fresh = self._next_frame(max(0.0, due - time.monotonic()))
            if fresh is not None:
                self._newest = fresh
                self._wait_for_its_mask(fresh)
            elif state.source_ended and not state.to_compose.fresh():
                state.halt()
            if state.stop.is_set():
                return
            started = time.monotonic()
            self._look_up()
            decision = self._decide(started)
            if isinstance(decision, Cover):
                self._hysteresis.settle(started, decision.why, None)
                picture = self._cover(decision.why)
            else:
                picture = self._compose(decision, started)
            self._send(picture, started, fresh)
            now = time.monotonic()
            if fresh is not None:
                self._measure(fresh, started, now)
            if fresh is None:
                idle = state.camera_trouble is Why.IDLE and (self.plan.unread or not state.demand.read)
                due = max(due + (pace.IDLE_PERIOD if idle else period), now)
            else:
                if not self.plan.clocked:
                    state.to_compose.done()
                # What goes out then, whatever the camera does. One that gives frames is the clock, and this matters
                # only when it stalls; one that is slower than the output has its pictures doubled.
                due = now + (period if state.period > _SLOWER * period else max(pace.STALLED, 3 * period))

    def _next_frame(self, timeout: float) -> RawFrame | None:
        """A source that waits for its reader waits until its frame is out, and with its first one for the network."""
        frames = self.state.to_compose
        if self.plan.clocked:
            return frames.take(timeout)
        if self._loading():
            self.state.stop.wait(timeout)
            timeout = 0.0
        return None if self._loading() else frames.take(timeout, done=False)

    def _loading(self) -> bool:
        return self.state.network.trouble is Why.LOADING and not self.state.scene.options.plain

    def _wait_for_its_mask(self, frame: RawFrame) -> None:
        """Where frames and masks are paired exactly: until the frame's own mask is there, or a newer frame or mask, or
        the frame's patience is at its end, the network failed or somebody paused."""
        state = self.state
        if state.network.sync != "exact" or state.scene.options.plain:
            return

        def enough() -> bool:
            network = state.network  # another one may take over meanwhile
            prediction = network.predictions.peek()
            own = (
                prediction is not None
                and prediction.epoch == frame.epoch
                and network.considered_at >= frame.captured_at
            )
            newer = self.plan.clocked and state.to_compose.fresh()
            return own or newer or network.trouble is not None or state.demand.paused

        left = frame.captured_at + patience(state.period, state.compose_seconds) - time.monotonic()
        state.to_compose.wait(enough, max(0.0, left) if self.plan.clocked else pace.UNHURRIED)

    def _look_up(self) -> None:
        """What is to be shown in this round, and by which network."""
        before, self._scene, self._network = self._scene, self.state.scene, self.state.network
        self._composer.options = self._scene.options
        options = self._scene.options
        if (before.options.mask, before.options.less) != (options.mask, options.less):
            self._load = Load(1 + len(options.less))
            self._apply_level()

    def _apply_level(self) -> None:
        """As much is done for the mask as this machine does in time."""
        options, level = self._scene.options, self._load.level
        words, mask = options.less[level - 1] if level else ("", options.mask)
        self._tracker = MaskTracker(mask)
        self.state.level = level
        self.stats.fact(less=words)

    def _measure(self, fresh: RawFrame, started: float, now: float) -> None:
        """What the frame took, and whether it or those before it waited."""
        before, self._composed = self._composed, fresh
        if not self.plan.clocked or before is None or before.epoch != fresh.epoch:
            return
        waited = fresh.number - before.number - 1 + (now - fresh.captured_at > max(self.state.period, _LATE))
        if self._load.frame(now, (now - started) / self.state.period, waited):
            self._apply_level()
            words = self.stats.get("less")
            log.info("masks are made %s: %s", words or "with all steps", "frames waited" if words else "there is time")

    def _decide(self, now: float) -> Decision:
        state, options = self.state, self._scene.options
        # What keeps masks from coming matters where they are needed.
        trouble = state.camera_trouble or (None if options.plain else self._network.trouble)
        if trouble is Why.IDLE and state.demand.on:
            trouble = Why.STARTING  # the camera is about to be opened
        prediction = self._network.predictions.peek()
        if options.plain:
            prediction = None if self._newest is None else _everything(self._newest)
        elif (
            prediction is not None
            and self._newest is not None
            and prediction.epoch == self._newest.epoch
            and prediction.frame.number > self._newest.number
        ):
            # The network had it first: never an earlier frame by its mask, which may show where somebody was.
            self._newest = prediction.frame
        # A frame that waited for its reader is not stale.
        limits = options.max_mask_age, options.max_frame_age if self.plan.clocked else math.inf
        paused = state.demand.paused
        decision = decide(Situation(self._newest, prediction, trouble, paused), now, *limits)
        if decision == Cover(Why.OTHER_EPOCH) and self._on_air is not None and not options.plain:
            before = Situation(self._on_air.frame, self._on_air.mask, trouble, paused)
            if isinstance(stays := decide(before, now, *limits), Compose):
                return stays
        return decision

    def _compose(self, decision: Compose, now: float) -> _Picture:
        """The frame with its mask, or the cover where that cannot be made or shows too little of the person."""
        frame, options = decision.frame, self._scene.options
        try:
            mask = self._mask(decision)
            kept = None if options.plain else self._tracker.kept
            why = self._hysteresis.settle(now, None if mask is not None else Why.NEW_SCENE, kept)
            if mask is None or why is not None:
                return self._cover(why or Why.NEW_SCENE)
            safe = self._composer.compose(frame, mask, options.blur or self._scene.backdrop())
        except Exception as exc:  # whatever it is: the cover goes out, and the call goes on
            self._failures += 1
            if self._failures == 1:
                log.warning("a frame could not be composed (%s)", " ".join(str(exc).split())[:160])
                log.debug("composing failed", exc_info=True)
            if self._failures > pace.GIVE_UP:
                raise
            self._tracker.reset()
            return self._cover(Why.ERROR)
        self._failures = 0
        self._on_air = None if options.plain else decision
        return _Picture(safe, "", frame, mask)

    def _mask(self, decision: Compose) -> Mask | None:
        """The mask of the frame that is shown; the network is told where it has the person."""
        frame = decision.frame
        if self._scene.options.plain:
            return full_size(decision.mask.alpha, frame, frame.captured_at)
        mask = self._tracker.mask(frame, decision.mask)
        roi = self._network.roi
        if roi is not None:
            tracker = self._tracker
            roi.update_roi(frame.epoch, tracker.box, elsewhere=tracker.elsewhere, kept=tracker.kept)
        return mask

    def _cover(self, why: Why) -> _Picture:
        self._on_air = None
        return _Picture(self._composer.cover(self._scene.backdrop()), str(why))

    def _send(self, picture: _Picture, started: float, fresh: RawFrame | None) -> None:
        """`fresh`: the frame that came in this round; where the camera has stalled, an earlier one goes out again."""
        state, frame, mask = self.state, picture.frame, picture.mask
        self.plan.output.send(picture.safe, time.monotonic())
        now = time.monotonic()
        if frame is not None and mask is not None:
            state.compose_seconds += _NEW_SHARE * (now - started - state.compose_seconds)
            latency = now - frame.captured_at if frame is fresh else None
            self.stats.sent(now, latency, frame.captured_at - mask.captured_at)
        else:
            self.stats.sent(now, None, None)
            if (pause := state.demand.pause) is not None:
                pause.set()
        number = state.last_sent.number + 1 if state.last_sent is not None else 1
        state.last_sent = SentPicture(number, picture.safe, mask, self._scene.options.mirror)
        room = frame is not None and self._scene.options.plain
        why = ROOM_VISIBLE if room else picture.why
        if why != self._why:
            self._why = why
            log.info("on the cover: %s" if picture.why else "on air: %s" if room else "on air%s", why)
            self._why_at = now
            if not picture.why:
                self.stats.fact(problem="")
            self.stats.fact(state=_STATES.get(picture.why, "covered"), why=why, room_shown=room)
        elif why == Why.NETWORK and now - self._why_at > _LASTING:
            self.stats.fact(problem=f"{why}: choose another one with `vbgcam model NAME`")


def _everything(frame: RawFrame) -> Prediction:
    """The room as it is: everything is shown. Made only where a person asked for it by name."""
    return Prediction(frame, read_only(np.full((1, 1), 255, np.uint8)), exact=True)
