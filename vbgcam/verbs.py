"""What each verb of the command line does: settings in, the rooms called, a few lines for a person out."""

from __future__ import annotations

import contextlib
import json
import logging
import shlex
import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from vbgcam import app, config, parts
from vbgcam.camera import open_source
from vbgcam.cli import INTERRUPTED, Interruption
from vbgcam.config import Settings
from vbgcam.errors import ConfigError, ModelError, OutputError
from vbgcam.files import whole
from vbgcam.frames import Planes
from vbgcam.live.stats import Stats
from vbgcam.policy import Limits
from vbgcam.segment import Progress, Segmenter, open_segmenter
from vbgcam.segment.everything import Everything
from vbgcam.specs import ModelSpec, SourceSpec
from vbgcam.steps import NONE
from vbgcam.terminal import Show, command, plain, progress

if TYPE_CHECKING:
    from vbgcam.evaluate.run import Question

log = logging.getLogger(__name__)

# A second of camera: the mean of 30 frames has a fifth of one frame's noise.
_PLATE_FRAMES: Final = 30
# Seconds that the demo's chain gets to come on air; a second, unless the blend has to be compiled first.
_DEMO_START: Final = 30.0
_STATES: Final = {
    "missing": "not here",
    "right": "here, and its hash is right",
    "wrong": "here, but its hash is WRONG; it will not be used",
}


def _say(text: str = "") -> None:
    sys.stdout.write(plain(text) + "\n")


def _overrides(arguments: Namespace) -> dict[str, str]:
    """What the command line says of settings, by "section.key"."""
    overrides: dict[str, str] = {}
    for pair in arguments.set:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair}: is written SECTION.KEY=VALUE, as in --set camera.fps=30")
        overrides[name.strip()] = value.strip()
    for option, name in (
        ("source", "camera.source"),
        ("sink", "output.sink"),
        ("background", "background.show"),
        ("model", "model.name"),
    ):
        value = getattr(arguments, option, None)
        if value is not None:
            overrides[name] = value
    if getattr(arguments, "hard", False):
        overrides["model.hard"] = "true"
    return overrides


def _settings(arguments: Namespace, **fixed: str) -> Settings:
    """The settings that hold for this call; `fixed` win over everything, by "section_key"."""
    overrides = _overrides(arguments)
    overrides |= {name.replace("_", ".", 1): value for name, value in fixed.items()}
    settings = config.load(arguments.config, overrides)
    if arguments.verb not in ("eval", "bench"):
        parts.refuse_truth(settings)
    return settings


def run(arguments: Namespace, interruption: Interruption) -> int:
    """The daemon. Ctrl-C ends it with 130, a service manager's SIGTERM with 0."""
    app.serve(
        arguments.config,
        _overrides(arguments),
        interruption,
        duration=arguments.duration,
        stats_file=arguments.stats,
        desk=not arguments.no_tray,
        report=_report,
    )
    return INTERRUPTED if interruption.by == signal.SIGINT else 0


def _report() -> str:
    """The doctor's, for an issue."""
    from vbgcam.doctor import report
    from vbgcam.doctor.examine import examine
    from vbgcam.doctor.machine import Machine

    machine = Machine()
    return report.text(machine, examine(machine, None, command()))


def video(arguments: Namespace, interruption: Interruption) -> int:
    """A film through the same steps as the live picture."""
    from vbgcam.films import Film
    from vbgcam.offline.videos import Look, convert

    if arguments.output is None and arguments.mask_out is None:
        raise ConfigError("video: nothing to make; give -o OUT.mp4, --mask-out FILE.mkv, or both")
    settings = _settings(arguments)
    look = Look(
        parts.behind(settings),
        mirror=settings.output.mirror,
        key=parts.key(settings),
        light=settings.background.light_wrap,
        hard=settings.model.hard,
        steps=parts.steps(settings),
        height=arguments.height,
    )
    Film(arguments.input).close()  # what cannot be read is said before a network is loaded for it
    needed = look.behind is not None or arguments.mask_out is not None
    with _segmenter(settings, interruption, needed) as segmenter, progress(arguments.input.name) as show:
        started = time.monotonic()

        def told(frames: int, count: int | None, seconds: float) -> None:
            took = max(1e-9, time.monotonic() - started)
            show(frames, count, f"{frames / took:.0f} frames a second, {seconds / took:.1f} x real time")

        done = convert(
            arguments.input,
            arguments.output,
            segmenter,
            look,
            mask_out=arguments.mask_out,
            progress=told,
            stop=interruption.is_set,
        )
    if done is None:
        return INTERRUPTED
    made = " and ".join(str(path) for path in (arguments.output, arguments.mask_out) if path is not None)
    rate = done.frames / done.seconds
    _say(f"{made}: {done.frames} frames, {done.size}, {done.seconds:.1f} s ({rate:.0f} frames a second)")
    return 0


