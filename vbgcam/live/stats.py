"""Figures of a run: counters, ages and times, as `--stats` writes them."""

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

# Percentiles are of the newest values: five minutes at 30 frames a second. The maximum is of the whole run.
_WINDOW: Final = 9000
# Seconds that count as now.
_NOW: Final = 2.0


class Series:
    """Milliseconds. Not thread-safe by itself: `Stats` holds the lock. Its memory is all there from the start, so that
    a long run does not grow."""

    def __init__(self) -> None:
        self._values = np.zeros(_WINDOW)
        self._count = 0
        self._max = 0.0

    def copy(self) -> Self:
        """As it is now: what takes long is computed from a copy, without the lock."""
        copy = self.__class__.__new__(self.__class__)
        copy._values, copy._count, copy._max = self._values[: self._count].copy(), self._count, self._max
        return copy

    def add(self, seconds: float) -> None:
        """One more measurement."""
        self._values[self._count % _WINDOW] = seconds * 1000
        self._count += 1
        self._max = max(self._max, seconds * 1000)

    def percentiles(self) -> dict[str, float | None]:
        """p50, p95, p99 and max; None where nothing was measured."""
        if not self._count:
            return dict.fromkeys(("p50", "p95", "p99", "max"))
        p50, p95, p99 = (round(float(point), 2) for point in np.percentile(self._values[: self._count], [50, 95, 99]))
        return {"p50": p50, "p95": p95, "p99": p99, "max": round(self._max, 2)}


