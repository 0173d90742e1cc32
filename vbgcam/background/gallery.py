"""The folder of backgrounds that a person chooses from: pictures and films in the user's data folder.

The folder is the person's. What stands in it may come from a file manager as well as from the panel, may be broken, and
may be thousands of files; it is looked at anew each time, and each file is judged once. To judge a file is to decode
it, for a broken picture has a good head as a rule; so the judgement and the thumbnail are one piece of work, and a
thumbnail on the disk says of its file, after the next start too, that it can be read.

No path is ever made of a name that came from outside: a name is looked for among those that are there.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
import shlex
import shutil
import stat
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Final, Literal

import filelock
from PIL import Image

from vbgcam.background.drawn import DRAWN
from vbgcam.background.files import open_file
from vbgcam.core.errors import BackgroundError, MediaError
from vbgcam.core.frames import Size
from vbgcam.media import images
from vbgcam.media.atomic import whole
from vbgcam.pixels.convert import to_rgb

log = logging.getLogger(__name__)

Kind = Literal["picture", "film"]

THUMBNAIL: Final = Size(320, 180)

MAX_BYTES: Final = 256 * 2**20
"""What is taken in at most; a larger film may still be put into the folder by hand."""

_FURNISHED: Final = Size(1920, 1080)

# Formats by what their files begin with: where, what, and the suffixes that fit, the usual one first. It only decides
# what a file is called; whether it can be read, and as what, its decoder says.
_FORMATS: Final[tuple[tuple[int, bytes, Kind, tuple[str, ...]], ...]] = (
    (0, b"\xff\xd8\xff", "picture", (".jpg", ".jpeg", ".jpe", ".jfif")),
    (0, b"\x89PNG", "picture", (".png", ".apng")),
    (8, b"WEBP", "picture", (".webp",)),
    (0, b"GIF8", "picture", (".gif",)),
    (0, b"II*\0", "picture", (".tif", ".tiff")),
    (0, b"MM\0*", "picture", (".tif", ".tiff")),
    (4, b"ftypavi", "picture", (".avif",)),
    (4, b"ftyphe", "picture", (".heic", ".heif")),
    (4, b"ftypmif1", "picture", (".heic", ".heif", ".avif")),
    (0, b"BM", "picture", (".bmp",)),
    (0, b"P", "picture", (".ppm", ".pgm", ".pbm", ".pnm")),
    (4, b"ftyp", "film", (".mp4", ".m4v", ".mov", ".3gp")),
    (4, b"moov", "film", (".mov", ".mp4")),
    (0, b"\x1aE\xdf\xa3", "film", (".mkv", ".webm")),
    (8, b"AVI ", "film", (".avi",)),
    (0, b"OggS", "film", (".ogv", ".ogg")),
    (0, b"FLV", "film", (".flv",)),
    (0, b"0&\xb2u", "film", (".wmv", ".asf")),
    (0, b"\0\0\1", "film", (".mpg", ".mpeg")),
    (0, b"G", "film", (".ts", ".m2ts", ".mts")),
)
_KINDS: Final[dict[str, Kind]] = {suffix: kind for _, _, kind, suffixes in _FORMATS for suffix in suffixes}
"""Which files of the folder are listed at all."""

# Encrypted home folders (eCryptfs) hold names of 143 bytes; a number may come behind.
_NAME: Final = 100
_NAME_BYTES: Final = 136
_FORBIDDEN: Final = '<>:"|?*'  # in Windows' file names
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)

_PATIENT: Final = 120
"""Seconds that another program may take to furnish the folder; it takes 3."""

# Thumbnails on the disk: 8 to 20 kB each.
_KEPT: Final = 5000
_QUALITY: Final = 85


@dataclass(frozen=True, slots=True)
class Entry:
    """One background. `name`: of its file. `kind`: "film" moves, as an animated GIF does. `broken`: empty, or why it
    cannot be shown and what fixes it, one line."""

    name: str
    path: Path
    kind: Kind
    broken: str

    @property
    def label(self) -> str:
        """The name for people: "late_summer-2.jpg" is "late summer 2"."""
        return _label(self.name)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file of the folder as it is now. `size`: bytes. `changed`: the inode's time, ns: new rights change it, too.
    `lost`: why a link leads to no file, or empty."""

    name: str
    path: Path
    size: int
    mtime: int
    changed: int
    lost: str

    @property
    def stamp(self) -> tuple[int, int, int]:
        return self.size, self.mtime, self.changed


@dataclass(frozen=True, slots=True)
class _Verdict:
    kind: Kind
    broken: str = ""


