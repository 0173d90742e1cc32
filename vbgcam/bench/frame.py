"""The whole work of a frame, the network included: planes in memory, the network's input, the network, the mask, the
blend, the written frame."""

from __future__ import annotations

from collections.abc import Callable

from vbgcam.bench import Check, Figures
from vbgcam.bench.scene import Scene
from vbgcam.bench.sink import MemorySink
from vbgcam.bench.stages import STRENGTH
from vbgcam.bench.timing import interleaved
from vbgcam.compose import Behind, Blur, Composer
from vbgcam.mask import finish
from vbgcam.segment import Segmenter


def measure(scene: Scene, segmenter: Segmenter, seconds: float, check: Check) -> Figures:
    """`frame.SIZE` of the figures. Raises ModelError."""
    with MemorySink() as sink:

        def whole(composer: Composer, behind: Behind) -> Callable[[], None]:
            def work() -> None:
                mask = finish(segmenter.probability(scene.frame), scene.frame)
                sink.write(composer.compose(scene.frame, mask, behind).planes)

            return work

        took = interleaved(
            {
                "image": whole(Composer(scene.size), scene.behind),
                "blur": whole(Composer(scene.size), Blur(STRENGTH)),
            },
            seconds,
            check,
        )
    figures: Figures = {
        name: {"ms": timing.ms, "cpu_ms": timing.cpu_ms, "runs": timing.runs} for name, timing in took.items()
    }
    return {**figures, "model": segmenter.name, "input": str(segmenter.input or "")}
