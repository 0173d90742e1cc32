"""The kinds of data: how each is predicted and scored, and what its results say besides the items' figures."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8, RawFrame
from vbgcam.evaluate.base import Item, LeftOut, Request, Results, Source
from vbgcam.evaluate.clip import Clip, moments
from vbgcam.evaluate.coco import IGNORED, VOC_NAMES, CocoSet, Confusion, at_preset
from vbgcam.evaluate.metrics import NAMES, Score, in_papers, mean, score
from vbgcam.evaluate.sets import Listing, read
from vbgcam.mask import Masker
from vbgcam.pixels.convert import from_rgb
from vbgcam.segment import Segmenter
from vbgcam.segment.labels import Labeller

_PERSON: Final = VOC_NAMES.index("person")
_HALF: Final = 128


class ClipSource(Source):
    """A clip's frames. `mask_fps`: masks a second, None for one of each frame."""

    kind = "clip"

    def __init__(self, request: Request, clip: Clip, model: Segmenter, mask_fps: Fraction | None = None) -> None:
        self.data = self.files = [clip.video, clip.alpha]
        self.more = {"mask_fps": str(mask_fps) if mask_fps else None}
        self.count = clip.count
        self.model = model
        self._request, self._clip, self._segmenter, self._mask_fps = request, clip, model, mask_fps

    def items(self, done: frozenset[int], mask: Callable[[int], U8 | None]) -> Iterator[Item]:
        before: tuple[U8, U8] | None = None
        for moment in moments(
            self._clip,
            self._segmenter,
            self._request.options,
            mask_fps=self._mask_fps,
            needed=lambda number: number not in done,
        ):
            number, alpha = moment.frame.number, moment.mask.alpha if moment.mask is not None else None
            found: dict[str, Any] = {}
            if number in done:
                alpha = mask(number)
            else:
                found = {"frame": number, "time": moment.time, "mask_age": None, "covered": moment.covered}
                if moment.mask is not None:
                    found["mask_age"] = round(moment.time - moment.mask.captured_at, 9)
                    found |= dataclasses.asdict(score(moment.mask.alpha, moment.truth, before))
            before = (alpha, moment.truth) if alpha is not None else None
            yield Item(number, f"frame {number}", found, alpha)
        self.left_out = [LeftOut(str(self._clip.video), why) for why in self._clip.left_out]

    def results(self, items: Sequence[Item]) -> Results:
        scored = [item for item in items if "iou" in item.found]
        return {
            "mask_fps": float(self._mask_fps) if self._mask_fps else None,
            "size": str(self._clip.size),
            "fps": round(float(self._clip.rate), 6),
            "frames": self._clip.frames,
            "scored": len(scored),
            "without_mask": len(items) - len(scored),
            "covered": sum(item.found["covered"] for item in items),
            **_means(scored),
        }

    def originals(self, numbers: Sequence[int]) -> Iterator[tuple[RawFrame, U8]]:
        for _time, frame, truth in self._clip.pairs():
            if frame.number in numbers:
                yield frame, truth
            if frame.number >= max(numbers, default=-1):
                return


class _Pictures(Source):
    """What is common to sets of pictures, each of which is a scene of its own."""

    def __init__(self, request: Request, names: Sequence[str], model: Segmenter | Labeller) -> None:
        self.count = len(names)
        self.model = model
        self._names = names
        self._masker = None if isinstance(model, Labeller) else Masker(model, request.options.mask)

    def items(self, done: frozenset[int], mask: Callable[[int], U8 | None]) -> Iterator[Item]:
        del mask  # no picture depends on another one
        for number, name in enumerate(self._names):
            found: dict[str, Any] = {}
            alpha = None
            if number not in done:
                try:
                    found, alpha = self._scored(*self._read(number))
                except MediaError as exc:
                    found = {"why": str(exc)}
            yield Item(number, name, found, alpha)

    def originals(self, numbers: Sequence[int]) -> Iterator[tuple[RawFrame, U8]]:
        for number in numbers:
            rgb, truth = self._read(number)
            yield RawFrame(from_rgb(rgb).frozen(), 0.0), self._true_alpha(truth)

    def _predicted(self, rgb: U8) -> U8:
        assert self._masker is not None
        self._masker.reset()
        return self._masker.mask(RawFrame(from_rgb(rgb).frozen(), 0.0)).alpha

    @abstractmethod
    def _read(self, number: int) -> tuple[U8, U8]:
        """RGB and the truth as the set has it. Raises MediaError."""

    @abstractmethod
    def _true_alpha(self, truth: U8) -> U8: ...

    @abstractmethod
    def _scored(self, rgb: U8, truth: U8) -> tuple[dict[str, Any], U8 | None]:
        """An item's `found` and `mask`."""


