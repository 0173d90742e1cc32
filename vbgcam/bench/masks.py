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
    presets: dict[str, MaskOptions] = {str(name): options for name, options in PRESETS.items()}
    without = {
        f"balanced, no {name}": replace(PRESETS["balanced"], **{step: False})
        for name, step in MASK_SETTINGS.items()
        if step != "roi"  # the network's thread's
    }
    shots = moving(size)
    block = shots[0][0].data
    target = np.empty_like(block)
    works: dict[str, Work] = {"memcpy": lambda: np.copyto(target, block)}
    for name, options in (presets | without).items():
        for way in WAYS:
            work = works[f"{name} {way}"] = _work(options, shots, carried=way == "carried")
            for _ in range(_WARM if options.any else 0):
                check()
                work()
    took = interleaved(works, seconds, check)
    return {
        name: {
            way: {
                "ms": took[f"{name} {way}"].ms,
                "cpu_ms": took[f"{name} {way}"].cpu_ms,
                "added_ms": round(took[f"{name} {way}"].ms - took[f"none {way}"].ms, 4),
                "memcpy_ms": took["memcpy"].ms,
                "runs": took[f"{name} {way}"].runs,
            }
            for way in WAYS
        }
        for name in presets | without
    }


def _work(options: MaskOptions, shots: list[tuple[Planes, U8]], *, carried: bool) -> Callable[[], object]:
    tracker = MaskTracker(options)
    count = 0
    coming: Prediction | None = None
    newest: Prediction | None = None

    def work() -> object:
        nonlocal count, coming, newest
        planes, alpha = shots[there_and_back(count, len(shots))]
        frame = RawFrame(planes, count / _RATE, 0, count)
        if not carried:
            newest = Prediction(frame, alpha)
        elif count % _EVERY == 0:
            newest, coming = coming or Prediction(frame, alpha), Prediction(frame, alpha)
        count += 1
        assert newest is not None
        return tracker.mask(frame, newest)

    return work
