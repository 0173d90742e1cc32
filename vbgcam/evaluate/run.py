"""One evaluation from its question to its results, gone on with where an earlier try was broken off."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from vbgcam import __version__
from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8, Mask, RawFrame
from vbgcam.core.options import RenderOptions
from vbgcam.evaluate.base import Results, Told
from vbgcam.evaluate.clip import Clip, Moment, moments
from vbgcam.evaluate.coco import IGNORED, PRESET, VOC_NAMES, Annotated, CocoSet, Confusion, at_preset
from vbgcam.evaluate.journal import Journal, Row
from vbgcam.evaluate.metrics import NAMES, Score, in_papers, mean, score
from vbgcam.evaluate.report import Look, Shown
from vbgcam.evaluate.sets import LeftOut, Listing, Pair, read
from vbgcam.mask import Masker
from vbgcam.offline.backdrops import Backdrops, OpenBackground
from vbgcam.pixels.convert import from_rgb, to_rgb
from vbgcam.render.composer import Composer
from vbgcam.segment import Segmenter
from vbgcam.segment.labels import Labeller

log = logging.getLogger(__name__)

_PERSON: Final = VOC_NAMES.index("person")
_HALF: Final = 128


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `settings`: all that the masks depend on, as JSON can hold it; `files`: the model's own.
    `options`: as `run` has them. `background`: for the report's composites. `command`: which asks the same again."""

    settings: Mapping[str, Any]
    options: RenderOptions
    background: OpenBackground
    files: tuple[Path, ...] = ()
    command: str = ""


@dataclass(slots=True)
class Answer:
    """`results`, and the pictures behind their items. `journal` is still there: the caller removes it when the results
    have been written."""

    results: Results
    journal: Journal
    look: Look


def clip(
    question: Question,
    film: Clip,
    segmenter: Segmenter,
    folder: Path,
    *,
    mask_fps: Fraction | None = None,
    told: Told = lambda _done, _all, _note: None,
    stop: Callable[[], bool] = lambda: False,
) -> Answer | None:
    """`folder`: where journals are. `mask_fps`: masks a second, None for one of each frame. None when `stop` became
    true. Raises MediaError, ModelError, OutputError."""
    paths = [film.film, film.alpha]
    journal = Journal(folder, _key("clip", question, paths, mask_fps=str(mask_fps) if mask_fps else None))
    with _kept(journal):
        done = _resumed(journal)
        before: tuple[U8, U8] | None = None
        for moment in moments(
            film,
            segmenter,
            question.options,
            mask_fps=mask_fps,
            wanted=lambda number: number not in done,
        ):
            if stop():
                _broken_off(journal)
                return None
            number = moment.frame.number
            if number in done:
                kept = journal.mask(number)
                before = (kept, moment.truth) if kept is not None else None
            else:
                row, before = _moment(moment, before)
                _note(journal, segmenter)
                journal.add(row, before[0] if before is not None else None)
            told(number + 1, film.count, f"frame {number}")
    items = [{"name": row.name, **row.found} for row in journal.rows()]
    without = sum(1 for item in items if item["mask_age"] is None)
    covered = sum(1 for item in items if item.pop("covered"))
    scored = [item for item in items if item["mask_age"] is not None]
    for why in film.left_out:
        log.warning("%s", why)
    results: Results = {
        "kind": "clip",
        "data": [str(path) for path in paths],
        **_about(question, journal),
        "mask_fps": float(mask_fps) if mask_fps else None,
        "size": str(film.size),
        "fps": round(float(film.rate), 6),
        "frames": film.frames,
        "scored": len(scored),
        "without_mask": without,
        "covered": covered,
        **_means(scored),
        "left_out": [{"name": str(film.film), "why": why} for why in film.left_out],
        "items": scored,
    }
    return Answer(results, journal, _clip_look(film, journal, question, [item["frame"] for item in scored]))


def pictures(
    kind: Literal["pairs", "aisegment"],
    question: Question,
    data: Path,
    listing: Listing,
    segmenter: Segmenter,
    *,
    folder: Path,
    limit: int | None = None,
    told: Told = lambda _done, _all, _note: None,
    stop: Callable[[], bool] = lambda: False,
) -> Answer | None:
    """Pictures with masks; each is a scene of its own. `limit`: the first so many. See `clip`."""
    chosen = listing.pairs[:limit]
    files = [path for pair in chosen for path in (pair.picture, pair.mask)]
    journal = Journal(folder, _key(kind, question, files))
    masker = Masker(segmenter, question.options.mask)
    with _kept(journal):
        done = _resumed(journal)
        for item in listing.left_out:
            log.warning("%s", item.why)
        for number, pair in enumerate(chosen):
            if stop():
                _broken_off(journal)
                return None
            if number not in done:
                row, alpha = _pair(number, pair, masker)
                _note(journal, segmenter)
                journal.add(row, alpha)
            told(number + 1, len(chosen), pair.name)
        rows = list(journal.rows())
    scored = [row for row in rows if "why" not in row.found]
    left_out = [*listing.left_out, *(LeftOut(row.name, row.found["why"]) for row in rows if "why" in row.found)]
    if not scored:
        journal.remove()
        raise MediaError(f"{data}: not one picture could be scored: {left_out[0].name}: {left_out[0].why}")
    items = [{"name": row.name, **row.found} for row in scored]
    results: Results = {
        "kind": kind,
        "data": [str(data)],
        **_about(question, journal),
        "images": len(items),
        **_means(items),
        "left_out": [dataclasses.asdict(item) for item in sorted(left_out, key=lambda item: item.name)],
        "items": items,
    }
    return Answer(results, journal, _set_look(listing.pairs, journal, question, [row.number for row in scored]))


