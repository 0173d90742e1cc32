"""The weights of torchvision's six segmentation models, and what else was added: where they lie, whether they are the
right ones, how they get here, and what `vbgcam models list|fetch|verify|add` does. Only `add` needs torch or
onnxruntime, to look into the file that it is given; all else answers at once.

Where a model's weights are taken from, first to last:

1. the person's own: `FOLDER/models/NAME-SHA256.pth`, put there by `vbgcam models add` (FOLDER is `Options.folder`). The
   file name carries the whole hash: there is no index that could be out of step with the files. While it lies there it
   wins over the published weights; delete it and they are back. With `Options.sha256` only a file of that hash counts.
2. torch.hub's cache, shared with every other program on torchvision: `$TORCH_HOME/hub/checkpoints/FILE`.
3. torchvision's server, or `Options.mirror` in its place; what comes is kept in 2.

torch.hub checks a hash only when it downloads. Here every file is checked before its first use in each process (217 MB:
0.2 to 0.6 s), against the published hash (its first eight digits are in the file's name) or `Options.sha256`.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from vbgcam.core.errors import ConfigError, ModelError
from vbgcam.core.specs import TORCHVISION_MODELS, nearest
from vbgcam.media.atomic import whole
from vbgcam.segment.base import Options, Progress
from vbgcam.segment.download import DIGITS, Job, download, file_sha256

LICENCE: Final = "published with torchvision (BSD-3-Clause), trained on COCO 2017, whose terms apply"


@dataclass(frozen=True, slots=True)
class Published:
    """What torchvision publishes of one model, whose weights are the enum's `COCO_WITH_VOC_LABELS_V1`. `size`: bytes.
    `miou`, `pixel_accuracy`: percent, on COCO val2017 with the labels of Pascal VOC. `purpose`: what it is good for. A
    test holds all of it equal to the enum."""

    file: str
    size: int
    miou: float
    pixel_accuracy: float
    purpose: str

    @property
    def url(self) -> str:
        """Where torchvision keeps the file."""
        return f"https://download.pytorch.org/models/{self.file}"

    @property
    def sha256(self) -> str:
        """The first eight digits: torchvision publishes no more."""
        return self.file.removesuffix(".pth").rpartition("-")[2]


PUBLISHED: Final = {
    "fcn_resnet50": Published(
        "fcn_resnet50_coco-1167a1af.pth", 141_567_418, 60.5, 91.4, "two thirds of fcn_resnet101's work"
    ),
    "fcn_resnet101": Published("fcn_resnet101_coco-7ecb50ca.pth", 217_800_805, 63.7, 91.9, "what auto takes on a GPU"),
    "deeplabv3_resnet50": Published(
        "deeplabv3_resnet50_coco-cd0a2569.pth", 168_312_152, 66.4, 92.4, "better than fcn_resnet101 for less work"
    ),
    "deeplabv3_resnet101": Published(
        "deeplabv3_resnet101_coco-586e9e4e.pth", 244_545_539, 67.4, 92.4, "the best of the six, and the slowest"
    ),
    # The size is from the enum's MiB: right to 600 bytes, as the next one is to the byte.
    "deeplabv3_mobilenet_v3_large": Published(
        "deeplabv3_mobilenet_v3_large-fc3c493d.pth", 44_355_813, 60.3, 91.2, "for a strong CPU or a small GPU"
    ),
    "lraspp_mobilenet_v3_large": Published(
        "lraspp_mobilenet_v3_large-d234d4ea.pth", 13_097_061, 57.9, 91.2, "what auto takes on a CPU"
    ),
}


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Where a model's weights are or would be. `sha256`: what the hash of the file must begin with. `own`: the person
    gave them with `vbgcam models add`."""

    name: str
    path: Path
    sha256: str
    own: bool = False


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


