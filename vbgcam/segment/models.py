"""What `vbgcam models list|fetch|verify|add` does. It returns values; the command line prints them.

Only `add` needs torch or onnxruntime, to look into the file that it is given.
"""

import contextlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vbgcam.core.errors import ConfigError, ModelError
from vbgcam.core.specs import TORCHVISION_MODELS, nearest
from vbgcam.media.atomic import whole
from vbgcam.segment.base import Options, Progress
from vbgcam.segment.download import file_sha256
from vbgcam.segment.weights import (
    LICENCE,
    PUBLISHED,
    WeightsFile,
    download_published,
    is_intact,
    own_files,
    own_folder,
    published_file,
    weights_file,
)


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """One network. `name`: as in the model spec. `path`: where its weights are or would be. `size`: bytes. `state`: a
    file whose hash is not the right one is "wrong" and is never loaded. `own`: added by the person, who alone knows how
    good it is: `miou` and `pixel_accuracy` (percent, COCO val2017 with the labels of Pascal VOC) are None then."""

    name: str
    state: Literal["missing", "right", "wrong"]
    own: bool
    path: Path
    size: int
    miou: float | None
    pixel_accuracy: float | None
    purpose: str
    licence: str


def survey(options: Options, names: Iterable[str] = ()) -> list[NetworkInfo]:
    """What there is, in torchvision's order, then the ONNX files that were added; only `names` where some are given.
    Every file that is here is read and its hash compared (217 MB: 0.2 to 0.6 s). Raises ConfigError for an unknown
    name, ModelError where a file cannot be read."""
    files = [weights_file(name, options) for name in TORCHVISION_MODELS]
    files += {file.name: file for file in own_files(options) if file.name not in TORCHVISION_MODELS}.values()
    names = tuple(names)
    _known(names, tuple(file.name for file in files))
    return [_info(file) for file in files if not names or file.name in names]


def fetch(name: str, options: Options, progress: Progress | None = None) -> bool:
    """Downloads published weights (or the mirror's). False where they are here already. Raises ConfigError for an
    unknown name, ModelError, and what `progress` raises."""
    _known((name,), TORCHVISION_MODELS)
    file = published_file(name, options)
    if file.path.exists() and is_intact(file):
        return False
    download_published(file, options, progress)
    return True


def add(file: Path, options: Options) -> WeightsFile:
    """Keeps a copy of a checkpoint of one of the six architectures, or of an ONNX network with its card, in place of
    what was kept under that name before. Raises ModelError where it is neither, or could not be run.
    Of the result, `name` is the spec under which it is found from now on."""
    if not file.is_file():
        raise ModelError(f"{file} is no file" if file.exists() else f"{file} does not exist")
    if file.suffix.lower() == ".onnx":
        return _add_onnx(file, options)
    from vbgcam.segment.torchvision import architecture, build, read_checkpoint

    state = read_checkpoint(file)
    name = architecture(state)
    if name is None:
        raise ModelError(f"{file} is a checkpoint of none of {', '.join(TORCHVISION_MODELS)}")
    build(name, state, file)
    return _keep(name, file, name, options)


def _add_onnx(file: Path, options: Options) -> WeightsFile:
    from vbgcam.segment.card import beside
    from vbgcam.segment.onnx import OnnxSegmenter

    OnnxSegmenter.load(file, options).close()
    # Without a card beside it the network is known by its hash or its inputs.
    added = _keep(f"onnx:{file.stem}", file, file.stem, options, beside(file))
    try:
        OnnxSegmenter.load(added.path, options).close()
    except ModelError as exc:
        _remove(added.path)
        raise ModelError(
            f"{file} cannot be kept: a copy of it does not run", fix="are its weights in another file beside it?"
        ) from exc
    return added


def _keep(model: str, file: Path, stem: str, options: Options, card: Path | None = None) -> WeightsFile:
    """Copies the network and its card, then removes what was kept under that name before."""
    sha256 = file_sha256(file)
    folder = own_folder(options)
    kept = folder / f"{stem}-{sha256}{'.onnx' if model.startswith('onnx:') else '.pth'}"
    new = not kept.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if card is not None:  # first, so that the network is never there without it
            with whole(kept.with_suffix(".toml")) as part:
                shutil.copyfile(card, part)
        with whole(kept) as part:
            shutil.copyfile(file, part)
    except OSError as exc:
        if new:  # a card alone would stay for ever
            _remove(kept)
        raise ModelError(f"{file} could not be copied into {folder}: {exc.strerror or exc}") from exc
    added = WeightsFile(model, kept, sha256, own=True)
    if not is_intact(added):
        _remove(kept)
        raise ModelError(f"{file} changed while it was copied; nothing was kept")
    for older in own_files(options):
        if older.name == model and older.path != kept:
            _remove(older.path)
    return added


def _remove(kept: Path) -> None:
    for path in (kept, kept.with_suffix(".toml")):
        with contextlib.suppress(OSError):  # a program on Windows may have it open; the newest file counts
            path.unlink()


def _info(file: WeightsFile) -> NetworkInfo:
    published = PUBLISHED.get(file.name) if not file.own else None
    there = file.path.exists()
    size = file.path.stat().st_size if there else published.size if published else 0
    return NetworkInfo(
        name=file.name,
        state="missing" if not there else "right" if is_intact(file) else "wrong",
        own=file.own,
        path=file.path,
        size=size,
        miou=published.miou if published else None,
        pixel_accuracy=published.pixel_accuracy if published else None,
        purpose=published.purpose if published else "added with `vbgcam models add`",
        licence=LICENCE if published else "",
    )


def _known(names: tuple[str, ...], known: tuple[str, ...]) -> None:
    problems = [
        f"model {name!r} is none of {', '.join(known)}{nearest(name, known)}" for name in names if name not in known
    ]
    if problems:
        raise ConfigError(problems)
