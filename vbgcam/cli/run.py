"""The verbs `run` and `demo`: the live chain, on a camera or on the drawn presenter."""

import contextlib
import signal
from argparse import Namespace
from pathlib import Path
from typing import Final

from vbgcam import app, factory
from vbgcam.background.gallery import SHIPPED
from vbgcam.cli.arguments import download_progress, overrides_of, settings_of
from vbgcam.cli.signals import INTERRUPTED, Interruption, Verb
from vbgcam.cli.terminal import command, progress, say
from vbgcam.core.errors import ModelError, OutputError
from vbgcam.core.frames import RawFrame, Size
from vbgcam.core.specs import ModelSpec
from vbgcam.live.stats import Stats
from vbgcam.mask import Masker
from vbgcam.media import images
from vbgcam.pixels import convert
from vbgcam.render.composer import Behind, Composer
from vbgcam.segment import Options, auto, open_segmenter
from vbgcam.segment.weights import ensure

# The frames of its clip up to the one that the demo's picture shows: a mask is better once it has seen some.
_GREETING: Final = range(49)
CAPTIONS: Final = ("What the camera sees", "What the others see")


def run(arguments: Namespace, interruption: Interruption) -> int:
    """The daemon. Ctrl-C ends it with 130, a service manager's SIGTERM with 0."""
    app.serve(
        arguments.config,
        overrides_of(arguments),
        interruption,
        duration=arguments.duration,
        stats_file=arguments.stats,
        desk=not arguments.no_tray,
        report=_report,
    )
    return INTERRUPTED if interruption.by == signal.SIGINT else 0


def _report() -> str:
    from vbgcam.doctor import report
    from vbgcam.doctor.examine import examine
    from vbgcam.doctor.machine import Machine

    machine = Machine()
    return report.text(machine, examine(machine, None, command()))


def demo(arguments: Namespace, interruption: Interruption) -> int:
    """The live chain on the drawn presenter: a film, and a picture of before and after. Nobody waits for its frames, so
    each waits for its mask and none is left out, however slow the machine is."""
    folder: Path = arguments.output
    film, sheet = folder / "vbgcam-demo.mp4", folder / "vbgcam-demo.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: no films can be put there: {exc.strerror}") from exc
    if arguments.background is None:
        arguments.background = str(SHIPPED / "Hills at dusk.jpg")
    model = _demo_model(factory.options(settings_of(arguments)), interruption)
    settings = settings_of(arguments, camera_source="demo?pace=max", model_name=str(model), output_sink=f"file:{film}")
    with progress("filming the presenter") as show:

        def tick(stats: Stats) -> bool:
            """The cover of the first moment is no part of the film's length."""
            seconds = stats.composed() / settings.camera.fps
            show(min(seconds, arguments.duration), arguments.duration, f"{stats.composed()} frames composed")
            return seconds >= float(arguments.duration)

        app.run(settings, None, arguments.stats, interruption, tick)
    if interruption.is_set():
        return INTERRUPTED
    options = factory.render_options(settings)
    if not options.plain:
        size = factory.wanted(settings).size
        behind = options.blur or factory.background_opener(settings)(size).at(0.0)
        with contextlib.closing(open_segmenter(model, factory.options(settings))) as segmenter:
            before_after(behind, size, sheet, Masker(segmenter, options.mask))
    say(f"Made {film}{'' if options.plain else f' and {sheet}'}: a drawn presenter, filmed, cut out, composed.")
    me = command()
    say(f"The same chain on you: `{me} devices` lists your cameras, `{me} run --background PICTURE` starts it;")
    say(f'then choose "VBG Camera" in your call. `{me} --help` shows the rest.')
    return 0


def _demo_model(options: Options, interruption: Interruption) -> ModelSpec:
    """The network that most people use, or the presenter's empty room where that is not here and cannot be had."""
    from vbgcam.camera.demo import PLATE

    try:
        with progress(f"downloading {auto.ELSEWHERE}") as show:
            ensure(auto.ELSEWHERE, options, download_progress(show, interruption))
    except ModelError as exc:
        say(f"Without a network, by a picture of the presenter's empty room: {exc.message}")
        return ModelSpec.parse(f"plate:{PLATE}")
    return ModelSpec.parse(auto.ELSEWHERE)


def before_after(behind: Behind, size: Size, path: Path, masker: Masker) -> None:
    """One moment of the demo before and after, side by side. `behind`: of that size. Raises ModelError, MediaError."""
    from vbgcam.camera.demo import frames
    from vbgcam.report.sheet import sheet

    for planes, _ in frames(_GREETING):
        frame = RawFrame(convert.fit(planes, size).frozen(), 0.0)
        mask = masker.mask(frame)
    shown = Composer(size).compose(frame, mask, behind)
    images.write(path, sheet([convert.to_rgb(frame.planes), convert.to_rgb(shown.planes)], CAPTIONS))


VERBS: Final[dict[str, Verb]] = {"run": run, "demo": demo}
