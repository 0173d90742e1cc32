"""What several verbs make of their arguments: settings, a network with its weights, a file of figures."""

import contextlib
import logging
from argparse import Namespace
from collections.abc import Iterator

from vbgcam import factory
from vbgcam.cli.parser import assignments
from vbgcam.cli.signals import Interruption
from vbgcam.cli.terminal import Show, progress
from vbgcam.core.specs import ModelSpec
from vbgcam.core.text import megabytes
from vbgcam.segment import Progress, Segmenter, open_segmenter
from vbgcam.segment.factory import PassThrough
from vbgcam.settings import reading
from vbgcam.settings.schema import Settings

log = logging.getLogger(__name__)


def overrides_of(arguments: Namespace) -> dict[str, str]:
    """What the command line says of settings, by "section.key"."""
    overrides = assignments(arguments.set, "--set", "camera.fps=30")
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


def settings_of(arguments: Namespace, **fixed: str) -> Settings:
    """The settings that hold for this call; `fixed` win over everything, by "section_key"."""
    overrides = overrides_of(arguments)
    overrides |= {name.replace("_", ".", 1): value for name, value in fixed.items()}
    settings = reading.load(arguments.config, overrides)
    if arguments.verb not in ("eval", "bench"):
        factory.refuse_truth(settings)
    return settings


@contextlib.contextmanager
def loaded_segmenter(settings: Settings, interruption: Interruption, needed: bool) -> Iterator[Segmenter]:
    """The network for offline work; its weights are fetched with a bar where they are not here yet. The plain picture
    without a mask needs none."""
    if not needed:
        yield PassThrough()
        return
    with progress("downloading the network") as show:
        told = download_progress(show, interruption)
        segmenter = open_segmenter(ModelSpec.parse(settings.model.name), factory.options(settings), told)
    log.info("model: %s on %s", segmenter.name, segmenter.device)
    try:
        yield segmenter
    finally:
        segmenter.close()


def download_progress(show: Show, interruption: Interruption) -> Progress:
    """Shows a download's bytes; raises KeyboardInterrupt when the person interrupts."""

    def told(done: int, total: int, host: str) -> None:
        if interruption.is_set():
            raise KeyboardInterrupt
        show(done, total, f"{megabytes(done)} of {megabytes(total)} from {host}")

    return told