class Gallery:
    """Any thread may call any of it.

    `_lock` guards `_known`. `_decoding` is held while a file is decoded, one at a time: a picture of 120 megapixels
    takes half a gigabyte meanwhile, and a browser asks for six thumbnails at once. `_changing` is held while something
    is put into the folder. Within another only `_lock` is taken."""

    def __init__(self, folder: Path, cache: Path, *, patience: float = 0.5) -> None:
        """`folder`: the person's pictures. `cache`: a folder of the thumbnails' own. Neither need be there yet.
        `patience`: seconds that `entries` may take for files it has not judged yet."""
        self.folder: Final = folder
        self._cache: Final = cache
        self._patience = patience
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[int, int, int], _Verdict]] = {}
        self._decoding = threading.Lock()
        self._changing = threading.Lock()

    def entries(self) -> list[Entry]:
        """What is in the folder now, by label; nothing where there is no folder. A new folder with very many files is
        judged over several calls: until then a file counts as whole, and its thumbnail tells. Raises BackgroundError
        where the folder cannot be read."""
        found = sorted(self._found(), key=lambda one: (_natural(_label(one.name)), one.name))
        names = {one.name for one in found}
        with self._lock:
            for gone in self._known.keys() - names:
                del self._known[gone]
        entries: list[Entry] = []
        until: float | None = None
        for one in found:
            verdict = self._verdict(one)
            if verdict is None and (until is None or time.monotonic() < until):
                verdict = self._judged(one)
                # From here: what is loaded for the first picture alone may take longer than all of them.
                until = time.monotonic() + self._patience if until is None else until
            if verdict is None:
                verdict = _Verdict(_KINDS[one.path.suffix.lower()])
            if verdict.broken and not os.path.lexists(one.path):
                continue  # deleted before it could be read
            entries.append(Entry(one.name, one.path, verdict.kind, verdict.broken))
        return entries

    def thumbnail(self, name: str) -> bytes:
        """A JPEG file of 320x180, filled; of a film what it shows after a second. Raises BackgroundError where there is
        no such background or it cannot be read."""
        one = self._find(name)
        image = self._kept(one)
        if image is None:
            with self._decoding:
                image = self._kept(one)  # while this thread waited another may have made it
                if image is None:
                    known = self._remembered(one)
                    if known is not None and known.broken:
                        raise BackgroundError(known.broken)
                    verdict, image = self._look(one)
        if image is None:
            raise BackgroundError(verdict.broken)
        return image

    def add(self, name: str, data: Path) -> Entry:
        """Takes in a copy of the file `data` under `name`, or one like it that is safe and free. Raises BackgroundError
        where it is no picture or film that can be read, is too large, or there is no room; then nothing is added."""
        called = images.shown(Path(_safe(name, "")))
        with _told(f"{called} cannot be taken in", self.folder):
            size = data.stat().st_size
            if size > MAX_BYTES:
                raise BackgroundError(
                    f"{called} is too large: {size / 2**20:.0f} MB, at most {MAX_BYTES // 2**20} MB are taken in",
                    fix="make it smaller first",
                )
            with self._decoding:
                kind, image = _taken(data, called)
            suffixes = _suffixes(data, kind)
            with self._changing:
                if not os.path.lexists(self.folder):
                    self._furnish()
                target = self.folder / _free(self.folder, _safe(name, suffixes[0], suffixes))
                with whole(target) as part:
                    shutil.copyfile(data, part)
        one = self._find(target.name)
        verdict = _Verdict(kind)
        self._remember(one, verdict)
        self._keep(one, verdict, image)
        return Entry(one.name, one.path, kind, "")

    def remove(self, name: str) -> None:
        """Deletes the background's file; of a link the link. Raises BackgroundError where there is no such background
        or it may not be deleted."""
        one = self._find(name)
        with _told(f"{images.shown(Path(name))} cannot be removed", self.folder):
            one.path.unlink()
        with self._lock:
            self._known.pop(name, None)
        with suppress(OSError):
            for old in self._cache.glob(f"{_key(one.path)}-*.jpg"):
                old.unlink()

    def furnish(self) -> None:
        """Where there is no folder yet: makes it, with the backgrounds that the program draws itself. Takes some
        seconds, for which `add` waits. The folder appears with all of them or, when the program is killed, not at all;
        once it is there nothing is ever added to it. Raises BackgroundError."""
        if os.path.lexists(self.folder):
            return
        with self._changing:
            self._furnish()

    def _furnish(self) -> None:
        assert self._changing.locked()
        parent = self.folder.parent
        part = parent / f".{self.folder.name}.vbgcam-part"
        with _told(f"the folder of backgrounds {self.folder} cannot be made", parent):
            parent.mkdir(parents=True, exist_ok=True)
            # While this is held the part of another program can only be left over.
            with filelock.FileLock(parent / f".{self.folder.name}.vbgcam-lock", _PATIENT):
                if os.path.lexists(self.folder):
                    return
                shutil.rmtree(part, ignore_errors=True)
                try:
                    part.mkdir()
                    for label, draw in DRAWN.items():
                        images.write(part / f"{label}.jpg", draw(_FURNISHED))
                    part.rename(self.folder)
                except OSError:
                    if not os.path.lexists(self.folder):  # else somebody made one meanwhile, with something in it
                        raise
                finally:
                    shutil.rmtree(part, ignore_errors=True)

    def _found(self) -> list[_Found]:
        """The files that are listed, in no order."""
        return [one for item in self._items() if (one := self._listed(item)) is not None]

    def _find(self, name: str) -> _Found:
        one = next((self._listed(item) for item in self._items() if item.name == name), None)
        if one is None:
            raise BackgroundError(f"there is no background {images.shown(Path(name))!r} in {self.folder}")
        return one

    def _items(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.folder) as items:
                return list(items)
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise self._unreadable(exc) from exc

    def _listed(self, item: os.DirEntry[str]) -> _Found | None:
        if item.name.startswith(".") or Path(item.name).suffix.lower() not in _KINDS or not _is_text(item.name):
            return None
        lost = ""
        try:
            status = item.stat()
        except OSError as exc:
            try:
                status = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                return None  # deleted just now
            except OSError as problem:
                raise self._unreadable(problem) from problem
            lost = exc.strerror or str(exc)
        if not (lost or stat.S_ISREG(status.st_mode)):
            return None
        path = self.folder / item.name
        return _Found(item.name, path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, lost)

    def _unreadable(self, exc: OSError) -> BackgroundError:
        return _error(f"the folder of backgrounds {self.folder} cannot be read", self.folder, exc)

    def _verdict(self, one: _Found) -> _Verdict | None:
        """What is known of the file without decoding it."""
        verdict = self._remembered(one)
        if verdict is None and os.access(one.path, os.R_OK):
            kind = next((kind for kind in _BOTH if self._place(one, kind).exists()), None)
            if kind is not None:
                self._remember(one, verdict := _Verdict(kind))
        return verdict

    def _remembered(self, one: _Found) -> _Verdict | None:
        with self._lock:
            stamp, verdict = self._known.get(one.name, (None, None))
        return verdict if stamp == one.stamp else None

    def _judged(self, one: _Found) -> _Verdict:
        with self._decoding:
            return self._verdict(one) or self._look(one)[0]

    def _look(self, one: _Found) -> tuple[_Verdict, bytes | None]:
        """Decodes the file; the thumbnail is None where it is broken."""
        assert self._decoding.locked()
        image = None
        called = images.shown(Path(one.name))
        try:
            if one.lost:
                raise BackgroundError(f"{called} is a link that leads to no file ({one.lost})", fix="remove it")
            kind, image = _examined(one.path, called)
            verdict = _Verdict(kind)
            self._keep(one, verdict, image)
        except BackgroundError as exc:
            verdict = _Verdict(_KINDS[one.path.suffix.lower()], str(exc))
        self._remember(one, verdict)
        return verdict, image

    def _remember(self, one: _Found, verdict: _Verdict) -> None:
        with self._lock:
            self._known[one.name] = one.stamp, verdict

    def _place(self, one: _Found, kind: Kind) -> Path:
        return self._cache / f"{_key(one.path)}-{one.size}-{one.mtime}-{kind}.jpg"

    def _kept(self, one: _Found) -> bytes | None:
        """The thumbnail from the disk, where there is a whole one."""
        for kind in _BOTH:
            place = self._place(one, kind)
            with suppress(OSError, MediaError):
                if place.exists() and images.read(place).size == THUMBNAIL:
                    return place.read_bytes()
        return None

    def _keep(self, one: _Found, verdict: _Verdict, image: bytes) -> None:
        """Writes the thumbnail, and removes older ones of that file and the oldest of too many. Without a disk for it
        the gallery still works."""
        place = self._place(one, verdict.kind)
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with whole(place) as part:
                part.write_bytes(image)
            kept = [path for path in self._cache.iterdir() if path.suffix == ".jpg" and not path.name.startswith(".")]
            stale = [path for path in kept if path.name.startswith(f"{_key(one.path)}-") and path != place]
            if len(kept) > _KEPT:
                stale += sorted(kept, key=lambda path: path.stat().st_mtime_ns)[: len(kept) - _KEPT]
            for path in stale:
                path.unlink(missing_ok=True)
        except OSError as exc:
            log.info("thumbnails cannot be kept in %s: %s", self._cache, exc.strerror or exc)


