"""PipeWire on a desktop of a test's own: session bus, daemon, session manager, and the portal through which browsers
ask for cameras, all of it below one folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from tests.support.desktop import bus_settings
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import SafeFrame, Size
from vbgcam.output import Output

PATIENCE: Final = 30.0
_LIBEXEC: Final = Path("/usr/libexec")

# Command or file, and the Debian package that has it.
_PLAIN: Final = {
    "dbus-daemon": "dbus-daemon",
    "pipewire": "pipewire",
    "wireplumber": "wireplumber",
    "pw-dump": "pipewire-bin",
    "gst-launch-1.0": "gstreamer1.0-tools",
    "gdbus": "libglib2.0-bin",
}
_PORTAL: Final = {"xdg-desktop-portal": "xdg-desktop-portal", "xdg-desktop-portal-gtk": "xdg-desktop-portal-gtk"}


def skip_without(*, portal: bool = False) -> None:
    lacking = [package for command, package in _PLAIN.items() if shutil.which(command) is None]
    if not lacking and "pipewiresrc" not in _said("gst-inspect-1.0", "pipewire"):
        lacking.append("gstreamer1.0-pipewire")
    if portal:
        lacking += [package for name, package in _PORTAL.items() if not (_LIBEXEC / name).exists()]
        lacking += ["xvfb"] if shutil.which("Xvfb") is None else []
    if lacking:
        pytest.skip(f"no PipeWire desktop here; in Debian the packages are called {' '.join(sorted(set(lacking)))}")


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout


def until(true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> float:
    """Waits for it; how long it took, in seconds."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + seconds, f"it never came: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


def told(figures: str) -> None:
    """For who measures, with `pytest -s`."""
    sys.stdout.write(f"\n{figures}\n")


# Nothing is started by name: what runs here was started here.
_STORE: Final = "org.freedesktop.impl.portal.PermissionStore"


