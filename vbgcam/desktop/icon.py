"""pystray's icon, and what its backends lack.

GTK: its menus know no pictures. The desktop gets libdbusmenu's copy of the menu, though, which has a place for one
beside each item's mark; it is filled in there. Without the library's description for Python (DbusmenuGtk3) the menu is
the same without pictures.

Plain X11: its window never asks for clicks, so none would arrive.

pystray has no interface for either, so its own methods are overridden; its releases come years apart.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from vbgcam.desktop.toolkit import Toolkit, module

if TYPE_CHECKING:
    import pystray

log = logging.getLogger(__name__)

PICTURE: Final = "picture"
"""The attribute of a menu's item that says which picture stands beside it."""


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
