"""What the mask's steps cost: each preset, and the usual one without each of its steps, beside no steps at all.

The presenter moves, at 30 frames a second. `own`: each frame comes with the network's mask of itself; `carried`: the
network gives five masks a second, six frames late, and each is carried over to the frames until the next."""

from dataclasses import replace
from typing import Final

import numpy as np

from vbgcam.bench.base import Check, Figures, Work, interleaved
from vbgcam.bench.scene import moving, shots
from vbgcam.core.frames import U8, Planes, Prediction, Size
from vbgcam.core.options import MASK_SETTINGS, PRESETS, MaskOptions
from vbgcam.mask import MaskTracker

_EVERY: Final = 6
# Rounds before the measuring, so that the room is known.
_WARM: Final = 60

WAYS: Final = ("own", "carried")


def measure(size: Size, seconds: float, check: Check) -> Figures:
    """`masks.SIZE` of the figures: for each way and name ms, cpu_ms, added_ms (to no steps), memcpy_ms, runs."""
    wanted: dict[str, MaskOptions] = {str(name): options for name, options in PRESETS.items() if name != "auto"}
    for name, step in MASK_SETTINGS.items():
        if step not in ("rest", "roi"):  # the network's thread's
            wanted[f"balanced, no {name}"] = replace(PRESETS["balanced"], **{step: False})
    made = shots(size)
    block = made[0][0].data
    target = np.empty_like(block)
    works: dict[str, Work] = {"memcpy": lambda: np.copyto(target, block)}
    for name, options in wanted.items():
        for way in WAYS:
            work = works[f"{name} {way}"] = _work(options, made, carried=way == "carried")
            for _ in range(_WARM if options.any else 0):
                check()
                work()
    took = interleaved(works, seconds, check)
    figures: Figures = {name: {} for name in wanted}
    for name in wanted:
        for way in WAYS:
            row = took[f"{name} {way}"]
            added = round(row["ms"] - took[f"none {way}"]["ms"], 4)
            figures[name][way] = {**row, "added_ms": added, "memcpy_ms": took["memcpy"]["ms"]}
    return figures


def _work(options: MaskOptions, made: list[tuple[Planes, U8]], *, carried: bool) -> Work:
    tracker, film = MaskTracker(options), moving(made)
    coming: Prediction | None = None
    newest: Prediction | None = None

    def work() -> object:
        nonlocal coming, newest
        frame, alpha = next(film)
        if newest is None or not carried:
            newest = coming = Prediction(frame, alpha)
        elif frame.number % _EVERY == 0:
            newest, coming = coming, Prediction(frame, alpha)
        assert newest is not None
        return tracker.mask(frame, newest)

    return work
