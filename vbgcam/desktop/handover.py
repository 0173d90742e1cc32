"""Hands the person's own programs what is for them: an address to the browser, a text to the clipboard."""

import os
import shutil
import subprocess
import sys
from typing import Final

from vbgcam.core.errors import VbgcamError
from vbgcam.desktop.toolkit import Toolkit, module
from vbgcam.system import linux_packages

# Seconds in which an opener that fails has said so. One that starts the browser itself stays for as long as that does.
_PATIENCE: Final = 2.0

_running: Final[list[subprocess.Popen[bytes]]] = []


def browse(address: str) -> None:
    """Waits a moment for what the opener says. Raises VbgcamError where there is no browser."""
    if sys.platform == "win32":
        try:
            os.startfile(address)
        except OSError as exc:
            raise VbgcamError(f"no browser opens the panel: {exc.strerror}") from exc
        return
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if opener is None:
        raise VbgcamError("nothing opens the panel here", fix=linux_packages.install("xdg-utils"))
    _running[:] = [process for process in _running if process.poll() is None]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [opener, address],
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,  # the browser outlives this program
    )
    _running.append(process)
    try:
        code = process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        return
    if code:
        raise VbgcamError(f"no browser opens the panel: {opener} ended with {code}", fix="install a browser")


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
        subprocess.run(command, input=text, stdout=quiet, stderr=quiet, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError) as exc:
        raise VbgcamError(f"{command[0]} does not take the text: {exc}") from exc


def _keep(text: str) -> None:
    """In GTK's thread."""
    board = module("Gtk").Clipboard.get(module("Gdk").SELECTION_CLIPBOARD)
    board.set_text(text, -1)
    board.store()  # with the desktop's clipboard manager, where there is one
