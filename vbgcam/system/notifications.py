"""Troubles, once each, and that the room is visible, on the desktop: who is in a call does not look at a terminal.

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

_ROOM: Final = "Your room is visible; Choose a background to hide it."
# A trouble that comes and goes is told so often, not more.
_MOST: Final = 20


class Notifications:
    """One thread's."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        desktop = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
        self._command = shutil.which("notify-send", path=environment.get("PATH")) if desktop else None
        self._told: set[str] = set()
        self._room = False
        self._running: list[subprocess.Popen[bytes]] = []

    def tell(self, problem: str) -> None:
        """Shows it, if it is one that was not shown before."""
        if problem and problem not in self._told and len(self._told) < _MOST:
            self._told.add(problem)
            self._show(problem)

    def room(self, shown: bool) -> None:
        """To be called with what is so now: it is said each time that the room comes to be shown."""
        if shown and not self._room:
            self._show(_ROOM)
        self._room = shown

    def _show(self, text: str) -> None:
        self._running = [process for process in self._running if process.poll() is None]
        if self._command is None:
            return
        what, _, fix = text.partition("; ")
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
