"""The whole work of a frame, the network included: planes in memory, the network's input, the network, the mask, the
blend, the written frame. Before a picture and before the room out of focus with the network's bare masks, and before
the picture with all that `balanced` does to them, on the moving presenter, which these steps need."""

import contextlib
from collections.abc import Callable
from typing import Final

from vbgcam.bench.base import Check, Figures
from vbgcam.bench.scene import moving, scene, shots
from vbgcam.bench.stages import STRENGTH, memory
from vbgcam.bench.timing import Work, interleaved
from vbgcam.core.frames import Size
from vbgcam.core.options import PRESETS, Blur
from vbgcam.mask import Masker, finish
from vbgcam.render.composer import Behind, Composer
from vbgcam.segment import Segmenter

# Frames before the measuring, so that the room is known.
_WARM: Final = 60


def measure(size: Size, network: Callable[[], Segmenter], seconds: float, check: Check) -> Figures:
    """`frame.SIZE` of the figures. Raises ModelError."""
    prepared = scene(size)
    with memory() as write, contextlib.closing(network()) as segmenter:

        def bare(behind: Behind) -> Work:
            composer = Composer(size)

            def work() -> None:
                mask = finish(segmenter.probability(prepared.frame), prepared.frame)
                write(composer.compose(prepared.frame, mask, behind).planes)

            return work

        masker, composer, film = Masker(segmenter, PRESETS["balanced"]), Composer(size), moving(shots(size))

        def balanced() -> None:
            frame, _alpha = next(film)
            write(composer.compose(frame, masker.mask(frame), prepared.behind).planes)

        for _ in range(_WARM):
            check()
            balanced()
        works = {"image": bare(prepared.behind), "blur": bare(Blur(STRENGTH)), "balanced": balanced}
        took = interleaved(works, seconds, check)
        return {**took, "model": segmenter.name, "input": str(segmenter.input or "")}
