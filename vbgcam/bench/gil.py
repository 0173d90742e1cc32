"""How long each step keeps the interpreter's lock while another thread wants it.

A probe thread asks for the lock again and again, a twentieth of a millisecond apart, while a step runs in this thread;
what it waits beyond an idle machine's wait is the lock's. Python code gives the lock up when asked after the switch
interval (set to half a millisecond here); a library's call gives it up when it returns or says so.

A step's figure is the median, over its runs, of the longest wait in a run: on a shared machine the operating system, too,
keeps the probe waiting now and then, for whole time slices, but not in most runs.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from vbgcam.bench import Check, Figures
from vbgcam.bench.timing import Work

SWITCH: Final = 0.0005
_ASKS: Final = 0.00005
_RUNS: Final = 15


class Probe:
    """Asks for the lock within `with`; `longest` and `waits` are of the time since the last `begin`, in ms."""

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
        self._waits = waits = []
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
    99th percentile of the waits of all runs together."""
    steps, everything = {}, []
    with _switching(SWITCH), Probe() as probe:
        idle = statistics.median(probe.during(lambda: time.sleep(0.05)))
        for name, work in works.items():
            longest = []
            for _ in range(runs):
                check()
                waits = [max(0.0, wait - idle) for wait in probe.during(work)]
                longest.append(max(waits))
                everything += waits
            steps[name] = round(statistics.median(longest), 3)
    worst = max(steps, key=lambda name: steps[name])
    return {
        "max_ms": steps[worst],
        "stage": worst,
        "p99_ms": round(float(np.percentile(everything, 99)), 3),
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
