"""How long each step keeps the interpreter's lock while another thread wants it.

A probe thread asks for the lock again and again, a twentieth of a millisecond apart, while a step runs in this thread;
what it waits beyond an idle machine's wait is the lock's. Python code gives the lock up when asked after the switch
interval (set to half a millisecond here); a library's call gives it up when it returns or says so.

A step's figure is the lower quartile, over its runs, of the longest wait in a run. What a step does to the lock it does
in every run; on a shared machine the operating system, too, keeps the probe waiting, but not in all of them. What is
left of that shows in `noise_ms`: the same figure of a step that never holds the lock (a hash of some megabytes).
"""

from __future__ import annotations

import contextlib
import hashlib
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from vbgcam.bench.base import Check, Figures
from vbgcam.bench.timing import Work

SWITCH: Final = 0.0005
_ASKS: Final = 0.00005
_RUNS: Final = 15
_FREE: Final = 8_000_000  # bytes to hash: 5 to 20 ms, as long as a step


class Probe:
    """Asks for the lock within `with`."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._waits: list[float] = []
        self._thread = threading.Thread(target=self._ask, name="probe", daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def during(self, work: Callable[[], object]) -> list[float]:
        """All waits, in milliseconds, the one that the work's end cut into included."""
        waits: list[float] = []
        self._waits = waits
        work()
        count = len(waits)
        while len(waits) <= count:  # the wait that is going on belongs to the work, too
            time.sleep(_ASKS)
        return waits

    def _ask(self) -> None:
        while not self._stop.is_set():
            before = time.perf_counter()
            time.sleep(_ASKS)
            self._waits.append(1000 * (time.perf_counter() - before))


def measure(works: Mapping[str, Work], check: Check, runs: int = _RUNS) -> Figures:
    """`gil.SIZE` of the figures: `stages`, each step's wait; `max_ms` and `stage`, the largest of them; `p99_ms`, the
    99th percentile of the waits of all runs together; `noise_ms`."""
    free = bytes(_FREE)
    longest: dict[str, list[float]] = {name: [] for name in ("", *works)}
    everything: list[float] = []
    with _switching(SWITCH), Probe() as probe:
        idle = statistics.median(probe.during(lambda: time.sleep(0.05)))
        for _ in range(runs):
            for name, work in {"": lambda: hashlib.sha256(free), **works}.items():
                check()
                waits = [max(0.0, wait - idle) for wait in probe.during(work)]
                longest[name].append(max(waits))
                if name:
                    everything += waits
    steps = {name: round(float(np.percentile(waits, 25)), 3) for name, waits in longest.items()}
    noise = steps.pop("")
    worst = max(steps, key=lambda name: steps[name])
    return {
        "max_ms": steps[worst],
        "stage": worst,
        "p99_ms": round(float(np.percentile(everything, 99)), 3),
        "noise_ms": noise,
        "stages": steps,
    }


@contextlib.contextmanager
def _switching(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
