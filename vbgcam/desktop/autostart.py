"""Whether the program starts when its user logs in, by the platform's own way.

Linux: a desktop entry in ~/.config/autostart. Windows: a value of the registry's Run key. macOS: a launch agent. Each
holds for this user alone and shows, and can be switched off, where the platform shows such things.
"""

from __future__ import annotations

import contextlib
import os
import plistlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from xml.parsers.expat import ExpatError

from vbgcam.core.errors import VbgcamError
from vbgcam.media.atomic import whole

_ENTRY: Final = "vbgcam.desktop"
_AGENT: Final = "vbgcam.plist"
_VALUE: Final = "vbgcam"
_RUN: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
# Where Windows' settings keep what a person has switched off there: 12 bytes, the first one odd.
_APPROVED: Final = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"


class Autostart(Protocol):
    """`enable` and `disable` raise VbgcamError where the system refuses."""

    def enabled(self) -> bool: ...

    def enable(self, command: Sequence[str]) -> None:
        """`command`: the program's absolute path, then its arguments."""

    def disable(self) -> None: ...


class Registry(Protocol):
    """The part of Windows' registry that belongs to this user. Raises OSError where it refuses."""

    def read(self, key: str, name: str) -> str | bytes | None: ...

    def write(self, key: str, name: str, text: str) -> None: ...

    def remove(self, key: str, name: str) -> None:
        """Nothing happens where it is not there."""


def here(environment: Mapping[str, str] = os.environ) -> Autostart:
    """This platform's."""
    home = Path.home()
    if sys.platform == "win32":
        return RunKey(_Winreg())
    if sys.platform == "darwin":
        return LaunchAgent(home / "Library" / "LaunchAgents")
    # What is not absolute is to be ignored, as the XDG base directory specification has it.
    own = environment.get("XDG_CONFIG_HOME", "")
    everybody = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    folders = [Path(folder) for folder in everybody.split(":") if folder.startswith("/")]
    return DesktopEntry(Path(own) if own.startswith("/") else home / ".config", folders)


def command() -> list[str]:
    """What starts the program as it was started now."""
    script = Path(sys.executable).with_name("vbgcam.exe" if sys.platform == "win32" else "vbgcam")
    windowless = Path(sys.executable).with_name("pythonw.exe")
    if sys.platform == "win32" and windowless.exists():
        return [str(windowless), "-P", "-m", "vbgcam", "run"]
    return [str(script), "run"] if script.exists() else [sys.executable, "-P", "-m", "vbgcam", "run"]


class DesktopEntry:
    """`config`: the user's folder; `everybody`: the machine's, where a package may have put an entry, too."""

    def __init__(self, config: Path, everybody: Sequence[Path]) -> None:
        self._path = config / "autostart" / _ENTRY
        self._others = [folder / "autostart" / _ENTRY for folder in everybody]

    def enabled(self) -> bool:
        for path in (self._path, *self._others):  # the first one counts
            try:
                text = path.read_text("utf-8", "replace")
            except OSError:
                continue
            keys = _keys(text)
            off = keys.get("Hidden") == "true" or keys.get("X-GNOME-Autostart-enabled") == "false"
            return bool(keys.get("Exec")) and not off
        return False

    def enable(self, command: Sequence[str]) -> None:
        self._write("Exec=" + " ".join(map(_quoted, command)), "Icon=camera-web")

    def disable(self) -> None:
        if any(path.exists() for path in self._others):
            self._write("Hidden=true")
            return
        with _refusals(self._path):
            self._path.unlink(missing_ok=True)

    def _write(self, *lines: str) -> None:
        head = "[Desktop Entry]", "Type=Application", "Name=VBG Camera"
        with _refusals(self._path):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with whole(self._path) as part:
                part.write_text("\n".join((*head, *lines, "")), "utf-8")


class RunKey:
    """A value of the registry's key of what Windows starts."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def enabled(self) -> bool:
        try:
            approved = self._registry.read(_APPROVED, _VALUE)
            off = isinstance(approved, bytes) and bool(approved[:1]) and approved[0] % 2 == 1
            return bool(self._registry.read(_RUN, _VALUE)) and not off
        except OSError:
            return False

    def enable(self, command: Sequence[str]) -> None:
        with _refusals(_RUN):
            self._registry.write(_RUN, _VALUE, subprocess.list2cmdline(command))
            self._registry.remove(_APPROVED, _VALUE)

    def disable(self) -> None:
        with _refusals(_RUN):
            self._registry.remove(_RUN, _VALUE)


class LaunchAgent:
    """launchd reads `folder` at each login."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _AGENT

    def enabled(self) -> bool:
        try:
            agent = plistlib.loads(self._path.read_bytes())
        except (OSError, ValueError, plistlib.InvalidFileException, ExpatError):
            return False
        return isinstance(agent, dict) and bool(agent.get("RunAtLoad")) and not agent.get("Disabled")

    def enable(self, command: Sequence[str]) -> None:
        agent = {"Label": "vbgcam", "ProgramArguments": [*command], "RunAtLoad": True, "ProcessType": "Interactive"}
        with _refusals(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole(self._path) as part:
                part.write_bytes(plistlib.dumps(agent))

    def disable(self) -> None:
        with _refusals(self._path):
            self._path.unlink(missing_ok=True)


class _Winreg:
    def __init__(self) -> None:
        import winreg

        self._winreg: Any = winreg

    def read(self, key: str, name: str) -> str | bytes | None:
        try:
            with self._winreg.OpenKey(self._winreg.HKEY_CURRENT_USER, key) as opened:
                value = self._winreg.QueryValueEx(opened, name)[0]
        except FileNotFoundError:
            return None
        return value if isinstance(value, str | bytes) else None

    def write(self, key: str, name: str, text: str) -> None:
        with self._winreg.CreateKey(self._winreg.HKEY_CURRENT_USER, key) as opened:
            self._winreg.SetValueEx(opened, name, 0, self._winreg.REG_SZ, text)

    def remove(self, key: str, name: str) -> None:
        hive, access = self._winreg.HKEY_CURRENT_USER, self._winreg.KEY_SET_VALUE
        with contextlib.suppress(FileNotFoundError), self._winreg.OpenKey(hive, key, 0, access) as opened:
            self._winreg.DeleteValue(opened, name)


def _quoted(word: str) -> str:
    """A word of a desktop entry's Exec. It is read twice: as a text, in which a backslash stands before itself, then as
    words, in which one stands before ", `, $ and itself between quotes; and % begins a field code."""
    for special in ("\\", '"', "`", "$"):
        word = word.replace(special, "\\" + special)
    return '"' + word.replace("%", "%%").replace("\\", "\\\\") + '"'


def _keys(text: str) -> dict[str, str]:
    """Of a desktop entry's own group, the first of each name."""
    keys: dict[str, str] = {}
    group = ""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if line.startswith("["):
            group = line.strip()
        elif equals and group == "[Desktop Entry]":
            keys.setdefault(name.strip(), value.strip())
    return keys


@contextlib.contextmanager
def _refusals(where: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise VbgcamError(f"{where}: the start at login cannot be changed: {exc.strerror or exc}") from exc
