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

Milliseconds are medians of rounds in which everything that is compared takes turns (see `timing`); `cpu_ms` is the
processor time of all threads.
"""

from collections.abc import Callable
from typing import Any, Final

from vbgcam.core.frames import Size

Figures = dict[str, Any]

Check = Callable[[], None]
"""Raises what is to break the measuring off."""

SIZES: Final = {"720p": Size(1280, 720), "1080p": Size(1920, 1080), "4K": Size(3840, 2160)}
FAMILIES: Final = ("stages", "masks", "frame", "inference", "live", "start")


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