_BOTH: Final[tuple[Kind, Kind]] = ("picture", "film")


def _examined(path: Path, called: str) -> tuple[Kind, bytes]:
    """The file's kind and its thumbnail; `called` stands for it in the error. Raises BackgroundError."""
    try:
        background = open_file(path, THUMBNAIL)
        try:
            picture = to_rgb(background.at(1.0).planes)
        finally:
            background.close()
    except BackgroundError as exc:
        message = exc.message.replace(images.shown(path), called).replace(str(path), called)
        raise BackgroundError(message, fix=exc.fix) from exc
    except MemoryError as exc:
        raise BackgroundError(f"{called} needs more memory than there is to be decoded") from exc
    image = io.BytesIO()
    Image.fromarray(picture).save(image, "JPEG", quality=_QUALITY)
    return "film" if background.moves else "picture", image.getvalue()


def _taken(path: Path, called: str) -> tuple[Kind, bytes]:
    """The same of a file whose own name says nothing."""
    try:
        return _examined(path, called)
    except BackgroundError as exc:
        if _is_picture(path) or _KINDS.get(Path(called).suffix.lower()) == "film":
            raise
        raise BackgroundError(
            f"{called} is no picture and no film that can be read",
            fix="JPG, PNG, WebP, TIFF, GIF, BMP, AVIF and HEIC can, and films as MP4, MKV, MOV or WebM",
        ) from exc


