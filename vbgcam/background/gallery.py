"""The folder of backgrounds that a person chooses from: pictures and films in the user's data folder.

The folder is the person's. What stands in it may come from a file manager as well as from the panel, may be broken, and
may be thousands of files; it is looked at anew each time, and each file is judged once. To judge a file is to decode
it, for a broken picture has a good head as a rule; so the judgement and the thumbnail are one piece of work, and a
thumbnail on the disk says of its file, after the next start too, that it can be read.

No path is ever made of a name that came from outside: a name is looked for among those that are there.
"""

import hashlib
import io
import logging
import os
import shlex
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Final

from PIL import Image

from vbgcam.background import filenames
from vbgcam.background.filenames import KINDS, Kind
from vbgcam.background.files import open_file
from vbgcam.core.errors import BackgroundError, MediaError
from vbgcam.core.frames import Size
from vbgcam.media.atomic import whole
from vbgcam.media.paths import shown
from vbgcam.pixels.convert import to_rgb

log = logging.getLogger(__name__)

THUMBNAIL: Final = Size(320, 180)

MAX_BYTES: Final = 256 * 2**20
"""What is taken in at most; a larger film may still be put into the folder by hand."""

SHIPPED: Final = Path(__file__).parent / "pictures"
"""The backgrounds that come with the program, 1920x1080; `packaging/art` drew them."""

# Thumbnails on the disk: 8 to 20 kB each.
_KEPT: Final = 5000
_QUALITY: Final = 85


@dataclass(frozen=True, slots=True)
class Entry:
    """One background. `name`: of its file. `kind`: "film" moves, as an animated GIF does; before it was judged, as its
    suffix says. `broken`: empty, or why it cannot be shown and what fixes it, one line. `stamp`: its length in bytes,
    and when it and its inode changed, ns (new rights change the latter alone)."""

    name: str
    path: Path
    kind: Kind
    broken: str = ""
    stamp: tuple[int, int, int] = field(default=(0, 0, 0), compare=False)

    @property
    def label(self) -> str:
        return filenames.label(self.name)


