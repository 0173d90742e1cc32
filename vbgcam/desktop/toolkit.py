"""pystray's backends: which one can work here, GTK for it, and what they lack.

On Linux a menu needs GTK through PyGObject (`gi`), which a virtual environment has not: pystray then takes plain X11,
an icon without a menu, and says nothing. So `gi` is taken from the system's Python, and it alone: its folder is full of
packages that must not stand in for the environment's own.

GTK's menus know no pictures. The desktop gets libdbusmenu's copy of the menu, though, which has a place for one beside
each item's mark; it is filled in there. Without the library's description for Python (DbusmenuGtk3) the menu is the
same without pictures. Plain X11's window never asks for clicks, so none would arrive. pystray has no interface for
either, so its own methods are overridden; its releases come years apart.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import logging
import os
import sys
import threading
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from vbgcam.core.errors import VbgcamError
from vbgcam.system import linux_packages

if TYPE_CHECKING:
    import pystray

log = logging.getLogger(__name__)

_NAMES: Final = ("gi", "cairo")
_MINOR: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
FOLDERS: Final = (
    "/usr/lib/python3/dist-packages",
    f"/usr/lib64/python{_MINOR}/site-packages",
    f"/usr/lib/python{_MINOR}/site-packages",
)
"""Where Debian and its like, Fedora and openSUSE, and Arch keep it."""

PICTURE: Final = "picture"
"""The attribute of a menu's item that says which picture stands beside it."""

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
    own = [*sys.meta_path]
    for more in ([], *([_Only(folder)] for folder in FOLDERS)):
        sys.meta_path[:] = [*own, *more]
        try:
            importlib.import_module("gi")
        except ImportError as exc:
            log.debug("gi: %s", exc)
        else:
            return True
    sys.meta_path[:] = own
    return False


def _lacks(what: str) -> str:
    return f"{what}; {linux_packages.install(linux_packages.TRAY)}"


class IconWithPictures:
    """An icon whose menu can have pictures: PNG files' bytes, by its items' PICTURE."""

    _menu_handle: Any
    pictures: Mapping[Any, bytes] = MappingProxyType({})

    def show_pictures(self) -> None:
        """The menu has those of now from now on. Any thread."""
        # pystray leaves the menu to the main loop, too, which does what is idle in this order.
        module("GLib").idle_add(lambda: _set_pictures(self._menu_handle, self.pictures))


def icon_class(toolkit: Toolkit) -> type[pystray.Icon]:
    """Raises ImportError where pystray cannot be loaded, and whatever its backend meets where there is no display."""
    import pystray

    if toolkit.backend == "xorg":
        x = importlib.import_module("Xlib.X")  # no type hints

        class X11Icon(pystray.Icon):
            def _create_window(self) -> Any:
                window = super()._create_window()
                window.change_attributes(event_mask=x.ExposureMask | x.StructureNotifyMask | x.ButtonPressMask)
                return window

            def _mark_ready(self) -> None:
                # This wakes other threads, whose calls read `_thread`, which pystray sets too late for that.
                self._thread = threading.current_thread()
                super()._mark_ready()

        return X11Icon

    if toolkit.gtk:

        class GtkIcon(IconWithPictures, pystray.Icon):
            def _create_menu_item(self, descriptor: pystray.MenuItem) -> Any:
                item = super()._create_menu_item(descriptor)
                setattr(item, PICTURE, getattr(descriptor, PICTURE, None))
                return item

            def update_menu(self) -> None:
                super().update_menu()
                self.show_pictures()

        return GtkIcon
    return pystray.Icon


def in_panel(icon: pystray.Icon, toolkit: Toolkit) -> bool:
    """Whether a panel shows it, as far as is known; X11's is looked for each time that the icon's image is set."""
    return toolkit.backend != "xorg" or icon._systray_manager is not None


class PystrayLog(logging.Handler):
    """For pystray's logger: its messages, with tracebacks, go to the log's file alone."""

    def emit(self, record: logging.LogRecord) -> None:
        log.debug("pystray: %s", record.getMessage(), exc_info=record.exc_info)


def _set_pictures(menu: Any, pictures: Mapping[object, bytes]) -> None:
    """In GTK's thread, after the desktop has got `menu`, a Gtk.Menu."""
    try:
        cached = module("DbusmenuGtk3", "0.4").gtk_parse_get_cached_item
    except ImportError:
        return
    for item in menu.get_children():
        if item.get_submenu() is not None:
            _set_pictures(item.get_submenu(), pictures)
        elif png := pictures.get(getattr(item, PICTURE, None)):
            copy = cached(item)
            if copy is not None:
                copy.property_set_variant("icon-data", module("GLib").Variant("ay", png))
