"""The kinds of data: how each is predicted and scored, and what its results say besides the items' figures.

`kind`, `data`: as in the results. `files`: what is read; together with `more` it says what the figures depend on.
`count`: of items, None where nobody knows. `left_out`: what is known to be missing after all items were there.

`items` gives all, in order, predicted and scored; those that are `done` only where a later one needs it, and without
their figures. `mask`: the kept mask of one that is done. `results`: what is said of all items that could be scored.
`originals`: the frames of some items, ascending, and their true alphas. All raise ModelError and MediaError.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8, RawFrame
from vbgcam.evaluate import coco
from vbgcam.evaluate.base import Item, LeftOut, Request, Results
from vbgcam.evaluate.clip import AT_ONCE, Clip, Pace, moments
from vbgcam.evaluate.metrics import HIDDEN, Score, in_papers, mean, score
from vbgcam.evaluate.sets import PictureSet
from vbgcam.mask import Masker
from vbgcam.pixels.convert import from_rgb
from vbgcam.segment import Segmenter
from vbgcam.segment.labels import Labeller

Set = PictureSet | coco.CocoSet

_PERSON: Final = coco.VOC_NAMES.index("person")
_HALF: Final = 128


class ClipSource:
    """A clip's frames, those that come at that `pace`."""

    kind = "clip"

    def __init__(self, request: Request, clip: Clip, model: Segmenter, pace: Pace = AT_ONCE) -> None:
        self.data = self.files = [clip.video.path, clip.alpha.path]
        self.more = {"pace": repr(pace)}
        self.count, self.model = clip.video.count, model
        self.left_out: list[LeftOut] = []
        self._options, self._clip, self._pace = request.options, clip, pace

    def items(self, done: frozenset[int], mask: Callable[[int], U8 | None]) -> Iterator[Item]:
        before: tuple[U8, U8] | None = None
        clip, pace = self._clip, self._pace
        for moment in moments(clip, self.model, self._options, pace, needed=lambda number: number not in done):
            number, age = moment.frame.number, moment.mask_age
            found: dict[str, Any] = {}
            if number in done:
                alpha = mask(number)
            else:
                alpha = moment.mask.alpha if moment.mask is not None else None
                found = {
                    "frame": number,
                    "time": moment.frame.captured_at,
                    "mask_age": None if age is None else round(age, 9),
                    "hidden": moment.hidden,
                    **(HIDDEN if alpha is None else score(alpha, moment.truth, before)._asdict()),
                }
            before = (alpha, moment.truth) if alpha is not None else None
            yield Item(number, f"frame {number}", found, alpha)
        self.left_out = [{"name": str(clip.video.path), "why": why} for why in clip.left_out]

    def results(self, items: Sequence[Item]) -> Results:
        shown = [item for item in items if not item.found["hidden"]]
        pace = self._pace
        low, high = pace.mask_s or (Fraction(0), Fraction(0))
        return {
            "mask_fps": float(1 / low) if 0 < low == high else None,
            "net_ms": [float(1000 * low), float(1000 * high)] if low < high else None,
            "frame_fps": None if pace.frame_fps is None else float(pace.frame_fps),
            "seed": pace.seed,
            "size": str(self._clip.video.size),
            "fps": round(float(self._clip.video.rate), 6),
            "frames": len(items),
            "scored": len(shown),
            "without_mask": sum(item.found["mask_age"] is None for item in items),
            "covered": len(items) - len(shown),
            **_means(shown),
        }

    def originals(self, numbers: Sequence[int]) -> Iterator[tuple[RawFrame, U8]]:
        for _time, frame, truth in self._clip.pairs():
            if frame.number in numbers:
                yield frame, truth
            if frame.number >= max(numbers, default=-1):
                return


