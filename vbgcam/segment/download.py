"""Downloads one big file over a bad line: it resumes where it broke off, takes its name only when its hash is right,
and stops within a second when it has to. Plain http is enough only where the whole hash is known.

What has come is kept in `FILE.part`, under a lock, because two programs may want the same file: a running camera that
tries again, and the person who runs `vbgcam models fetch`. A range of another file than the one that was begun (it
changed on the server) shows in the hash; then the whole is fetched from the start, once.
"""

import contextlib
import hashlib
import ipaddress
import logging
import os
import queue
import socket
import threading
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from vbgcam.core.errors import ModelError
from vbgcam.segment.base import Progress

log = logging.getLogger(__name__)

DIGITS: Final = 16  # of a hash, where a person reads it

_CHUNK: Final = 1 << 18
_TICK: Final = 0.2  # seconds between two calls of `progress` while nothing comes
_PATIENCE: Final = 15.0  # seconds without an answer or a byte after which a connection counts as broken
_MB: Final = 10**6
# A server's file may be the person's own training, with its optimizer's state: four times the network. A stream without
# end would fill the disk.
_FAR_LARGER: Final = 10


@dataclass(frozen=True, slots=True)
class Pin:
    """What a file must be. `digits`: hexadecimal; all 64 of its SHA-256 or the first ones, or, with `git`, all 40 of
    its git blob id."""

    digits: str
    git: bool = False

    @property
    def whole(self) -> bool:
        """Whether it names one file alone: another one with the same first eight digits can be made in an hour."""
        return self.git or len(self.digits) == 64

    @property
    def kind(self) -> str:
        """In words."""
        return "git blob id" if self.git else "SHA-256"

    def digest(self, file: BufferedReader | BufferedRandom) -> str:
        """The file's own hash of that kind, all digits."""
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if not self.git:
            return hashlib.file_digest(file, "sha256").hexdigest()
        # git hashes the content behind these words.
        return hashlib.file_digest(file, lambda: hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)).hexdigest()

    def fits(self, digest: str) -> bool:
        """Whether `digest` returned the right one."""
        return digest.startswith(self.digits)


@dataclass(frozen=True, slots=True)
class Job:
    """`pin`: what the file must be. `size`: in bytes, as far as it is known before the server says it. `fix`: what a
    person can do where the server cannot be reached."""

    url: str
    target: Path
    pin: Pin
    size: int
    fix: str

    @property
    def host(self) -> str:
        """Whom it asks, with the port where that is not the usual one."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


def download(job: Job, progress: Progress | None = None) -> None:
    """Replaces the target when the whole is here and right. `progress` is called with (bytes so far, bytes in all, the
    host) after each piece and at least five times a second, by the caller's thread; what it raises ends the download,
    and what has come stays for the next time. Raises ModelError, with `retry` where waiting may help."""
    if not job.url.startswith(("http://", "https://")):
        raise ModelError(f"{job.url!r} is no address to fetch from: it begins with neither http:// nor https://")
    target = job.target
    part = target.with_name(target.name + ".part")
    try:
        _refuse_plain_http(job.url, job.pin)
        log.info("asking %s for %s", job.host, target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            _fill(file, job, progress or (lambda _done, _total, _host: None))
            file.close()  # Windows renames no open file
            part.replace(target)
    except (ValueError, InvalidURL) as exc:
        raise ModelError(f"{job.url!r} is no address to fetch from: {exc}") from exc
    except OSError as exc:
        # The network's own errors were translated where they were met: what is left is the disk's.
        raise ModelError(f"{part} cannot be written: {exc.strerror or exc}", fix="make room on that disk") from exc


def file_digest(path: Path, pin: Pin) -> str:
    """The file's hash of that kind. Raises ModelError where the file cannot be read."""
    try:
        with path.open("rb") as file:
            return pin.digest(file)
    except OSError as exc:
        raise ModelError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def file_sha256(path: Path) -> str:
    """64 hexadecimal digits. Raises ModelError where the file cannot be read."""
    return file_digest(path, Pin(""))


