"""The verb `eval`."""

from __future__ import annotations

import contextlib
import json
import shlex
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, Literal

from vbgcam import factory
from vbgcam.cli.arguments import breaking, keep, loaded_segmenter, make_folder, settings_of
from vbgcam.cli.signals import INTERRUPTED, Interruption
from vbgcam.cli.terminal import progress, say
from vbgcam.core.errors import ConfigError
from vbgcam.core.options import NONE
from vbgcam.core.specs import ModelSpec
from vbgcam.evaluate.run import Question
from vbgcam.settings import schema
from vbgcam.settings.schema import Settings


def evaluate(arguments: Namespace, interruption: Interruption) -> int:
    """How good the masks are."""
    from vbgcam.evaluate import run as evaluation
    from vbgcam.evaluate import sheet
    from vbgcam.evaluate.clip import Clip
    from vbgcam.evaluate.coco import CocoSet
    from vbgcam.evaluate.journal import usual_folder
    from vbgcam.evaluate.report import page, terminal
    from vbgcam.evaluate.sets import aisegment, pairs
    from vbgcam.segment.labels import open_labeller

    question, settings = _asked(arguments)
    folder = usual_folder()
    look: Callable[[], None] | None = None
    work: Callable[..., evaluation.Answer | None]
    with contextlib.ExitStack() as stack:
        # The data comes first: what cannot be read is said before a network is loaded for it.
        if arguments.clip is not None:
            clip = stack.enter_context(Clip(*arguments.clip))
            segmenter = stack.enter_context(loaded_segmenter(settings, interruption, needed=True))
            work = partial(evaluation.clip, question, clip, segmenter, folder, mask_fps=arguments.mask_fps)
            if arguments.sheet is not None:
                look = partial(sheet.write, question, clip, segmenter, arguments.mask_fps, arguments.sheet)
        elif arguments.coco is not None:
            images = CocoSet(arguments.coco)
            with progress("fetching the weights") as show, breaking(show, interruption) as fetched:
                labeller = open_labeller(ModelSpec.parse(settings.model.name), factory.options(settings), fetched)
            if labeller is not None:
                stack.callback(labeller.close)
            model = labeller or stack.enter_context(loaded_segmenter(settings, interruption, needed=True))
            work = partial(evaluation.coco, question, images, model, folder, limit=arguments.limit)
        else:
            kind: Literal["pairs", "aisegment"] = "pairs" if arguments.pairs is not None else "aisegment"
            data = arguments.pairs or arguments.aisegment
            listing = pairs(data) if kind == "pairs" else aisegment(data)
            segmenter = stack.enter_context(loaded_segmenter(settings, interruption, needed=True))
            work = partial(
                evaluation.pictures, kind, question, data, listing, segmenter, folder=folder, limit=arguments.limit
            )
        with progress("scoring") as show:
            answer = work(told=show, stop=interruption.is_set)
        if answer is None:
            return INTERRUPTED
        stack.callback(answer.journal.close)
        if arguments.json is not None:
            keep(arguments.json, json.dumps(answer.results, indent=2) + "\n")
        written = page.write(answer.results, answer.look, arguments.html) if arguments.html is not None else []
        terminal.show(answer.results)
        if look is not None:
            look()
            written.append(arguments.sheet)
        for path in written:
            say(f"Written: {path}")
        answer.journal.remove()
    return 0


def _asked(arguments: Namespace) -> tuple[Question, Settings]:
    """What an evaluation's answer depends on. Raises ConfigError."""
    from vbgcam.evaluate.run import Question

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
        f"eval: {option} {path}: there is no such folder; {make_folder(path)}"
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
    said = ["vbgcam", "eval", f"--{name}", *map(str, where if name == "clip" else [where]), "--model", str(spec)]
    said += ["--mask-fps", str(arguments.mask_fps)] if arguments.mask_fps is not None else []
    said += ["--limit", str(arguments.limit)] if arguments.limit is not None else []
    said += ["--hard"] if arguments.hard else []
    said += ["--background", arguments.background] if arguments.background is not None else []
    said += [part for pair in arguments.set for part in ("--set", pair)]
    # Masks that are there for each frame are scored as they are.
    options = factory.render_options(settings)
    as_they_are = spec.kind == "truth" and arguments.mask_fps is None
    question = Question(
        files=(path,) if path is not None else (),
        settings={"model": settings.model.model_dump(mode="json"), "mask": settings.mask.model_dump(mode="json")},
        options=replace(options, mask=replace(NONE, hard=options.mask.hard)) if as_they_are else options,
        background=factory.background_opener(settings),
        command=shlex.join(said),
    )
    return question, settings


VERBS: Final[dict[str, Callable[[Namespace, Interruption], int]]] = {"eval": evaluate}
