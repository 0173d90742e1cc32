"""Troubles, once each, on the desktop: who is in a call does not look at a terminal.

By notify-send, which every Linux desktop's notification service understands; where there is none, or no desktop,
nothing is shown, and the log and the figures have it all the same.
"""

import logging
import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

log = logging.getLogger(__name__)

# A trouble that comes and goes is told so often, not more.
_MOST: Final = 20


class Notifications:
    """One thread's."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        desktop = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
        self._command = shutil.which("notify-send", path=environment.get("PATH")) if desktop else None
        self._told: set[str] = set()
        self._running: list[subprocess.Popen[bytes]] = []

    def tell(self, problem: str) -> None:
        """Shows it, if it is one that was not shown before."""
        self._running = [process for process in self._running if process.poll() is None]
        if not problem or problem in self._told or len(self._told) >= _MOST or self._command is None:
            return
        self._told.add(problem)
        what, _, fix = problem.partition("; ")
        quiet = subprocess.DEVNULL
        command = [self._command, "--app-name=vbgcam", "--icon=camera-web", "--", f"VBG Camera: {what}", fix]
        try:
            # Not waited for: a notification service that hangs must not hold the picture up.
            self._running.append(subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet))
        except OSError as exc:
            log.debug("no notice on the desktop: %s", exc)
            self._command = None

    def close(self) -> None:
        """Ends what still runs."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