class PairsSource(_Pictures):
    """Pictures with masks. `limit`: the first so many."""

    def __init__(self, request: Request, listing: Listing, model: Segmenter, limit: int | None = None) -> None:
        self._pairs, self.more = listing.pairs[:limit], {}
        super().__init__(request, [pair.name for pair in self._pairs], model)
        self.kind, self.data, self.left_out = listing.kind, [listing.folder], listing.left_out
        self.files = [path for pair in self._pairs for path in (pair.picture, pair.mask)]

    def results(self, items: Sequence[Item]) -> Results:
        return {"images": len(items), **_means(items)}

    def _read(self, number: int) -> tuple[U8, U8]:
        return read(self._pairs[number])

    def _true_alpha(self, truth: U8) -> U8:
        return truth

    def _scored(self, rgb: U8, truth: U8) -> tuple[dict[str, Any], U8 | None]:
        alpha = self._predicted(rgb)
        return dataclasses.asdict(score(alpha, truth)), alpha


class CocoSource(_Pictures):
    """COCO by torchvision's protocol. `model`: of a Segmenter the person alone is scored. `limit`:
    the first so many images."""

    kind = "coco"

    def __init__(self, request: Request, data: CocoSet, model: Segmenter | Labeller, limit: int | None = None) -> None:
        super().__init__(request, [image.name for image in data.images[:limit]], model)
        self.data, self.files = [data.folder], [data.annotations, data.pictures]
        self.more = {"limit": self.count}
        self._set = data
        self._classes = len(VOC_NAMES) if isinstance(model, Labeller) else 2

    def results(self, items: Sequence[Item]) -> Results:
        total = Confusion(self._classes)
        for item in items:
            total.merge(item.found["confusion"])
        results: Results = {"images": len(items)}
        if self._classes == 2:
            results |= {"person_iou": total.class_iou[1], "person_accuracy": total.accuracy}
        else:
            results |= {
                "person_iou": total.class_iou[_PERSON],
                "person_accuracy": total.alone(_PERSON).accuracy,
                "miou": total.miou,
                "miou_present": total.miou_present,
                "pixel_accuracy": total.accuracy,
                "class_iou": dict(zip(VOC_NAMES, total.class_iou, strict=True)),
            }
        return {**results, "confusion": total.rows}

    def _read(self, number: int) -> tuple[U8, U8]:
        return at_preset(*self._set.images[number].read())

    def _true_alpha(self, truth: U8) -> U8:
        return _all_or_nothing(truth == _PERSON)

    def _scored(self, rgb: U8, truth: U8) -> tuple[dict[str, Any], U8 | None]:
        counts = Confusion(self._classes)
        if isinstance(self.model, Labeller):
            labels = self.model.labels(rgb)
            counts.update(truth, labels)
            alpha = _all_or_nothing(labels == _PERSON)
        else:
            alpha = self._predicted(rgb)
            person = np.where(truth == IGNORED, IGNORED, truth == _PERSON).astype(np.uint8)
            counts.update(person, np.asarray(alpha >= _HALF, np.uint8))
        found: dict[str, Any] = {"confusion": counts.rows}
        if not (truth == _PERSON).any():
            return found, None
        # Nobody is where pixels do not count, in the mask and in the truth.
        alpha = np.where(truth == IGNORED, np.uint8(0), alpha)
        return found | dataclasses.asdict(score(alpha, self._true_alpha(truth))), alpha


def _all_or_nothing(person: NDArray[np.bool_]) -> U8:
    return np.where(person, np.uint8(255), np.uint8(0))


def _means(items: Sequence[Item]) -> dict[str, Any]:
    """Of the items' figures; all None where there is none."""
    found = mean(Score(**{name: item.found[name] for name in NAMES}) for item in items)
    if found is None:
        return {**dict.fromkeys(NAMES), "papers": None}
    return {**dataclasses.asdict(found), "papers": in_papers(found)}
