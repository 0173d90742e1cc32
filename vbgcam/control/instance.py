"""Where the running program is found, and why there is only one of it.

In the user's runtime folder are a lock, which the running program holds and the system releases however it ends, and
`control.json`: where it listens and the token that lets in. The file stays when the program ends, so that a panel that
is open goes on after a restart; it holds only while the lock is held, and everybody looks at the lock first.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import shlex
import stat
import sys
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal, Self, TypeGuard, get_args

import platformdirs
from filelock import FileLock, Timeout

from vbgcam import __version__
from vbgcam.control import auth
from vbgcam.core.errors import ControlError
from vbgcam.media.atomic import whole

HOST: Final = "127.0.0.1"

_LOCK: Final = "vbgcam.lock"
_CONTROL: Final = "control.json"
_LARGEST: Final = 4096
# Seconds. Who asks whether the lock is held holds it itself for a moment, some 50 us.
_SURE: Final = 0.5
_POLL: Final = 0.01

State = Literal["starting", "running", "ended"]


@dataclass(frozen=True, slots=True)
class ControlFile:
    """What is in `control.json`. `port`: the last one, 0 where there was none yet."""

    state: State
    port: int
    token: str
    pid: int
    version: str = __version__


def runtime_folder() -> Path:
    """The user's own, which need not exist. Raises ControlError where the system has none for this user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs says aloud when it takes the second best
        try:
            return Path(platformdirs.user_runtime_dir("vbgcam", appauthor=False))
        except OSError as exc:
            raise ControlError(f"no folder for the running program: {exc}", fix="set XDG_RUNTIME_DIR") from exc


class Instance:
    """One for each program that runs or asks. `hold` and `release` are for the running program alone, one thread at a
    time; `find` for any thread."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: another than the user's runtime folder, for tests. Raises ControlError as `runtime_folder` does."""
        self.folder: Final = runtime_folder() if folder is None else folder
        self._lock: FileLock | None = None
        self._control = ControlFile("starting", 0, "", os.getpid())

    @property
    def token(self) -> str:
        """While it is held."""
        return self._control.token

    @property
    def port(self) -> int:
        """While it is held: where it was listened last, 0 where it never was."""
        return self._control.port

    def hold(self) -> None:
        """From now on this is the running program. Raises ControlError where another one runs, or where the folder is
        not the user's own."""
        _check_folder(self.folder)
        self._lock = _taken(self.folder, _SURE)
        if self._lock is None:
            before = _read(self.folder / _CONTROL)
            number = f" (process {before.pid})" if before and before.state != "ended" and _lives(before.pid) else ""
            raise ControlError(
                f"vbgcam runs already{number}", fix="`vbgcam status` says how it is, `vbgcam quit` ends it"
            )
        # A token that others could have read, or that is somebody else's, is not taken over.
        before = _read(self.folder / _CONTROL)
        self._control = ControlFile(
            "starting", before.port if before else 0, before.token if before else secrets.token_urlsafe(32), os.getpid()
        )
        try:
            self._write()
        except BaseException:
            self.release()
            raise

    def announce(self, port: int) -> None:
        """The running program listens there now. Another port than the last brings a new token: another program may
        listen at the old one, and get the old token from a page that is still open."""
        token = self.token if port == self.port or not self.port else secrets.token_urlsafe(32)
        self._control = replace(self._control, state="running", port=port, token=token)
        self._write()

    def retire(self) -> None:
        """It does not listen any more; port and token stay in the file."""
        self._control = replace(self._control, state="ended")
        with contextlib.suppress(ControlError):  # a full disk: others will say that it was killed
            self._write()

    def touch(self) -> None:
        """To be called now and then, or the files are cleared away as old ones (systemd-tmpfiles: after ten days)."""
        for name in (_LOCK, _CONTROL):
            with contextlib.suppress(OSError):
                os.utime(self.folder / name)

    def release(self) -> None:
        """Where it is not held nothing happens."""
        lock, self._lock = self._lock, None
        if lock is not None:
            self.retire()
            lock.release(force=True)

    def __enter__(self) -> Self:
        self.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def find(self, *, doubtful: bool = False) -> ControlFile:
        """Where the running program is. Raises ControlError, which says whether none runs or it is not ready.
        `doubtful`: it just did not answer; one that was killed loses its connections a little before its lock."""
        if not self.folder.is_dir():
            raise _not_running(None)
        _check_folder(self.folder, make=False)
        ready = _runs(_read(self.folder / _CONTROL))
        self._require_held(0 if ready and not doubtful else _SURE)
        control = _read(self.folder / _CONTROL)  # it may have got ready meanwhile
        if _runs(control):
            return control
        ends = control is not None and control.state == "ended"
        raise ControlError(f"vbgcam is {'ending' if ends else 'starting'}", fix="ask again in a moment")

    def _require_held(self, seconds: float) -> None:
        """Raises ControlError where nobody holds the lock for longer than that."""
        if not (self.folder / _LOCK).exists():
            raise _not_running(_read(self.folder / _CONTROL))
        lock = _taken(self.folder, seconds)
        if lock is not None:
            left = _read(self.folder / _CONTROL)  # while it is held nobody starts, and nobody ends
            lock.release(force=True)
            raise _not_running(left)

    def _write(self) -> None:
        target = self.folder / _CONTROL
        try:
            with whole(target, mode=0o600) as part:
                part.write_text(json.dumps(asdict(self._control)), "utf-8")
        except OSError as exc:
            raise ControlError(f"{target}: {exc.strerror or exc}") from exc


