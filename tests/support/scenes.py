"""Short scenes whose exact alphas are known, and the masks that are shown with their frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import cv2
import numpy as np

from vbgcam.core.frames import U8, Mask, Planes, RawFrame, Size
from vbgcam.core.options import PRESETS, MaskOptions
from vbgcam.evaluate.clip import Lag, Pace
from vbgcam.mask import Masker
from vbgcam.segment import Probability, Segmenter

SIZE: Final = Size(640, 360)
RATE: Final = 30
# A network that takes six frames, as on a laptop's processor.
TAKES: Final = Fraction(6, RATE)
# Its answers, and how hazy they are: of their width.
ANSWER: Final = 128
HAZE: Final = 0.03
BALANCED: Final = PRESETS["balanced"]
FORGETFUL: Final = replace(BALANCED, room_model=False)


@dataclass(frozen=True)
class Shot:
    """One frame of a scene. `truth`: its exact alpha."""

    frame: RawFrame
    truth: U8
    time: Fraction


def coarse(shots: Sequence[Shot]) -> Callable[[RawFrame], Probability]:
    """A network that knows the truth and says it hazily, of whatever part of a frame it is given."""

    by_number = {shot.frame.number: shot for shot in shots}

    def answer(given: RawFrame) -> Probability:
        shot = by_number[given.number]
        truth, size = shot.truth, given.size
        if size != shot.frame.size:
            left, top = place(given.planes, shot.frame.planes)
            truth = truth[top : top + size.height, left : left + size.width]
        small = cv2.resize(truth, (ANSWER, ANSWER), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(small, (0, 0), HAZE * ANSWER), np.float32) / np.float32(255)

    return answer


def place(part: Planes, whole: Planes) -> tuple[int, int]:
    """Where in the picture that part of it lies: no two corners have the same grain."""
    corner = np.ascontiguousarray(part.y[:32, :32])
    least, _, (left, top), _ = cv2.minMaxLoc(cv2.matchTemplate(whole.y, corner, cv2.TM_SQDIFF))
    found = whole.y[top : top + part.size.height, left : left + part.size.width]
    assert np.array_equal(found, part.y), f"the part is nowhere in its frame (nearest {least})"
    return left, top


def masks(
    shots: Sequence[Shot], options: MaskOptions, segmenter: Segmenter, takes: Fraction | None
) -> list[Mask | None]:
    """Those that are shown with the frames, by a network that `takes` so many seconds."""
    masker = Masker(segmenter, options)
    lag = Lag(Pace(None if takes is None else (takes, takes)).takes(), masker.predict)
    out = []
    for shot in shots:
        prediction = lag.at(shot.time, shot.frame)
        out.append(None if prediction is None else masker.track(shot.frame, prediction))
    return out