def _refuse_plain_http(url: str, pin: Pin) -> None:
    """Whoever is on the way of plain http can make a file with the right first digits. This machine is trusted."""
    parts = urlsplit(url)
    if parts.scheme == "https" or pin.whole or _is_loopback(parts.hostname or ""):
        return
    raise ModelError(
        f"{url} is not asked: over plain http anyone on the way could give another file, and of this one's hash only "
        f"the first {len(pin.digits)} digits are published",
        fix="use an https:// mirror, or set model.sha256 to the whole hash",
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _fill(file: BufferedRandom, job: Job, progress: Progress) -> None:
    """Completes the part file and checks its hash; from the start once more where what was begun is another file's."""
    resumed = _receive_all(file, job, progress)
    found = job.pin.digest(file)
    if resumed and not job.pin.fits(found):
        log.info("%s was begun with another file; fetching it from the start", job.target.name)
        file.truncate(0)
        _receive_all(file, job, progress)
        found = job.pin.digest(file)
    if not job.pin.fits(found):
        file.truncate(0)
        raise ModelError(
            f"{job.url} is another file: its {job.pin.kind} begins with {found[:DIGITS]}, not with "
            f"{job.pin.digits[:DIGITS]}",
            fix="nothing of it was kept",
        )


def _receive_all(file: BufferedRandom, job: Job, progress: Progress) -> bool:
    """Until the server says that it was all. After a break it goes on at once, as long as each connection brings it
    further than all before. True where something was there already."""
    furthest = _size(file)
    resumed = furthest > 0
    while True:
        try:
            _receive(file, job, progress)
        except _Broken as exc:
            here = _size(file)
            if here > furthest:
                log.info("the connection broke off at %.1f MB (%s); going on", here / _MB, exc)
                furthest, resumed = here, True
                continue
            kept = f" (the first {here / _MB:.0f} MB are kept)" if here >= _MB else ""
            raise ModelError(
                f"{job.target.name} could not be fetched from {job.host}: {exc}{kept}", fix=job.fix, retry=True
            ) from exc
        return resumed


def _receive(file: BufferedRandom, job: Job, progress: Progress) -> None:
    """One connection's worth. Raises _Broken where it did not last."""
    done, total = _size(file), job.size
    length = ""
    with closing(_answer(job, done)) as answer:
        for item in answer:
            if isinstance(item, HTTPError):
                if item.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and done:
                    return  # there is no more; the hash says whether what is here is it
                busy = item.code >= HTTPStatus.INTERNAL_SERVER_ERROR or item.code in {408, 429}  # too slow, too many
                words = f"{item.code} {item.reason}".rstrip()
                raise ModelError(f"{job.url} was not given: the server says {words}", fix=job.fix, retry=busy)
            if isinstance(item, HTTPResponse):
                if item.headers.get_content_type() == "text/html":
                    raise ModelError(
                        f"{job.url} is a web page, not a file",
                        fix="perhaps the network wants a login first",
                        retry=True,
                    )
                if done and item.status != HTTPStatus.PARTIAL_CONTENT:
                    log.info("%s does not go on at %.1f MB; fetching it from the start", job.url, done / _MB)
                    file.truncate(0)
                    done = 0
                length = item.headers.get("Content-Length", "")
                total = done + int(length) if length.isdecimal() else total
            elif item:
                file.write(item)
                done += len(item)
                if done > _FAR_LARGER * job.size + _MB:
                    file.truncate(0)
                    raise ModelError(f"{job.url} is far larger than it should be; nothing of it was kept")
            progress(done, total, job.host)
    file.flush()
    if length and done < total:
        raise _Broken("the connection was closed early")


def _size(file: BufferedRandom) -> int:
    file.flush()
    return os.fstat(file.fileno()).st_size


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[BufferedRandom]:
    """The part file, open to be read and appended to, for this program alone. An empty one is not left behind. Two that
    do get at the same file, where the file system has no locks, spoil its hash and nothing else."""
    name = part.with_name(part.name + ".lock")
    lock = FileLock(name, blocking=False)
    try:
        lock.acquire()
    except Timeout as exc:
        raise ModelError(f"{part} is being fetched by another program right now", retry=True) from exc
    except (OSError, NotImplementedError):
        log.debug("%s: this file system has no locks", name)
    try:
        with part.open("a+b") as file:
            try:
                yield file
            finally:
                if not file.closed and not _size(file):
                    with contextlib.suppress(OSError):
                        part.unlink()
    finally:
        if lock.is_locked:
            with contextlib.suppress(OSError):  # Windows removes no open file
                name.unlink(missing_ok=True)
            lock.release()


class _Broken(Exception):  # noqa: N818  # not an error yet: the download goes on
    """The connection could not be made or did not last; says why in a few words."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows no address that could not have been asked in the first place."""

    def __init__(self, pin: Pin) -> None:
        self._pin = pin

    def redirect_request(  # noqa: PLR0917  # the base class's
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _refuse_plain_http(newurl, self._pin)
        except ModelError:
            fp.close()  # nobody else knows of it
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _answer(job: Job, offset: int) -> Generator[HTTPResponse | HTTPError | bytes | None]:
    """Status and headers, then the bytes; None at least five times a second while nothing comes. Raises _Broken, and
    ValueError or InvalidURL for an address that is none.

    A thread of its own reads: no timeout reaches name resolution, and one that is short enough for a stop request would
    break off every slow line. Whoever takes the items can walk away at any moment; the thread knows nothing but its
    socket and its queue, which holds back a server that is faster than the disk."""
    request = urllib.request.Request(job.url, headers={"User-Agent": "vbgcam"})
    opener = urllib.request.build_opener(_Redirects(job.pin))
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    items: queue.Queue[HTTPResponse | bytes | BaseException] = queue.Queue(maxsize=16)
    left = threading.Event()

    def put(item: HTTPResponse | bytes | BaseException) -> None:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                items.put(item, timeout=_TICK)
                return

    def read() -> None:
        try:
            with opener.open(request, timeout=_PATIENCE) as response:
                put(response)
                while not left.is_set() and (chunk := response.read1(_CHUNK)):
                    put(chunk)
                put(b"")
        except HTTPError as exc:
            exc.close()
            put(exc)
        except BaseException as exc:  # whatever it is, it is raised where the bytes are waited for
            put(exc)

    threading.Thread(target=read, name="download", daemon=True).start()
    try:
        while True:
            try:
                item = items.get(timeout=_TICK)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, HTTPResponse | HTTPError | bytes):
                if item == b"":
                    return
                yield item
            elif isinstance(item, OSError | HTTPException) and not isinstance(item, InvalidURL):
                raise _Broken(_reason(item)) from item
            else:
                raise item
    finally:
        left.set()


def _reason(exc: BaseException) -> str:
    """Why a connection failed, in a few words."""
    if isinstance(exc, URLError) and isinstance(exc.reason, BaseException):
        return _reason(exc.reason)
    if isinstance(exc, socket.gaierror):
        return "its name is not known (no network?)"
    if isinstance(exc, TimeoutError):
        return f"nothing came for {_PATIENCE:.0f} s"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc) or type(exc).__name__
