"""`vbgcam models add`: keeps a network of the person's own. It alone looks into the file, with torch or an engine."""

import contextlib
import shutil
from pathlib import Path

from vbgcam.core.errors import ModelError
from vbgcam.core.specs import TORCHVISION_MODELS
from vbgcam.media.atomic import whole
from vbgcam.segment.base import Options
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.download import Pin, file_digest, file_sha256
from vbgcam.segment.weights import WeightsFile, is_intact, own_files, own_folder, published_file


def add(file: Path, options: Options) -> WeightsFile:
    """Keeps a copy of a checkpoint of one of the six architectures, or of an ONNX network with its card, in place of
    what was kept under that name before. A file of the catalogue goes to where a download would have put it. Raises
    ModelError where it is neither, or could not be run. Of the result, `name` is the spec under which it is found from
    now on."""
    if not file.is_file():
        raise ModelError(f"{file} is no file" if file.exists() else f"{file} does not exist")
    for listed, entry in CATALOGUE.items():
        if entry.pin.whole and entry.pin.fits(file_digest(file, entry.pin)):
            return _copied(file, published_file(listed, options))
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
    kept = own_folder(options) / f"{stem}-{sha256}{'.onnx' if model.startswith('onnx:') else '.pth'}"
    added = _copied(file, WeightsFile(model, kept, Pin(sha256), own=True), card)
    for older in own_files(options):
        if older.name == model and older.path != kept:
            _remove(older.path)
    return added


def _copied(file: Path, to: WeightsFile, card: Path | None = None) -> WeightsFile:
    """Copies the network and its card to that place. Raises ModelError; nothing new is there then."""
    new = not to.path.exists()
    try:
        to.path.parent.mkdir(parents=True, exist_ok=True)
        if card is not None:  # first, so that the network is never there without it
            with whole(to.path.with_suffix(".toml")) as part:
                shutil.copyfile(card, part)
        with whole(to.path) as part:
            shutil.copyfile(file, part)
    except OSError as exc:
        if new:  # a card alone would stay for ever
            _remove(to.path)
        raise ModelError(f"{file} could not be copied into {to.path.parent}: {exc.strerror or exc}") from exc
    if not is_intact(to):
        _remove(to.path)
        raise ModelError(f"{file} changed while it was copied; nothing was kept")
    return to


def _remove(kept: Path) -> None:
    for path in (kept, kept.with_suffix(".toml")):
        with contextlib.suppress(OSError):  # a program on Windows may have it open; the newest file counts
            path.unlink()
