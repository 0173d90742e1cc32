"""Starts the tray icon's process, and again when it has ended: the running program's side of `tray`. Whatever happens
there does not matter here: the process is waited for only at the end."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final

log = logging.getLogger(__name__)

DONE: Final = 0
AGAIN: Final = 1
"""The icon failed, and may work later."""
NEVER: Final = 3
"""There can be no icon here."""

_PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
# Seconds: an icon that ran for so long worked, and its end is a new failure.
_WORKED: Final = 60.0
_END: Final = 2.0
_LINES: Final = 50  # messages of the icon, each logged once
_OURS: Final = "vbgcam: "


class TraySupervisor:
    """One thread's, but for `_logged`. No method raises, and `tick` never waits."""

    def __init__(
        self,
        command: Sequence[str] = (sys.executable, "-P", "-m", "vbgcam", "tray"),
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`command`: the icon's process; `environment`: its own; `clock`: seconds, monotonic."""
        self._command = list(command)
        self._environment = environment
        self._clock = clock
        self._child: subprocess.Popen[str] | None = None
        self._relay: threading.Thread | None = None
        self._logged: Final[set[str]] = set()  # the relay thread's
        self._tries = 0
        self._began = 0.0
        self._next: float | None = None  # when to start it, None where none is wanted

    def start(self) -> None:
        """Shows the icon from now on, where there can be one."""
        if sys.platform == "linux" and not any(map(self._environment.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
            log.debug("no tray icon: no desktop session")
            return
        self._next = self._clock()
        self.tick()

    def tick(self) -> None:
        """To be called often."""
        if self._child is not None:
            code = self._child.poll()
            if code is not None:
                self._child = None
                self._after(code)
        elif self._next is not None and self._clock() >= self._next:
            self._begin()

    def stop(self) -> None:
        """Ends the icon, within two seconds or by a kill."""
        self._next = None
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(_END)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if self._relay is not None:
            self._relay.join(_END)

    def _begin(self) -> None:
        try:
            self._child = subprocess.Popen(
                self._command,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="backslashreplace",
                start_new_session=True,  # Ctrl-C in the terminal is for the running program
            )
        except OSError as exc:
            log.warning("no tray icon: %s: %s", self._command[0], exc.strerror or exc)
            self._next = None
            return
        self._began = self._clock()
        assert self._child.stderr is not None
        self._relay = threading.Thread(target=self._listen, args=(self._child.stderr,), name="tray", daemon=True)
        self._relay.start()

    def _after(self, code: int) -> None:
        if code == NEVER:
            self._next = None
            return
        if self._clock() - self._began >= _WORKED:
            self._tries = 0
        pause = _PAUSES[min(self._tries, len(_PAUSES) - 1)]
        self._tries += 1
        self._next = self._clock() + pause
        log.debug("the tray icon ended with %d; again in %g s", code, pause)

    def _listen(self, stream: IO[str]) -> None:
        """In a thread of its own. Logs each message of the icon once; its libraries' go to the log's file alone."""
        with stream:
            for line in map(str.rstrip, stream):
                text = line.removeprefix(_OURS)
                new = text != line and text not in self._logged and len(self._logged) < _LINES
                self._logged.add(text) if new else None
                log.log(logging.INFO if new else logging.DEBUG, "tray: %s", text)
