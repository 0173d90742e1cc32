"""The field's measures of an alpha against the true one, each by the formula of the paper that it is known from.

For those of the matting papers we found no package, only each paper's own repository, so they are written here, over
OpenCV's filters and components.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import U8

Floats = NDArray[np.float32]

# Half: a pixel is the person's from here on.
_PERSON: Final = 128
# The pixels beside each side of an outline, and what lies within two pixels of it. A square in the ellipse's place
# gives from 1 % more (masks nearly right) to a tenth more (masks 200 ms late).
_NEAR: Final = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))
_WITHIN_TWO: Final = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_SIGMA: Final = 1.4
_LEVELS: Final = 10
# In 255ths: a difference that is smaller than 0.15 says nothing of connectivity.
_THETA: Final = 0.15 * 255


class Score(NamedTuple):
    """One picture's, or the mean of many.

    `iou`: of what is at least half the person, intersection over union; 1 where both are empty.
    `boundary_f`: F of precision and recall of the outline, within 2 pixels (Perazzi et al., DAVIS, CVPR 2016).
    `mad`, `mse`: mean |difference| and mean square of it, of alphas from 0 to 1.
    `grad`: sum of squared differences of the gradients' lengths, Gaussian derivatives with sigma 1.4, in thousands;
    `conn`: sum of the differences in connectivity, steps of 0.1, theta 0.15, in thousands (both: Rhemann et al., A
    perceptually motivated online benchmark for image matting, CVPR 2009).
    `dtssd`: 100 times the root of the mean squared difference of the changes since the frame before (Erofeev et al.,
    Perceptually motivated benchmark for video matting, BMVC 2015); None without a frame before.
    `leak`: of the background, the part that is shown; `loss`: of the person, the part that is hidden: sums of what the
    alpha has too much, or too little, over the sum of the background, or of the person; 0 where there is none.
    """

    iou: float
    boundary_f: float
    mad: float
    mse: float
    grad: float
    conn: float
    dtssd: float | None
    leak: float
    loss: float


PAPERS: Final = {"mad": 1e3, "mse": 1e3, "grad": 1.0, "conn": 1.0, "dtssd": 1.0}
"""What the video matting papers print is the score times this (Lin et al., Robust High-Resolution Video Matting, WACV
2022, and those who compare with it)."""

HIDDEN: Final = {**dict.fromkeys(Score._fields), "leak": 0.0, "loss": 1.0}
"""The figures of a frame that is not shown: nothing of the room is, and nothing of the person."""
ABOVE: Final = ("0.01", "0.02", "0.05")
"""Leak and loss beyond which pictures are counted."""


def score(alpha: U8, truth: U8, before: tuple[U8, U8] | None = None) -> Score:
    """`alpha`, `truth`: uint8, (height, width), 255 is the person. `before`: both of the frame before, of the same
    size. 13 ms at 640x360, most of it connectivity."""
    if alpha.shape != truth.shape:
        raise ValueError(f"an alpha of {alpha.shape} cannot be compared with one of {truth.shape}")
    ours, true = np.asarray(alpha >= _PERSON, np.uint8), np.asarray(truth >= _PERSON, np.uint8)
    difference = np.subtract(alpha, truth, dtype=np.int16)
    too_much = int(np.maximum(difference, 0).sum(dtype=np.int64))
    too_little = int(np.maximum(-difference, 0).sum(dtype=np.int64))
    person = int(truth.sum(dtype=np.int64))
    background = 255 * truth.size - person
    return Score(
        iou=_iou(ours, true),
        boundary_f=_boundary_f(ours, true),
        mad=(too_much + too_little) / (255 * truth.size),
        mse=_mean_square(difference) / 255**2,
        grad=float(np.square(_steepness(alpha) - _steepness(truth)).sum(dtype=np.float64)) / 1000,
        conn=_conn(alpha, truth),
        dtssd=_dtssd(alpha, truth, before) if before is not None else None,
        leak=too_much / background if background else 0.0,
        loss=too_little / person if person else 0.0,
    )


def mean(scores: Iterable[Score]) -> Score | None:
    """Of each measure over those that have it; None where there is not one score."""
    rows = list(scores)
    if not rows:
        return None
    changes = [row.dtssd for row in rows if row.dtssd is not None]
    means = {
        name: math.fsum(getattr(row, name) for row in rows) / len(rows) for name in Score._fields if name != "dtssd"
    }
    return Score(**means, dtssd=math.fsum(changes) / len(changes) if changes else None)


def tail(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]] | None:
    """How bad `leak` and `loss` get, which each row has from 0 to 1: `p99` (the nearest rank), `worst`, `at`, its row's
    `name` (the first of equals), and `above`: how many rows are above 1, 2 and 5 %. None of no rows."""
    if not rows:
        return None
    found = {}
    for key in ("leak", "loss"):
        values = sorted(row[key] for row in rows)
        worst = max(rows, key=itemgetter(key))
        found[key] = {
            "p99": values[math.ceil(99 * len(values) / 100) - 1],
            "worst": worst[key],
            "at": worst["name"],
            "above": {text: sum(value > float(text) for value in values) for text in ABOVE},
        }
    return found


def in_papers(found: Score) -> dict[str, float | None]:
    """In the scalings that the papers print."""
    values = found._asdict()
    return {name: None if values[name] is None else values[name] * factor for name, factor in PAPERS.items()}


def _iou(ours: U8, true: U8) -> float:
    both, either = cv2.countNonZero(ours & true), cv2.countNonZero(ours | true)
    return both / either if either else 1.0


def _boundary_f(ours: U8, true: U8) -> float:
    outline, right = (cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, _NEAR) for mask in (ours, true))
    have, want = cv2.countNonZero(outline), cv2.countNonZero(right)
    if not have or not want:
        return float(have == want)
    precision = cv2.countNonZero(cv2.bitwise_and(outline, cv2.dilate(right, _WITHIN_TWO))) / have
    recall = cv2.countNonZero(cv2.bitwise_and(right, cv2.dilate(outline, _WITHIN_TWO))) / want
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _mean_square(difference: NDArray[np.int16]) -> float:
    wide = difference.astype(np.int32)
    return int((wide * wide).sum(dtype=np.int64)) / difference.size


def _steepness(alpha: U8) -> Floats:
    """The gradient's length. Each alpha is stretched to 0 to 1 before, as the papers' programs do it."""
    low, high = int(alpha.min()), int(alpha.max())
    stretched = (alpha.astype(np.float32) - low) / max(1, high - low)
    across = cv2.sepFilter2D(stretched, cv2.CV_32F, _SLOPE, _BELL, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(stretched, cv2.CV_32F, _BELL, _SLOPE, borderType=cv2.BORDER_REPLICATE)
    # Not cv2.magnitude: its last digit depends on where in memory a picture lies, and results are to be the same twice.
    return np.asarray(np.sqrt(across * across + down * down), np.float32)


def _kernels() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A Gaussian and its derivative, cut off where they fall under 1 %; their product over two axes has norm 1."""
    reach = math.ceil(_SIGMA * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * _SIGMA * 0.01)))
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    bell = np.exp(-(x**2) / (2 * _SIGMA**2)) / (_SIGMA * math.sqrt(2 * math.pi))
    slope = x * bell / _SIGMA**2
    return bell / np.linalg.norm(bell), slope / np.linalg.norm(slope)