@contextlib.contextmanager
def _segmenter(settings: Settings, interruption: Interruption, needed: bool) -> Iterator[Segmenter]:
    """The network for offline work; its weights are fetched with a bar where they are not here yet. The plain picture
    without a mask needs none."""
    if not needed:
        yield Everything()
        return
    with progress("fetching the weights") as show, _breaking(show, interruption) as told:
        segmenter = open_segmenter(ModelSpec.parse(settings.model.name), parts.options(settings), told)
    log.info("model: %s on %s", segmenter.name, segmenter.device)
    try:
        yield segmenter
    finally:
        segmenter.close()


@contextlib.contextmanager
def _breaking(show: Show, interruption: Interruption) -> Iterator[Progress]:
    """A download's progress, shown; it breaks off when the person does."""

    def told(done: int, total: int) -> None:
        if interruption.is_set():
            raise KeyboardInterrupt
        show(done, total, f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")

    yield told


def demo(arguments: Namespace, interruption: Interruption) -> int:
    """The live chain on the drawn presenter: a film, and a picture of before and after."""
    from vbgcam.demo import before_after, demo_files
    from vbgcam.segment.plate import CleanPlate

    folder: Path = arguments.output
    film, sheet = folder / "vbgcam-demo.mp4", folder / "vbgcam-demo.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: no films can be put there: {exc.strerror}") from exc
    with tempfile.TemporaryDirectory(prefix="vbgcam-demo-") as temporary:
        size = parts.wanted(_settings(arguments)).size
        files = demo_files(Path(temporary), size)
        if arguments.background is None:
            arguments.background = str(files.background)
        settings = _settings(
            arguments, camera_source="demo", model_name=f"plate:{files.plate}", output_sink=f"file:{film}"
        )
        with progress("filming the presenter") as show:

            def tick(stats: Stats) -> bool:
                """The cover of the first moment is no part of the film's length."""
                seconds = stats.on_air()
                show(min(seconds, arguments.duration), arguments.duration, f"{stats.composed()} frames composed")
                return seconds >= float(arguments.duration)

            app.run(settings, arguments.duration + _DEMO_START, arguments.stats, interruption, tick)
        if interruption.is_set():
            return INTERRUPTED
        behind = parts.behind(settings)
        backdrop = behind(size).at(0.0) if callable(behind) else behind
        if backdrop is not None:
            before_after(CleanPlate.load(files.plate), backdrop, size, 1.6, sheet)
    _say(f"Made {film}{f' and {sheet}' if backdrop is not None else ''}: a drawn presenter, filmed, cut out, composed.")
    me = command()
    _say(f"The same chain on you: `{me} devices` lists your cameras, `{me} run --background PICTURE` starts it;")
    _say(f'then choose "VBG Camera" in your call. `{me} --help` shows the rest.')
    return 0


def image(arguments: Namespace, interruption: Interruption) -> int:
    """Pictures through the same steps as the live picture."""
    from vbgcam.offline.images import Done, Look, convert

    if arguments.output is None and arguments.mask_out is None and arguments.cutout is None:
        raise ConfigError("image: nothing to make; give -o OUT, --mask-out FILE, --cutout FILE, or several of them")
    settings = _settings(arguments)
    look = Look(
        parts.behind(settings),
        mirror=settings.output.mirror,
        key=parts.key(settings),
        light=settings.background.light_wrap,
        hard=settings.model.hard,
        steps=parts.steps(settings),
    )
    needed = look.behind is not None or arguments.mask_out is not None or arguments.cutout is not None
    with _segmenter(settings, interruption, needed) as segmenter, progress("pictures") as show:

        def told(done: Done, number: int, count: int) -> None:
            show(number, count, done.source.name)
            if done.error is not None:
                log.error("%s", done.error)

        ends = convert(
            arguments.inputs,
            arguments.output,
            segmenter,
            look,
            mask_out=arguments.mask_out,
            cutout=arguments.cutout,
            progress=told,
            stop=interruption.is_set,
        )
    for end in ends:
        if end.written:
            _say(f"{end.source}: {', '.join(str(path) for path in end.written)}")
    if interruption.is_set():
        return INTERRUPTED
    return 1 if any(end.error is not None for end in ends) else 0