def cache_folder() -> Path:
    """What torch.hub.get_dir() gives, found without importing torch, and its "checkpoints"."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", str(Path(cache) / "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints"


def own_folder(options: Options) -> Path:
    """Where `vbgcam models add` keeps what it was given."""
    return options.folder / "models"


def published_file(name: str, options: Options) -> WeightsFile:
    """The file in torch.hub's cache, whether or not the person has weights of their own."""
    published = PUBLISHED[name]
    return WeightsFile(name, cache_folder() / published.file, options.sha256 or published.sha256)


def weights_file(name: str, options: Options) -> WeightsFile:
    """The person's own weights where there are any, else the file in torch.hub's cache."""
    own = [file for file in own_files(options) if file.name == name and file.sha256.startswith(options.sha256)]
    return own[-1] if own else published_file(name, options)


def own_files(options: Options) -> list[WeightsFile]:
    """All that was added, the newest last. `name`: a model of torchvision's, or "onnx:" and the file's stem."""
    found: list[tuple[int, WeightsFile]] = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # nothing was ever added
        for path in own_folder(options).iterdir():
            match = re.fullmatch(r"(.+)-([0-9a-f]{64})\.(pth|onnx)", path.name)
            if match:
                name = match[1] if match[3] == "pth" else f"onnx:{match[1]}"
                found.append((path.stat().st_mtime_ns, WeightsFile(name, path, match[2], own=True)))
    return [file for _, file in sorted(found, key=lambda item: item[0])]


def added_onnx(path: Path, options: Options) -> Path:
    """The file itself where there is one, else what `vbgcam models add` keeps under that stem: after `vbgcam models add
    some/net.onnx`, `onnx:net` is enough. Raises ModelError where its hash is wrong."""
    if os.path.exists(path):  # noqa: PTH110  # Path's raises for a name that is too long
        return path
    names = (f"onnx:{path}", f"onnx:{path.with_suffix('')}")
    own = [file for file in own_files(options) if file.name in names]
    if not own:
        return path
    _check_intact(own[-1])
    return own[-1].path


def ensure(name: str, options: Options, progress: Progress | None = None) -> Path:
    """A file with the model's weights whose hash is right; downloaded where there is none. Raises ModelError, with
    `retry` where the network is to blame."""
    file = weights_file(name, options)
    if not file.path.exists():
        download_published(file, options, progress)
    _check_intact(file)
    return file.path


def is_intact(file: WeightsFile) -> bool:
    """Whether the file's hash begins as it must. A file that stays as it was is read once in each process. Raises
    ModelError where it cannot be read."""
    try:
        stat = file.path.stat()
    except OSError as exc:
        raise ModelError(f"{file.path} cannot be read: {exc.strerror or exc}") from exc
    state = (file.path, file.sha256, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if state not in _right and file_sha256(file.path).startswith(file.sha256):
        _right.add(state)
    return state in _right


_right: Final[set[tuple[Path, str, int, int, int]]] = set()


def _check_intact(file: WeightsFile) -> None:
    if is_intact(file):
        return
    fix = (
        "delete it, or give the right one with `vbgcam models add FILE`"
        if file.own
        else f"`vbgcam models fetch {file.name}` fetches it anew"
    )
    found = file_sha256(file.path)[:DIGITS]
    raise ModelError(
        f"{file.path} is not the file it should be: its SHA-256 begins with {found}, not with {file.sha256[:DIGITS]}",
        fix=fix,
    )


def download_published(file: WeightsFile, options: Options, progress: Progress | None) -> None:
    """Puts the published weights, or the mirror's, at the file's path. Raises ModelError as `ensure` does."""
    published = PUBLISHED[file.name]
    url = f"{options.mirror.rstrip('/')}/{published.file}" if options.mirror else published.url
    fix = (
        f"go online and run `vbgcam models fetch {file.name}`, or put the file into {file.path.parent}, "
        "or give a copy of it with `vbgcam models add FILE`"
    )
    download(Job(url, file.path, file.sha256, published.size, fix), progress)


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
