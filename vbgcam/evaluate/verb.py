"""The verb `eval`."""

from __future__ import annotations

import contextlib
import json
import shlex
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Final

from vbgcam import factory
from vbgcam.cli.arguments import download_progress, loaded_segmenter, settings_of
from vbgcam.cli.signals import INTERRUPTED, Interruption, Verb
from vbgcam.cli.terminal import progress, say
from vbgcam.core.errors import ConfigError
from vbgcam.core.options import NONE
from vbgcam.core.specs import ModelSpec
from vbgcam.evaluate.base import Request, Source
from vbgcam.media.atomic import make_folder, write_whole
from vbgcam.segment import Segmenter
from vbgcam.segment.labels import Labeller, open_labeller
from vbgcam.settings import schema
from vbgcam.settings.schema import Settings


def evaluate(arguments: Namespace, interruption: Interruption) -> int:
    """How good the masks are."""
    from vbgcam.evaluate import page, run, sheet
    from vbgcam.evaluate.clip import Clip
    from vbgcam.evaluate.coco import CocoSet
    from vbgcam.evaluate.figures import show
    from vbgcam.evaluate.journal import usual_folder
    from vbgcam.evaluate.sets import aisegment, pairs
    from vbgcam.evaluate.sources import ClipSource, CocoSource, PairsSource

    request, settings = _request(arguments)
    source: Source
    with contextlib.ExitStack() as stack:
        # The data comes first: what cannot be read is said before a network is loaded for it.
        if arguments.clip is not None:
            clip = stack.enter_context(Clip(*arguments.clip))
            model = stack.enter_context(loaded_segmenter(settings, interruption, needed=True))
            source = ClipSource(request, clip, model, arguments.mask_fps)
        elif arguments.coco is not None:
            images = CocoSet(arguments.coco)
            source = CocoSource(request, images, _labeller(settings, interruption, stack), arguments.limit)
        else:
            listing = pairs(arguments.pairs) if arguments.pairs is not None else aisegment(arguments.aisegment)
            model = stack.enter_context(loaded_segmenter(settings, interruption, needed=True))
            source = PairsSource(request, listing, model, arguments.limit)
        with progress("scoring") as bar:
            evaluation = run.evaluate(request, source, usual_folder(), bar, interruption.is_set)
        if evaluation is None:
            return INTERRUPTED
        stack.callback(evaluation.journal.close)
        written: list[Path] = []
        if arguments.json is not None:
            write_whole(arguments.json, json.dumps(evaluation.results, indent=2) + "\n", "the figures")
        if arguments.html is not None:
            pages = page.pages(evaluation.results, evaluation.compare, arguments.html)
            for path, text in pages.items():
                write_whole(path, text, "the figures")
            written += pages
        show(evaluation.results)
        if arguments.sheet is not None:
            sheet.write(request, clip, model, arguments.mask_fps, arguments.sheet)
            written.append(arguments.sheet)
        for path in written:
            say(f"Written: {path}")
        evaluation.journal.remove()
    return 0


def _labeller(settings: Settings, interruption: Interruption, stack: contextlib.ExitStack) -> Labeller | Segmenter:
    """The model as COCO counts it: all classes where it knows them."""
    with progress("fetching the weights") as bar:
        spec, fetched = ModelSpec.parse(settings.model.name), download_progress(bar, interruption)
        labeller = open_labeller(spec, factory.options(settings), fetched)
    if labeller is None:
        return stack.enter_context(loaded_segmenter(settings, interruption, needed=True))
    stack.callback(labeller.close)
    return labeller


def _request(arguments: Namespace) -> tuple[Request, Settings]:
    """What an evaluation's results depend on. Raises ConfigError."""
    problems = [
        f"eval: {option} belongs to --clip"
        for option, value in (
            ("--alpha", arguments.alpha),
            ("--mask-fps", arguments.mask_fps),
            ("--sheet", arguments.sheet),
        )
        if value is not None and arguments.clip is None
    ]
    if arguments.clip is not None and arguments.limit is not None:
        problems.append("eval: --limit belongs to sets of pictures, not to --clip")
    if arguments.alpha is not None and arguments.model is not None:
        problems.append("eval: --alpha stands in place of --model; give one of them")
    # Said now, and not after hours of work.
    problems += [
        f"eval: {option} {path}: there is no such folder; {make_folder(path.parent)}"
        for option, path in (("--json", arguments.json), ("--html", arguments.html), ("--sheet", arguments.sheet))
        if path is not None and not path.parent.is_dir()
    ]
    if problems:
        raise ConfigError(problems)
    settings = settings_of(arguments, **({"model_name": f"truth:{arguments.alpha}"} if arguments.alpha else {}))
    spec = ModelSpec.parse(settings.model.name)
    path = spec.path or (schema.data_folder() / "plate.png" if spec.kind == "plate" else None)
    name, where = next(
        (name, value)
        for name in ("clip", "pairs", "aisegment", "coco")
        if (value := getattr(arguments, name)) is not None
    )
    command = ["vbgcam", "eval", f"--{name}", *map(str, where if name == "clip" else [where]), "--model", str(spec)]
    command += ["--mask-fps", str(arguments.mask_fps)] if arguments.mask_fps is not None else []
    command += ["--limit", str(arguments.limit)] if arguments.limit is not None else []
    command += ["--hard"] if arguments.hard else []
    command += ["--background", arguments.background] if arguments.background is not None else []
    command += [part for pair in arguments.set for part in ("--set", pair)]
    # Masks that are there for each frame are scored as they are.
    options = factory.render_options(settings)
    as_they_are = spec.kind == "truth" and arguments.mask_fps is None
    request = Request(
        files=(path,) if path is not None else (),
        settings={"model": settings.model.model_dump(mode="json"), "mask": settings.mask.model_dump(mode="json")},
        options=replace(options, mask=replace(NONE, hard=options.mask.hard)) if as_they_are else options,
        background=factory.background_opener(settings),
        command=shlex.join(command),
    )
    return request, settings


VERBS: Final[dict[str, Verb]] = {"eval": evaluate}
