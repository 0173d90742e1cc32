"""Which of pystray's backends can work here, and GTK for it.

On Linux a menu needs GTK through PyGObject (`gi`), which a virtual environment has not: pystray then takes plain X11,
an icon without a menu, and says nothing. So `gi` is taken from the system's Python, and it alone: its folder is full of
packages that must not stand in for the environment's own.
"""

import contextlib
import importlib
import importlib.abc
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from vbgcam.core.errors import VbgcamError
from vbgcam.system import linux_packages

log = logging.getLogger(__name__)

_NAMES: Final = ("gi", "cairo")
_MINOR: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
FOLDERS: Final = (
    "/usr/lib/python3/dist-packages",
    f"/usr/lib64/python{_MINOR}/site-packages",
    f"/usr/lib/python{_MINOR}/site-packages",
)
"""Where Debian and its like, Fedora and openSUSE, and Arch keep it."""

_INDICATORS: Final = ("AyatanaAppIndicator3", "AppIndicator3")


@dataclass(frozen=True, slots=True)
class Toolkit:
    """`backend`: pystray's, "" where none can work. `lacks`: why it is not the best one, and the command that fixes
    that; "" where it is."""

    backend: str
    lacks: str = ""

    @property
    def gtk(self) -> bool:
        """Whether the icon is one of GTK's; then `module` gives its modules."""
        return self.backend in ("appindicator", "gtk")


def module(name: str, version: str = "") -> Any:
    """One of GTK's, such as "Gtk" or "GLib"; they ship no type hints. Raises ImportError where it is not installed.
    `version`: needed once for each, before or with the first call."""
    if version:
        try:
            importlib.import_module("gi").require_version(name, version)
        except ValueError as exc:
            raise ImportError(str(exc)) from exc
    return importlib.import_module(f"gi.repository.{name}")


def prepare(environment: MutableMapping[str, str] = os.environ) -> Toolkit:
    """Chooses a backend and sets it for pystray, which must not have been imported yet. Raises
    VbgcamError where there should be a display, but it cannot be reached: it may come back."""
    toolkit = Toolkit(sys.platform) if sys.platform in ("win32", "darwin") else _linux(environment)
    if toolkit.backend:
        environment["PYSTRAY_BACKEND"] = toolkit.backend
    return toolkit


def _linux(environment: Mapping[str, str]) -> Toolkit:
    if not environment.get("DISPLAY") and not environment.get("WAYLAND_DISPLAY"):
        return Toolkit("", "no desktop session")
    plain = "xorg" if environment.get("DISPLAY") else ""
    if not load_gi():
        if any((Path(folder) / "gi").is_dir() for folder in FOLDERS):
            other = f"the system's GTK bindings are made for another Python than {_MINOR}; "
            return Toolkit(plain, other + "make the virtual environment with the system's own Python, /usr/bin/python3")
        return Toolkit(plain, _lacks("GTK for Python is not installed"))
    try:
        gtk, glib, gio = module("Gtk", "3.0"), module("GLib"), module("Gio")
    except ImportError as exc:
        log.debug("GTK: %s", exc)
        return Toolkit(plain, _lacks("GTK 3 for Python is not installed"))
    if not gtk.init_check(None)[0]:
        raise VbgcamError("the display does not answer")
    try:
        gio.bus_get_sync(gio.BusType.SESSION, None)
    except glib.Error as exc:
        log.debug("session bus: %s", exc.message)
        return Toolkit(plain, f"there is no D-Bus session; {linux_packages.install('dbus-x11')}, log out and in")
    for name in _INDICATORS:
        with contextlib.suppress(ImportError):
            module(name, "0.1")
            return Toolkit("appindicator")
    # GTK's own icons live in X11's older panels alone.
    old = "gtk" if environment.get("DISPLAY") else ""
    return Toolkit(old, _lacks("libayatana-appindicator is not installed"))


class _Only(importlib.abc.MetaPathFinder):
    """Finds `_NAMES` in one folder, and nothing else."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [self._folder], target) if path is None and name in _NAMES else None


def load_gi() -> bool:
    """From the environment, or else from the system's Python; whether there is one."""
    for finder in (None, *map(_Only, FOLDERS)):
        if finder is not None:
            sys.meta_path.append(finder)
        try:
            importlib.import_module("gi")
        except ImportError as exc:
            log.debug("gi: %s", exc)
        else:
            return True
        if finder is not None:
            sys.meta_path.remove(finder)
    return False


def _lacks(what: str) -> str:
    return f"{what}; {linux_packages.install(linux_packages.TRAY)}"
