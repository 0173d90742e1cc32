"""Before and after: a clip's frames, with what the network alone makes of them and with what the mask's steps add."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from vbgcam.core.frames import U8
from vbgcam.core.options import NONE, RenderOptions
from vbgcam.evaluate.base import Request
from vbgcam.evaluate.clip import Clip, Moment, moments
from vbgcam.media import images
from vbgcam.offline.backdrops import Backdrops
from vbgcam.pixels.convert import to_rgb
from vbgcam.render.composer import Composer
from vbgcam.report.sheet import sheet
from vbgcam.segment import Segmenter

CAPTIONS: Final = ("the camera", "the network alone", "vbgcam")
_WIDEST: Final = 320
_PARTS: Final = (Fraction(1, 3), Fraction(9, 10))


def write(request: Request, clip: Clip, segmenter: Segmenter, mask_fps: Fraction | None, path: Path) -> None:
    """At a third and near the end of the clip, in front of the request's background. Raises MediaError, ModelError."""
    numbers = [int(part * max(1, clip.count or clip.frames)) for part in _PARTS]
    composer, backdrops = Composer(clip.size), Backdrops(request.options, request.background)

    def composed(moment: Moment) -> U8:
        """As `run` would show it; black where there is no mask."""
        if moment.mask is None:
            return np.zeros((clip.size.height, clip.size.width, 3), np.uint8)
        return to_rgb(composer.compose(moment.frame, moment.mask, backdrops.of(clip.size)).planes)

    def shown(options: RenderOptions) -> Iterator[tuple[U8, U8]]:
        way = moments(clip, segmenter, options, mask_fps=mask_fps)
        for moment in itertools.takewhile(lambda moment: moment.frame.number <= max(numbers), way):
            if moment.frame.number in numbers:
                yield to_rgb(moment.frame.planes), composed(moment)

    alone = replace(request.options, mask=replace(NONE, hard=request.options.mask.hard))
    rows = [
        sheet([frame, network, ours], CAPTIONS, _WIDEST)
        for (frame, network), (_frame, ours) in zip(list(shown(alone)), list(shown(request.options)), strict=True)
    ]
    images.write(path, np.concatenate(rows))
