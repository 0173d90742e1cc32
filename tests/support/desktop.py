"""A desktop without a screen for tests: an X server and a session bus of their own, what shows icons there, X11's older
panel, and a finger for that."""

from __future__ import annotations

import base64
import functools
import importlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest
from PIL import Image

from tests.support.control_fakes import until

ROOT: Final = Path(__file__).resolve().parents[2]

_GTK: Final = """
from vbgcam.desktop import toolkit
if not toolkit.load_gi():
    print("python3-gi")
else:
    for name, version, package in (
        ("Gtk", "3.0", "gir1.2-gtk-3.0"),
        ("AyatanaAppIndicator3", "0.1", "gir1.2-ayatanaappindicator3-0.1"),
        ("DbusmenuGtk3", "0.4", "gir1.2-dbusmenu-gtk3-0.4"),
    ):
        try:
            toolkit.module(name, version)
        except ImportError:
            print(package)
"""


def bus_settings(listen: str) -> str:
    """Of a session bus at that address, without services that would be started, as on a bus of the machine's own."""
    return f"""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>{listen}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@functools.cache
def missing(*, gtk: bool) -> str:
    """Debian's packages that a desktop lacks here, with icons that have a menu or without."""
    packages = [
        package for command, package in (("Xvfb", "xvfb"), ("dbus-daemon", "dbus-daemon")) if not shutil.which(command)
    ]
    if gtk:
        asked = [sys.executable, "-c", _GTK]
        packages += subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return " ".join(packages)


def skip_without(*, gtk: bool) -> None:
    lacking = missing(gtk=gtk)
    if lacking:
        pytest.skip(f"no desktop here; in Debian the packages are called {lacking}")


