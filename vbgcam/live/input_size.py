"""Carries out what the working point decides: a helper thread prepares the network for another input while masks go on
with the old one; then the network's owner changes over between two masks."""

from __future__ import annotations

import logging
import threading

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import Size
from vbgcam.live.working_point import InputSizePredictor
from vbgcam.segment import Segmenter

log = logging.getLogger(__name__)


def in_words(size: Size | None) -> str:
    """A network's input as its makers write it, height first: "288x512"; "" where there is none."""
    return "" if size is None else f"{size.height}x{size.width}"


class InputSizeController:
    """One network's. Used by the thread that owns it, and ended by that thread before the network is closed."""

    def __init__(self, segmenter: Segmenter, max_age: float) -> None:
        self._segmenter = segmenter
        self._max_age = max_age
        self._point: InputSizePredictor | None = None
        self._helper: _Helper | None = None
        self._input: Size | None = None
        self._grew: bool | None = None
        self._said = ""

    def measured(self, frame: Size, now: float, seconds: float, budget: float) -> None:
        """A mask of a frame of that size took so long; `budget`: seconds in which it should be ready."""
        used = self._segmenter.input
        if used is None:
            return
        if self._point is None:
            sizes = self._segmenter.sizes(frame)
            if not sizes:
                return
            self._point = InputSizePredictor(sizes, _nearest(sizes, used), self._max_age)
        self._check(self._point, now, used)
        if self._helper is not None:
            if not self._helper.is_alive():
                self._change_over(self._point, self._helper, now)
            return
        wanted = self._point.measured(now, seconds, budget)
        if wanted != self._point.size:
            self._helper = _Helper(self._segmenter, wanted)
            self._helper.start()
        elif self._point.usual is not None and self._point.settled:
            self._say(used, self._point.usual)

    def end(self) -> None:
        """Waits until no other thread uses the network."""
        if self._helper is not None:
            self._helper.join()

    def _check(self, point: InputSizePredictor, now: float, used: Size) -> None:
        """A network that ran out of memory may have gone back to a smaller input by itself."""
        before, self._input = self._input, used
        grew, self._grew = self._grew, None
        if before is None or not point.sizes:
            return
        if (used.pixels < before.pixels and grew is None) or (used.pixels <= before.pixels and grew):
            point.failed(point.size)
            if point.sizes:
                point.changed(now, _nearest(point.sizes, used))

    def _change_over(self, point: InputSizePredictor, helper: _Helper, now: float) -> None:
        self._helper = None
        if isinstance(helper.failure, ModelError):
            log.warning("%s (the network's input stays as it is)", helper.failure)
            point.failed(helper.size)
            return
        if helper.failure is not None:
            raise helper.failure
        self._grew = helper.size > point.size
        self._segmenter.resize(helper.size)
        point.changed(now, helper.size)

    def _say(self, used: Size, usual: float) -> None:
        if self._said.partition(",")[0] == in_words(used):
            return
        was = f" (was {self._said})" if self._said else ""
        self._said = f"{in_words(used)}, {usual * 1000:.0f} ms"
        log.info("working point: input %s a mask%s", self._said, was)


class _Helper(threading.Thread):
    """Prepares one size. `failure`, once it has ended: what went wrong, if anything did."""

    def __init__(self, segmenter: Segmenter, size: int) -> None:
        super().__init__(name="sizing", daemon=True)
        self.size = size
        self.failure: BaseException | None = None
        self._segmenter = segmenter

    def run(self) -> None:
        try:
            self._segmenter.prepare(self.size)
        except BaseException as exc:  # whatever it is, the network's owner has to know
            self.failure = exc


def _nearest(sizes: tuple[int, ...], used: Size) -> int:
    short = min(used.width, used.height)
    return min(sizes, key=lambda size: abs(size - short))
