"""A stand-in for the running program as it is controlled: all of `ControlApi`; misbehaves on demand.

    python -m tests.support.control_fakes FOLDER

is such a program, in the runtime folder FOLDER/run/vbgcam, until it gets the command quit or its standard input
ends. It says "ready" when it can be reached.
"""

from __future__ import annotations

import copy
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from vbgcam.background.gallery import Entry, Gallery
from vbgcam.control import PreviewImage
from vbgcam.control.choices import backgrounds
from vbgcam.control.client import Client
from vbgcam.control.instance import Instance
from vbgcam.control.server import Server
from vbgcam.core.errors import BackgroundError, ConfigError, ControlError

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds, after which something hangs."""


def status() -> dict[str, Any]:
    """Of a program that has been on air for a minute."""
    spread = {"p50": 31.0, "p95": 40.0, "p99": 44.0, "max": 61.0}
    return {
        "state": "on air",
        "why": "",
        "room_shown": False,
        "source": "camera:/dev/video0",
        "sink": "virtualcam",
        "model": "lraspp_mobilenet_v3_large",
        "device": "cpu",
        "size": "1280x720",
        "input": "576x320",
        "precision": "fp32",
        "pairing": "present",
        "source_format": "MJPG",
        "source_size": "1280x720",
        "source_fps": 30.0,
        "fps": 29.97,
        "frames": {"captured": 1800, "sent": 1800, "dropped": 2, "covered": 12},
        "mask_age_ms": dict(spread),
        "added_latency_ms": dict(spread),
        "inference_ms": {"p50": 21.0, "p95": 28.0},
        "rss_mb": 612.0,
        "uptime_s": 60.0,
        "paused": False,
        "version": "0.1.0",
        "pid": os.getpid(),
        "watched": True,
        "readers": ["zoom"],
        "settings": {
            "camera": {"source": "camera:/dev/video0", "size": "1280x720", "fps": 30.0, "format": "auto"},
            "model": {"name": "auto", "device": "auto", "size": "auto", "hard": False},
            "mask": {"edges": "guided", "time": "steady", "motion": "flow"},
            "background": {"show": "blur:0.7", "fit": "cover", "light_wrap": 0.3},
            "output": {"sink": "auto", "mirror": False},
        },
        "troubles": [{"at": 1764201600.0, "what": "the camera was lost", "fix": "plug it in again", "now": False}],
        "config": {"path": "/home/me/.config/vbgcam/config.toml", "problems": []},
        "loading": None,
        "model_why": "",
        "model_problem": "",
        "helped": None,
        "welcomed": True,
        "live": {"fps": 29.9, "mask_age_ms": 31.0, "added_latency_ms": 33.0},
    }


def choices() -> dict[str, Any]:
    """What a picker offers there."""
    return {
        "backgrounds": [],
        "blurs": [
            {"spec": "blur:0.8", "label": "Blur"},
            {"spec": "blur:1", "label": "Strong blur"},
        ],
        "colours": [{"spec": "#3b4a57", "label": "Slate"}, {"spec": "#d9cfc1", "label": "Sand"}],
        "cameras": [
            {"spec": "camera:/dev/video0", "label": "HD Webcam", "sizes": ["1280x720", "640x480"], "now": True},
            {"spec": "demo", "label": "A drawn presenter", "sizes": ["1280x720"], "now": False},
        ],
        "models": [
            {
                "spec": "lraspp_mobilenet_v3_large",
                "label": "Small and fast",
                "cost": "13 MB; 5 ms a mask here",
                "here": True,
                "now": True,
            },
            {
                "spec": "fcn_resnet101",
                "label": "Large",
                "cost": "208 MB; 90 ms a mask here",
                "here": False,
                "now": False,
            },
        ],
        "presets": [
            {"name": "fast", "label": "Fast", "cost": "least work"},
            {"name": "balanced", "label": "Balanced", "cost": "some work"},
            {"name": "best", "label": "Best", "cost": "most work"},
        ],
        "virtual": {"there": True, "name": "VBG Camera", "fix": ""},
        "autostart": False,
    }


def picture(number: int, width: int, *, mask: bool = False) -> bytes:
    """A JPEG file of 16:9; each number has a colour of its own, and a mask has none."""
    colour = (128, 128, 128) if mask else (40 * number % 256, 90 * number % 256, 160)
    image = np.full((max(1, width * 9 // 16), width, 3), colour, np.uint8)
    return cv2.imencode(".jpg", image)[1].tobytes()


class FakeGallery(Gallery):
    """Any file is a picture to it, but one that is empty or begins with `broken`. `gate`, where given, is waited for
    before one is taken in. `begun`: how many were given; `seen`: the sizes of those that were looked at."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder)
        self.gate: threading.Event | None = None
        self.begun = 0
        self.seen: list[int] = []

    def entries(self) -> list[Entry]:
        paths = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return [Entry(path.name, path, "picture", "") for path in paths]

    def thumbnail(self, name: str) -> bytes:
        self._path(name)
        return picture(sum(name.encode()), 320)

    def add(self, name: str, data: Path) -> Entry:
        self.begun += 1
        if self.gate is not None:
            self.gate.wait(PATIENCE)
        self.seen.append(data.stat().st_size)
        with data.open("rb") as stream:
            start = stream.read(6)
        if start in {b"", b"broken"}:
            raise BackgroundError(f"{name}: is neither a picture nor a film")
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / name
        while target.exists():
            target = target.with_stem(target.stem + "-2")
        shutil.move(data, target)
        return Entry(target.name, target, "picture", "")

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise BackgroundError(f"{name}: is not in the gallery")
        return path