def _is_picture(path: Path) -> bool:
    """One that is broken is one, too."""
    try:
        return images.kind(path) is not None
    except MediaError:
        return True


def _suffixes(path: Path, kind: Kind) -> tuple[str, ...]:
    """Those that fit what the file is, the usual one first. For a film of another format any film's."""
    with path.open("rb") as file:
        head = file.read(16)
    for at, magic, _, suffixes in _FORMATS:
        if head.startswith(magic, at):
            return suffixes
    return (".mp4", *(suffix for suffix, its in _KINDS.items() if its == kind))


def _safe(name: str, suffix: str, fitting: tuple[str, ...] = ()) -> str:
    """A file name like the one that is asked for, for every system; it ends in `suffix` or keeps its `fitting` one."""
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    name = "".join(" " if c in _FORBIDDEN or unicodedata.category(c)[0] in "CZ" else c for c in name)
    given = Path(name.strip()).suffix
    stem = name.strip()
    if given.lower() in _KINDS:
        stem = stem[: -len(given)]
        suffix = given.lower() if given.lower() in fitting or not suffix else suffix
    stem = " ".join(stem.split()).strip(". ") or "background"
    if _RESERVED.match(stem):
        stem = f"background {stem}"
    return _shortened(stem, suffix) + suffix


def _shortened(stem: str, end: str) -> str:
    """As much of it as leaves room for the end."""
    stem = stem[: _NAME - len(end)]
    return stem.encode()[: _NAME_BYTES - len(end)].decode(errors="ignore").rstrip(". ")


def _free(folder: Path, name: str) -> str:
    """The name, or with the first number that no file of the folder has."""
    stem, suffix = Path(name).stem, Path(name).suffix
    number = 1
    while os.path.lexists(folder / name):
        number += 1
        end = f" {number}{suffix}"
        name = _shortened(stem, end) + end
    return name


def _label(name: str) -> str:
    stem = "".join(c if c.isprintable() else " " for c in Path(name).stem)
    return re.sub(r"[\s_-]+", " ", stem).strip() or name


def _natural(label: str) -> list[tuple[int, str]]:
    """What sorts "beach 2" before "beach 10": pairs of a number and the text after it."""
    parts = re.split(r"([0-9]+)", label.casefold())
    return [(-1, parts[0]), *((int(number), text) for number, text in zip(parts[1::2], parts[2::2], strict=True))]


def _key(path: Path) -> str:
    """A thumbnail's name begins with it; the same cache may serve several folders."""
    return hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]


def _is_text(name: str) -> bool:
    """Whether a name can stand in a configuration file and in an address; on Linux it may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _told(what: str, folder: Path) -> Iterator[None]:
    """What the file system refuses, as one line."""
    try:
        yield
    except MediaError as exc:
        raise BackgroundError(exc.message, fix=exc.fix) from exc
    except OSError as exc:
        raise _error(what, folder, exc) from exc


def _error(what: str, folder: Path, exc: OSError) -> BackgroundError:
    place = shlex.quote(str(folder))
    if isinstance(exc, PermissionError):
        fix = f"chmod u+rwx {place}"
    else:
        fix = f"make room: df -h {place} shows how much there is" if exc.errno in (ENOSPC, EDQUOT) else ""
    return BackgroundError(f"{what}: {exc.strerror or exc}", fix=fix)
