"""One evaluation from its data to its results, resumed where an earlier try was broken off."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbgcam import __version__
from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8, Mask, RawFrame
from vbgcam.evaluate.base import Compare, Comparison, Item, LeftOut, Progress, Request, Results, Source
from vbgcam.evaluate.coco import PRESET
from vbgcam.evaluate.journal import Journal
from vbgcam.offline.backdrops import Backdrops
from vbgcam.pixels.convert import to_rgb
from vbgcam.render.composer import Composer
from vbgcam.segment.labels import Labeller

log = logging.getLogger(__name__)

# Of an item's figures, those that only the results of the whole need.
_INNER = ("covered", "confusion")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`results`, and the pictures behind their items. `journal` is still there: the caller removes it when the results
    have been written."""

    results: Results
    journal: Journal
    compare: Compare


def evaluate(
    request: Request,
    source: Source,
    folder: Path,
    progress: Progress = lambda _done, _all, _note: None,
    stop: Callable[[], bool] = lambda: False,
) -> Evaluation | None:
    """`folder`: where journals are. None when `stop` became true. Raises MediaError, ModelError, OutputError; whatever
    happens, the same call resumes."""
    journal = Journal(folder, _key(request, source))
    try:
        done = journal.numbers
        if done:
            log.info("%d were scored before; going on from there", len(done))
        for item in source.items(done, journal.mask):
            if stop():
                journal.close()
                log.info("what was scored so far is kept: the same command goes on from there")
                return None
            if item.number not in done:
                journal.add(item)
                _note_model(journal, source)
                if "why" in item.found:
                    log.warning("%s", item.found["why"])
            progress(item.number + 1, source.count, item.name)
        for left_out in source.left_out:
            log.warning("%s", left_out.why)
        items = list(journal.items())
        about = journal.notes()
    except BaseException:
        journal.close()
        raise
    good = [item for item in items if "why" not in item.found]
    bad = [LeftOut(item.name, item.found["why"]) for item in items if "why" in item.found]
    if bad and not good:
        journal.remove()
        raise MediaError(f"{source.data[0]}: not one picture could be scored: {bad[0].why}")
    scored = [item for item in good if "iou" in item.found]
    results: Results = {
        "kind": source.kind,
        "data": [str(path) for path in source.data],
        **{name: about.get(name, "") for name in ("model", "device", "precision", "input")},
        "hard": request.options.mask.hard,
        "command": request.command,
        **source.results(good),
        "left_out": sorted(map(dataclasses.asdict, (*source.left_out, *bad)), key=lambda one: one["name"]),
        "items": [{"name": item.name, **_outer(item)} for item in scored],
    }
    return Evaluation(results, journal, _compare(request, source, journal, scored))


def _key(request: Request, source: Source) -> dict[str, Any]:
    """All that the results depend on. A file that was written to since is another one."""
    return {
        "version": __version__,
        "kind": source.kind,
        "settings": dict(request.settings),
        "max_age": request.options.max_mask_age,
        "hard": request.options.mask.hard,
        "files": [_identity(path) for path in (*request.files, *source.files)],
        **source.more,
    }


def _identity(path: Path) -> list[object]:
    try:
        status = path.stat()
    except OSError:
        return [str(path.absolute())]
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]


def _note_model(journal: Journal, source: Source) -> None:
    """What the network says of itself, which it may change on the way."""
    model = source.model
    of_pictures = f"{PRESET} on the short side" if isinstance(model, Labeller) else str(model.input or "")
    journal.note("model", model.name)
    journal.note("device", model.device)
    journal.note("precision", model.precision)
    journal.note("input", of_pictures)


def _outer(item: Item) -> dict[str, Any]:
    return {name: value for name, value in item.found.items() if name not in _INNER}


def _compare(request: Request, source: Source, journal: Journal, items: Sequence[Item]) -> Compare:
    def compare(places: Sequence[int]) -> Iterator[Comparison]:
        backdrops, chosen = Backdrops(request.options, request.background), [items[place] for place in places]
        for item, (frame, truth) in zip(chosen, source.originals([item.number for item in chosen]), strict=True):
            alpha = journal.mask(item.number)
            assert alpha is not None, "what was scored has a mask"
            composites = (_composite(frame, mask, backdrops) for mask in (alpha, truth))
            yield Comparison(item.name, to_rgb(frame.planes), alpha, truth, *composites)

    return compare


def _composite(frame: RawFrame, alpha: U8, backdrops: Backdrops) -> U8:
    mask = Mask(alpha, frame.captured_at)
    return to_rgb(Composer(frame.size).compose(frame, mask, backdrops.of(frame.size)).planes)
