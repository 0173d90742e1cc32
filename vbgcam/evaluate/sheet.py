"""Before and after: a clip's frames, with what the network alone makes of them and with what the mask's steps add."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from vbgcam.core.frames import U8, Backdrop, Planes
from vbgcam.core.options import NONE, MaskOptions
from vbgcam.evaluate.clip import Clip, Moment, moments
from vbgcam.evaluate.run import Question
from vbgcam.media import images
from vbgcam.pixels.convert import BLACK, to_rgb
from vbgcam.render.composer import Blur, Composer
from vbgcam.report.sheet import sheet
from vbgcam.segment import Segmenter

CAPTIONS: Final = ("the camera", "the network alone", "vbgcam")
_WIDEST: Final = 320
_PARTS: Final = (Fraction(1, 3), Fraction(9, 10))


def write(question: Question, film: Clip, segmenter: Segmenter, mask_fps: Fraction | None, path: Path) -> None:
    """At a third and near the end of the clip, before the question's background. Raises MediaError, ModelError."""
    numbers = [int(part * max(1, film.count or film.frames)) for part in _PARTS]
    composer = Composer(film.size)

    def shown(steps: MaskOptions) -> Iterator[tuple[U8, U8]]:
        way = moments(film, segmenter, mask_fps=mask_fps, limits=question.limits, hard=question.hard, steps=steps)
        for moment in itertools.takewhile(lambda moment: moment.frame.number <= max(numbers), way):
            if moment.frame.number in numbers:
                yield to_rgb(moment.frame.planes), to_rgb(_composed(question, composer, moment))

    rows = [
        sheet([frame, alone, ours], CAPTIONS, _WIDEST)
        for (frame, alone), (_frame, ours) in zip(list(shown(NONE)), list(shown(question.steps)), strict=True)
    ]
    images.write(path, np.concatenate(rows))


def _composed(question: Question, composer: Composer, moment: Moment) -> Planes:
    """As `run` would show it; where there is no mask, nothing."""
    nothing = Backdrop(Planes.filled(composer.size, BLACK).frozen())
    if moment.mask is None:
        return nothing.planes
    behind = question.behind or nothing
    if not isinstance(behind, Blur | Backdrop):
        background = behind(composer.size)
        behind = background.at(0.0)
        background.close()
    return composer.compose(moment.frame, moment.mask, behind).planes
