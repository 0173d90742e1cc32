"""One evaluation from its data to its results, resumed where an earlier try was broken off, and to its pictures."""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

from vbgcam import __version__
from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8, Mask
from vbgcam.core.options import NONE, RenderOptions
from vbgcam.evaluate.base import Comparison, Item, Request, Results
from vbgcam.evaluate.clip import Clip, Pace, moments
from vbgcam.evaluate.coco import PRESET
from vbgcam.evaluate.journal import Journal
from vbgcam.evaluate.metrics import tail
from vbgcam.evaluate.sources import Source
from vbgcam.media import images
from vbgcam.offline.backdrops import Backdrops
from vbgcam.pixels.convert import to_rgb
from vbgcam.render.composer import Composer
from vbgcam.report.sheet import sheet
from vbgcam.segment import Segmenter
from vbgcam.segment.labels import Labeller

log = logging.getLogger(__name__)

# Of an item's figures, those that only the results of the whole need; `ran`: what the network says of itself.
_INNER: Final = ("confusion", "ran")
# Of a clip: where it is shown before and after.
_PARTS: Final = (Fraction(1, 3), Fraction(9, 10))


def key(request: Request, source: Source) -> dict[str, Any]:
    """Of the journal: all that the results depend on. A file that was written to since is another one."""
    return {
        "version": __version__,
        "kind": source.kind,
        "settings": dict(request.settings),
        "max_age": request.options.max_mask_age,
        "hard": request.options.mask.hard,
        "files": [_identity(path) for path in (*request.files, *source.files)],
        **source.more,
    }


def evaluate(
    request: Request,
    source: Source,
    journal: Journal,
    progress: Callable[[int, int | None, str], None] = lambda _done, _all, _note: None,
    stop: Callable[[], bool] = lambda: False,
) -> Results | None:
    """`progress` is called after each picture with how many are done, how many there are and its name. None when `stop`
    became true. Raises MediaError, ModelError, OutputError; whatever happens, the same call resumes."""
    done = journal.numbers
    if done:
        log.info("%d were scored before; going on from there", len(done))
    for item in source.items(done, journal.mask):
        if stop():
            log.info("what was scored so far is kept: the same command goes on from there")
            return None
        if item.number not in done:
            journal.add(replace(item, found=item.found | {"ran": _ran(source.model)}))
            if "why" in item.found:
                log.warning("%s", item.found["why"])
        progress(item.number + 1, source.count, item.name)
    for left_out in source.left_out:
        log.warning("%s", left_out["why"])
    items = list(journal.items())
    good = [item for item in items if "why" not in item.found]
    bad = [{"name": item.name, "why": item.found["why"]} for item in items if "why" in item.found]
    if bad and not good:
        journal.remove()
        raise MediaError(f"{source.data[0]}: not one picture could be scored: {bad[0]['why']}")
    ran = items[-1].found["ran"] if items else dict.fromkeys(_ran(source.model), "")
    found = [
        {"name": item.name, **{name: value for name, value in item.found.items() if name not in _INNER}}
        for item in _scored(items)
    ]
    return {
        "kind": source.kind,
        "data": [str(path) for path in source.data],
        **ran,
        "hard": request.options.mask.hard,
        "command": request.command,
        **source.results(good),
        "left_out": sorted((*source.left_out, *bad), key=lambda one: one["name"]),
        "tail": tail([item for item in found if not item.get("hidden")]),
        "items": found,
    }


def compared(request: Request, source: Source, journal: Journal, places: Sequence[int]) -> Iterator[Comparison]:
    """The pictures behind items of the results (their places in `items`, ascending; of none that is hidden), one after
    the other, from the journal and the data."""
    items, backdrops = _scored(journal.items()), Backdrops(request.options, request.background)
    chosen = [items[place] for place in places]
    for item, (frame, truth) in zip(chosen, source.originals([item.number for item in chosen]), strict=True):
        alpha, behind = journal.mask(item.number), backdrops.of(frame.size)
        assert alpha is not None, "what was shown has a mask"
        composites = (
            to_rgb(Composer(frame.size).compose(frame, Mask(mask, frame.captured_at), behind).planes)
            for mask in (alpha, truth)
        )
        yield Comparison(item.name, to_rgb(frame.planes), alpha, truth, *composites)


def before_and_after(request: Request, clip: Clip, segmenter: Segmenter, pace: Pace, path: Path) -> None:
    """Writes a picture of two frames, at a third of those that come and near the end, with what the network alone makes
    of them and with what the mask's steps add, in front of the request's background. Raises MediaError, ModelError."""
    frames = [frame.number for _time, frame, _truth in pace.seen(clip)]
    numbers = [frames[int(part * len(frames))] for part in _PARTS]
    composer, backdrops = Composer(clip.video.size), Backdrops(request.options, request.background)

    def shown(options: RenderOptions) -> Iterator[tuple[U8, U8]]:
        """As `run` would show it; black where it would hide it."""
        way = moments(clip, segmenter, options, pace)
        for moment in itertools.takewhile(lambda moment: moment.frame.number <= max(numbers), way):
            if moment.frame.number in numbers:
                frame = to_rgb(moment.frame.planes)
                if moment.mask is None:
                    yield frame, np.zeros_like(frame)
                else:
                    made = composer.compose(moment.frame, moment.mask, backdrops.of(clip.video.size))
                    yield frame, to_rgb(made.planes)

    alone = replace(request.options, mask=replace(NONE, hard=request.options.mask.hard))
    rows = [
        sheet([frame, network, ours], ("the camera", "the network alone", "vbgcam"), widest=320)
        for (frame, network), (_frame, ours) in zip(list(shown(alone)), list(shown(request.options)), strict=True)
    ]
    images.write(path, np.concatenate(rows))


def _identity(path: Path) -> list[object]:
    try:
        status = path.stat()
    except OSError:
        return [str(path.absolute())]
    return [str(path.absolute()), status.st_size, status.st_mtime_ns]


def _ran(model: Segmenter | Labeller) -> dict[str, str]:
    """What the network says of itself, which it may change on the way."""
    size = f"{PRESET} on the short side" if isinstance(model, Labeller) else str(model.input or "")
    return {"model": model.name, "device": model.device, "precision": model.precision, "input": size}


def _scored(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if "iou" in item.found]
