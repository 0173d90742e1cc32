"""The whole work of a frame, the network included: planes in memory, the network's input, the network, the mask, the
blend, the written frame. Before a picture and before the room out of focus with the network's bare masks, and before
the picture with all that `balanced` does to them, on the moving presenter, which these steps need."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from vbgcam.bench.base import Check, Figures
from vbgcam.bench.scene import Scene, moving, there_and_back
from vbgcam.bench.sink import MemorySink
from vbgcam.bench.stages import STRENGTH
from vbgcam.bench.timing import interleaved
from vbgcam.core.frames import RawFrame
from vbgcam.core.options import PRESETS, Blur
from vbgcam.mask import Masker, finish
from vbgcam.render.composer import Behind, Composer
from vbgcam.segment import Segmenter

_RATE: Final = 30
# Frames before the measuring, so that the room is known.
_WARM: Final = 60


def measure(scene: Scene, segmenter: Segmenter, seconds: float, check: Check) -> Figures:
    """`frame.SIZE` of the figures. Raises ModelError."""
    with MemorySink() as sink:

        def whole(composer: Composer, behind: Behind) -> Callable[[], None]:
            def work() -> None:
                mask = finish(segmenter.probability(scene.frame), scene.frame)
                sink.write(composer.compose(scene.frame, mask, behind).planes)

            return work

        def balanced(composer: Composer) -> Callable[[], None]:
            masker, numbers = Masker(segmenter, PRESETS["balanced"]), itertools.count()
            film = [planes for planes, _alpha in moving(scene.size)]

            def work() -> None:
                number = next(numbers)
                frame = RawFrame(film[there_and_back(number, len(film))], number / _RATE, 0, number)
                sink.write(composer.compose(frame, masker.mask(frame), scene.behind).planes)

            for _ in range(_WARM):
                check()
                work()
            return work

        took = interleaved(
            {
                "image": whole(Composer(scene.size), scene.behind),
                "blur": whole(Composer(scene.size), Blur(STRENGTH)),
                "balanced": balanced(Composer(scene.size)),
            },
            seconds,
            check,
        )
    figures: Figures = {
        name: {"ms": timing.ms, "cpu_ms": timing.cpu_ms, "runs": timing.runs} for name, timing in took.items()
    }
    return {**figures, "model": segmenter.name, "input": str(segmenter.input or "")}