class PipeWireDesktop:
    """`environment` is what a program of this desktop has. `portal`: with an X server and the portal, where the person
    has said once that apps may use cameras."""

    def __init__(self, *, portal: bool = False) -> None:
        # Short: a socket's path has 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="vbg", dir="/tmp"))
        self._portal = portal
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.run = self.folder / "run"
        self.run.mkdir(mode=0o700)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(self.run),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.run}/bus",
            "XDG_CURRENT_DESKTOP": "GNOME",
            "GDK_BACKEND": "x11",
            "GSETTINGS_BACKEND": "memory",
            "NO_AT_BRIDGE": "1",
            "GTK_A11Y": "none",
        }

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in reversed(list(self._running)):
            self._end(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        settings = self.folder / "bus.conf"
        settings.write_text(bus_settings(f"unix:path={self.run}/bus"))
        if self._portal:
            self.environment["DISPLAY"] = self._screen()
        self._begin("dbus-daemon", f"--config-file={settings}", "--nofork", "--nopidfile")
        until((self.run / "bus").exists, "the session bus")
        self.start_pipewire()
        if self._portal:
            self._begin(str(_LIBEXEC / "xdg-permission-store"))
            self._named(_STORE)
            place = "/org/freedesktop/impl/portal/PermissionStore"
            self.call(_STORE, place, f"{_STORE}.SetPermission", "devices", "true", "camera", "", "['yes']")
            # After the grant, which it reads when it starts.
            self._end("wireplumber")
            self._begin("wireplumber")
            self._begin(str(_LIBEXEC / "xdg-desktop-portal-gtk"))
            self._named("org.freedesktop.impl.portal.desktop.gtk")
            self._begin(str(_LIBEXEC / "xdg-desktop-portal"))
            self._named("org.freedesktop.portal.Desktop")

    def _screen(self) -> str:
        read, write = os.pipe()
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
        quiet = subprocess.DEVNULL
        self._running["Xvfb"] = subprocess.Popen(command, pass_fds=[write], stdout=quiet, stderr=quiet)
        os.close(write)
        with os.fdopen(read) as stream:
            return f":{stream.readline().strip()}"

    def start_pipewire(self) -> None:
        """The daemon and its session manager, which leaves when the daemon does."""
        self._begin("pipewire")
        until((self.run / "pipewire-0").exists, "PipeWire's socket")
        self._begin("wireplumber")

    def kill_pipewire(self) -> None:
        """As if it had crashed."""
        for name in ("pipewire", "wireplumber"):
            self._end(name, signal.SIGKILL)
        for socket in self.run.glob("pipewire-0*"):
            socket.unlink()

    def tell(self, name: str, number: int) -> None:
        self._running[name].send_signal(number)

    def call(self, name: str, place: str, method: str, *arguments: str) -> None:
        command = ["gdbus", "call", "--session", "-d", name, "-o", place, "-m", method, *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)

    def cameras(self) -> dict[str, str]:
        """The names that people see, by the nodes' own."""
        found = {}
        for item in self.dump():
            said = (item.get("info") or {}).get("props") or {}
            if said.get("media.class") == "Video/Source":
                found[said["node.name"]] = said["node.description"]
        return found

    def dump(self) -> list[dict[str, Any]]:
        """Everything that PipeWire knows of; nothing while it is not there."""
        done = subprocess.run(["pw-dump"], env=self.environment, capture_output=True, check=False)
        try:
            return list(json.loads(done.stdout))
        except ValueError:
            return []

    @contextmanager
    def reader(self, size: Size, pixels: str = "I420", node: str = "vbgcam") -> Iterator[Reader]:
        """A program that reads the camera, as GStreamer does it."""
        length = {"I420": size.i420_bytes, "YUY2": 2 * size.pixels, "BGRx": 4 * size.pixels}[pixels]
        read = Reader(node, pixels, length, self.environment)
        try:
            yield read
        finally:
            read.kill()

    def _begin(self, command: str, *arguments: str) -> None:
        name = Path(command).name
        quiet = subprocess.DEVNULL
        process = subprocess.Popen([command, *arguments], env=self.environment, stdout=quiet, stderr=quiet)
        self._running[name] = process

    def _end(self, name: str, number: int = signal.SIGTERM) -> None:
        process = self._running.pop(name)
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _named(self, name: str) -> None:
        command = ["gdbus", "introspect", "--session", "-d", name, "-o", "/"]
        quiet = subprocess.DEVNULL

        def there() -> bool:
            done = subprocess.run(command, env=self.environment, stdout=quiet, stderr=quiet, check=False)
            return done.returncode == 0

        until(there, name)


class Reader:
    """Takes in what it is sent, pictures of `length` bytes each, all the time. While `hangs` is set it takes nothing,
    and keeps the buffers that it gets."""

    def __init__(self, node: str, pixels: str, length: int, environment: Mapping[str, str]) -> None:
        command = ["gst-launch-1.0", "-q", "pipewiresrc", f"target-object={node}", "!"]
        command += [f"video/x-raw,format={pixels}", "!", "fdsink", "fd=1"]
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.hangs = threading.Event()
        self.count = 0
        self._length = length
        self._newest: deque[bytes] = deque(maxlen=100)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def pictures(self, count: int, seconds: float = PATIENCE) -> list[bytes]:
        """The next ones, at most 100."""
        before = self.count
        until(lambda: self.count >= before + count, f"{count} pictures", seconds)
        return list(self._newest)[-count:]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.hangs.clear()
        self._thread.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            while len(picture := stream.read(self._length)) == self._length:
                self._newest.append(picture)
                self.count += 1
                while self.hangs.is_set() and self.process.poll() is None:
                    time.sleep(0.01)


class Feeder:
    """Sends what `picture` gives, `fps` times a second, and opens the output again where that is needed, as the live
    chain does."""

    def __init__(self, output: Output, picture: Callable[[], SafeFrame], fps: float = 30.0) -> None:
        self._output, self._picture, self._period = output, picture, 1 / fps
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0
        self.troubles: list[str] = []
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._output.open()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._output.close()
        if error is None and self.error is not None:
            raise self.error

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                due += self._period
                try:
                    self._output.send(self._picture(), time.monotonic())
                    self.sent += 1
                except OutputError as exc:
                    self.troubles.append(str(exc))
                    self._open_again()
        except BaseException as exc:
            self.error = exc

    def _open_again(self) -> None:
        while not self._stop.wait(0.1):
            self._output.close()
            try:
                self._output.open()
            except OutputError:
                continue
            return