class Desktop:
    """`environment` is what a program of this desktop has. `folder`: short, for sockets lie in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bus: subprocess.Popen[str] | None = None
        self._screen: subprocess.Popen[str] | None = None
        (folder / "run").mkdir(mode=0o700, exist_ok=True)
        self.environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_DATA_HOME": str(folder / "data"),
            "LANG": "C.UTF-8",
            "NO_AT_BRIDGE": "1",
            "GSETTINGS_BACKEND": "memory",
        }

    def __enter__(self) -> Self:
        settings = self.folder / "bus.conf"
        settings.write_text(bus_settings("unix:tmpdir=/tmp"))
        command = ["dbus-daemon", f"--config-file={settings}", "--nofork", "--nopidfile", "--print-address=1"]
        self._bus = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._bus.stdout is not None
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = self._bus.stdout.readline().strip()
        self.screen_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.screen_off()
        _end(self._bus)

    def screen_on(self) -> None:
        """The first time with a number that is free, then with that one again. Of the thousands, which nobody takes
        meanwhile: who looks for the next free one begins at 0."""
        display = self.environment.get("DISPLAY") or f":{random.randrange(1000, 10000)}"
        command = ["Xvfb", display, "-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset"]
        self._screen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._screen.stdout is not None
        assert self._screen.stdout.readline().strip() == display[1:], "no X server"
        self.environment["DISPLAY"] = display

    def screen_off(self) -> None:
        """All of its programs lose it at once."""
        _end(self._screen)
        self._screen = None

    def fake(self, name: str) -> Path:
        """A program of that name that is found first; it writes its arguments to the file that is the answer."""
        program, said = self.folder / "bin" / name, self.folder / f"{name}.said"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {said}.part\nmv {said}.part {said}\n')
        program.chmod(0o755)
        return said

    @contextmanager
    def host(self) -> Iterator[Host]:
        """Shows icons for as long as the block lasts."""
        host = Host(self.environment)
        try:
            yield host
        finally:
            host.kill()

    def finger(self) -> Finger:
        return Finger(self.environment["DISPLAY"])


class Host:
    """`tests.support.tray_host`. `icons`: what it shows; `notes`: its notifications."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.support.tray_host"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.icons: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._shown = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if not self._shown.wait(20):
            self.kill()
            pytest.fail("the tray's host does not start")

    def kill(self) -> None:
        """It dies, as a panel that crashes."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    @property
    def icon(self) -> dict[str, Any]:
        """The only one; {} while there is none."""
        icons = self.icons
        assert len(icons) < 2, [icon["id"] for icon in icons]
        return icons[0] if icons else {}

    def picture(self) -> Image.Image:
        """What it looks like; one pixel while it changes."""
        try:
            with Image.open(self.icon["picture"], formats=["PNG"]) as image:
                return image.copy()
        except FileNotFoundError:
            return Image.new("RGBA", (1, 1))

    def labels(self, *path: str) -> list[str]:
        """Of the menu, or of the one below the entries of these names."""
        return [entry["label"] for entry in self._entries(path) if not entry["line"]]

    def entry(self, *path: str) -> dict[str, Any]:
        found = [entry for entry in self._entries(path[:-1]) if entry["label"] == path[-1]]
        assert len(found) == 1, (path, self.labels(*path[:-1]))
        return found[0]

    def marked(self, *path: str) -> list[str]:
        """The entries that have a mark."""
        return [entry["label"] for entry in self._entries(path) if entry["on"]]

    def thumbnail(self, *path: str) -> Image.Image | None:
        png = base64.b64decode(self.entry(*path)["png"])
        return Image.open(io.BytesIO(png)) if png else None

    def click(self, *path: str) -> None:
        """Waits until the icon has made its menu anew, as pystray does after each click: what is clicked while that
        goes on may be lost."""
        before = [entry["number"] for entry in self._entries(())]
        assert self.entry(*path)["enabled"], path
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(path) + "\n")
        self._process.stdin.flush()
        until(lambda: [entry["number"] for entry in self._entries(())] != before)

    def _entries(self, path: Sequence[str]) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.icon.get("entries", [])
        for label in path:
            entries = next((entry["entries"] for entry in entries if entry["label"] == label), [])
        return entries

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            shown = json.loads(line)
            self.icons, self.notes = shown["icons"], shown["notes"]
            self._shown.set()
        self.icons = []


class Finger:
    """A button, and the panel of X11 from before D-Bus, which swallows windows. Xlib ships no type hints."""

    def __init__(self, display: str) -> None:
        self._x = importlib.import_module("Xlib.X")
        self._test = importlib.import_module("Xlib.ext.xtest")
        self._display = importlib.import_module("Xlib.display").Display(display)
        self._root = self._display.screen().root
        self._panel: Any = None
        self.docked: list[Any] = []

    def close(self) -> None:
        self._display.close()

    def panel(self) -> None:
        """From now on there is one, at the upper left corner."""
        mask = self._x.SubstructureNotifyMask
        depth = self._display.screen().root_depth
        self._panel = self._root.create_window(0, 0, 200, 32, 0, depth, event_mask=mask)
        self._panel.map()
        selection = self._display.intern_atom("_NET_SYSTEM_TRAY_S0")
        self._panel.set_selection_owner(selection, self._x.CurrentTime)
        self._display.sync()

    def dock(self) -> bool:
        """Takes in the windows that asked for it; whether there are any."""
        opcode = self._display.intern_atom("_NET_SYSTEM_TRAY_OPCODE")
        while self._display.pending_events():
            event = self._display.next_event()
            if event.type == self._x.ClientMessage and event.client_type == opcode:
                window = self._display.create_resource_object("window", event.data[1][2])
                window.reparent(self._panel, 0, 0)
                window.configure(width=32, height=32)
                window.map()
                self._display.sync()
                self.docked.append(window)
        return bool(self.docked)

    def click(self, x: int, y: int) -> None:
        self._test.fake_input(self._display, self._x.MotionNotify, x=x, y=y)
        for what in (self._x.ButtonPress, self._x.ButtonRelease):
            self._test.fake_input(self._display, what, 1)
        self._display.sync()

    def colours(self, size: int) -> set[tuple[int, ...]]:
        """What the screen shows in the square at its upper left corner."""
        raw = self._root.get_image(0, 0, size, size, self._x.ZPixmap, 0xFFFFFFFF).data
        image = Image.frombytes("RGB", (size, size), raw, "raw", "BGRX")
        return {colour for _, colour in image.getcolors(size * size)}  # type: ignore[union-attr,misc]


def _end(process: subprocess.Popen[str] | None) -> None:
    if process is not None:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


__all__ = ["ROOT", "Desktop", "Finger", "Host", "skip_without", "until"]
