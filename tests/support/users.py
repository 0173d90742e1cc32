"""Somebody with a home of their own, who starts the daemon and its verbs in processes as people do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vbgcam.camera.demo import PLATE
from vbgcam.control.client import Client
from vbgcam.control.instance import Instance
from vbgcam.core.errors import ControlError

PATIENCE = 120.0


class User:
    """Somebody with a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env: dict[str, str] = {**os.environ, "PYTHONUNBUFFERED": "1"}
        for name in ("RUNTIME_DIR", "STATE_HOME", "DATA_HOME", "CONFIG_HOME", "CACHE_HOME"):
            place = folder / name.lower()
            place.mkdir(mode=0o700)
            self.env[f"XDG_{name}"] = str(place)
        self.env.pop("DISPLAY", None)
        self.env.pop("WAYLAND_DISPLAY", None)
        self.plate = PLATE
        # Nobody's backgrounds but those that a test puts there.
        (folder / "data_home/vbgcam/backgrounds").mkdir(parents=True)

    @property
    def client(self) -> Client:
        return Client(Instance(self.folder / "runtime_dir" / "vbgcam"))

    def seen(self) -> Any:
        """What others see, RGB."""
        bgr = cv2.imdecode(np.frombuffer(self.client.snapshot(), np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None
        return bgr[:, :, ::-1].astype(int)

    def _reachable(self) -> bool:
        try:
            Client.find(Instance(self.folder / "runtime_dir" / "vbgcam"))
        except ControlError:
            return False
        return True

    @property
    def start(self) -> list[str]:
        return [
            "run",
            "--source",
            "demo",
            "--sink",
            "null",
            "--set",
            "camera.size=320x240",
            "--set",
            "mask.max_age_ms=3000",
        ]

    def desktop(self, opens: str = ":") -> dict[str, str]:
        """The environment of a desktop whose display is not there, and where this shell command stands for the opener
        of pages, "$1"."""
        (self.folder / "bin").mkdir(exist_ok=True)
        opener = self.folder / "bin" / "xdg-open"
        opener.write_text(f"#!/bin/sh\n{opens}\n")
        opener.chmod(0o755)
        return {"DISPLAY": ":99", "PATH": f"{opener.parent}:{os.environ['PATH']}"}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vbgcam", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def says(self, *words: str) -> str:
        """What a verb that does its work says."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout.removesuffix("\n")

    def refused(self, *words: str, code: int = 1) -> str:
        """The one line of one that does not."""
        done = self.run(*words)
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stderr.count("\n") == 1
        return done.stderr.strip()

    @contextmanager
    def running(self, *more: str, env: Mapping[str, str] | None = None, until: str = "on air") -> Iterator[Daemon]:
        command = [sys.executable, "-m", "vbgcam", *self.start, "--model", f"plate:{self.plate}", *more]
        log = self.folder / "stderr"
        with log.open("a") as stream:
            process = subprocess.Popen(command, env={**self.env, **(env or {})}, stderr=stream)
        daemon = Daemon(process, log)
        try:
            wait(lambda: until in daemon.log() or process.poll() is not None, until)
            assert until in daemon.log(), daemon.log()
            wait(lambda: self._reachable() or process.poll() is not None, "its port")
            yield daemon
        finally:
            process.kill()
            process.wait()


class Daemon:
    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        self._before = log.stat().st_size

    def log(self) -> str:
        return self._log.read_bytes()[self._before :].decode()

    def ends(self) -> int:
        return self.process.wait(PATIENCE)


def wait(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"it never came: {what}"
        time.sleep(0.02)
