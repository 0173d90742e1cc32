"""The capture worker: reads the camera while somebody watches, and opens it again when it is lost."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import dataclass

from vbgcam.camera import Source
from vbgcam.errors import CameraError, VbgcamError
from vbgcam.frames import RawFrame, Size
from vbgcam.live import pace
from vbgcam.live.board import Board
from vbgcam.live.slots import Slot
from vbgcam.live.stats import Stats
from vbgcam.pixels import fit
from vbgcam.policy import Why

log = logging.getLogger(__name__)


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
                    self._lost(exc)
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

    def _lost(self, error: CameraError) -> None:
        """The cover is on air until there are frames again. Raises the error where that is not tried."""
        self.board.camera_trouble = Why.CAMERA
        if not self.retry:
            raise error
        self.board.last_problem = error
        self.stats.fact(problem=str(error))

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
        for wait in itertools.chain(pace.RETRIES, itertools.repeat(pace.RETRIES[-1])):
            if self.board.stop.is_set():
                return False
            if not self.board.wanted.is_set() and not self._wanted():
                return False
            self.board.filming_since = time.monotonic()
            try:
                got = self.source.open()
            except CameraError as exc:
                self._lost(exc)
                if str(exc) != said:
                    said = str(exc)
                    log.warning("%s (trying again)", exc)
                self.board.filming_since = None
                self.board.stop.wait(min(wait, pace.DEVICE))
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
