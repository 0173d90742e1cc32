"""What the mask's steps cost: each preset, and the usual one without each of its steps, beside no steps at all.

The presenter moves, at 30 frames a second. `own`: each frame comes with the network's mask of itself; `carried`: the
network gives five masks a second, six frames late, and each is carried over to the frames until the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from vbgcam.bench.base import Check, Figures
from vbgcam.bench.scene import moving, there_and_back
from vbgcam.bench.timing import Work, interleaved
from vbgcam.core.frames import U8, Planes, Prediction, RawFrame, Size
from vbgcam.core.options import MASK_SETTINGS, PRESETS, MaskOptions
from vbgcam.mask import MaskTracker

_RATE: Final = 30
_EVERY: Final = 6
# Rounds before the measuring, so that the room is known.
_WARM: Final = 60

WAYS: Final = ("own", "carried")


def measure(size: Size, seconds: float, check: Check) -> Figures:
    """`masks.SIZE` of the figures: for each way and name ms, cpu_ms, added_ms (to no steps), memcpy_ms, runs."""
    film = moving(size)
    block = film[0][0].data
    target = np.empty_like(block)
    works: dict[str, Work] = {"memcpy": lambda: np.copyto(target, block)}
    for name, chosen in _chosen().items():
        for way in WAYS:
            work = works[f"{name} {way}"] = _work(chosen, film, carried=way == "carried")
            for _ in range(_WARM if chosen.any else 0):
                check()
                work()
    took = interleaved(works, seconds, check)
    figures: Figures = {}
    for name in _chosen():
        figures[name] = {}
        for way in WAYS:
            timing, none = took[f"{name} {way}"], took[f"none {way}"]
            figures[name][way] = {
                "ms": timing.ms,
                "cpu_ms": timing.cpu_ms,
                "added_ms": round(timing.ms - none.ms, 4),
                "memcpy_ms": took["memcpy"].ms,
                "runs": timing.runs,
            }
    return figures


def _chosen() -> dict[str, MaskOptions]:
    """By their names: the presets, and "balanced" without each of its steps."""
    presets: dict[str, MaskOptions] = {str(name): options for name, options in PRESETS.items()}
    without = {
        f"balanced, no {name}": replace(PRESETS["balanced"], **{step: False})
        for name, step in MASK_SETTINGS.items()
        if step != "roi"  # the network's thread's
    }
    return {**presets, **without}


def _work(chosen: MaskOptions, film: list[tuple[Planes, U8]], *, carried: bool) -> Callable[[], object]:
    present = MaskTracker(chosen)
    count = 0
    coming: Prediction | None = None
    newest: Prediction | None = None

    def work() -> object:
        nonlocal count, coming, newest
        planes, alpha = film[there_and_back(count, len(film))]
        frame = RawFrame(planes, count / _RATE, 0, count)
        if not carried:
            newest = Prediction(frame, alpha)
        elif count % _EVERY == 0:
            newest, coming = coming or Prediction(frame, alpha), Prediction(frame, alpha)
        count += 1
        assert newest is not None
        return present.mask(frame, newest)

    return work
