"""What a service manager is told: that the camera is on air, how it is, that it is alive, that it ends.

systemd's notify protocol (sd_notify(3)): datagrams to the socket that NOTIFY_SOCKET names, and, where WATCHDOG_USEC is
set, a sign of life at least that often, or the service is killed and started anew. Without them nothing is sent.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

log = logging.getLogger(__name__)

# Seconds for a message.
_PATIENCE: Final = 0.5


class ServiceManager:
    """One thread's. `clock`: seconds, monotonic."""

    def __init__(
        self, environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # Linux's abstract names begin with a zero byte
            self._address = "\0" + self._address[1:]
        self._socket: socket.socket | None = None
        if self._address and hasattr(socket, "AF_UNIX"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # systemd reads at once; the queue of one that does not holds ten messages.
            self._socket.settimeout(_PATIENCE)
        asked, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        mine = not whose or whose == str(os.getpid())
        # Half the time, as sd_watchdog_enabled(3) recommends.
        self._every = int(asked) / 2e6 if asked.isdecimal() and int(asked) and mine else None
        self._signed = -float("inf")
        self._told = ""

    def ready(self) -> None:
        """The first picture is on air."""
        self._send("READY=1")

    def alive(self) -> None:
        """To be called often while all is well; says so as often as it was asked for."""
        now = self._clock()
        if self._every is not None and now - self._signed >= self._every:
            self._signed = now
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; the same one again is not sent."""
        if text != self._told:
            self._told = text
            self._send(f"STATUS={text}")

    def stopping(self) -> None:
        """The program is about to end."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Nothing is sent after it."""
        if self._socket is not None:
            self._socket.close()

    def _send(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError as exc:
            log.debug("the service manager does not listen: %s", exc)