class PairsSource:
    """Pictures with masks, each a scene of its own. `limit`: the first so many."""

    def __init__(self, request: Request, data: Set, model: Segmenter | Labeller, limit: int | None = None) -> None:
        self.kind, self.data, self.files, self.left_out = data.kind, [data.folder], data.files, data.left_out
        self._names, self._set = data.names[:limit], data
        self.more = {"limit": limit}
        self.count, self.model = len(self._names), model
        self._masker = None if isinstance(model, Labeller) else Masker(model, request.options.mask)

    def items(self, done: frozenset[int], mask: Callable[[int], U8 | None]) -> Iterator[Item]:
        del mask  # no picture depends on another one
        for number, name in enumerate(self._names):
            found: dict[str, Any] = {}
            alpha = None
            if number not in done:
                try:
                    found, alpha = self._scored(*self._set.read(number))
                except MediaError as exc:
                    found = {"why": str(exc)}
            yield Item(number, name, found, alpha)

    def results(self, items: Sequence[Item]) -> Results:
        return {"images": len(items), **_means(items)}

    def originals(self, numbers: Sequence[int]) -> Iterator[tuple[RawFrame, U8]]:
        for number in numbers:
            rgb, truth = self._set.read(number)
            yield RawFrame(from_rgb(rgb).frozen(), 0.0), self._true_alpha(truth)

    def _predicted(self, rgb: U8) -> U8:
        assert self._masker is not None
        self._masker.reset()
        return self._masker.mask(RawFrame(from_rgb(rgb).frozen(), 0.0)).alpha

    def _true_alpha(self, truth: U8) -> U8:
        """Of the truth as the set has it."""
        return truth

    def _scored(self, rgb: U8, truth: U8) -> tuple[dict[str, Any], U8 | None]:
        """An item's `found` and `mask`."""
        alpha = self._predicted(rgb)
        return score(alpha, truth)._asdict(), alpha


class CocoSource(PairsSource):
    """COCO by torchvision's protocol. Of a model that is no Labeller the person alone is scored."""

    def results(self, items: Sequence[Item]) -> Results:
        total = np.array([item.found["confusion"] for item in items], np.int64).sum(axis=0)
        by_class = coco.class_iou(total)
        if len(by_class) == 2:
            figures: Results = {"person_iou": by_class[1], "person_accuracy": coco.accuracy(total)}
        else:
            present = [value for value in by_class if value is not None]
            mean_iou = float(np.mean(present)) if present else None
            figures = {
                "person_iou": by_class[_PERSON],
                "person_accuracy": coco.accuracy(coco.alone(total, _PERSON)),
                "miou": mean_iou if len(present) == len(by_class) else None,
                "miou_present": mean_iou,
                "pixel_accuracy": coco.accuracy(total),
                "class_iou": dict(zip(coco.VOC_NAMES, by_class, strict=True)),
            }
        return {"images": len(items), **figures, "confusion": total.tolist()}

    def _true_alpha(self, truth: U8) -> U8:
        return np.where(truth == _PERSON, np.uint8(255), np.uint8(0))

    def _scored(self, rgb: U8, truth: U8) -> tuple[dict[str, Any], U8 | None]:
        if isinstance(self.model, Labeller):
            labels = self.model.labels(rgb)
            table = coco.confusion(truth, labels)
            alpha = self._true_alpha(labels)
        else:
            alpha = self._predicted(rgb)
            person = np.where(truth == coco.IGNORED, coco.IGNORED, truth == _PERSON).astype(np.uint8)
            table = coco.confusion(person, np.asarray(alpha >= _HALF, np.uint8), 2)
        found: dict[str, Any] = {"confusion": table.tolist()}
        if not (truth == _PERSON).any():
            return found, None
        # Nobody is where pixels do not count, in the mask and in the truth.
        alpha = np.where(truth == coco.IGNORED, np.uint8(0), alpha)
        return found | score(alpha, self._true_alpha(truth))._asdict(), alpha


Source = ClipSource | PairsSource


def _means(items: Sequence[Item]) -> dict[str, Any]:
    """Of the items' figures; all None where there is none."""
    found = mean(Score(**{name: item.found[name] for name in Score._fields}) for item in items)
    if found is None:
        return {**dict.fromkeys(Score._fields), "papers": None}
    return {**found._asdict(), "papers": in_papers(found)}
