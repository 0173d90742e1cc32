"""The capture worker: reads the camera while somebody watches, opens it again when it is lost, and changes it."""

import itertools
import logging
import threading
import time
from dataclasses import dataclass, field

from vbgcam.camera import Source
from vbgcam.core.errors import CameraError, VbgcamError
from vbgcam.core.frames import RawFrame, Size
from vbgcam.core.policy import Why
from vbgcam.live import pace
from vbgcam.live.state import ChainState
from vbgcam.live.stats import Stats
from vbgcam.pixels.convert import fit

log = logging.getLogger(__name__)

# Times the output's rate from which a camera's is too much for it; less is how cameras differ.
_SURPLUS = 1.1


@dataclass(slots=True)
class Capture:
    """Reads the source; every frame that goes on has the output's `size`, and they come no faster than the output's
    rate, `fps`. `retry`: a source that is lost is opened again. `_lock` guards `source`, which any thread may close,
    and `_next`; all else is the worker's."""

    source: Source
    size: Size
    fps: float
    retry: bool
    state: ChainState
    stats: Stats
    _next: Source | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _chosen: bool = False  # while it runs
    _source_fps: float = 0.0
    _due: float | None = None
    _problem: str = ""

    def change(self, source: Source) -> None:
        """Another source takes the place of this one as soon as this one's next frame is there; it stays until it is
        changed again, whatever becomes of it. Any thread."""
        with self._lock:
            self._next = source
        self.state.wake()

    def close(self) -> None:
        """Makes a `read` that waits return. Any thread."""
        with self._lock:
            self.source.close()

    def run(self) -> None:
        """The worker, until the session or a source that is not opened again ends."""
        try:
            for epoch in itertools.count():
                if not self._open():
                    return
                over = False
                try:
                    if self._read(epoch):
                        over = self._chosen and not self.state.stop.is_set()
                        if not over:
                            self.state.source_ended = True
                            self.state.to_compose.close()
                            return
                        # Begun anew when somebody watches anew, not at once: the call would see it again and again.
                        raise CameraError("the source has ended", fix="choose another: `vbgcam camera ...`")
                    if self._next is None:
                        self.state.camera_trouble = Why.IDLE
                        reason = "paused" if self.state.demand.paused else "nobody is watching"
                        log.info("the camera is off: %s", reason)
                except CameraError as exc:
                    self.source.close()  # before the cover is seen: a node that is still held keeps its number
                    self._report_lost(exc)
                    log.warning("%s", exc)
                finally:
                    self.state.driver_called_at = None
                    self.source.close()
                    self.stats.dropped(self.source.dropped())
                if over:
                    self._wait(None)
        except VbgcamError as exc:
            self.state.fail(exc)

    def _report_lost(self, error: CameraError) -> None:
        """The cover is on air until there are frames again. Raises the error where that is not tried."""
        self.state.camera_trouble = Why.CAMERA
        if not self.retry and self._next is None:
            raise error
        self._problem = str(error)
        self.state.report(error)
        self.stats.fact(problem=self._problem)

    def _wait_for_demand(self) -> bool:
        """False where the session ends before somebody watches."""
        if not self.state.demand.on:
            self.state.camera_trouble = Why.IDLE
            if self.state.wait(lambda: self.state.demand.on):
                self.state.camera_trouble = Why.STARTING
        return not self.state.stop.is_set()

    def _take_next(self) -> None:
        with self._lock:
            if self._next is not None:
                self.source, self._next = self._next, None
                self._chosen = self.retry = True

    def _wait(self, seconds: float | None) -> None:
        """Or until the session ends, nobody watches any more, or another source is to be opened."""
        self.state.wait(lambda: self._next is not None or not self.state.demand.on, seconds)

    def _open(self) -> bool:
        """Once somebody watches, again and again until it is open; False where the session ends before."""
        said = ""
        for wait in pace.retries():
            if not self._wait_for_demand():
                return False
            self._take_next()
            self.state.driver_called_at = time.monotonic()
            try:
                got = self.source.open()
            except CameraError as exc:
                self._report_lost(exc)
                if str(exc) != said:
                    said = str(exc)
                    log.warning("%s (trying again)", exc)
                self.state.driver_called_at = None
                self._wait(min(wait, pace.DEVICE))
                continue
            kind = f" {got.format}" if got.format else ""
            log.info("source: %s, %s at %.4g frames a second%s", got.label, got.size, got.fps, kind)
            self._source_fps, self._due = got.fps, None
            if got.fps > 0:
                self.state.period = 1 / (min(got.fps, self.fps) if self._chosen else got.fps)
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
        state, clocked = self.state, self.source.clocked
        for number in itertools.count():
            if state.stop.is_set():
                return True
            if not state.demand.on or self._next is not None:
                return False
            state.driver_called_at = time.monotonic()
            captured = self.source.read()
            state.driver_called_at = None
            if captured is None:
                if not clocked and self._next is None:
                    state.to_compose.wait_taken()
                return self._next is None
            if self._is_surplus(captured.captured_at):
                continue
            frame = RawFrame(fit(captured.planes, self.size).frozen(), captured.captured_at, epoch, number)
            state.camera_trouble = None
            if self._problem:
                if self.stats.get("state") == "on air":
                    # It was lost for a moment: no cover went out that a picture could follow.
                    self.stats.fixed(self._problem)
                self._problem = ""
            if not clocked:
                # Until the frame before is out: only then may the network's slot be written again.
                state.to_compose.wait_taken()
                if state.stop.is_set():  # this one is not to go out, and took no other's place
                    return True
            state.to_segment.put(frame)
            self.stats.captured(dropped=state.to_compose.put(frame))
        return True

    def _is_surplus(self, at: float) -> bool:
        """Whether the output's rate, which stays, leaves this frame of a camera that was chosen later out."""
        if not self._chosen or self._source_fps < _SURPLUS * self.fps:
            return False
        period = 1 / self.fps
        if self._due is None or at - self._due > period:
            self._due = at
        if at < self._due - 0.5 / self._source_fps:
            return True
        self._due += period
        return False
