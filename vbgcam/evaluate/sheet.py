"""Before and after: a clip's frames, with what the network alone makes of them and with what the mask's steps add."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from vbgcam.core.frames import U8, Planes
from vbgcam.core.options import NONE, RenderOptions
from vbgcam.evaluate.clip import Clip, Moment, moments
from vbgcam.evaluate.run import Question
from vbgcam.media import images
from vbgcam.offline.backdrops import Backdrops, black
from vbgcam.pixels.convert import to_rgb
from vbgcam.render.composer import Composer
from vbgcam.report.sheet import sheet
from vbgcam.segment import Segmenter

CAPTIONS: Final = ("the camera", "the network alone", "vbgcam")
_WIDEST: Final = 320
_PARTS: Final = (Fraction(1, 3), Fraction(9, 10))


def write(question: Question, film: Clip, segmenter: Segmenter, mask_fps: Fraction | None, path: Path) -> None:
    """At a third and near the end of the clip, before the question's background. Raises MediaError, ModelError."""
    numbers = [int(part * max(1, film.count or film.frames)) for part in _PARTS]
    composer = Composer(film.size)
    alone = replace(NONE, hard=question.options.mask.hard)

    def shown(options: RenderOptions) -> Iterator[tuple[U8, U8]]:
        way = moments(film, segmenter, options, mask_fps=mask_fps)
        for moment in itertools.takewhile(lambda moment: moment.frame.number <= max(numbers), way):
            if moment.frame.number in numbers:
                yield to_rgb(moment.frame.planes), to_rgb(_composed(question, composer, moment))

    rows = [
        sheet([frame, network, ours], CAPTIONS, _WIDEST)
        for (frame, network), (_frame, ours) in zip(
            list(shown(replace(question.options, mask=alone))), list(shown(question.options)), strict=True
        )
    ]
    images.write(path, np.concatenate(rows))


def _composed(question: Question, composer: Composer, moment: Moment) -> Planes:
    """As `run` would show it; where there is no mask, nothing."""
    if moment.mask is None:
        return black(composer.size).planes
    behind = Backdrops(question.options, question.background).of(composer.size)
    return composer.compose(moment.frame, moment.mask, behind).planes
