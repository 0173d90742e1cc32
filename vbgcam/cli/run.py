"""The verbs `run` and `demo`: the live chain, on a camera or on the drawn presenter."""

import signal
from argparse import Namespace
from pathlib import Path
from typing import Final

from vbgcam import app, factory
from vbgcam.background.gallery import SHIPPED
from vbgcam.cli.arguments import overrides_of, settings_of
from vbgcam.cli.signals import INTERRUPTED, Interruption, Verb
from vbgcam.cli.terminal import command, progress, say
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import RawFrame, Size
from vbgcam.live.stats import Stats
from vbgcam.mask import Masker
from vbgcam.media import images
from vbgcam.pixels import convert
from vbgcam.render.composer import Behind, Composer

# Seconds that the demo's chain gets to come on air; a second, unless the blend has to be compiled first.
_DEMO_START: Final = 30.0
# The frame of its clip that the demo's picture shows, 1.6 s after the beginning.
_GREETING: Final = range(48, 49)
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
    """The live chain on the drawn presenter: a film, and a picture of before and after."""
    from vbgcam.camera.demo import PLATE

    folder: Path = arguments.output
    film, sheet = folder / "vbgcam-demo.mp4", folder / "vbgcam-demo.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{folder}: no films can be put there: {exc.strerror}") from exc
    if arguments.background is None:
        arguments.background = str(SHIPPED / "Hills at dusk.jpg")
    settings = settings_of(arguments, camera_source="demo", model_name=f"plate:{PLATE}", output_sink=f"file:{film}")
    with progress("filming the presenter") as show:

        def tick(stats: Stats) -> bool:
            """The cover of the first moment is no part of the film's length."""
            seconds = stats.on_air()
            show(min(seconds, arguments.duration), arguments.duration, f"{stats.composed()} frames composed")
            return seconds >= float(arguments.duration)

        app.run(settings, arguments.duration + _DEMO_START, arguments.stats, interruption, tick)
    if interruption.is_set():
        return INTERRUPTED
    options = factory.render_options(settings)
    if not options.plain:
        size = factory.wanted(settings).size
        before_after(options.blur or factory.background_opener(settings)(size).at(0.0), size, sheet)
    say(f"Made {film}{'' if options.plain else f' and {sheet}'}: a drawn presenter, filmed, cut out, composed.")
    me = command()
    say(f"The same chain on you: `{me} devices` lists your cameras, `{me} run --background PICTURE` starts it;")
    say(f'then choose "VBG Camera" in your call. `{me} --help` shows the rest.')
    return 0


def before_after(behind: Behind, size: Size, path: Path) -> None:
    """One moment of the demo before and after, side by side. `behind`: of that size. Raises ModelError, MediaError."""
    from vbgcam.camera.demo import PLATE, frames
    from vbgcam.report.sheet import sheet
    from vbgcam.segment.plate import CleanPlate

    ((planes, _),) = frames(_GREETING)
    frame = RawFrame(convert.fit(planes, size).frozen(), 0.0)
    shown = Composer(size).compose(frame, Masker(CleanPlate.load(PLATE)).mask(frame), behind)
    images.write(path, sheet([convert.to_rgb(frame.planes), convert.to_rgb(shown.planes)], CAPTIONS))


VERBS: Final[dict[str, Verb]] = {"run": run, "demo": demo}
