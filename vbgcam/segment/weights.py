"""The files of networks: where they lie, whether they are the right ones, how they get here and go again. Nothing here
needs torch, onnxruntime or OpenVINO, and all but a download answers at once.

Where a network's file is taken from, first to last:

1. the person's own: `FOLDER/models/NAME-SHA256.pth`, put there by `vbgcam models add` (FOLDER is `Options.folder`). The
   file name carries the whole hash: there is no index that could be out of step with the files. While it lies there it
   wins over the published weights. With `Options.sha256` only a file of that hash counts.
2. torchvision's: torch.hub's cache, shared with every other program on torchvision: `$TORCH_HOME/hub/checkpoints/FILE`;
   all others: `FOLDER/downloads/FILE`.
3. the server of the catalogue, or `Options.mirror` in its place; what comes is kept in 2.

Every file is checked before its first use in each process (217 MB: 0.2 to 0.6 s), against `Options.sha256` or the
catalogue. Where only the first digits of a hash are published, the whole hash of the first file that was right is kept
in `FOLDER/models/FILE.sha256` and compared ever after, so that a second download cannot be another file.
"""

import contextlib
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from vbgcam.core.errors import ConfigError, ModelError
from vbgcam.core.specs import TORCHVISION_MODELS, nearest
from vbgcam.media.atomic import whole
from vbgcam.segment.base import Options, Progress
from vbgcam.segment.catalogue import CATALOGUE, CatalogueEntry
from vbgcam.segment.download import DIGITS, Job, Pin, download, file_digest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Where a network's file is or would be. `pin`: what it must be. `own`: the person gave it with `vbgcam models
    add`. `keep`: where its whole SHA-256 is to be written once it is right; None where it is known already."""

    name: str
    path: Path
    pin: Pin
    own: bool = False
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """One network. `name`: as in the model spec. `path`: where its file is or would be. `size`: bytes. `state`: a file
    whose hash is not the right one is "wrong" and is never loaded. `own`: added by the person. `published`: what the
    catalogue says, None for what the person added, who alone knows how good it is."""

    name: str
    state: Literal["missing", "right", "wrong"]
    own: bool
    path: Path
    size: int
    published: CatalogueEntry | None


def cache_folder() -> Path:
    """What torch.hub.get_dir() gives, found without importing torch, and its "checkpoints"."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", str(Path(cache) / "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints"


def own_folder(options: Options) -> Path:
    """Where `vbgcam models add` keeps what it was given."""
    return options.folder / "models"


def published_file(name: str, options: Options) -> WeightsFile:
    """The downloaded file, whether or not the person has one of their own."""
    entry = CATALOGUE[name]
    folder = cache_folder() if name in TORCHVISION_MODELS else options.folder / "downloads"
    path, pin = folder / entry.file, Pin(options.sha256) if options.sha256 else entry.pin
    if pin.whole:
        return WeightsFile(name, path, pin)
    keep = own_folder(options) / f"{entry.file}.sha256"
    with contextlib.suppress(OSError, ValueError):
        kept = Pin(keep.read_text(encoding="ascii")[:64])
        if kept.whole and pin.fits(kept.digits):
            return WeightsFile(name, path, kept)
    return WeightsFile(name, path, pin, keep=keep)


def weights_file(name: str, options: Options) -> WeightsFile:
    """The person's own file where there is any, else the downloaded one. `name`: of the catalogue."""
    own = [file for file in own_files(options) if file.name == name and file.pin.digits.startswith(options.sha256)]
    return own[-1] if own else published_file(name, options)


def own_files(options: Options) -> list[WeightsFile]:
    """All that was added, the newest last. `name`: a model of torchvision's, or "onnx:" and the file's stem."""
    found: list[tuple[int, WeightsFile]] = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # nothing was ever added
        for path in own_folder(options).iterdir():
            match = re.fullmatch(r"(.+)-([0-9a-f]{64})\.(pth|onnx)", path.name)
            if match:
                name = match[1] if match[3] == "pth" else f"onnx:{match[1]}"
                found.append((path.stat().st_mtime_ns, WeightsFile(name, path, Pin(match[2]), own=True)))
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
    """A network's file whose hash is right; downloaded where there is none. Raises ModelError, with `retry` where the
    network is to blame."""
    file = weights_file(name, options)
    if file.path.exists():
        _check_intact(file)
    else:
        download_published(file, options, progress)
    return file.path


def lightest_here(options: Options) -> str | None:
    """The name of the catalogue's lightest network whose right file is on this machine."""
    options = replace(options, sha256="")
    for name in CATALOGUE:
        file = weights_file(name, options)
        with contextlib.suppress(ModelError):  # it cannot be read: the next one
            if file.path.exists() and is_intact(file):
                return name
    return None


def is_intact(file: WeightsFile) -> bool:
    """Whether the file's hash is as it must be. A file that stays as it was is read once in each process. Raises
    ModelError where it cannot be read."""
    try:
        stat = file.path.stat()
    except OSError as exc:
        raise ModelError(f"{file.path} cannot be read: {exc.strerror or exc}") from exc
    state = (file.path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if (file.pin, *state) not in _right:
        digest = file_digest(file.path, file.pin)
        if not file.pin.fits(digest):
            return False
        _right.add((file.pin, *state))
        if file.keep is not None:
            _right.add((Pin(digest), *state))
            _keep_hash(file.keep, digest)
    return True


_right: Final[set[tuple[Pin, Path, int, int, int]]] = set()


def _keep_hash(target: Path, digest: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole(target) as part:
            part.write_text(digest, encoding="ascii")
    except OSError as exc:
        log.warning("%s: the hash cannot be kept: %s", target, exc.strerror or exc)


def _check_intact(file: WeightsFile) -> None:
    if is_intact(file):
        return
    fix = (
        "delete it, or give the right one with `vbgcam models add FILE`"
        if file.own
        else f"`vbgcam models fetch {file.name}` fetches it anew"
    )
    found = file_digest(file.path, file.pin)[:DIGITS]
    raise ModelError(
        f"{file.path} is not the file it should be: its {file.pin.kind} begins with {found}, not with "
        f"{file.pin.digits[:DIGITS]}",
        fix=fix,
    )


def download_job(file: WeightsFile, options: Options) -> Job:
    """How the published file gets to its place: from the catalogue's server, or the mirror."""
    entry = CATALOGUE[file.name]
    url = f"{options.mirror.rstrip('/')}/{entry.file}" if options.mirror else entry.url
    fix = (
        f"connect to the internet and run `vbgcam models fetch {file.name}`, or put the file into {file.path.parent}, "
        "or give a copy of it with `vbgcam models add FILE`"
    )
    return Job(url, file.path, file.pin, entry.size, fix)


def download_published(file: WeightsFile, options: Options, progress: Progress | None) -> None:
    """Puts the published file, or the mirror's, at its path. Raises ModelError as `ensure` does."""
    download(download_job(file, options), progress)
    _check_intact(file)


def survey(options: Options, names: Iterable[str] = ()) -> list[NetworkInfo]:
    """What there is, in the catalogue's order, then the ONNX files that were added; only `names` where some are given.
    Every file that is here is read and its hash compared (217 MB: 0.2 to 0.6 s). Raises ConfigError for an unknown
    name, ModelError where a file cannot be read."""
    files = {name: weights_file(name, options) for name in CATALOGUE}
    files |= {file.name: file for file in own_files(options) if file.name not in CATALOGUE}
    names = tuple(names)
    _known(names, tuple(files))
    return [_info(files[name]) for name in files if not names or name in names]


def _info(file: WeightsFile) -> NetworkInfo:
    published = None if file.own else CATALOGUE[file.name]
    there = file.path.exists()
    size = file.path.stat().st_size if there else published.size if published else 0
    state: Literal["missing", "right", "wrong"] = "missing" if not there else "right" if is_intact(file) else "wrong"
    return NetworkInfo(file.name, state, file.own, file.path, size, published)


def needed(name: str, options: Options) -> WeightsFile | None:
    """The published file that is still to be downloaded; None where a right one is here. Raises ConfigError for an
    unknown name, ModelError where a file cannot be read."""
    _known((name,), tuple(CATALOGUE))
    file = published_file(name, options)
    return None if file.path.exists() and is_intact(file) else file


def remove(name: str, options: Options) -> list[Path]:
    """Deletes what is here of a network: what the person added under that name, or else the downloaded file. Returns
    what is gone. Raises ConfigError for an unknown name, ModelError where nothing is here or it cannot be deleted."""
    files = [file for file in own_files(options) if file.name == name]
    _known((name,), (*CATALOGUE, *(file.name for file in files)))
    if not files:
        file = published_file(name, options)
        if not file.path.exists():
            raise ModelError(f"{name} is not downloaded: {file.path} does not exist")
        files = [file]
    for file in files:
        try:
            file.path.unlink(missing_ok=True)
        except OSError as exc:
            raise ModelError(f"{file.path} cannot be deleted: {exc.strerror or exc}") from exc
        with contextlib.suppress(OSError):  # its card, or what a download left
            (file.path.with_suffix(".toml") if file.own else file.path.with_name(f"{file.path.name}.part")).unlink()
    return [file.path for file in files]


def _known(names: tuple[str, ...], known: tuple[str, ...]) -> None:
    problems = [
        f"unknown model {name!r}; choose one of {', '.join(known)}{nearest(name, known)}"
        for name in names
        if name not in known
    ]
    if problems:
        raise ConfigError(problems)
