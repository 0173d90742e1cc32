"""Whether the program starts when its user logs in, by the platform's own way.

Linux: a desktop entry in ~/.config/autostart. Windows: a value of the registry's Run key. macOS: a launch agent. Each
holds for this user alone and shows, and can be switched off, where the platform shows such things. To switch it raises
VbgcamError where the system refuses; a command is the program's absolute path, then its arguments.
"""

import configparser
import contextlib
import importlib
import os
import plistlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ExpatError

from vbgcam.core.errors import VbgcamError
from vbgcam.media.atomic import whole

_ENTRY: Final = "vbgcam.desktop"
_VALUE: Final = "vbgcam"
_RUN: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
# Where Windows' settings keep what a person has switched off there: 12 bytes, the first one odd.
_APPROVED: Final = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"


class DesktopEntry:
    """`config`: the user's folder; `everybody`: the machine's, where a package may have put an entry, too."""

    def __init__(self, config: Path, everybody: Sequence[Path]) -> None:
        self._path = config / "autostart" / _ENTRY
        self._others = [folder / "autostart" / _ENTRY for folder in everybody]

    def enabled(self) -> bool:
        for path in (self._path, *self._others):  # the first one counts
            entry = configparser.RawConfigParser(delimiters="=", comment_prefixes="#", strict=False)
            try:
                if not entry.read(path, "utf-8"):  # it is not there
                    continue
            except (configparser.Error, UnicodeDecodeError):
                return False
            key = partial(entry.get, "Desktop Entry", fallback="")
            off = key("Hidden") == "true" or key("X-GNOME-Autostart-enabled") == "false"
            return bool(key("Exec")) and not off
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

    def __init__(self) -> None:
        self._winreg: Any = importlib.import_module("winreg")  # its type hints are for Windows alone
        self._hive = self._winreg.HKEY_CURRENT_USER

    def enabled(self) -> bool:
        try:
            approved = self._read(_APPROVED)
            off = isinstance(approved, bytes) and bool(approved[:1]) and approved[0] % 2 == 1
            return bool(self._read(_RUN)) and not off
        except OSError:
            return False

    def enable(self, command: Sequence[str]) -> None:
        with _refusals(_RUN):
            with self._winreg.CreateKey(self._hive, _RUN) as key:
                self._winreg.SetValueEx(key, _VALUE, 0, self._winreg.REG_SZ, subprocess.list2cmdline(command))
            self._remove(_APPROVED)

    def disable(self) -> None:
        with _refusals(_RUN):
            self._remove(_RUN)

    def _read(self, name: str) -> object:
        with contextlib.suppress(FileNotFoundError), self._winreg.OpenKey(self._hive, name) as key:
            return self._winreg.QueryValueEx(key, _VALUE)[0]
        return None

    def _remove(self, name: str) -> None:
        access = self._winreg.KEY_SET_VALUE
        with contextlib.suppress(FileNotFoundError), self._winreg.OpenKey(self._hive, name, 0, access) as key:
            self._winreg.DeleteValue(key, _VALUE)


class LaunchAgent:
    """launchd reads `folder` at each login."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "vbgcam.plist"

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


Autostart = DesktopEntry | RunKey | LaunchAgent


def here(environment: Mapping[str, str] = os.environ) -> Autostart:
    """This platform's."""
    home = Path.home()
    if sys.platform == "win32":
        return RunKey()
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


def _quoted(word: str) -> str:
    """A word of a desktop entry's Exec. It is read twice: as a text, in which a backslash stands before itself, then as
    words, in which one stands before ", `, $ and itself between quotes; and % begins a field code."""
    for special in ("\\", '"', "`", "$"):
        word = word.replace(special, "\\" + special)
    return '"' + word.replace("%", "%%").replace("\\", "\\\\") + '"'


@contextlib.contextmanager
def _refusals(where: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise VbgcamError(f"{where}: the start at login cannot be changed: {exc.strerror or exc}") from exc
