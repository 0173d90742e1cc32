"""Interleaved timing: what is compared takes turns, so that a busy moment of the machine falls on all of it alike.

The figure is the median of the rounds. The minimum, which `timeit` prefers, is what a step costs with everything still
in the caches, and flatters the shortest step (the copy) most; in the live chain other work lies between two runs of a
step, as it does here between two turns."""

import statistics
from collections.abc import Callable, Mapping
from time import perf_counter, process_time
from typing import Final

from vbgcam.bench.base import Check, Figures

Work = Callable[[], object]

_LEAST: Final = 3
_MOST: Final = 300


def interleaved(works: Mapping[str, Work], seconds: float, check: Check, *, least: int = _LEAST) -> dict[str, Figures]:
    """Runs all works round after round, for about so many seconds, after one round that does not count (caches,
    compiled parts, first allocations). `least`: so many rounds in any case. `check` is called before each run. For each
    work the medians `ms` and `cpu_ms` (processor time of the whole process, so that work spread over threads counts in
    full), and `runs`."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for work in works.values():
        check()
        work()
    end = perf_counter() + seconds
    for number in range(_MOST):
        if number >= least and perf_counter() >= end:
            break
        for name, work in works.items():
            check()
            cpu, wall = process_time(), perf_counter()
            work()
            taken[name].append((perf_counter() - wall, process_time() - cpu))
    return {
        name: {
            "ms": round(1000 * statistics.median(wall for wall, _ in runs), 4),
            "cpu_ms": round(1000 * statistics.median(cpu for _, cpu in runs), 4),
            "runs": len(runs),
        }
        for name, runs in taken.items()
    }