def plate(arguments: Namespace, interruption: Interruption) -> int:
    """Takes the picture of the empty room."""
    from vbgcam.segment.plate import save, take

    settings = _settings(arguments)
    target = arguments.output or config.data_folder() / "plate.png"
    source = open_source(SourceSpec.parse(settings.camera.source), parts.wanted(settings))
    got = source.open()
    log.info("source: %s, %s; leave the picture, the plate is taken in %.0f s", got.label, got.size, arguments.delay)
    try:
        begins = time.monotonic() + arguments.delay

        def frames() -> Iterator[Planes]:
            while not interruption.is_set() and (captured := source.read()) is not None:
                # What is read before the time is up lets the exposure settle.
                if captured.captured_at >= begins:
                    yield captured.planes

        planes = take(frames(), _PLATE_FRAMES)
    except ModelError:
        if interruption.is_set():
            return INTERRUPTED
        raise
    finally:
        source.close()
    save(planes, target)
    _say(f"{target}: the empty room, readable by you alone; use it with `--model plate{_as_path(arguments.output)}`")
    return 0


def _as_path(path: Path | None) -> str:
    return f":{path}" if path is not None else ""


def devices(arguments: Namespace, _interruption: Interruption) -> int:
    """What there is to be filmed with and to be shown through."""
    from vbgcam.camera.listing import as_json, cameras, describe
    from vbgcam.output.virtualcam import virtual_cameras

    found, virtual = [camera for camera in cameras(virtual=False) if not camera.virtual], virtual_cameras()
    if arguments.json:
        rows = {"cameras": [as_json(camera) for camera in found], "virtual_cameras": [asdict(item) for item in virtual]}
        _say(json.dumps(rows, indent=2))
        return 0
    _say("Cameras" if found else "Cameras: none is plugged in")
    for camera in found:
        for line in describe(camera):
            _say(f"  {line}")
    _say("Virtual cameras" if virtual else "Virtual cameras: none; `vbgcam run` says how to get one")
    for item in virtual:
        where = f" ({item.path})" if item.path else ""
        users = f" by {', '.join(item.users)}" if item.users else ""
        _say(f'  "{item.name}"{where} {item.driver}: {item.state}{users}')
    return 0


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
            segmenter = stack.enter_context(_segmenter(settings, interruption, needed=True))
            work = partial(evaluation.clip, question, clip, segmenter, folder, mask_fps=arguments.mask_fps)
            if arguments.sheet is not None:
                look = partial(sheet.write, question, clip, segmenter, arguments.mask_fps, arguments.sheet)
        elif arguments.coco is not None:
            images = CocoSet(arguments.coco)
            with progress("fetching the weights") as show, _breaking(show, interruption) as fetched:
                labeller = open_labeller(ModelSpec.parse(settings.model.name), parts.options(settings), fetched)
            if labeller is not None:
                stack.callback(labeller.close)
            model = labeller or stack.enter_context(_segmenter(settings, interruption, needed=True))
            work = partial(evaluation.coco, question, images, model, folder, limit=arguments.limit)
        else:
            kind: Literal["pairs", "aisegment"] = "pairs" if arguments.pairs is not None else "aisegment"
            data = arguments.pairs or arguments.aisegment
            listing = pairs(data) if kind == "pairs" else aisegment(data)
            segmenter = stack.enter_context(_segmenter(settings, interruption, needed=True))
            work = partial(
                evaluation.pictures, kind, question, data, listing, segmenter, folder=folder, limit=arguments.limit
            )
        with progress("scoring") as show:
            answer = work(told=show, stop=interruption.is_set)
        if answer is None:
            return INTERRUPTED
        stack.callback(answer.journal.close)
        if arguments.json is not None:
            _keep(arguments.json, json.dumps(answer.results, indent=2) + "\n")
        written = page.write(answer.results, answer.look, arguments.html) if arguments.html is not None else []
        terminal.show(answer.results)
        if look is not None:
            look()
            written.append(arguments.sheet)
        for path in written:
            _say(f"Written: {path}")
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
        f"eval: {option} {path}: there is no such folder; {_make_folder(path)}"
        for option, path in (("--json", arguments.json), ("--html", arguments.html), ("--sheet", arguments.sheet))
        if path is not None and not path.parent.is_dir()
    ]
    if problems:
        raise ConfigError(problems)
    settings = _settings(arguments, **({"model_name": f"truth:{arguments.alpha}"} if arguments.alpha else {}))
    spec = ModelSpec.parse(settings.model.name)
    path = spec.path or (config.data_folder() / "plate.png" if spec.kind == "plate" else None)
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
    as_they_are = spec.kind == "truth" and arguments.mask_fps is None
    question = Question(
        files=(path,) if path is not None else (),
        settings={"model": settings.model.model_dump(mode="json"), "mask": settings.mask.model_dump(mode="json")},
        limits=Limits(settings.mask.max_age_ms / 1000),
        hard=settings.model.hard,
        steps=NONE if as_they_are else parts.steps(settings),
        behind=parts.behind(settings),
        command=shlex.join(said),
    )
    return question, settings