def coco(
    question: Question,
    data: CocoSet,
    model: Segmenter | Labeller,
    folder: Path,
    *,
    limit: int | None = None,
    told: Told = lambda _done, _all, _note: None,
    stop: Callable[[], bool] = lambda: False,
) -> Answer | None:
    """torchvision's protocol. `model`: a Segmenter is asked for the person alone. `limit`: the first so many images.
    See `clip`."""
    count = min(len(data), limit or len(data))
    classes = len(VOC_NAMES) if isinstance(model, Labeller) else 2
    journal = Journal(folder, _key("coco", question, [data.annotations, data.pictures], limit=count))
    left_out = []
    asked = model if isinstance(model, Labeller) else Masker(model, question.options.mask)
    with _kept(journal):
        done = _resumed(journal)
        for number, image in enumerate(itertools.islice(data, count)):
            if stop():
                _broken_off(journal)
                return None
            if number not in done:
                journal.add(*_image(number, image, asked, Confusion(classes)))
                _note(journal, model)
            told(number + 1, count, image.name)
        total, images = Confusion(classes), 0
        for row in journal.rows():
            if "why" in row.found:
                left_out.append({"name": row.name, "why": row.found["why"]})
            else:
                total.merge(row.found["confusion"])
                images += 1
    if not images:
        journal.remove()
        raise MediaError(f"{data.pictures}: not one picture could be scored: {left_out[0]['why']}")
    results: Results = {
        "kind": "coco",
        "data": [str(data.folder)],
        **_about(question, journal),
        "images": images,
        **_classes(total),
        "left_out": left_out,
        "items": [
            {"name": row.name, **{name: row.found[name] for name in NAMES}}
            for row in journal.rows()
            if "iou" in row.found
        ],
    }
    numbers = [row.number for row in journal.rows() if "iou" in row.found]
    return Answer(results, journal, _coco_look(data, journal, question, numbers))


def _classes(total: Confusion) -> dict[str, Any]:
    if total.classes != len(VOC_NAMES):
        return {"person_iou": total.class_iou[1], "person_accuracy": total.accuracy, "confusion": total.rows}
    return {
        "person_iou": total.class_iou[_PERSON],
        "person_accuracy": total.alone(_PERSON).accuracy,
        "miou": total.miou,
        "miou_present": total.miou_present,
        "pixel_accuracy": total.accuracy,
        "class_iou": dict(zip(VOC_NAMES, total.class_iou, strict=True)),
        "confusion": total.rows,
    }


def _image(number: int, image: Annotated, model: Masker | Labeller, counts: Confusion) -> tuple[Row, U8 | None]:
    """Its table, and where a person is in it the mask with its figures."""
    try:
        rgb, target = at_preset(*image.read())
    except MediaError as exc:
        log.warning("%s", exc)
        return Row(number, image.name, {"why": str(exc)}), None
    if isinstance(model, Labeller):
        labels = model.labels(rgb)
        counts.update(target, labels)
        alpha = _all_or_nothing(labels == _PERSON)
    else:
        frame = RawFrame(from_rgb(rgb).frozen(), 0.0, 0, number)
        model.reset()
        alpha = model.mask(frame).alpha
        person = np.where(target == IGNORED, IGNORED, target == _PERSON).astype(np.uint8)
        counts.update(person, np.asarray(alpha >= _HALF, np.uint8))
    if not (target == _PERSON).any():
        return Row(number, image.name, {"confusion": counts.rows}), None
    alpha, truth = _where_it_counts(alpha, target)
    return Row(number, image.name, {"confusion": counts.rows, **dataclasses.asdict(score(alpha, truth))}), alpha


def _where_it_counts(alpha: U8, target: U8) -> tuple[U8, U8]:
    """The mask and the true one; both nobody where pixels do not count."""
    return np.where(target == IGNORED, np.uint8(0), alpha), _all_or_nothing(target == _PERSON)


def _all_or_nothing(person: NDArray[np.bool_]) -> U8:
    return np.where(person, np.uint8(255), np.uint8(0))


def _key(kind: str, question: Question, data: Iterable[Path], **more: object) -> dict[str, Any]:
    """All that the answer depends on. A file that was written to since is another one."""
    return {
        "version": __version__,
        "kind": kind,
        "settings": dict(question.settings),
        "max_age": question.options.max_mask_age,
        "hard": question.options.mask.hard,
        "files": [_identity(path) for path in (*question.files, *data)],
        **more,
    }


