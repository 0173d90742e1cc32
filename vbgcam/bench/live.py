"""The live chain as it runs in a call, without a camera and without a device: prepared frames arrive at their rate, the
finished ones go nowhere. Everything between is the real session with its threads."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from vbgcam.background.still import Still
from vbgcam.bench import scene
from vbgcam.bench.base import SIZES, Check, Figures, label
from vbgcam.camera import Captured, Negotiated
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Planes, RawFrame, Size
from vbgcam.core.options import RenderOptions
from vbgcam.live.plan import Network, Plan
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.output.null import NullOutput
from vbgcam.segment import FixedInput, Probability, Progress, Segmenter

RATES: Final = ((SIZES["720p"], 30), (SIZES["1080p"], 30), (SIZES["1080p"], 60), (SIZES["4K"], 30))

# Seconds that the chain gets to come on air: the blend is loaded, the network built.
_START: Final = 60.0
# Seconds on air that do not count: buffers are allocated, pages touched, the pairing found.
_SETTLE: Final = 1.0
# A stand-in's masks may be old: two of them at the slowest rate that is of use.
_MASK_AGE: Final = 2.0

Build = Callable[[Progress], Segmenter]


class Replay:
    """A camera: frame n arrives n periods after `open`. One that is not read in time is lost. Implements
    `camera.Source`."""

    clocked = True

    def __init__(self, frames: Sequence[Planes], fps: float) -> None:
        self._frames, self._fps = frames, fps
        self._closed = threading.Event()
        self._start = 0.0
        self._next = self._dropped = 0

    def expected(self) -> Negotiated:
        return Negotiated("prepared frames", self._frames[0].size, self._fps)

    def open(self) -> Negotiated:
        self._closed.clear()
        self._next = self._dropped = 0
        self._start = time.monotonic()
        return self.expected()

    def read(self) -> Captured | None:
        late = int((time.monotonic() - self._start) * self._fps) - self._next
        if late > 0:  # the last one that has arrived is still there
            self._dropped += late
            self._next += late
        number, self._next = self._next, self._next + 1
        if self._closed.wait(max(0.0, self._start + number / self._fps - time.monotonic())):
            return None
        return Captured(self._frames[number % len(self._frames)], time.monotonic())

    def dropped(self) -> int:
        return self._dropped

    def close(self) -> None:
        self._closed.set()


class StandIn(FixedInput):
    """A network that takes a chosen time and knows the presenter of `scene.frames`. It waits without working, as for a
    GPU. See `vbgcam.segment.Segmenter`."""

    device = "cpu"

    def __init__(self, masks_a_second: float) -> None:
        self.name = f"stand-in, {masks_a_second:.3g} masks a second"
        self._probability, self._seconds = scene.truth(), 1 / masks_a_second

    def probability(self, frame: RawFrame) -> Probability:
        time.sleep(self._seconds)
        return self._probability


def name(size: Size, fps: int) -> str:
    """`1080p30`, `4K30`, else `640x360@30`."""
    text = label(size)
    return f"{text}{fps}" if text in SIZES else f"{text}@{fps}"


def measure(size: Size, fps: int, build: Build, seconds: float, check: Check) -> Figures:
    """`live.NAME` of the figures. `dropped`, `fps` and `cpu_percent` (100 is one core) are of the measured seconds;
    the latencies, from a frame's arrival to the end of its write, of all frames on air. Raises ModelError."""
    stats = Stats()
    source = Replay(scene.frames(size), fps)
    session = Session(
        Plan(
            source=source,
            output=NullOutput(),
            background=Still(scene.backdrop(size)),
            network=Network("", build),
            options=RenderOptions(max_mask_age=_MASK_AGE),
            size=size,
            fps=fps,
        ),
        stats,
    )

    def now() -> tuple[float, float, dict[str, int]]:
        """Wall time, processor time, frames so far."""
        frames = stats.snapshot()["frames"]
        frames["dropped"] += source.dropped()
        return time.monotonic(), time.process_time(), frames

    try:
        session.start()
        _wait(session, _START, lambda: stats.on_air() >= _SETTLE, check)
        began, cpu_before, before = now()
        _wait(session, seconds, lambda: False, check)
        ended, cpu_after, after = now()
    finally:
        session.stop()
    shown = stats.snapshot()
    if not stats.composed():
        raise OutputError(f"live at {name(size, fps)}: nobody was on air within {_START:.0f} s ({shown['why']})")
    wall, count = ended - began, {kind: after[kind] - before[kind] for kind in ("sent", "dropped", "covered")}
    return {
        "fps": round(count["sent"] / wall, 2),
        "dropped": count["dropped"],
        "added_latency_ms": shown["added_latency_ms"],
        "sent": count["sent"],
        "covered": count["covered"],
        "mask_age_ms": shown["mask_age_ms"],
        "inference_ms": shown["inference_ms"],
        "cpu_percent": round(100 * (cpu_after - cpu_before) / wall, 1),
        "model": shown["model"],
        "pairing": shown.get("pairing", ""),
        "seconds": round(wall, 2),
    }


def _wait(session: Session, seconds: float, enough: Callable[[], bool], check: Check) -> None:
    def tick() -> bool:
        check()
        return enough()

    session.wait(seconds, threading.Event(), tick)