@dataclass
class FakeControl:
    """`values`: the status, which a test may change; `offers`: the choices. `done`: the commands that came.

    `errors`: what a method, by its name, raises. `gates`: what a method waits for before it does anything. `called`:
    how often each was called. `watchers`: how many watch the preview just now; `watch_calls`: each call of
    `watch_preview`. `frames`: the number of the newest frame; none with 0. `carry_out`: does a command; None is a
    simple way that knows all of them and keeps what they change in `values`."""

    folder: Path
    values: dict[str, Any] = field(default_factory=status)
    offers: dict[str, Any] = field(default_factory=choices)
    errors: dict[str, Exception] = field(default_factory=dict)
    gates: dict[str, threading.Event] = field(default_factory=dict)
    carry_out: Callable[[Mapping[str, Any]], str] | None = None
    frames: int = 1
    text: str = "vbgcam 0.1.0\neverything is fine\n"

    def __post_init__(self) -> None:
        self.gallery = FakeGallery(self.folder)
        self.done: list[dict[str, Any]] = []
        self.called: dict[str, int] = {}
        self.watch_calls: list[bool] = []
        self.watchers = 0
        self.quit = threading.Event()
        self.listeners: dict[object, Callable[[], None]] = {}
        self._revision = 1
        self._hiding = "#3b4a57"
        self._lock = threading.Lock()

    def status(self) -> dict[str, Any]:
        self._begin("status")
        with self._lock:
            room = self.values["state"] == "on air" and self.values["settings"]["background"]["show"] == "none"
            return copy.deepcopy(self.values) | {"revision": self._revision, "room_shown": room}

    def choices(self) -> dict[str, Any]:
        self._begin("choices")
        return copy.deepcopy(self.offers) | {"backgrounds": backgrounds(self.gallery)}

    def do(self, command: Mapping[str, Any]) -> str:
        self._begin("do")
        with self._lock:
            self.done.append(dict(command))
        said = (self.carry_out or self._carry_out)(command)
        self.change()
        return said

    def revision(self) -> int:
        self._begin("revision")
        return self._revision

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        self._begin("listen")
        key = object()
        with self._lock:
            self.listeners[key] = wake
        return lambda: (self.listeners.pop(key, None), None)[1]

    def preview(self, after: int, width: int, *, mask: bool = False) -> PreviewImage | None:
        self._begin("preview")
        number = self.frames
        return PreviewImage(number, picture(number, width, mask=mask)) if number and number > after else None

    def snapshot(self) -> bytes:
        self._begin("snapshot")
        if not self.frames:
            raise ControlError("nothing has been sent yet", fix="wait a moment")
        return cv2.imencode(".png", np.zeros((72, 128, 3), np.uint8))[1].tobytes()

    def watch_preview(self, watching: bool) -> None:
        self._begin("watch_preview")
        with self._lock:
            self.watch_calls.append(watching)
            self.watchers += 1 if watching else -1

    def report(self) -> str:
        self._begin("report")
        return self.text

    def change(self, **values: Any) -> None:
        """Something has changed that others see."""
        with self._lock:
            self.values |= values
            self._revision += 1
            listeners = list(self.listeners.values())
        for wake in listeners:
            wake()

    def _begin(self, what: str) -> None:
        with self._lock:
            self.called[what] = self.called.get(what, 0) + 1
        if what in self.gates:
            self.gates[what].wait(PATIENCE)
        if what in self.errors:
            raise self.errors[what]

    def _carry_out(self, command: Mapping[str, Any]) -> str:
        settings = self.values["settings"]
        match dict(command):
            case {"do": "background" | "model" | "camera" as what, "to": str(to)}:
                if what == "background":
                    shown = settings["background"]["show"]
                    self._hiding = shown if shown != "none" else self._hiding
                    to = self._hiding if to == "last" else to
                settings[what][{"background": "show", "model": "name", "camera": "source"}[what]] = to
                return f"{what}: {to}"
            case {"do": "blur", "to": float() | int() as to}:
                settings["background"]["show"] = f"blur:{to:g}"
                return f"background: blur:{to:g}"
            case {"do": "preset", "to": str(to)}:
                return f"preset: {to}"
            case {"do": "mirror", "to": bool() | None as to}:
                settings["output"]["mirror"] = not settings["output"]["mirror"] if to is None else to
                return f"mirror: {'on' if settings['output']['mirror'] else 'off'}"
            case {"do": "pause" | "resume" | "toggle" as what}:
                paused = not self.values["paused"] if what == "toggle" else what == "pause"
                self.values |= {"paused": paused, "state": "paused" if paused else "on air"}
                return "paused" if paused else "on air"
            case {"do": "quit"}:
                self.quit.set()
                return "vbgcam ends"
            case {"do": "welcomed"}:
                self.values["welcomed"] = True
                return "welcome"
            case {"do": "set", "settings": dict(wanted)}:
                parts = {name: name.partition(".") for name in wanted}
                problems = [
                    f"{name}: unknown" for name, (at, _, key) in parts.items() if key not in settings.get(at, {})
                ]
                if problems:
                    raise ConfigError(problems)
                for name, (section, _, key) in parts.items():
                    settings[section][key] = wanted[name]
                return ", ".join(f"{name}: {value}" for name, value in wanted.items())
            case _:
                raise ControlError("no such command")


@contextmanager
def controlled(folder: Path, api: FakeControl | None = None, assets: Path | None = None) -> Iterator[Controlled]:
    """A program that runs, with a real server, in a runtime folder below `folder`."""
    api = FakeControl(folder / "gallery") if api is None else api
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    instance = Instance(folder / "run" / "vbgcam")
    with instance:
        server = Server(api, instance, folder if assets is None else assets, folder / "uploads")
        server.start()
        try:
            yield Controlled(api, instance, server, Client(Instance(instance.folder)))
        finally:
            server.stop()


@dataclass(frozen=True)
class Controlled:
    api: FakeControl
    instance: Instance
    server: Server
    client: Client


def started(work: Callable[[], T]) -> Future[T]:
    """What it returns, in time: it runs in a thread of its own."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as exc:
            done.set_exception(exc)

    threading.Thread(target=run, daemon=True).start()
    return done


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Waits for something that another thread or process does. Raises AssertionError where it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


def main(folder: str) -> None:
    with controlled(Path(folder)) as it:
        sys.stdout.write("ready\n")
        sys.stdout.flush()

        def until_left_alone() -> None:
            sys.stdin.read()
            it.api.quit.set()

        threading.Thread(target=until_left_alone, daemon=True).start()
        it.api.quit.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
