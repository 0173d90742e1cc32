"""One run of the live chain: starts its workers downstream first, waits, stops them upstream first. Meanwhile what is
shown, the camera and the network may be changed; the output, its size and its rate stay."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from vbgcam.background import Background
from vbgcam.camera import Source
from vbgcam.core.errors import BackgroundError, CameraError, ModelError, OutputError, VbgcamError
from vbgcam.core.frames import Prediction, RawFrame, Size
from vbgcam.core.options import RenderOptions
from vbgcam.core.policy import Why
from vbgcam.live.slots import Slot
from vbgcam.live.state import ChainState, Shown
from vbgcam.live.stats import Stats
from vbgcam.live.workers.background import BackgroundPlayer, SceneSnapshot
from vbgcam.live.workers.capture import Capture
from vbgcam.live.workers.compositor import Compositor
from vbgcam.live.workers.inference import Inference, Network
from vbgcam.live.workers.readers import ReaderWatch
from vbgcam.output import Output, ReaderMonitor
from vbgcam.render.composer import Composer

log = logging.getLogger(__name__)

# Seconds that a worker gets to end; a network in the middle of an inference may not make it and is left behind. A
# film's last packets and its index may take longer than a device's release.
_PATIENCE = 1.0
_FINISH = 60.0
# Seconds at one frame after which a network has hung: fcn_resnet101 at its largest takes 2 s on a small CPU, compiling
# for a new size 10, and one that loses its GPU converts itself for the CPU meanwhile, in 20 and more. So many hangs,
# and a lighter network takes its place; twice as many, and the session ends.
_HUNG = 90.0
# Seconds for a call of the camera's driver, which by itself gives up after ten.
_FROZEN = 40.0
# Seconds without a round of the compositor: an output's write that blocks. Nothing here can end it.
_LIFELESS = 10.0
_HANGS = 2
# Seconds that the cover of a pause may take to go out.
_SETTLED = 1.0


class _Worker(Protocol):
    def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session is made of. `network` is built by the inference worker, since that imports torch. `retry`: a
    source that comes back (a camera) is opened again. `on_demand`: the source is open only while somebody reads the
    output, where that can be told; after `unload_after` seconds without, the network's memory is given back.
    `comes_back`: an output that vanishes (a device) is opened again. `waits`: such an output need not be there at the
    start, and a network that cannot be had keeps the cover on air until another one is chosen."""

    source: Source
    output: Output
    background: Background
    network: Network
    options: RenderOptions
    size: Size
    fps: float
    retry: bool = True
    on_demand: bool = False
    unload_after: float = math.inf
    comes_back: bool = False
    waits: bool = False


