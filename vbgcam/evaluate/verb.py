"""The verb `eval`."""

import contextlib
import json
import shlex
from argparse import Namespace
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Final

from vbgcam import factory
from vbgcam.cli.arguments import download_progress, loaded_segmenter, settings_of
from vbgcam.cli.signals import INTERRUPTED, Interruption, Verb
from vbgcam.cli.terminal import progress, say
from vbgcam.core.errors import ConfigError
from vbgcam.core.options import NONE
from vbgcam.core.specs import ModelSpec
from vbgcam.evaluate.base import Request
from vbgcam.media.atomic import make_folder, write_whole
from vbgcam.segment import Segmenter, auto
from vbgcam.segment.labels import Labeller, open_labeller
from vbgcam.settings import schema
from vbgcam.settings.schema import Settings

_PACE: Final = ("mask-fps", "net-ms", "seed", "frame-fps")
_OF_CLIPS: Final = ("alpha", *_PACE, "sheet")


def evaluate(arguments: Namespace, interruption: Interruption) -> int:
    """How good the masks are."""
    from vbgcam.evaluate import page, run
    from vbgcam.evaluate.clip import Clip, Pace
    from vbgcam.evaluate.coco import CocoSet
    from vbgcam.evaluate.figures import show
    from vbgcam.evaluate.journal import Journal, usual_folder
    from vbgcam.evaluate.sets import aisegment, pairs
    from vbgcam.evaluate.sources import ClipSource, CocoSource, PairsSource, Source

    request, settings = _request(arguments)
    pace = Pace(_mask_s(arguments), arguments.frame_fps, arguments.seed or 0)
    source: Source
    with contextlib.ExitStack() as stack:
        # The data comes first: what cannot be read is said before a network is loaded for it.
        if arguments.clip is not None:
            clip = stack.enter_context(Clip(*arguments.clip))
            model = stack.enter_context(loaded_segmenter(settings, interruption, needed=True))
            source = ClipSource(request, clip, model, pace)
        elif arguments.coco is not None:
            images = CocoSet(arguments.coco)
            source = CocoSource(request, images, _labeller(settings, interruption, stack), arguments.limit)
        else:
            pictures = pairs(arguments.pairs) if arguments.pairs is not None else aisegment(arguments.aisegment)
            model = stack.enter_context(loaded_segmenter(settings, interruption, needed=True))
            source = PairsSource(request, pictures, model, arguments.limit)
        journal = stack.enter_context(Journal(usual_folder(), run.key(request, source)))
        with progress("scoring") as bar:
            results = run.evaluate(request, source, journal, bar, interruption.is_set)
        if results is None:
            return INTERRUPTED
        if arguments.json is not None:
            write_whole(arguments.json, json.dumps(results, indent=2) + "\n", "the figures")
        show(results)
        if arguments.html is not None:
            pages = page.pages(results, partial(run.compared, request, source, journal), arguments.html)
            for path, text in pages.items():
                write_whole(path, text, "the figures")
                say(f"Written: {path}")
        if arguments.sheet is not None:
            run.before_and_after(request, clip, model, pace, arguments.sheet)
            say(f"Written: {arguments.sheet}")
        journal.remove()
    return 0


def _labeller(settings: Settings, interruption: Interruption, stack: contextlib.ExitStack) -> Labeller | Segmenter:
    """The model as COCO counts it: all classes where it knows them."""
    with progress("downloading the network") as bar:
        spec, fetched = ModelSpec.parse(settings.model.name), download_progress(bar, interruption)
        options = factory.options(settings)
        if spec.kind == "auto":
            name, options, _ = auto.choose(options, fetched)
            spec = ModelSpec.parse(name)
        labeller = open_labeller(spec, options, fetched)
    if labeller is None:
        return stack.enter_context(loaded_segmenter(settings, interruption, needed=True))
    stack.callback(labeller.close)
    return labeller


def _request(arguments: Namespace) -> tuple[Request, Settings]:
    """What an evaluation's results depend on. Raises ConfigError."""
    given = {name.replace("_", "-"): value for name, value in vars(arguments).items() if value is not None}
    problems = []
    if "clip" not in given:
        problems += [f"eval: --{name} belongs to --clip" for name in _OF_CLIPS if name in given]
    elif "limit" in given:
        problems.append("eval: --limit belongs to sets of pictures, not to --clip")
    if "clip" in given and "seed" in given and "net-ms" not in given:
        problems.append("eval: --seed belongs to --net-ms")
    if "alpha" in given and "model" in given:
        problems.append("eval: --alpha stands in place of --model; give one of them")
    # Said now, and not after hours of work.
    problems += [
        f"eval: --{name} {given[name]}: there is no such folder; {make_folder(given[name].parent)}"
        for name in ("json", "html", "sheet")
        if name in given and not given[name].parent.is_dir()
    ]
    if problems:
        raise ConfigError(problems)
    settings = settings_of(arguments, **({"model_name": f"truth:{arguments.alpha}"} if arguments.alpha else {}))
    spec = ModelSpec.parse(settings.model.name)
    path = spec.path or (schema.data_folder() / "plate.png" if spec.kind == "plate" else None)
    command = ["vbgcam", "eval"]
    given["model"] = spec
    for name in ("clip", "pairs", "aisegment", "coco", "model", *_PACE, "limit", "hard", "background"):
        value = given.get(name, False)
        if value is not False:
            command += [f"--{name}", *map(_text, value if name == "clip" else [] if value is True else [value])]
    command += [part for pair in arguments.set for part in ("--set", pair)]
    # Masks that are there for each frame are scored as they are.
    options = factory.render_options(settings)
    as_they_are = spec.kind == "truth" and _mask_s(arguments) is None
    request = Request(
        files=(path,) if path is not None else (),
        settings={"model": settings.model.model_dump(mode="json"), "mask": settings.mask.model_dump(mode="json")},
        options=replace(options, mask=replace(NONE, hard=options.mask.hard)) if as_they_are else options,
        background=factory.background_opener(settings),
        command=shlex.join(command),
    )
    return request, settings


def _mask_s(arguments: Namespace) -> tuple[Fraction, Fraction] | None:
    """See `clip.Pace`."""
    if arguments.mask_fps is not None:
        return 1 / arguments.mask_fps, 1 / arguments.mask_fps
    if arguments.net_ms is None:
        return None
    low, high = arguments.net_ms
    return low / 1000, high / 1000


def _text(value: object) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, tuple):
        return "..".join(map(_text, value))
    return f"{float(value):.15g}" if isinstance(value, Fraction) else str(value)


VERBS: Final[dict[str, Verb]] = {"eval": evaluate}