def bench(arguments: Namespace, interruption: Interruption) -> int:
    """How fast this machine is."""
    from vbgcam.bench.report import terminal
    from vbgcam.bench.report.page import html
    from vbgcam.bench.run import Request, bench

    settings = _settings(arguments)
    request = Request.parse(
        depth="quick" if arguments.quick else "full" if arguments.full else "usual",
        sizes=arguments.size,
        only=arguments.only,
        model=arguments.model and settings.model.name,
        options=parts.options(settings),
        mask_fps=arguments.mask_fps,
        seconds=arguments.seconds,
    )

    def check() -> None:
        if interruption.is_set():
            raise KeyboardInterrupt

    def told(number: int, count: int, words: str) -> None:
        # A line, no bar: a bar's thread, which draws it ten times a second, would be measured, too.
        log.info("measuring %s (%d of %d)", words, number, count)

    figures = bench(request, check, told)
    if arguments.json is not None:
        _keep(arguments.json, json.dumps(figures, indent=2) + "\n")
    if arguments.html is not None:
        _keep(arguments.html, html(figures))
    terminal.show(figures)
    return 0


def _keep(path: Path, text: str) -> None:
    try:
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as exc:
        mend = _make_folder(path) if isinstance(exc, FileNotFoundError) else ""
        raise OutputError(f"{path}: the figures could not be written: {exc.strerror}", mend=mend) from exc


def _make_folder(path: Path) -> str:
    return f"mkdir -p {shlex.quote(str(path.parent))}"


def models(arguments: Namespace, interruption: Interruption) -> int:
    """What networks there are, and their weights."""
    from vbgcam.segment.models import add, fetch, survey

    settings = _settings(arguments)
    options = parts.options(settings)
    if arguments.what == "add":
        added = add(arguments.file, options)
        _say(f"{added.path}: kept, SHA-256 {added.sha256}; use it with `--model {added.model}`")
        return 0
    if arguments.what == "fetch":
        for name in arguments.names:
            with progress(name) as show, _breaking(show, interruption) as told:
                new = fetch(name, options, told)
            _say(f"{name}: {'fetched, and its hash is right' if new else 'is here already, and its hash is right'}")
        return 0
    rows = survey(options, arguments.names if arguments.what == "verify" else ())
    if arguments.what == "verify":
        asked = [row for row in rows if row.state != "missing" or arguments.names]
        for row in asked:
            _say(f"{row.name}: {_STATES[row.state]} ({row.path})")
        if not asked:
            _say("No weights are here yet; `vbgcam models fetch NAME` fetches some.")
        return 1 if any(row.state == "wrong" or (arguments.names and row.state == "missing") for row in rows) else 0
    if arguments.json:
        _say(json.dumps([{**asdict(row), "path": str(row.path)} for row in rows], indent=2))
        return 0
    wide = max(len(row.name) for row in rows)
    _say(f"{'':{wide}}     MB  mIoU  pixel accuracy")
    for row in rows:
        scores = f"{row.miou:>5}{row.pixel_accuracy:>8}" if row.miou is not None else f"{'':13}"
        own = "your own; " if row.own else ""
        _say(f"{row.name:{wide}} {row.size / 1e6:>6.0f} {scores}         {own}{_STATES[row.state]}: {row.purpose}")
    _say("Scores: percent on COCO val2017 with the labels of Pascal VOC, as torchvision publishes them.")
    return 0


def show_config(arguments: Namespace, _interruption: Interruption) -> int:
    if arguments.what == "path":
        _say(str(config.default_path()))
    elif arguments.what == "example":
        sys.stdout.write(config.example())
    else:
        sys.stdout.write(config.describe(_settings(arguments)))
    return 0


VERBS: Final[dict[str, Callable[[Namespace, Interruption], int]]] = {
    "run": run,
    "demo": demo,
    "image": image,
    "video": video,
    "devices": devices,
    "plate": plate,
    "eval": evaluate,
    "bench": bench,
    "models": models,
    "config": show_config,
}