class Session:
    """`start`, `wait`, `stop`, in this order, by one thread; what changes it (`show`, `film`, `think`, `pause`) by any,
    between start and stop, `pause` before, too. `stats` may be read by any."""

    def __init__(self, plan: Plan, stats: Stats) -> None:
        self.stats = stats
        self._plan = plan
        self._state = ChainState(1 / plan.fps)
        self._frames_in: Slot[RawFrame] = Slot()
        # The compositor that waits for a frame's mask also wants to know of a newer frame.
        changed = threading.Condition()
        self._frames_out: Slot[RawFrame] = Slot(changed)
        self._masks: Slot[Prediction] = Slot(changed)
        self._begun = False
        self._watch: ReaderWatch | None = None
        self._capture: Capture | None = None
        self.hung_after = _HUNG
        # Serialises all that changes, the supervision's changes too; guards what follows.
        self._changing = threading.RLock()
        self._threads: list[threading.Thread] = []
        self._network = plan.network
        self._inference: Inference | None = None
        self._candidate: Inference | None = None
        self._hangs = 0

    def start(self) -> None:
        """Opens the output and sends the first cover. Raises OutputError, BackgroundError; nothing runs then."""
        plan, state = self._plan, self._state
        player = self._player(plan.background)
        state.scene = SceneSnapshot(plan.options, player)
        composer = Composer(plan.size)
        missing = self._open_output(composer, player)
        self._begun = True
        frames_in, frames_out, masks = self._frames_in, self._frames_out, self._masks
        self._run(
            Compositor(
                output=plan.output,
                composer=composer,
                fps=plan.fps,
                state=state,
                stats=self.stats,
                clocked=plan.source.clocked,
                frames=frames_out,
                masks=masks,
                comes_back=plan.comes_back,
                on_demand=self._watch is not None,
                missing=missing,
            ),
            "compositor",
        )
        if self._watch is not None:
            self._run(self._watch, "watch")
        if player.moves:
            self._run(player, "backdrop")
        self._begin_inference()
        self._capture = Capture(plan.source, plan.size, plan.fps, plan.retry, state, self.stats, frames_out, frames_in)
        self._run(self._capture, "capture")

    def _open_output(self, composer: Composer, player: BackgroundPlayer) -> OutputError | None:
        """And sends the first cover. The error of one that is not there yet but may come; raises any other."""
        plan, state = self._plan, self._state
        missing: OutputError | None = None
        reader_monitor: ReaderMonitor | None = None
        try:
            plan.output.open()
            try:
                plan.output.send(composer.cover(player.backdrop()), time.monotonic())
                reader_monitor = plan.output.reader_monitor() if plan.on_demand else None
            except OutputError:
                plan.output.close()
                raise
        except OutputError as exc:
            if not (plan.waits and plan.comes_back):
                raise
            missing = exc
        if plan.on_demand and (reader_monitor is not None or missing is not None):
            state.reader_monitors.put(reader_monitor)
            self._watch = ReaderWatch(state, self.stats)
            self.stats.fact(watched=False)
        else:
            state.demand.reads(True)
        if missing is None:
            self.stats.sent(time.monotonic(), None, None)
            self.stats.fact(state="covered")
        self.stats.fact(sink=plan.output.name, size=str(plan.size))
        return missing

    def set_scene(self, options: RenderOptions, background: Background | None = None) -> None:
        """From the next picture on. `background`, opened for this and closed by the session, takes the present one's
        place; None leaves it. Raises BackgroundError where its first picture cannot be had: then nothing changes."""
        player = None if background is None else self._player(background)
        with self._changing:
            before = self._state.scene
            self._state.scene = SceneSnapshot(options, player or before.player)
            if player is not None:
                before.player.end()
                if player.moves:
                    self._run(player, "backdrop")
        self._frames_out.nudge()

    def _player(self, background: Background) -> BackgroundPlayer:
        """Raises BackgroundError."""
        state = self._state

        def failed(error: BackgroundError) -> None:
            state.last_problem = error

        return BackgroundPlayer(background, 1 / self._plan.fps, state.wanted, state.stop, failed)

    def set_camera(self, source: Source) -> None:
        """Another camera, or the same in another size: it is opened as soon as the old one is closed, and what it gives
        fitted to the output's size and rate."""
        assert self._capture is not None
        self._capture.change(source)

    def set_network(self, network: Network) -> None:
        """Another network: built beside the one that works, in whose place it comes once it has seen a frame. Where it
        cannot be had, that one stays, and the figures' `refused` says why."""
        with self._changing:
            if self._candidate is not None:
                self._candidate.retired.set()
            self.stats.fact(refused="", loading={"model": network.name, "done": None, "total": None})
            self._candidate = self._new_inference(network, self._takes_over)
            self._run(self._candidate, "inference")

    def pause(self, paused: bool) -> None:
        """The cover, and the camera off. It is on air when this returns, unless the output is held up."""
        self._state.demand.pause(paused)
        before, end = self._state.rounds, time.monotonic() + _SETTLED
        self._frames_out.nudge()
        # A round that had begun may still send a picture.
        while (
            self._begun and paused and self._state.rounds < before + 2 and time.monotonic() < end and not self.ended()
        ):
            self._frames_out.nudge()
            self._state.stop.wait(0.002)

    @property
    def paused(self) -> bool:
        return self._state.demand.paused

    def watch_preview(self, begins: bool) -> None:
        """Somebody looks at what goes out, and the camera is to be on for them until it is taken back with False, once
        for each True."""
        self._state.demand.looks(begins)

    @property
    def size(self) -> Size:
        """The output's."""
        return self._plan.size

    @property
    def clocked(self) -> bool:
        """Whether another camera can be taken; see `camera.Source`."""
        return self._plan.source.clocked

    @property
    def has_network(self) -> bool:
        """Whether there is a network, or one is being built."""
        with self._changing:
            return self._candidate is not None or self._inference is None or not self._inference.lost

    def shown(self) -> Shown | None:
        """What went out last."""
        return self._state.shown

    def wait(
        self, duration: float | None, interrupted: threading.Event, tick: Callable[[], bool] = lambda: False
    ) -> None:
        """Returns when the source has ended, a worker failed, `duration` seconds are over, `interrupted` is set
        or `tick`, called about ten times a second, is True."""
        end = time.monotonic() + duration if duration is not None else None
        while not self._state.stop.is_set() and not interrupted.is_set():
            self._supervise()
            left = 0.1 if end is None else min(0.1, end - time.monotonic())
            if left <= 0:
                return
            self._state.stop.wait(left)
            if tick():
                return

    def ended(self) -> bool:
        """Whether the source has ended or a worker failed: there is nothing left but to stop."""
        return self._state.stop.is_set()

    @property
    def failed(self) -> bool:
        """Whether a worker has: `stop` will raise why."""
        return self._state.failure is not None

    def alive(self) -> bool:
        """Whether pictures go out, or a device that is gone is being looked for."""
        return time.monotonic() - self._state.beat < _LIFELESS

    def stop(self) -> bool:
        """Ends the workers and releases the devices; raises what made a worker fail. False where a thread had to be
        left behind in a library's call: the process should then end without waiting for it."""
        self._state.stop.set()
        (self._capture or self._plan.source).close()
        for slot in (self._frames_in, self._frames_out, self._masks):
            slot.close()
        end = time.monotonic() + _PATIENCE
        with self._changing:
            threads = list(self._threads)
        for thread in reversed(threads):
            thread.join(_FINISH if thread.name == "compositor" else max(0.0, end - time.monotonic()))
        if self._watch is not None and not any(thread.is_alive() for thread in threads if thread.name == "watch"):
            self._watch.end()
        if self._begun:
            self._state.scene.player.end()
        else:
            self._plan.background.close()
        self.stats.fact(state="stopped")
        left = [thread.name for thread in threads if thread.is_alive()]
        for name in left:
            log.debug("%s did not end in time", name)
        failure = self._state.failure
        if failure is None and not self.stats.composed():
            failure = self._state.last_problem
        if failure is not None:
            raise failure
        return not left

    def _begin_inference(self) -> None:
        network = self._network
        if self._hangs >= _HANGS and network.lighter is not None:
            network = replace(network, build=network.lighter)
        self._inference = self._new_inference(network)
        self._run(self._inference, "inference")

    def _new_inference(self, network: Network, takes_over: Callable[[Inference], bool] | None = None) -> Inference:
        return Inference(
            network=network,
            unload_after=self._plan.unload_after,
            exact=not self._plan.source.clocked,
            state=self._state,
            stats=self.stats,
            frames=self._frames_in,
            masks=self._masks,
            loads=self._loads,
            stays_out=self._stays_out,
            takes_over=takes_over,
            may_fail=self._plan.waits,
        )

    def _takes_over(self, candidate: Inference) -> bool:
        """Whether the network that is ready is still the one that was chosen last; the other one then ends."""
        with self._changing:
            if candidate is not self._candidate or self._state.stop.is_set():
                return False
            if self._inference is not None:
                self._inference.retired.set()
            self._state.inferring_since = None
            self._inference, self._candidate = candidate, None
            self._network, self._hangs = candidate.network, 0
            return True

    def _loads(self, inference: Inference, loading: object) -> None:
        """Of the network that was chosen last alone: another one's end would be taken for its."""
        with self._changing:
            if inference is (self._candidate or self._inference):
                self.stats.fact(loading=loading)

    def _stays_out(self, candidate: Inference, error: str) -> None:
        """It was chosen, and cannot be had."""
        with self._changing:
            if candidate is self._candidate:
                self._candidate = None
                self.stats.fact(refused=error, loading=None)

    def _supervise(self) -> None:
        self._supervise_network()
        since = self._state.filming_since
        if since is not None and self._plan.source.clocked and time.monotonic() - since > _FROZEN:
            # It can be neither asked nor closed: a new process can, which a service manager starts.
            self._state.fail(CameraError(f"the camera has not answered for {_FROZEN:.0f} s", fix="plug it in again"))

    def _supervise_network(self) -> None:
        """A network that is at one frame for longer than any takes has hung in a library's call, which nobody can end:
        its thread is left behind, and another one is built in a thread of its own."""
        with self._changing:
            since = self._state.inferring_since
            if since is not None and time.monotonic() - since >= self.hung_after and self._inference is not None:
                self._replace_hung(self._inference)

    def _replace_hung(self, inference: Inference) -> None:
        self._hangs += 1
        error = ModelError(f"the network gave no answer for {self.hung_after:.0f} s")
        log.warning("%s: it is built anew", error)
        inference.retired.set()
        self._state.inferring_since = None
        self._state.model_trouble, self._state.last_problem = Why.MODEL, error
        self._masks.clear()
        if self._hangs > 2 * _HANGS:
            self._state.fail(error)
            return
        self._begin_inference()

    def _run(self, worker: _Worker, name: str) -> None:
        def guarded() -> None:
            try:
                worker.run()
            except BaseException as exc:
                # Whatever it is, it must not vanish with the thread: the session ends with it.
                if not isinstance(exc, VbgcamError):
                    log.debug("%s failed", name, exc_info=True)
                self._state.fail(exc)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        with self._changing:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(thread)
            thread.start()
