"""Chooses pictures and films on the disk, with GTK's own dialog."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from vbgcam.desktop.toolkit import module

TITLE: Final = "Add backgrounds"

_KINDS: Final = ("image/*", "video/*")


def dialog(chosen: Callable[[Sequence[Path]], None]) -> Any:
    """A Gtk.Window, shown at once; `chosen` is called once, with nothing where the person cancels. In GTK's thread."""
    gtk, glib = module("Gtk"), module("GLib")
    window = gtk.FileChooserDialog(title=TITLE, action=gtk.FileChooserAction.OPEN, select_multiple=True)
    window.add_button("Cancel", gtk.ResponseType.CANCEL)
    window.add_button("Add", gtk.ResponseType.ACCEPT)
    window.set_default_response(gtk.ResponseType.ACCEPT)
    kinds = gtk.FileFilter()
    kinds.set_name("Pictures and films")
    for kind in _KINDS:
        kinds.add_mime_type(kind)
    window.add_filter(kinds)
    pictures = glib.get_user_special_dir(glib.UserDirectory.DIRECTORY_PICTURES)
    if pictures:
        window.set_current_folder(pictures)

    def answered(_: object, response: int) -> None:
        paths = [Path(name) for name in window.get_filenames()] if response == gtk.ResponseType.ACCEPT else []
        window.destroy()
        chosen(paths)

    window.connect("response", answered)
    window.present()
    return window
