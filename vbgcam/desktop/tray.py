"""The tray icon: the camera's state and, in a menu, its settings. A process of its own, a client of `control`.

GTK ends the process whose display goes away, and it takes 40 MB and the interpreter's lock; neither may happen to the
process that makes the picture. So the running program starts this one, again when it has ended (`tray_supervisor`), and
this one ends when that program does.

Three threads. The main one is pystray's. One waits for changes and shows them. One does what was clicked, in order: the
menu never waits for it. The last two never keep the process from ending.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from filelock import FileLock, Timeout

from vbgcam.control.client import Client
from vbgcam.control.instance import runtime_folder
from vbgcam.core.errors import VbgcamError
from vbgcam.desktop import autostart, handover, icons, menu, toolkit
from vbgcam.desktop.menu import SEPARATOR, Action, Copy, MenuItem
from vbgcam.desktop.toolkit import PICTURE, IconWithPictures, PystrayLog, Toolkit, icon_class, in_panel, module
from vbgcam.desktop.tray_supervisor import AGAIN, DONE, NEVER

if TYPE_CHECKING:
    import pystray
    from PIL import Image

log = logging.getLogger(__name__)

T = TypeVar("T")

NAME: Final = "VBG Camera"

# Pixels. Panels show 22, 24 or 32, and twice that on fine screens: of all sizes this one halves best.
_SIZE: Final = 48
# Panels without transparency are X11's, most of them dark.
_GROUND: Final = (49, 54, 59)
# Seconds. Choices may change without a new revision, as when a picture is put into the folder.
_STALE: Final = 60.0
# Seconds before the second request to a program that did not answer; if that fails too, it counts as gone.
_RETRY: Final = 1.0
# Seconds that the panel gets to let the icon go.
_GRACE: Final = 3.0
# Seconds to wait for a change, and for X11's panel, which does not announce itself.
_WAIT: Final = 25.0
_PANEL: Final = 5.0


def run(client: Client) -> int:
    """Until the running program ends, or the display goes away. For the main thread of a process that does nothing
    else. Returns DONE, AGAIN or NEVER, of `tray_supervisor`. Raises ControlError where nothing runs."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # there is nothing to clean up
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    status = client.status()
    try:
        kit = toolkit.prepare()
        if not kit.backend:
            log.warning("no tray icon: %s", kit.lacks)
            return NEVER
        kind = icon_class(kit)
    except Exception as exc:  # no display, and Xlib's many
        log.warning("no tray icon: %s", exc)
        return NEVER if isinstance(exc, ImportError) else AGAIN
    if kit.lacks:
        log.warning("%s: %s", "the tray icon is plain" if kind.HAS_MENU else "the tray icon has no menu", kit.lacks)
    logging.getLogger("pystray").addHandler(PystrayLog())
    try:
        with _only_one():
            return _Tray(client, kit, kind, status).run()
    except Timeout:
        log.warning("no second tray icon: there is one already")
        return AGAIN


