"""The machine as the checks see it. Tests give another root, other answers, other devices."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vbgcam.system.machine import version

if TYPE_CHECKING:
    from vbgcam.camera import Requested
    from vbgcam.camera.base import CameraInfo
    from vbgcam.core.errors import CameraError
    from vbgcam.output.loopback import Loopback
    from vbgcam.segment.engines.devices import DeviceInfo
    from vbgcam.system.v4l2 import Holder

# Seconds for one command. All of them together take half a second on two shared cores; one that hangs (a driver, a
# session bus without an owner) costs this much once.
_PATIENCE: Final = 3.0
# modinfo, dmesg and mokutil lie there, where Debian's users do not look.
_SYSTEM_PATH: Final = ("/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class CommandResult:
    """`out`: what a command wrote. `code` is None where it is not installed, could not be started or took too long;
    `late`: the last of these."""

    code: int | None
    out: str = ""
    late: bool = False

    @property
    def good(self) -> bool:
        return self.code == 0


def _groups() -> frozenset[int]:
    return frozenset((os.getegid(), *os.getgroups())) if sys.platform != "win32" else frozenset()


def _user() -> str:
    if sys.platform == "win32":
        return os.environ.get("USERNAME", "")
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user without a name
        return ""


@dataclass
class Machine:
    """`root`: of the file system. `system`: as `sys.platform`. `release`: of the kernel that runs. `user`: who asks;
    `groups`: their numbers in this login."""

    root: Path = Path("/")
    system: str = sys.platform
    release: str = field(default_factory=platform.release)
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    home: Path = field(default_factory=Path.home)
    user: str = field(default_factory=_user)
    groups: frozenset[int] = field(default_factory=_groups)

    def run(self, *command: str) -> CommandResult:
        """Runs a command for at most three seconds, in English, with no input."""
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_PATH))
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_PATIENCE,
                check=False,
                env={**os.environ, "LC_ALL": "C", "PATH": path},
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            return CommandResult(None, late=isinstance(exc, subprocess.TimeoutExpired))
        return CommandResult(done.returncode, done.stdout.strip())

    def version(self, package: str) -> str | None:
        """Of an installed package, without importing it; None where it is not installed."""
        return version(package)

    def import_error(self, module: str) -> str:
        """Why a library cannot be imported, in one line; "" where it can."""
        try:
            importlib.import_module(module)
        # What a library raises that was built for another numpy, Python or C library is its own affair: each of these
        # was seen with one of ours.
        except (ImportError, OSError, AttributeError, RuntimeError, SystemError, TypeError, ValueError) as exc:
            return " ".join(str(exc).split()) or type(exc).__name__
        return ""

    def torch_cuda(self) -> str | None:
        """The CUDA version that the installed torch was built for, from its version file, without importing it; None
        where it was built without, or is not there."""
        spec = importlib.util.find_spec("torch")
        try:
            text = Path(spec.origin).with_name("version.py").read_text() if spec is not None and spec.origin else ""
        except OSError:
            return None
        built = re.search(r"^cuda\b[^=]*= '([\d.]+)'", text, re.MULTILINE)
        return built[1] if built else None

    def free_bytes(self, folder: Path) -> int:
        """What may still be written there. Raises OSError."""
        return shutil.disk_usage(folder).free

    def loopbacks(self) -> Sequence[Loopback]:
        from vbgcam.output.loopback import loopbacks as found

        return found()

    def cameras(self) -> Sequence[CameraInfo]:
        """All but virtual ones. Raises CameraError."""
        from vbgcam.camera.listing import cameras as found

        return found()

    def camera(self, target: str, wanted: Requested) -> CameraInfo:
        """The one that `run` would take, if it has a mode that can be used. Raises CameraError."""
        from vbgcam.camera.device import DeviceSource

        source = DeviceSource(target, wanted)
        found = source.find()
        if not found.problem:
            source.expected()
        return found

    def camera_in_use(self, found: CameraInfo) -> CameraError | None:
        """Lights no LED. Elsewhere than on Linux it cannot be asked: None."""
        if sys.platform != "linux":
            return None
        from vbgcam.camera.v4l2_camera import V4l2Backend

        return V4l2Backend().in_use(found)

    def holders(self, path: Path | str) -> Sequence[Holder]:
        from vbgcam.system.v4l2 import holders as found

        return found(path)

    def device(self, asked: str) -> str:
        """Where the network would run: "cuda", "mps" or "cpu". Imports torch (2 s) if there may be a GPU. Raises
        ModelError."""
        from vbgcam.segment.engines.devices import for_torchvision

        return for_torchvision(asked).name.partition(":")[0]

    def processors(self) -> Sequence[DeviceInfo]:
        """What a network can run on, and what is not used."""
        from vbgcam.segment.engines.devices import survey

        return list(survey())

    def text(self, path: Path | str) -> str:
        """A file's text without the white space around it; "" where it cannot be read. `path`: from the root on, or
        with it."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return ""

    @property
    def container(self) -> bool:
        """Whether the kernel, its modules and the devices belong to somebody else."""
        marks = (".dockerenv", "run/.containerenv", "run/systemd/container")
        return "container" in self.env or any((self.root / mark).exists() for mark in marks)

    def on_host(self, command: str) -> str:
        """A command that concerns the kernel."""
        return f"outside this container: {command}" if self.container else command

    def bus_has(self, name: str) -> bool | None:
        """Whether somebody on the session bus owns that name; None where the bus cannot be asked."""
        bus = "org.freedesktop.DBus"
        for command in (
            f"busctl --user call {bus} /org/freedesktop/DBus {bus} NameHasOwner s {name}",
            f"gdbus call --session -d {bus} -o / -m {bus}.NameHasOwner {name}",
            f"dbus-send --session --print-reply --dest={bus} / {bus}.NameHasOwner string:{name}",
        ):
            result = self.run(*command.split())
            if result.late:  # nobody answers; the next one would wait as long
                return None
            if result.good:
                return "true" in result.out
        return None

    def is_ours(self, pid: int) -> bool:
        """Whether that process is a running vbgcam."""
        words = self.text(f"proc/{pid}/cmdline").split("\0")
        return any(Path(word).name == "vbgcam" for word in words) and any(word in ("run", "demo") for word in words)