class Stats:
    """Written by the workers, read by anyone; one lock guards it all, and is held for copies at the longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._frames = {"captured": 0, "sent": 0, "dropped": 0, "covered": 0}
        self._mask_age, self._latency, self._inference = Series(), Series(), Series()
        self._inferred_at = -math.inf
        self._facts: dict[str, Any] = {
            "state": "starting", "source": "", "sink": "", "model": "", "device": "", "size": "", "why": "",
            "room_shown": False, "problem": "", "refused": "", "loading": None, "input": "", "precision": "",
            "pairing": "", "helped": None, "less": "", "model_why": "", "model_problem": "",
            "first_sent_s": None, "first_composed_s": None,
        }  # fmt: skip
        self._sent_at: deque[float] = deque(maxlen=300)
        # Of the newest pictures: when, latency, mask's age, in seconds.
        self._newest: deque[tuple[float, float | None, float]] = deque(maxlen=300)
        self._changed: Callable[[], None] = lambda: None

    def on_change(self, changed: Callable[[], None]) -> None:
        """`changed` is called, by whoever it was, after a fact has changed; figures do not count."""
        self._changed = changed

    def fact(self, **facts: object) -> None:
        """state, source, sink, model, device, size, why (what keeps the cover on air, or that the room is visible),
        room_shown (whether the room as it is is on air), problem (the last error that does, with its fix), refused (why
        a network that was chosen cannot be had), loading (one that is being downloaded or built: its name, done and
        total bytes, and the host that is asked), model_why (why it is this network, where "auto" chose it),
        model_problem (why there is no network), input (the network's, height x width), precision (its numbers), pairing
        (of frames and masks), less (what is done for the mask in place of all, see `core.options.LESS`), helped (what
        was made lighter where it was too slow, see `control.lighter`), and the like."""
        with self._lock:
            new = any(self._facts.get(name, ...) != value for name, value in facts.items())
            self._facts.update(facts)
        if new:
            self._changed()

    def fixed(self, problem: str) -> None:
        """That problem is over, where it is still the last one; a picture on air ends every other."""
        with self._lock:
            over = bool(problem) and self._facts["problem"] == problem
            if over:
                self._facts["problem"] = ""
        if over:
            self._changed()

    def another_network(self) -> None:
        """The times of the one before say nothing of its masks."""
        with self._lock:
            self._inference = Series()

    def captured(self, dropped: int = 0) -> None:
        """A frame came from the camera; so many before it were never composed."""
        with self._lock:
            self._frames["captured"] += 1
            self._frames["dropped"] += dropped

    def dropped(self, count: int) -> None:
        """So many frames were lost in the camera."""
        with self._lock:
            self._frames["dropped"] += count

    def sent(self, at: float, latency: float | None, mask_age: float | None) -> None:
        """`latency`, `mask_age` in seconds; both None for a cover. `latency` alone is None for a frame that goes out
        again because the camera gave no other."""
        with self._lock:
            self._frames["sent"] += 1
            self._sent_at.append(at)
            if self._facts["first_sent_s"] is None:
                self._facts["first_sent_s"] = round(at - self._started, 3)
            if mask_age is None:
                self._frames["covered"] += 1
                return
            if self._facts["first_composed_s"] is None:
                self._facts["first_composed_s"] = round(at - self._started, 3)
            if latency is not None:
                self._latency.add(latency)
            self._mask_age.add(max(0.0, mask_age))
            self._newest.append((at, latency, max(0.0, mask_age)))

    def inferred(self, seconds: float) -> None:
        """A mask took so long."""
        with self._lock:
            self._inference.add(seconds)
            self._inferred_at = time.monotonic()

    def since_mask(self) -> float:
        """Seconds since the newest mask was ready; infinity before the first."""
        with self._lock:
            return time.monotonic() - self._inferred_at

    def on_air(self) -> float:
        """Seconds since the first frame that showed somebody; 0 before."""
        with self._lock:
            first = self._facts["first_composed_s"]
        return 0.0 if first is None else time.monotonic() - self._started - float(first)

    def in_words(self) -> str:
        """The state, and why it is so: one line."""
        with self._lock:
            state, why = self._facts["state"], self._facts["why"]
        return f"{state}: {why}" if why else str(state)

    def now(self) -> dict[str, float | None]:
        """fps, and the means of mask_age_ms and added_latency_ms, of the last seconds; None where there were none."""
        since = time.monotonic() - _NOW
        with self._lock:
            sent = sum(at >= since for at in self._sent_at)
            newest = [(latency, age) for at, latency, age in self._newest if at >= since]
        latencies = [latency for latency, _ in newest if latency is not None]
        ages = [age for _, age in newest]
        return {
            "fps": round(sent / _NOW, 1),
            "mask_age_ms": round(1000 * sum(ages) / len(ages), 2) if ages else None,
            "added_latency_ms": round(1000 * sum(latencies) / len(latencies), 2) if latencies else None,
        }

    def inference_ms(self) -> float | None:
        """The median of the newest masks; None where there was none."""
        with self._lock:
            times = self._inference.copy()
        return times.percentiles()["p50"]

    def get(self, name: str) -> Any:
        """One fact."""
        with self._lock:
            return self._facts.get(name)

    def composed(self) -> int:
        """Frames that showed somebody."""
        with self._lock:
            return self._frames["sent"] - self._frames["covered"]

    def snapshot(self) -> dict[str, Any]:
        """What `--stats` and `status --json` hold."""
        with self._lock:
            facts, frames, recent = dict(self._facts), dict(self._frames), list(self._sent_at)
            mask_age, latency, inference = (each.copy() for each in (self._mask_age, self._latency, self._inference))
        span = recent[-1] - recent[0] if recent else 0.0
        masks = inference.percentiles()
        return {
            **facts,
            "fps": round((len(recent) - 1) / span, 2) if span else 0.0,
            "frames": frames,
            "mask_age_ms": mask_age.percentiles(),
            "added_latency_ms": latency.percentiles(),
            "inference_ms": {"p50": masks["p50"], "p95": masks["p95"]},
            "rss_mb": rss_mb(),
            "uptime_s": round(time.monotonic() - self._started, 2),
        }


def rss_mb() -> float | None:
    """The process's resident memory in MB (10^6 bytes), its peak where the system does not tell the present; None
    where it tells neither."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        pages = 0
    if sys.platform == "win32":
        return None
    import resource

    if pages:
        return round(pages * resource.getpagesize() / 1e6, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak / 1e3, 1)
