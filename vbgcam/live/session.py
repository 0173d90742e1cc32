"""One run of the live chain: starts its workers downstream first, waits, stops them upstream first."""

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
from vbgcam.compose import Behind, Blur, Composer, Key
from vbgcam.errors import CameraError, ModelError, OutputError, VbgcamError
from vbgcam.frames import Backdrop, RawFrame, Sighting, Size
from vbgcam.live.board import Board
from vbgcam.live.capture import Capture
from vbgcam.live.compositor import Compositor
from vbgcam.live.inference import Inference
from vbgcam.live.pairing import Asked, Pairing
from vbgcam.live.slots import Slot
from vbgcam.live.stats import Stats
from vbgcam.live.watch import Backdrops, Watch
from vbgcam.mask import NONE, Present, Steps
from vbgcam.output import Output
from vbgcam.policy import Limits, Why
from vbgcam.segment import Progress, Segmenter

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


class _Worker(Protocol):
    def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session is made of. `build` is called by the inference worker, since it imports torch. `blur` replaces
    the background, which then is the cover only. `retry`: a source that comes back (a camera) is opened again.
    `pairing`: of frames and masks; where the source waits for its reader "auto" is "exact", since nothing is lost by
    it. `size_auto`: the network's input is as large as the machine can do in time. `lighter`: builds a network that may
    take the other's place. `on_demand`: the source is open only while somebody reads the output, where that can be
    told; after `unload_after` seconds without, the network's memory is given back. `comes_back`: an output that
    vanishes (a device) is opened again."""

    source: Source
    output: Output
    background: Background
    build: Callable[[Progress], Segmenter]
    size: Size
    fps: float
    limits: Limits
    blur: Blur | None = None
    mirror: bool = False
    key: Key | None = None
    light: float = 0.0
    hard: bool = False
    steps: Steps = NONE
    retry: bool = True
    pairing: Asked = "auto"
    size_auto: bool = False
    lighter: Callable[[Progress], Segmenter] | None = None
    on_demand: bool = False
    unload_after: float = math.inf
    comes_back: bool = False


class Session:
    """`start`, `wait`, `stop`, in this order, by one thread. `stats` may be read by any."""

    def __init__(self, plan: Plan, stats: Stats) -> None:
        self.stats = stats
        self._plan = plan
        self._board = Board(1 / plan.fps)
        self._frames_in: Slot[RawFrame] = Slot()
        # The compositor that waits for a frame's mask also wants to know of a newer frame.
        changed = threading.Condition()
        self._frames_out: Slot[RawFrame] = Slot(changed)
        self._masks: Slot[Sighting] = Slot(changed)
        self._threads: list[threading.Thread] = []
        self._inference: Inference | None = None
        self._watch: Watch | None = None
        self._hangs = 0
        self.hung_after = _HUNG

    def start(self) -> None:
        """Opens the output and sends the first cover. Raises OutputError, BackgroundError; nothing runs then."""
        plan, board = self._plan, self._board
        backdrops: Slot[Backdrop] = Slot()
        first = plan.background.at(0.0)
        backdrops.put(first)

        def cover() -> Backdrop:
            return backdrops.peek() or first

        def behind() -> Behind:
            return plan.blur or cover()

        composer = Composer(plan.size, mirror=plan.mirror, key=plan.key, light=plan.light)
        plan.output.open()
        try:
            plan.output.send(composer.cover(first), time.monotonic())
            audience = plan.output.audience() if plan.on_demand else None
        except OutputError:
            plan.output.close()
            raise
        if audience is None:
            board.wanted.set()
        else:
            board.audiences.put(audience)
            self._watch = Watch(board, self.stats)
        self.stats.sent(time.monotonic(), None, None)
        self.stats.fact(state="covered", sink=plan.output.name, size=str(plan.size))
        frames_in, frames_out, masks = self._frames_in, self._frames_out, self._masks
        clocked = plan.source.clocked
        # A frame that waited for its reader is not stale.
        limits = plan.limits if clocked else replace(plan.limits, frame_age=math.inf)
        self._run(
            Compositor(
                output=plan.output,
                present=Present(plan.steps, hard=plan.hard),
                composer=composer,
                behind=behind,
                cover=cover,
                limits=limits,
                fps=plan.fps,
                board=board,
                stats=self.stats,
                clocked=clocked,
                frames=frames_out,
                masks=masks,
                comes_back=plan.comes_back,
                on_demand=self._watch is not None,
            ),
            "compositor",
        )
        if self._watch is not None:
            self._run(self._watch, "watch")
        if plan.background.moves and plan.blur is None:
            self._run(Backdrops(plan.background, 1 / plan.fps, board, backdrops), "backdrop")
        self._begin_inference()
        self._run(Capture(plan.source, plan.size, plan.retry, board, self.stats, frames_out, frames_in), "capture")

    def wait(
        self, duration: float | None, interrupted: threading.Event, tick: Callable[[], bool] = lambda: False
    ) -> None:
        """Returns when the source has ended, a worker failed, `duration` seconds are over, `interrupted` is set
        or `tick`, called about ten times a second, is True."""
        end = time.monotonic() + duration if duration is not None else None
        while not self._board.stop.is_set() and not interrupted.is_set():
            self._supervise()
            left = 0.1 if end is None else min(0.1, end - time.monotonic())
            if left <= 0:
                return
            self._board.stop.wait(left)
            if tick():
                return

    def ended(self) -> bool:
        """Whether the source has ended or a worker failed: there is nothing left but to stop."""
        return self._board.stop.is_set()

    def alive(self) -> bool:
        """Whether pictures go out, or a device that is gone is being looked for."""
        return time.monotonic() - self._board.beat < _LIFELESS

    def stop(self) -> bool:
        """Ends the workers and releases the devices; raises what made a worker fail. False where a thread had to be
        left behind in a library's call: the process should then end without waiting for it."""
        self._board.stop.set()
        self._plan.source.close()
        for slot in (self._frames_in, self._frames_out, self._masks):
            slot.close()
        end = time.monotonic() + _PATIENCE
        for thread in reversed(self._threads):
            thread.join(_FINISH if thread.name == "compositor" else max(0.0, end - time.monotonic()))
        if self._watch is not None and not any(thread.is_alive() for thread in self._threads if thread.name == "watch"):
            self._watch.end()
        self._plan.background.close()
        self.stats.fact(state="stopped")
        left = [thread.name for thread in self._threads if thread.is_alive()]
        for name in left:
            log.debug("%s did not end in time", name)
        failure = self._board.failure
        if failure is None and not self.stats.composed():
            failure = self._board.last_problem
        if failure is not None:
            raise failure
        return not left

    def _begin_inference(self) -> None:
        plan = self._plan
        asked: Asked = "exact" if plan.pairing == "auto" and not plan.source.clocked else plan.pairing
        self._inference = Inference(
            build=plan.build if self._hangs < _HANGS or plan.lighter is None else plan.lighter,
            lighter=plan.lighter,
            unload_after=plan.unload_after,
            crop=plan.steps.crop and not plan.hard,
            pairing=Pairing(asked),
            size_auto=plan.size_auto,
            max_age=plan.limits.mask_age,
            board=self._board,
            stats=self.stats,
            frames=self._frames_in,
            masks=self._masks,
        )
        self._run(self._inference, "inference")

    def _supervise(self) -> None:
        self._supervise_network()
        since = self._board.filming_since
        if since is not None and self._plan.source.clocked and time.monotonic() - since > _FROZEN:
            # It can be neither asked nor closed: a new process can, which a service manager starts.
            self._board.fail(CameraError(f"the camera has not answered for {_FROZEN:.0f} s", mend="plug it in again"))

    def _supervise_network(self) -> None:
        """A network that is at one frame for longer than any takes has hung in a library's call, which nobody can end:
        its thread is left behind, and another one is built in a thread of its own."""
        since = self._board.inferring_since
        if since is None or time.monotonic() - since < self.hung_after or self._inference is None:
            return
        self._hangs += 1
        error = ModelError(f"the network gave no answer for {self.hung_after:.0f} s")
        log.warning("%s: it is built anew", error)
        self._inference.retired.set()
        self._board.inferring_since = None
        self._board.model_trouble, self._board.last_problem = Why.MODEL, error
        self._masks.clear()
        if self._hangs > 2 * _HANGS:
            self._board.fail(error)
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
                self._board.fail(exc)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
