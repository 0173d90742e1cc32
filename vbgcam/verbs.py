"""What each verb of the command line does: settings in, the rooms called, a few lines for a person out."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Final

from vbgcam import app, config
from vbgcam.cli import INTERRUPTED, Interruption
from vbgcam.config import Settings
from vbgcam.errors import ConfigError
from vbgcam.segment import Segmenter, open_segmenter
from vbgcam.specs import ModelSpec
from vbgcam.terminal import progress

log = logging.getLogger(__name__)


def _say(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def _settings(arguments: Namespace, **fixed: str) -> Settings:
    """The settings that hold for this call; `fixed` win over everything, by "section_key"."""
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
    overrides |= {name.replace("_", ".", 1): value for name, value in fixed.items()}
    return config.load(arguments.config, overrides)


def run(arguments: Namespace, interruption: Interruption) -> int:
    """The daemon. Ctrl-C ends it with 130, a service manager's SIGTERM with 0."""
    ended = app.run(_settings(arguments), arguments.duration, arguments.stats, interruption)
    code = INTERRUPTED if interruption.by == signal.SIGINT else 0
    if not ended:
        # A library holds a thread (a network in mid-inference); the devices are released, so leave without it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def video(arguments: Namespace, interruption: Interruption) -> int:
    """A film through the same steps as the live picture."""
    from vbgcam.offline.videos import Look, convert

    if arguments.output is None and arguments.mask_out is None:
        raise ConfigError("video: nothing to make; give -o OUT.mp4, --mask-out FILE.mkv, or both")
    settings = _settings(arguments)
    look = Look(
        app.behind(settings),
        mirror=settings.output.mirror,
        key=app.key(settings),
        hard=settings.model.hard,
        height=arguments.height,
    )
    with _segmenter(settings, interruption) as segmenter, progress(arguments.input.name) as show:
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
def _segmenter(settings: Settings, interruption: Interruption) -> Iterator[Segmenter]:
    """The network for offline work; its weights are fetched with a bar where they are not here yet."""
    with progress("fetching the weights") as show:

        def told(done: int, total: int) -> None:
            if interruption.is_set():
                raise KeyboardInterrupt
            show(done, total, f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")

        segmenter = open_segmenter(ModelSpec.parse(settings.model.name), app.options(settings), told)
    log.info("model: %s on %s", segmenter.name, segmenter.device)
    try:
        yield segmenter
    finally:
        segmenter.close()


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
    "video": video,
    "config": show_config,
}