class _Tray:
    def __init__(self, client: Client, kit: Toolkit, kind: type[pystray.Icon], status: Mapping[str, Any]) -> None:
        self._client = client
        self._kit = kit
        self._autostart = autostart.here()
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._over = threading.Event()
        # Replaced as a whole by the thread that waits for changes.
        self._status = status
        self._choices: Mapping[str, Any] = {}
        # Held by whichever of the two other threads shows something; guards the next two, and the icon's pictures.
        self._showing = threading.Lock()
        self._shown_face: object = None
        self._shown_items: object = None
        self._dialog: Any = None  # GTK's thread's
        # GTK's older icon can be clicked before the menu is known.
        first = self._menu([MenuItem("Open panel", "panel", default=True)])
        self._icon = kind("vbgcam", self._image(menu.face(status)), NAME, first)

    def run(self) -> int:
        for work in (self._watch, self._work):
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()
        try:
            self._icon.run(setup=lambda _: self._ready.set())
        except Exception as exc:  # without a notification service it raises when it is stopped
            log.log(logging.DEBUG if self._over.is_set() else logging.WARNING, "the tray icon ended: %s", exc)
        if not self._ready.is_set():  # pystray's own thread would wait for ever
            logging.shutdown()
            os._exit(AGAIN)
        return DONE if self._over.is_set() else AGAIN

    def _watch(self) -> None:
        self._ready.wait()
        try:
            self._follow()
        except Exception as exc:
            log.error("internal error: %s", exc, exc_info=True)
        self._over.set()
        # Whatever the panel does: a program that is gone keeps no icon.
        last = threading.Timer(_GRACE, os._exit, [DONE])
        last.daemon = True
        last.start()
        self._icon.stop()

    def _follow(self) -> None:
        """Until the program is gone. Another one that was started meanwhile has an icon of its own."""
        status: Mapping[str, Any] | None = self._status
        revision, read = None, 0.0
        while status is not None and status["pid"] == self._status["pid"]:
            if status["revision"] != revision or time.monotonic() - read > _STALE:
                choices = _answer(self._client.choices)
                if choices is None:
                    return
                self._choices, read = choices, time.monotonic()
            self._status, revision = status, status["revision"]
            self._show()
            wait = _WAIT if in_panel(self._icon, self._kit) else _PANEL
            status = _answer(partial(self._client.status, revision, wait))

    def _show(self) -> None:
        with self._showing:
            face, title = menu.face(self._status), f"{NAME}: {menu.headline(self._status)}"
            if face != self._shown_face or not in_panel(self._icon, self._kit):
                self._shown_face = face
                self._set("icon", self._image(face))
            self._set("title", title)
            items = menu.menu_items(self._status, self._choices, self._autostart.enabled())
            if items != self._shown_items:
                self._shown_items = items
                self._set("menu", self._menu(items))
            self._set("visible", True)
            if isinstance(self._icon, IconWithPictures):
                before = self._icon.pictures
                self._icon.pictures = icons.beside(items, before, self._client.thumbnail)  # which takes longer
                if self._icon.pictures.keys() - before.keys():
                    self._icon.show_pictures()

    def _set(self, attribute: str, value: object) -> None:
        _in_ui_thread(partial(setattr, self._icon, attribute, value))

    def _menu(self, items: Iterable[MenuItem]) -> pystray.Menu:
        import pystray

        return pystray.Menu(*map(self._item, items))

    def _item(self, item: MenuItem) -> pystray.MenuItem:
        import pystray

        if item == SEPARATOR:
            return pystray.Menu.SEPARATOR
        checked, action = item.checked, item.action
        made = pystray.MenuItem(
            # Windows takes & for the sign before the letter that chooses an item.
            item.label.replace("&", "&&") if sys.platform == "win32" else item.label,
            self._menu(item.items) if item.items else lambda: self._todo.put(partial(self._do, action)),
            checked=None if checked is None else lambda _: checked,
            radio=item.radio,
            default=item.default,
            enabled=action is not None or bool(item.items),
        )
        setattr(made, PICTURE, item.picture)
        return made

    def _image(self, face: menu.Face) -> Image.Image:
        image = icons.face(face, _SIZE)
        return icons.opaque(image, _GROUND) if self._kit.backend == "xorg" else image

    def _work(self) -> None:
        while True:
            task = self._todo.get()
            try:
                task()
            except VbgcamError as exc:
                log.warning("%s", exc)
                self._notify(str(exc))
            except Exception as exc:
                log.error("internal error: %s", exc, exc_info=True)

    def _do(self, action: Action | None) -> None:
        """Does what was clicked."""
        if isinstance(action, Mapping):
            self._client.do(action)
        elif isinstance(action, Copy):
            handover.copy(action.text, self._kit)
        elif action == "report":
            handover.copy(self._client.report(), self._kit)
            self._notify("The diagnosis is on the clipboard.")
        elif action == "autostart":
            self._toggle_autostart()
        elif action == "add" and self._kit.gtk:
            module("GLib").idle_add(self._choose)
        elif action in {"panel", "add"}:  # the panel takes files, too
            handover.browse(self._client.open())

    def _toggle_autostart(self) -> None:
        try:
            if self._autostart.enabled():
                self._autostart.disable()
            else:
                self._autostart.enable(autostart.command())
        finally:
            self._show()

    def _choose(self) -> None:
        """Files for the gallery, in GTK's own dialog. In GTK's thread."""
        if self._dialog is None:
            gtk, glib = module("Gtk"), module("GLib")
            dialog = gtk.FileChooserDialog(
                title="Add backgrounds", action=gtk.FileChooserAction.OPEN, select_multiple=True
            )
            dialog.add_button("Cancel", gtk.ResponseType.CANCEL)
            dialog.add_button("Add", gtk.ResponseType.ACCEPT)
            dialog.set_default_response(gtk.ResponseType.ACCEPT)
            kinds = gtk.FileFilter()
            kinds.set_name("Pictures and films")
            kinds.add_mime_type("image/*")
            kinds.add_mime_type("video/*")
            dialog.add_filter(kinds)
            pictures = glib.get_user_special_dir(glib.UserDirectory.DIRECTORY_PICTURES)
            if pictures:
                dialog.set_current_folder(pictures)
            dialog.connect("response", self._chosen)
            self._dialog = dialog
        self._dialog.present()

    def _chosen(self, dialog: Any, response: int) -> None:
        """In GTK's thread."""
        paths = [Path(name) for name in dialog.get_filenames()] if response == module("Gtk").ResponseType.ACCEPT else []
        dialog.destroy()
        self._dialog = None
        if paths:
            self._todo.put(partial(self._add, paths))

    def _add(self, paths: Sequence[Path]) -> None:
        """A single picture is shown at once."""
        specs = [self._client.upload(path) for path in paths]
        if len(specs) == 1:
            self._client.do({"do": "background", "to": specs[0]})

    def _notify(self, text: str) -> None:
        if self._icon.HAS_NOTIFICATION:
            _in_ui_thread(partial(self._icon.notify, text, NAME))


def _answer(ask: Callable[[], T]) -> T | None:
    """None where the program is gone, or does not answer twice."""
    for pause in (_RETRY, 0.0):
        try:
            return ask()
        except VbgcamError as exc:
            log.debug("the running program: %s", exc)
            time.sleep(pause)
    return None


def _in_ui_thread(change: Callable[[], object]) -> None:
    """macOS requires the main thread; elsewhere pystray sees to it."""
    if sys.platform == "darwin":
        importlib.import_module("PyObjCTools.AppHelper").callAfter(change)
    else:
        change()


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Raises Timeout where there is another icon of this user's. pystray gives images to the panel as temporary files,
    and leaves them where it is killed: they go into a folder that the next one clears."""
    folder = runtime_folder()
    pictures = folder / "tray"
    with FileLock(folder / "tray.lock", timeout=0, mode=0o600):
        try:
            shutil.rmtree(pictures, ignore_errors=True)
            pictures.mkdir(mode=0o700)
            tempfile.tempdir = str(pictures)
            yield
        finally:
            tempfile.tempdir = None
            shutil.rmtree(pictures, ignore_errors=True)
