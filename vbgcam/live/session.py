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
from vbgcam.errors import OutputError, VbgcamError
from vbgcam.frames import Backdrop, RawFrame, Sighting, Size
from vbgcam.live.pairing import Asked, Pairing
from vbgcam.live.slots import Slot
from vbgcam.live.stats import Stats
from vbgcam.live.workers import Backdrops, Board, Capture, Compositor, Inference
from vbgcam.mask import NONE, Present, Steps
from vbgcam.output import Output
from vbgcam.policy import Limits
from vbgcam.segment import Progress, Segmenter

log = logging.getLogger(__name__)

# Seconds that a worker gets to end; a network in the middle of an inference may not make it and is left behind. A
# film's last packets and its index may take longer than a device's release.
_PATIENCE = 1.0
_FINISH = 60.0


class _Worker(Protocol):
    def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session is made of. `build` is called by the inference worker, since it imports torch. `blur` replaces
    the background, which then is the cover only. `retry`: a source that comes back (a camera) is opened again.
    `pairing`: of frames and masks; where the source waits for its reader "auto" is "exact", since nothing is lost by
    it. `size_auto`: the network's input is as large as the machine can do in time."""

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
        except OutputError:
            plan.output.close()
            raise
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
            ),
            "compositor",
        )
        if plan.background.moves and plan.blur is None:
            self._run(Backdrops(plan.background, 1 / plan.fps, board, backdrops), "backdrop")
        pairing = Pairing("exact" if plan.pairing == "auto" and not clocked else plan.pairing)
        self._run(
            Inference(
                build=plan.build,
                crop=plan.steps.crop and not plan.hard,
                pairing=pairing,
                size_auto=plan.size_auto,
                max_age=plan.limits.mask_age,
                board=board,
                stats=self.stats,
                frames=frames_in,
                masks=masks,
            ),
            "inference",
        )
        self._run(Capture(plan.source, plan.size, plan.retry, board, self.stats, frames_out, frames_in), "capture")

    def wait(
        self, duration: float | None, interrupted: threading.Event, tick: Callable[[], bool] = lambda: False
    ) -> None:
        """Returns when the source has ended, a worker failed, `duration` seconds are over, `interrupted` is set
        or `tick`, called about ten times a second, is True."""
        end = time.monotonic() + duration if duration is not None else None
        while not self._board.stop.is_set() and not interrupted.is_set():
            left = 0.1 if end is None else min(0.1, end - time.monotonic())
            if left <= 0:
                return
            self._board.stop.wait(left)
            if tick():
                return

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
