"""Puts a text on the person's clipboard."""

import os
import shutil
import subprocess
import sys
from typing import Final

from vbgcam.core.errors import VbgcamError
from vbgcam.desktop.toolkit import Toolkit, module
from vbgcam.system import linux_packages

_PATIENCE: Final = 5.0


def copy(text: str, toolkit: Toolkit) -> None:
    """Any thread. Raises VbgcamError where there is no clipboard."""
    if sys.platform == "win32":
        _give(["clip"], text.encode("utf-16"))
    elif sys.platform == "darwin":
        _give(["pbcopy"], text.encode())
    elif os.environ.get("WAYLAND_DISPLAY") and shutil.which("wl-copy"):
        # Wayland lets only the window that has the keyboard fill the clipboard; an icon has no window.
        _give(["wl-copy"], text.encode())
    elif toolkit.gtk:
        module("GLib").idle_add(_keep, text)
    else:
        raise VbgcamError("there is no clipboard here", fix=linux_packages.install(linux_packages.TRAY))


def _give(command: list[str], text: bytes) -> None:
    quiet = subprocess.DEVNULL
    try:
        subprocess.run(command, input=text, stdout=quiet, stderr=quiet, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError) as exc:
        raise VbgcamError(f"{command[0]} does not take the text: {exc}") from exc


def _keep(text: str) -> None:
    """In GTK's thread."""
    board = module("Gtk").Clipboard.get(module("Gdk").SELECTION_CLIPBOARD)
    board.set_text(text, -1)
    board.store()  # with the desktop's clipboard manager, where there is one