_BELL, _SLOPE = _kernels()


def _conn(alpha: U8, truth: U8) -> float:
    """Up to which level each pixel hangs together with the largest part that both alphas have in common, and how far
    each of the two rises above that level."""
    level = _level(np.minimum(alpha, truth)) * np.float32(255 / _LEVELS)
    rises = [np.where(above >= _THETA, above, 0) for above in (alpha - level, truth - level)]
    return float(np.abs(rises[0] - rises[1]).sum(dtype=np.float64)) / 255 / 1000


def _level(common: U8) -> Floats:
    """In steps, 0 to 10, how high each pixel hangs together with the largest part of that height."""
    level, connected = np.zeros(common.shape, np.float32), np.ones(common.shape, bool)
    area = -1
    for step in range(1, _LEVELS + 1):
        above = np.asarray(common >= -(-255 * step // _LEVELS), np.uint8)
        if cv2.countNonZero(above) != area:  # else it is the step before once more, as most are where a mask is sure
            count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=4)
            if count == 1:
                break
            area = above.size - int(stats[0, cv2.CC_STAT_AREA])
            connected &= labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        level += connected
    return level


def _dtssd(alpha: U8, truth: U8, before: tuple[U8, U8]) -> float:
    change = np.subtract(alpha, before[0], dtype=np.int16) - np.subtract(truth, before[1], dtype=np.int16)
    return 100 * math.sqrt(_mean_square(change)) / 255
