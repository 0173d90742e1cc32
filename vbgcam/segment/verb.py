"""The verbs `models` and `plate`."""

import json
import logging
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from vbgcam import factory
from vbgcam.camera import open_source
from vbgcam.cli.arguments import download_progress, settings_of
from vbgcam.cli.signals import INTERRUPTED, Interruption, Verb
from vbgcam.cli.terminal import progress, say
from vbgcam.core.errors import ModelError
from vbgcam.core.frames import Planes
from vbgcam.core.specs import SourceSpec
from vbgcam.core.text import megabytes
from vbgcam.segment import Options, weights
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.download import file_sha256
from vbgcam.settings import schema
from vbgcam.settings.state import RememberedState, state_path

log = logging.getLogger(__name__)


# A second of camera: the mean of 30 frames has a fifth of one frame's noise.
_PLATE_FRAMES: Final = 30
_STATES: Final = {
    "missing": "not downloaded",
    "right": "here, and its hash is right",
    "wrong": "here, but its hash is WRONG; it will not be used",
}
_SHORT: Final = {"missing": "missing", "right": "here", "wrong": "WRONG"}


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
    """What networks there are, and their files."""
    settings = settings_of(arguments)
    options = factory.options(settings)
    match arguments.what:
        case "add":
            from vbgcam.segment.adding import add

            added = add(arguments.file, options)
            say(f"{added.path}: kept, SHA-256 {file_sha256(added.path)}; use it with `--model {added.name}`")
        case "remove":
            for path in weights.remove(arguments.name, options):
                say(f"{path}: deleted")
        case "fetch":
            for name in arguments.names:
                _fetch(name, options, interruption)
        case "verify":
            return _verify(weights.survey(options, arguments.names), named=bool(arguments.names))
        case _:
            masks = RememberedState(state_path()).masks
            rows = [_row(info, masks) for info in weights.survey(options)]
            say(json.dumps(rows, indent=2) if arguments.json else "\n".join(_table(rows)))
    return 0


def _fetch(name: str, options: Options, interruption: Interruption) -> None:
    """The licence is said before a byte is asked for."""
    file = weights.needed(name, options)
    if file is None:
        say(f"{name}: is here already, and its hash is right")
        return
    entry, host = CATALOGUE[name], weights.download_job(file, options).host
    say(f"{name}: asking {host} for {megabytes(entry.size)}, licence {entry.licence}")
    with progress(name) as show:
        weights.download_published(file, options, download_progress(show, interruption))
    say(f"{name}: downloaded, and its hash is right")


def _verify(rows: list[weights.NetworkInfo], *, named: bool) -> int:
    shown = [row for row in rows if row.state != "missing" or named]
    for row in shown:
        say(f"{row.name}: {_STATES[row.state]} ({row.path})")
    if not shown:
        say("No networks are here yet; `vbgcam models fetch NAME` downloads some.")
    return 1 if any(row.state == "wrong" or (named and row.state == "missing") for row in rows) else 0


def _row(info: weights.NetworkInfo, masks: Mapping[str, float]) -> dict[str, Any]:
    """One network for programs. `masks`: milliseconds of a mask that were measured on this machine, by name."""
    published = info.published and asdict(info.published)
    figures = ("label", "purpose", "about", "licence", "dancing", "talking", "miou", "pixel_accuracy")
    return {
        "name": info.name,
        "state": info.state,
        "own": info.own,
        "path": str(info.path),
        "size": info.size,
        "mask_ms": masks.get(info.name),
        **{name: published[name] if published else None for name in figures},
    }


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The same for people, in at most 100 columns unless somebody's own name is a long one."""
    wide = max(len(row["name"]) for row in rows)
    yield f"{'':{wide}}  for        size  dancing    talking    ms here  licence     state"
    for row in rows:
        own = row["own"] and row["state"] == "right"
        cells = (
            f"{row['name']:{wide}}",
            f"{row['purpose'] or 'yours':8}",
            f"{megabytes(row['size']):>7}",
            f"{_quality(row['dancing']) or (row['miou'] and 'mIoU ' + str(row['miou'])) or '-':9}",
            f"{_quality(row['talking']) or '-':9}",
            f"{row['mask_ms'] or '-':>7}",
            f"{row['licence'] or '-':10}",
            "yours" if own else _SHORT[row["state"]],
        )
        yield "  ".join(cells)
    yield "dancing, talking: IoU/boundary F of two clips after all steps, in percent; - was not measured."
    yield "mIoU: of COCO val2017, as torchvision publishes it. Of its files it publishes eight digits of the"
    yield "hash: the whole hash of your first download is kept, and every later one compared with it."


def _quality(quality: dict[str, float] | None) -> str:
    return f"{quality['iou']}/{quality['boundary_f']}" if quality else ""


VERBS: Final[dict[str, Verb]] = {"plate": plate, "models": models}
