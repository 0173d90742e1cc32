"""The whole work of a frame, the network included: planes in memory, the network's input, the network, the mask, the
blend, the written frame. Before a picture and before the room out of focus with the network's bare masks, and before
the picture with all that `balanced` does to them, on the moving presenter, which these steps need."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Final

from vbgcam.bench.base import Check, Figures
from vbgcam.bench.scene import moving, scene, there_and_back
from vbgcam.bench.sink import MemorySink
from vbgcam.bench.stages import STRENGTH
from vbgcam.bench.timing import interleaved
from vbgcam.core.frames import RawFrame, Size
from vbgcam.core.options import PRESETS, Blur
from vbgcam.mask import Masker, finish
from vbgcam.render.composer import Behind, Composer
from vbgcam.segment import Segmenter

_RATE: Final = 30
# Frames before the measuring, so that the room is known.
_WARM: Final = 60


def measure(size: Size, network: Callable[[], Segmenter], seconds: float, check: Check) -> Figures:
    """`frame.SIZE` of the figures. Raises ModelError."""
    prepared = scene(size)
    with MemorySink() as sink, contextlib.closing(network()) as segmenter:

        def bare(behind: Behind) -> Callable[[], None]:
            composer = Composer(size)

            def work() -> None:
                mask = finish(segmenter.probability(prepared.frame), prepared.frame)
                sink.write(composer.compose(prepared.frame, mask, behind).planes)

            return work

        masker, composer, numbers = Masker(segmenter, PRESETS["balanced"]), Composer(size), itertools.count()
        shots = [planes for planes, _alpha in moving(size)]

        def balanced() -> None:
            number = next(numbers)
            frame = RawFrame(shots[there_and_back(number, len(shots))], number / _RATE, 0, number)
            sink.write(composer.compose(frame, masker.mask(frame), prepared.behind).planes)

        for _ in range(_WARM):
            check()
            balanced()
        took = interleaved(
            {"image": bare(prepared.behind), "blur": bare(Blur(STRENGTH)), "balanced": balanced}, seconds, check
        )
        return {
            **{name: {"ms": timing.ms, "cpu_ms": timing.cpu_ms, "runs": timing.runs} for name, timing in took.items()},
            "model": segmenter.name,
            "input": str(segmenter.input or ""),
        }