class Gallery:
    """Any thread may call any of it.

    `_lock` guards `_known`, the entries of files that were judged. `_decoding` is held while a file is decoded, one at
    a time: a picture of 120 megapixels takes half a gigabyte meanwhile, and a browser asks for six thumbnails at once.
    `_adding` is held while a free name is looked for and taken."""

    def __init__(self, folder: Path, cache: Path, *, patience: float = 0.5) -> None:
        """`folder`: the person's pictures. `cache`: a folder of the thumbnails' own. Neither need be there yet.
        `patience`: seconds that `entries` may take for files it has not judged yet."""
        self.folder: Final = folder
        self._cache: Final = cache
        self._patience = patience
        self._lock = threading.Lock()
        self._known: dict[str, Entry] = {}
        self._decoding = threading.Lock()
        self._adding = threading.Lock()

    def fill(self) -> None:
        """Where there is no folder yet: makes it, with copies of the backgrounds that come with the program, whole or
        not at all. Once it is there nothing is ever added to it: what a person removes does not come back. Called at
        the start, when no other program does. Raises BackgroundError."""
        if os.path.lexists(self.folder):
            return
        part = self.folder.with_name(f".{self.folder.name}.vbgcam-part")
        shutil.rmtree(part, ignore_errors=True)  # of a start that was killed
        with _translated(f"the folder of backgrounds {self.folder} cannot be made", self.folder.parent):
            try:
                part.mkdir(parents=True)
                for picture in SHIPPED.iterdir():
                    shutil.copyfile(picture, part / picture.name)
                part.rename(self.folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def entries(self) -> list[Entry]:
        """What is in the folder now, by label; nothing where there is no folder. A new folder with very many files is
        judged over several calls: until then a file counts as whole, and its thumbnail tells. Raises BackgroundError
        where the folder cannot be read."""
        files = sorted(self._files(), key=lambda file: filenames.order(file.name))
        with self._lock:
            for gone in self._known.keys() - {file.name for file in files}:
                del self._known[gone]
        entries: list[Entry] = []
        until: float | None = None
        for listed in files:
            entry = self._judged(listed)
            if entry is None and (until is None or time.monotonic() < until):
                with self._decoding:
                    entry = self._judged(listed) or self._judge(listed)[0]
                # From here: what is loaded for the first picture alone may take longer than all of them.
                until = time.monotonic() + self._patience if until is None else until
            entry = entry or listed
            # Else it was deleted before it could be read; another file may have its name by now.
            if not entry.broken or any(file.stamp == entry.stamp for file in self._files(entry.name)):
                entries.append(entry)
        return entries

    def thumbnail(self, name: str) -> bytes:
        """A JPEG file of 320x180, filled; of a film what it shows after a second. Raises BackgroundError where there is
        no such background or it cannot be read."""
        file = self._find(name)
        with self._decoding:
            entry = self._judged(file)
            if entry is not None and not entry.broken:
                with suppress(OSError):
                    return self._place(entry).read_bytes()
            if entry is None or not entry.broken:
                entry, image = self._judge(file)
        if entry.broken:
            raise BackgroundError(entry.broken)
        return image

    def add(self, name: str, data: Path) -> Entry:
        """Takes in a copy of the file `data` under `name`, or one like it that is safe and free. Raises BackgroundError
        where it is no picture or film that can be read, is too large, or there is no room; then nothing is added."""
        called = filenames.safe(name, "")
        with _translated(f"{called} cannot be taken in", self.folder):
            size = data.stat().st_size
            if size > MAX_BYTES:
                raise BackgroundError(
                    f"{called} is too large: {size / 2**20:.0f} MB, at most {MAX_BYTES // 2**20} MB are taken in",
                    fix="make it smaller first",
                )
            with self._decoding:
                kind, image = _examined(data, called)
            with self._adding:
                self.folder.mkdir(parents=True, exist_ok=True)
                target = self.folder / filenames.free(self.folder, filenames.safe(name, _USUAL[kind]))
                with whole(target) as part:
                    shutil.copyfile(data, part)
        return self._keep(replace(self._find(target.name), kind=kind), image)

    def remove(self, name: str) -> None:
        """Deletes the background's file; of a link the link. Raises BackgroundError where there is no such background
        or it may not be deleted."""
        file = self._find(name)
        with _translated(f"{shown(Path(name))} cannot be removed", self.folder):
            file.path.unlink()
        with self._lock:
            self._known.pop(name, None)
        with suppress(OSError):
            for old in self._cache.glob(f"{_key(file.path)}-*.jpg"):
                old.unlink()

    def _files(self, name: str | None = None) -> list[Entry]:
        """The files that are listed, or the one of that name, in no order."""
        with _translated(f"the folder of backgrounds {self.folder} cannot be read", self.folder):
            try:
                with os.scandir(self.folder) as items:
                    listed = [self._listed(item) for item in items if name in (None, item.name)]
            except FileNotFoundError:
                return []
        return [file for file in listed if file is not None]

    def _find(self, name: str) -> Entry:
        for file in self._files(name):
            return file
        raise BackgroundError(f"there is no background {shown(Path(name))!r} in {self.folder}")

    def _listed(self, item: os.DirEntry[str]) -> Entry | None:
        kind = KINDS.get(Path(item.name).suffix.lower())
        text = item.name.encode(errors="replace").decode()  # on Linux a name may be any bytes
        if item.name.startswith(".") or kind is None or text != item.name:
            return None
        try:
            status = item.stat()
        except OSError as exc:
            if isinstance(exc, PermissionError) and not item.is_symlink():
                raise
            return None  # deleted just now, or a link that leads nowhere
        if not stat.S_ISREG(status.st_mode):
            return None
        stamp = status.st_size, status.st_mtime_ns, status.st_ctime_ns
        return Entry(item.name, self.folder / item.name, kind, stamp=stamp)

    def _judged(self, file: Entry) -> Entry | None:
        """What is known of the file without decoding it."""
        with self._lock:
            known = self._known.get(file.name)
        if known is not None and known.stamp == file.stamp:
            return known
        if os.access(file.path, os.R_OK):
            for kind in _USUAL:
                entry = replace(file, kind=kind)
                if self._place(entry).exists():
                    return self._remember(entry)
        return None

    def _judge(self, file: Entry) -> tuple[Entry, bytes]:
        """Decodes the file; there is no thumbnail where it is broken."""
        assert self._decoding.locked()
        try:
            kind, image = _examined(file.path, shown(Path(file.name)))
        except BackgroundError as exc:
            return self._remember(replace(file, broken=str(exc))), b""
        return self._keep(replace(file, kind=kind), image), image

    def _remember(self, entry: Entry) -> Entry:
        with self._lock:
            self._known[entry.name] = entry
        return entry

    def _place(self, entry: Entry) -> Path:
        size, changed, _ = entry.stamp
        return self._cache / f"{_key(entry.path)}-{size}-{changed}-{entry.kind}.jpg"

    def _keep(self, entry: Entry, image: bytes) -> Entry:
        """Remembers the entry and writes its thumbnail, and removes older ones of that file and the oldest of too many.
        Without a disk for it the gallery still works."""
        place = self._place(entry)
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with whole(place) as part:
                part.write_bytes(image)
            kept = list(self._cache.glob("[!.]*.jpg"))
            stale = [path for path in kept if path.name.startswith(f"{_key(entry.path)}-") and path != place]
            if len(kept) > _KEPT:
                stale += sorted(kept, key=lambda path: path.stat().st_mtime_ns)[:-_KEPT]
            for path in stale:
                path.unlink(missing_ok=True)
        except OSError as exc:
            log.info("thumbnails cannot be kept in %s: %s", self._cache, exc.strerror or exc)
        return self._remember(entry)


_USUAL: Final[dict[Kind, str]] = {"picture": ".jpg", "film": ".mp4"}


def _examined(path: Path, called: str) -> tuple[Kind, bytes]:
    """The file's kind and its thumbnail; `called` stands for it in the error. Raises BackgroundError."""
    try:
        background = open_file(path, THUMBNAIL)
        try:
            picture = to_rgb(background.at(1.0).planes)
        finally:
            background.close()
    except BackgroundError as exc:
        message = exc.message.replace(shown(path), called).replace(str(path), called)
        raise BackgroundError(message, fix=exc.fix) from exc
    except MemoryError as exc:
        raise BackgroundError(f"{called} needs more memory than there is to be decoded") from exc
    image = io.BytesIO()
    Image.fromarray(picture).save(image, "JPEG", quality=_QUALITY)
    return "film" if background.moves else "picture", image.getvalue()


def _key(path: Path) -> str:
    """A thumbnail's name begins with it; the same cache may serve several folders."""
    return hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]


@contextmanager
def _translated(what: str, folder: Path) -> Iterator[None]:
    """What the file system refuses, as one line."""
    try:
        yield
    except MediaError as exc:
        raise BackgroundError(exc.message, fix=exc.fix) from exc
    except OSError as exc:
        place = shlex.quote(str(folder))
        if isinstance(exc, PermissionError):
            fix = f"chmod u+rwx {place}"
        else:
            fix = f"make room: df -h {place} shows how much there is" if exc.errno in (ENOSPC, EDQUOT) else ""
        raise BackgroundError(f"{what}: {exc.strerror or exc}", fix=fix) from exc
