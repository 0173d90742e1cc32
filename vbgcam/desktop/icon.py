"""pystray's icon, and what its backends lack.

GTK: its menus know no pictures. What the desktop is sent is libdbusmenu's copy of the menu, though, and that has a
place for one beside each entry's mark; it is filled in there. Without the library's description for Python
(DbusmenuGtk3) the menu is the same without pictures.

Plain X11: its window never asks for clicks, so none would arrive; and where no panel is there when it starts, it never
looks for one again.

Neither has an interface for it, so methods of pystray's own are overridden; its releases come years apart.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from vbgcam.desktop.toolkit import Toolkit, module

if TYPE_CHECKING:
    import pystray

log = logging.getLogger(__name__)

PICTURE: Final = "picture"
"""The attribute of a menu's item that says which picture stands beside it."""


class Illustrated:
    """An icon whose menu can have pictures: PNG files' bytes, for what its items' PICTURE says."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._pictures: Mapping[Any, bytes] = {}
        self._menu_handle: Any = getattr(self, "_menu_handle", None)

    def illustrate(self, pictures: Mapping[Any, bytes]) -> None:
        """The menu has these from now on. Any thread."""
        self._pictures = pictures
        module("GLib").idle_add(self._illustrate)

    def _illustrate(self) -> None:
        if self._menu_handle is not None:
            _illustrate(self._menu_handle, self._pictures)


def icon_class(toolkit: Toolkit) -> type[pystray.Icon]:
    """Raises ImportError where pystray cannot be loaded, and whatever its backend meets where there is no display."""
    import pystray

    if toolkit.backend == "xorg":
        x = importlib.import_module("Xlib.X")  # no type hints

        class OfX11(pystray.Icon):
            def _create_window(self) -> Any:
                window = super()._create_window()
                window.change_attributes(event_mask=x.ExposureMask | x.StructureNotifyMask | x.ButtonPressMask)
                return window

            def _mark_ready(self) -> None:
                # Others are woken by this, and what they call looks at `_thread`, which is set too late for that.
                self._thread = threading.current_thread()
                super()._mark_ready()

        return OfX11

    if toolkit.gtk:

        class OfGtk(Illustrated, pystray.Icon):
            def _create_menu_item(self, descriptor: pystray.MenuItem) -> Any:
                item = super()._create_menu_item(descriptor)
                setattr(item, PICTURE, getattr(descriptor, PICTURE, None))
                return item

            def update_menu(self) -> None:
                super().update_menu()
                # pystray has it made by the main loop, too; what is idle is done in this order.
                self.illustrate(self._pictures)

        return OfGtk
    return pystray.Icon


def docked(icon: pystray.Icon, toolkit: Toolkit) -> bool:
    """Whether a panel has taken it, as far as can be told; X11's asks for one each time that its picture is set."""
    return toolkit.backend != "xorg" or icon._systray_manager is not None


def hush() -> None:
    """What pystray says of its troubles, with tracebacks, goes to the log's file alone."""
    logging.getLogger("pystray").addHandler(_Quietly())


class _Quietly(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log.debug("pystray: %s", record.getMessage(), exc_info=record.exc_info)


def _illustrate(menu: Any, pictures: Mapping[object, bytes]) -> None:
    """In GTK's thread, after the desktop was told of `menu`, a Gtk.Menu."""
    try:
        cached = module("DbusmenuGtk3", "0.4").gtk_parse_get_cached_item
    except ImportError:
        return
    for item in menu.get_children():
        if item.get_submenu() is not None:
            _illustrate(item.get_submenu(), pictures)
        elif png := pictures.get(getattr(item, PICTURE, None)):
            copy = cached(item)
            if copy is not None:
                copy.property_set_variant("icon-data", module("GLib").Variant("ay", png))
