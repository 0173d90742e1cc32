"""The verbs `models` and `plate`."""

import json
import logging
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from vbgcam import factory
from vbgcam.camera import open_source
from vbgcam.cli.arguments import download_progress, settings_of
from vbgcam.cli.signals import INTERRUPTED, Interruption, Verb
from vbgcam.cli.terminal import progress, say
from vbgcam.core.errors import ModelError
from vbgcam.core.frames import Planes
from vbgcam.core.specs import SourceSpec
from vbgcam.settings import schema

log = logging.getLogger(__name__)


# A second of camera: the mean of 30 frames has a fifth of one frame's noise.
_PLATE_FRAMES: Final = 30
_STATES: Final = {
    "missing": "not here",
    "right": "here, and its hash is right",
    "wrong": "here, but its hash is WRONG; it will not be used",
}


def plate(arguments: Namespace, interruption: Interruption) -> int:
    """Takes the picture of the empty room."""
    from vbgcam.segment.plate import save, take

    settings = settings_of(arguments)
    target = arguments.output or schema.data_folder() / "plate.png"
    source = open_source(SourceSpec.parse(settings.camera.source), factory.wanted(settings))
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
    named = f":{arguments.output}" if arguments.output is not None else ""
    say(f"{target}: the empty room, readable by you alone; use it with `--model plate{named}`")
    return 0


def models(arguments: Namespace, interruption: Interruption) -> int:
    """What networks there are, and their weights."""
    from vbgcam.segment.weights import add, fetch, survey

    settings = settings_of(arguments)
    options = factory.options(settings)
    if arguments.what == "add":
        added = add(arguments.file, options)
        say(f"{added.path}: kept, SHA-256 {added.sha256}; use it with `--model {added.name}`")
        return 0
    if arguments.what == "fetch":
        for name in arguments.names:
            with progress(name) as show:
                new = fetch(name, options, download_progress(show, interruption))
            say(f"{name}: {'fetched, and its hash is right' if new else 'is here already, and its hash is right'}")
        return 0
    rows = survey(options, arguments.names if arguments.what == "verify" else ())
    if arguments.what == "verify":
        asked = [row for row in rows if row.state != "missing" or arguments.names]
        for row in asked:
            say(f"{row.name}: {_STATES[row.state]} ({row.path})")
        if not asked:
            say("No weights are here yet; `vbgcam models fetch NAME` fetches some.")
        return 1 if any(row.state == "wrong" or (arguments.names and row.state == "missing") for row in rows) else 0
    if arguments.json:
        say(json.dumps([{**asdict(row), "path": str(row.path)} for row in rows], indent=2))
        return 0
    wide = max(len(row.name) for row in rows)
    say(f"{'':{wide}}     MB  mIoU  pixel accuracy")
    for row in rows:
        scores = f"{row.miou:>5}{row.pixel_accuracy:>8}" if row.miou is not None else f"{'':13}"
        own = "your own; " if row.own else ""
        say(f"{row.name:{wide}} {row.size / 1e6:>6.0f} {scores}         {own}{_STATES[row.state]}: {row.purpose}")
    say("Scores: percent on COCO val2017 with the labels of Pascal VOC, as torchvision publishes them.")
    return 0


VERBS: Final[dict[str, Verb]] = {"plate": plate, "models": models}