def _identity(path: Path) -> list[object]:
    try:
        status = path.stat()
    except OSError:
        return [str(path.absolute())]
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]


@contextlib.contextmanager
def _kept(journal: Journal) -> Iterator[None]:
    """Whatever happens, it can be gone on with."""
    try:
        yield
    except BaseException:
        journal.close()
        raise


def _resumed(journal: Journal) -> frozenset[int]:
    done = journal.numbers
    if done:
        log.info("%d were scored before; going on from there", len(done))
    return done


def _broken_off(journal: Journal) -> None:
    journal.close()
    log.info("what was scored so far is kept: the same command goes on from there")


def _note(journal: Journal, model: Segmenter | Labeller) -> None:
    """What the network says of itself, which it may change on the way."""
    of_pictures = f"{PRESET} on the short side" if isinstance(model, Labeller) else str(model.input or "")
    for name, value in (
        ("model", model.name),
        ("device", model.device),
        ("precision", model.precision),
        ("input", of_pictures),
    ):
        journal.note(name, value)


def _about(question: Question, journal: Journal) -> dict[str, Any]:
    noted = journal.noted()
    about = {name: noted.get(name, "") for name in ("model", "device", "precision", "input")}
    return {**about, "hard": question.options.mask.hard, "command": question.command}


def _means(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of the items' figures; all None where there is none."""
    found = mean(Score(**{name: item[name] for name in NAMES}) for item in items)
    if found is None:
        return {**dict.fromkeys(NAMES), "papers": None}
    return {**dataclasses.asdict(found), "papers": in_papers(found)}


def _moment(moment: Moment, before: tuple[U8, U8] | None) -> tuple[Row, tuple[U8, U8] | None]:
    """The frame's row, and its mask and truth for the next one."""
    number = moment.frame.number
    found: dict[str, Any] = {"frame": number, "time": moment.time, "mask_age": None, "covered": moment.covered}
    name = f"frame {number}"
    if moment.mask is None:
        return Row(number, name, found), None
    found["mask_age"] = round(moment.time - moment.mask.captured_at, 9)
    found |= dataclasses.asdict(score(moment.mask.alpha, moment.truth, before))
    return Row(number, name, found), (moment.mask.alpha, moment.truth)


def _pair(number: int, pair: Pair, masker: Masker) -> tuple[Row, U8 | None]:
    try:
        rgb, truth = read(pair)
    except MediaError as exc:
        log.warning("%s", exc)
        return Row(number, pair.name, {"why": str(exc)}), None
    frame = RawFrame(from_rgb(rgb).frozen(), 0.0, 0, number)
    masker.reset()
    alpha = masker.mask(frame).alpha
    return Row(number, pair.name, dataclasses.asdict(score(alpha, truth))), alpha


def _shown(name: str, frame: RawFrame, alpha: U8, truth: U8, backdrops: Backdrops) -> Shown:
    composer, behind = Composer(frame.size), backdrops.of(frame.size)
    ours, right = (
        to_rgb(composer.compose(frame, Mask(mask, frame.captured_at), behind).planes) for mask in (alpha, truth)
    )
    return Shown(name, to_rgb(frame.planes), alpha, truth, ours, right)


def _clip_look(film: Clip, journal: Journal, question: Question, frames: Sequence[int]) -> Look:
    def look(places: Sequence[int]) -> Iterator[Shown]:
        backdrops, wanted = Backdrops(question.options, question.background), {frames[place] for place in places}
        for _time, frame, truth in film.pairs():
            mask = journal.mask(frame.number) if frame.number in wanted else None
            if mask is not None:
                yield _shown(f"frame {frame.number}", frame, mask, truth, backdrops)
            if frame.number >= max(wanted, default=-1):
                return

    return look


def _coco_look(data: CocoSet, journal: Journal, question: Question, numbers: Sequence[int]) -> Look:
    def look(places: Sequence[int]) -> Iterator[Shown]:
        backdrops = Backdrops(question.options, question.background)
        for place in places:
            image, mask = data.at(numbers[place]), journal.mask(numbers[place])
            assert mask is not None, "what was scored has a mask"
            rgb, target = at_preset(*image.read())
            frame = RawFrame(from_rgb(rgb).frozen(), 0.0)
            yield _shown(image.name, frame, mask, _where_it_counts(mask, target)[1], backdrops)

    return look


def _set_look(pairs: Sequence[Pair], journal: Journal, question: Question, numbers: Sequence[int]) -> Look:
    def look(places: Sequence[int]) -> Iterator[Shown]:
        backdrops = Backdrops(question.options, question.background)
        for place in places:
            pair, mask = pairs[numbers[place]], journal.mask(numbers[place])
            assert mask is not None, "what was scored has a mask"
            rgb, truth = read(pair)
            yield _shown(pair.name, RawFrame(from_rgb(rgb).frozen(), 0.0), mask, truth, backdrops)

    return look
