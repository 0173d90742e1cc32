"""pystray's icon, and what its backends lack.

GTK: its menus know no pictures. What the desktop is sent is libdbusmenu's copy of the menu, though, and that has a place
for one beside each entry's mark; it is filled in there. Without the library's description for Python (DbusmenuGtk3) the
menu is the same without pictures.

Plain X11: its window never asks for clicks, so none would arrive; and where no panel is there when it starts, it never
looks for one again.

Neither has an interface for it, so methods of pystray's own are overridden; its releases come years apart.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from vbgcam.desktop.toolkit import Toolkit, module

if TYPE_CHECKING:
    import pystray

log = logging.getLogger(__name__)

PNG: Final = "png"
"""The attribute of a menu's item that holds its picture: a PNG file's bytes."""


def icon_class(toolkit: Toolkit) -> type[pystray.Icon]:
    """Raises ImportError where pystray cannot be loaded, and whatever its backend meets where there is no display."""
    import pystray

    if toolkit.backend == "xorg":
        from Xlib import X

        class OfX11(pystray.Icon):
            def _create_window(self) -> Any:
                window = super()._create_window()
                window.change_attributes(event_mask=X.ExposureMask | X.StructureNotifyMask | X.ButtonPressMask)
                return window

            def _mark_ready(self) -> None:
                # Others are woken by this, and what they call looks at `_thread`, which is set too late for that.
                self._thread = threading.current_thread()
                super()._mark_ready()

        return OfX11

    if toolkit.gtk:
        glib = module("GLib")

        class OfGtk(pystray.Icon):
            def _create_menu_item(self, descriptor: pystray.MenuItem) -> Any:
                item = super()._create_menu_item(descriptor)
                setattr(item, PNG, getattr(descriptor, PNG, b""))
                return item

            def update_menu(self) -> None:
                super().update_menu()
                # pystray has it made by the main loop, too; what is idle is done in this order.
                glib.idle_add(self._illustrate)

            def _illustrate(self) -> None:
                if self._menu_handle is not None:
                    _illustrate(self._menu_handle)

        return OfGtk
    return pystray.Icon


def docked(icon: pystray.Icon, toolkit: Toolkit) -> bool:
    """Whether a panel has taken it, as far as can be told; X11's asks for one each time that its picture is set."""
    return toolkit.backend != "xorg" or icon._systray_manager is not None


def hush() -> None:
    """What pystray says of its troubles, with tracebacks, goes to the log's file alone."""
    logger = logging.getLogger("pystray")
    logger.propagate = False
    logger.addHandler(_Quietly())


class _Quietly(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log.debug("pystray: %s", record.getMessage(), exc_info=record.exc_info)


def _illustrate(menu: Any) -> None:
    """In GTK's thread, after the desktop was told of `menu`, a Gtk.Menu."""
    try:
        cached = module("DbusmenuGtk3").gtk_parse_get_cached_item
    except ImportError:
        return
    for item in menu.get_children():
        if item.get_submenu() is not None:
            _illustrate(item.get_submenu())
        elif png := getattr(item, PNG, b""):
            cached(item).property_set_byte_array("icon-data", png)
