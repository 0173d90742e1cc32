"""What the chain costs on this machine: every step beside the way most projects take it and beside a copy of the same
frame, the network in each size, whole frames, and the live chain.

Figures are one tree of plain values, which is also the JSON; `tables` shows it. The keys:

    machine, settings               what was measured on, and with what
    stages.SIZE.STAGE               ms, cpu_ms, naive_ms, naive_cpu_ms, memcpy_ms, runs
    masks.SIZE.NAME.{own,carried}   ms, cpu_ms, added_ms, memcpy_ms, runs
    frame.SIZE.BEHIND               ms, cpu_ms, runs; frame.SIZE.model, input
    inference.MODEL.HxW             ms, cpu_ms, eager_fp32_ms, eager_fp32_cpu_ms, max_abs_diff, precision, ...
    live.SIZE                       fps, dropped, added_latency_ms {p50, p95, p99, max}, ...
    start                           help_ms, first_cover_ms, first_mask_ms

Milliseconds are medians of rounds in which everything that is compared takes turns (see `interleaved`); `cpu_ms` is
the processor time of all threads.
"""

import statistics
from collections.abc import Callable, Mapping
from time import perf_counter, process_time
from typing import Any, Final

from vbgcam.core.frames import Size

Figures = dict[str, Any]
Work = Callable[[], object]
Check = Callable[[], None]
"""Raises what is to break the measuring off."""

SIZES: Final = {"720p": Size(1280, 720), "1080p": Size(1920, 1080), "4K": Size(3840, 2160)}
FAMILIES: Final = ("stages", "masks", "frame", "inference", "live", "start")
_MOST: Final = 300


def label(size: Size) -> str:
    """`720p`, `1080p`, `4K`, else width x height."""
    return next((name for name, known in SIZES.items() if known == size), str(size))


def parse_size(text: str) -> Size:
    """The reverse of `label`; ValueError on anything else, and on odd sides."""
    known = {name.lower(): size for name, size in SIZES.items()}
    try:
        size = known.get(text.lower()) or Size.parse(text)
    except ValueError as exc:
        raise ValueError(f"{text!r} is none of {', '.join(SIZES)}, nor a size like 640x360") from exc
    if size != size.even:
        raise ValueError(f"{text}: a camera's picture has even sides")
    return size


def interleaved(works: Mapping[str, Work], seconds: float, check: Check, *, least: int = 3) -> dict[str, Figures]:
    """Runs all works round after round, so that a busy moment of the machine falls on all of them alike, for about so
    many seconds, after one round that does not count (caches, compiled parts, first allocations). `least`: so many
    rounds in any case. `check` is called before each run. For each work the medians `ms` and `cpu_ms` (processor time
    of the whole process, so that work spread over threads counts in full), and `runs`.

    The minimum, which `timeit` prefers, is what a step costs with everything still in the caches, and flatters the
    shortest step (the copy) most; in the live chain other work lies between two runs of a step, as it does here."""
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