def _taken(folder: Path, seconds: float) -> FileLock | None:
    """None where another one holds it for longer than that."""
    lock = FileLock(folder / _LOCK, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=seconds, poll_interval=_POLL)
    except Timeout:
        return None
    except (OSError, NotImplementedError) as exc:  # a file system without locks, by some of filelock's releases
        raise ControlError(f"{lock.lock_file}: {getattr(exc, 'strerror', None) or exc}") from exc
    return lock


def _not_running(control: ControlFile | None) -> ControlError:
    fix = "`vbgcam run` starts it"
    if control is None or control.state == "ended":
        return ControlError("vbgcam is not running", fix=fix)
    return ControlError(f"vbgcam is not running: it was ended by force (process {control.pid})", fix=fix)


def _check_folder(folder: Path, *, make: bool = True) -> None:
    """Raises ControlError where the folder is not the user's alone; else what lies in it can be trusted."""
    quoted = shlex.quote(str(folder))
    try:
        if make:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        found = folder.lstat()
        above = folder.parent.stat()
    except OSError as exc:
        raise ControlError(f"{exc.filename or folder}: {exc.strerror or exc}", fix="set XDG_RUNTIME_DIR") from exc
    if not stat.S_ISDIR(found.st_mode):
        kind = "a link" if stat.S_ISLNK(found.st_mode) else "not a folder"
        raise ControlError(f"{folder} is {kind}, where vbgcam's own folder should be", fix=f"rm {quoted}")
    if sys.platform == "win32":
        return  # the user's profile, which others cannot read
    me = os.geteuid()
    if found.st_uid != me:
        raise ControlError(f"{folder} belongs to another user (uid {found.st_uid})", fix=f"sudo rm -r {quoted}")
    if found.st_mode & 0o077:
        raise ControlError(f"{folder} is open to other users", fix=f"chmod 700 {quoted}")
    # Who owns the folder above, or may write to it, can put another one in this one's place.
    if above.st_uid not in {me, 0} or (above.st_mode & 0o002 and not above.st_mode & stat.S_ISVTX):
        raise ControlError(
            f"{folder.parent} is in other users' hands", fix="set XDG_RUNTIME_DIR to a folder of your own"
        )


def _read(path: Path) -> ControlFile | None:
    """None where it is missing, damaged, or not the user's alone."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as stream:
            found = os.fstat(stream.fileno())
            mine = sys.platform == "win32" or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)
            if not stat.S_ISREG(found.st_mode) or not mine:
                return None
            values = json.loads(stream.read(_LARGEST))
        control = ControlFile(values["state"], values["port"], values["token"], values["pid"], values["version"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    right = (
        control.state in get_args(State)
        and type(control.port) is int
        and 0 <= control.port < 1 << 16
        and isinstance(control.token, str)
        and re.fullmatch(r"[!-~]{32,}", control.token)
        and type(control.pid) is int
        and 0 < control.pid < 1 << 31
        and isinstance(control.version, str)
    )
    return control if right else None


def _runs(control: ControlFile | None) -> TypeGuard[ControlFile]:
    return control is not None and control.state == "running" and _lives(control.pid)


def _lives(pid: int) -> bool:
    """False where there is surely no such process."""
    if sys.platform == "win32":
        return True  # there, signal 0 ends it
    try:
        os.kill(pid, 0)
    except OSError as exc:
        return exc.errno != errno.ESRCH
    return True


def other_user(control: ControlFile) -> bool:
    """Whether somebody else than this user listens where the running program should, or nobody; False where the system
    does not know."""
    return auth.knows_owners() and auth.owner(auth.sockets(), (HOST, control.port)) != os.geteuid()
