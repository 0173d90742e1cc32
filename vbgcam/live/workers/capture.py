"""The capture worker: reads the camera while somebody watches, opens it again when it is lost, and changes it."""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from dataclasses import dataclass, field

from vbgcam.camera import Source
from vbgcam.core.errors import CameraError, VbgcamError
from vbgcam.core.frames import RawFrame, Size
from vbgcam.core.policy import Why
from vbgcam.live import pace
from vbgcam.live.slots import Slot
from vbgcam.live.state import ChainState
from vbgcam.live.stats import Stats
from vbgcam.pixels.convert import fit

log = logging.getLogger(__name__)


# Times the output's rate from which a camera's is too much for it; less is how cameras differ.
_SURPLUS = 1.1
# Seconds between two looks at what has changed, while there is nothing else to do.
_SLICE = 0.05


@dataclass(slots=True)
class Capture:
    """Reads the source; every frame that goes on has the output's size, and they come no faster than the output's rate,
    `fps`."""

    source: Source
    size: Size
    fps: float
    retry: bool
    state: ChainState
    stats: Stats
    to_compose: Slot[RawFrame]
    to_segment: Slot[RawFrame]
    _next: Source | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stays: bool = False
    _gives: float = 0.0
    _due: float | None = None
    _over: bool = False
    _problem: str = ""

    def change(self, source: Source) -> None:
        """Another source takes the place of this one as soon as this one's next frame is there; it stays until it is
        changed again, whatever becomes of it. Any thread."""
        with self._lock:
            self._next = source

    def close(self) -> None:
        """Makes a `read` that waits return. Any thread."""
        with self._lock:
            self.source.close()

    def run(self) -> None:
        try:
            for epoch in itertools.count():
                if not self._wanted() or not self._open():
                    return
                try:
                    ended = self._read(epoch)
                except CameraError as exc:
                    self.source.close()  # before the cover is seen: a node that is still held keeps its number
                    self._lost(exc)
                    log.warning("%s", exc)
                else:
                    if ended:
                        self.state.source_ended = True
                        self.to_compose.close()
                        return
                    if not self._changing():
                        self.state.camera_trouble = Why.IDLE
                        log.info("the camera is off: %s", self._why_off())
                finally:
                    self.state.filming_since = None
                    self.source.close()
                    self.stats.dropped(self.source.dropped())
                if self.state.stop.is_set():
                    return
                if self._over:
                    self._over = False
                    self._wait(math.inf)
        except VbgcamError as exc:
            self.state.fail(exc)

    def _changing(self) -> bool:
        return self._next is not None

    def _why_off(self) -> str:
        return "paused" if self.state.demand.paused else "nobody is watching"

    def _lost(self, error: CameraError) -> None:
        """The cover is on air until there are frames again. Raises the error where that is not tried."""
        self.state.camera_trouble = Why.CAMERA
        if not self.retry and not self._changing():
            raise error
        self.state.last_problem, self._problem = error, str(error)
        self.stats.fact(problem=self._problem)

    def _wanted(self) -> bool:
        """Waits for somebody to watch; False where the session ends before."""
        if not self.state.wanted.is_set():
            self.state.camera_trouble = Why.IDLE
            while not self.state.wanted.wait(0.1):
                if self.state.stop.is_set():
                    return False
            self.state.camera_trouble = Why.STARTING
        return not self.state.stop.is_set()

    def _take_the_next(self) -> None:
        with self._lock:
            if self._next is not None:
                self.source, self._next = self._next, None
                self._stays = self.retry = True

    def _wait(self, seconds: float) -> None:
        """Or until the session ends, nobody watches any more, or another source is to be opened."""
        end = time.monotonic() + seconds
        while (
            not self._changing()
            and self.state.wanted.is_set()
            and (left := end - time.monotonic()) > 0
            and not self.state.stop.wait(min(left, _SLICE))
        ):
            pass

    def _open(self) -> bool:
        said = ""
        for wait in itertools.chain(pace.RETRIES, itertools.repeat(pace.RETRIES[-1])):
            if self.state.stop.is_set():
                return False
            if not self.state.wanted.is_set() and not self._wanted():
                return False
            self._take_the_next()
            self.state.filming_since = time.monotonic()
            try:
                got = self.source.open()
            except CameraError as exc:
                self._lost(exc)
                if str(exc) != said:
                    said = str(exc)
                    log.warning("%s (trying again)", exc)
                self.state.filming_since = None
                self._wait(min(wait, pace.DEVICE))
                continue
            kind = f" {got.format}" if got.format else ""
            log.info("source: %s, %s at %.4g frames a second%s", got.label, got.size, got.fps, kind)
            self._gives, self._due = got.fps, None
            if got.fps > 0:
                self.state.period = 1 / (min(got.fps, self.fps) if self._stays else got.fps)
            self.stats.fact(
                source_name=got.label,
                source_format=got.format,
                source_size=str(got.size),
                source_fps=round(got.fps, 3),
            )
            return True
        return False

    def _read(self, epoch: int) -> bool:
        """Until the source has ended (True), or nobody watches any more or another source is to be opened (False)."""
        for number in itertools.count():
            if self.state.stop.is_set():
                return True
            if not self.state.wanted.is_set() or self._changing():
                return False
            self.state.filming_since = time.monotonic()
            captured = self.source.read()
            self.state.filming_since = None
            if captured is None:
                if self._changing():
                    return False
                if self._stays and not self.state.stop.is_set():
                    # Begun anew when somebody watches anew, and not at once: the call would see it again and again.
                    self._over = True
                    raise CameraError("the source has ended", fix="choose another: `vbgcam camera ...`")
                if not self.source.clocked:
                    self._wait_for_the_compositor()
                return True
            if self._is_surplus(captured.captured_at):
                continue
            frame = RawFrame(fit(captured.planes, self.size).frozen(), captured.captured_at, epoch, number)
            self.state.camera_trouble = None
            if self._problem:
                if self.stats.get("state") == "on air":
                    # It was lost for a moment: no cover went out that a picture could follow.
                    self.stats.fixed(self._problem)
                self._problem = ""
            if not self.source.clocked:
                self._wait_for_the_compositor()
            self.to_segment.put(frame)
            self.stats.captured(dropped=self.to_compose.put(frame))
        return True

    def _is_surplus(self, at: float) -> bool:
        """Whether the output's rate, which stays, leaves this frame of a camera that was chosen later out."""
        if not self._stays or self._gives < _SURPLUS * self.fps:
            return False
        period = 1 / self.fps
        if self._due is None or at - self._due > period:
            self._due = at
        if at < self._due - 0.5 / self._gives:
            return True
        self._due += period
        return False

    def _wait_for_the_compositor(self) -> None:
        """Until the frame before is out: only then may the network's slot be written again."""
        while not self.to_compose.wait_taken(0.1) and not self.state.stop.is_set():
            pass
