"""Who reads the virtual camera on Linux, so that the real one is on only while somebody does.

v4l2loopback from 0.13 on tells it itself: a second descriptor subscribes to its client-usage event, whose payload is
how many stream (0.14 and later: whether any does). A program that opens the device, asks and closes it does not count.

Before that (Debian 12 has 0.12.7), inotify tells that somebody opened or closed the node, and a look through /proc who
has it open. A probe looks the same as a reader there, but is gone within milliseconds (Discord probes every 3 s): a
reader is who was there in each of `_LOOKS` looks. Without events nothing is looked at, so that nobody costs nothing.

Linux only: imported by `loopback`.
"""

import ctypes
import logging
import math
import os
import select
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from vbgcam.output.base import ReaderMonitor
from vbgcam.system import v4l2

log = logging.getLogger(__name__)

_USAGE: Final = 0x10E0_0001
"""V4L2_EVENT_PRI_CLIENT_USAGE of v4l2loopback.h."""

# Looks, and seconds between them: a program that probes every 100 ms and has the node open for 2 of them is in all
# three once in 10,000 tries.
_LOOKS: Final = 3
_APART: Final = 0.08
# A look takes 9 ms: with a program that probes all the time, 4 % of a core.
_RARELY: Final = 0.25
# A reader's end that no event told, such as a descriptor that a child kept.
_AGAIN: Final = 2.0

_IN_OPEN, _IN_CLOSE_WRITE, _IN_CLOSE_NOWRITE = 0x20, 0x8, 0x10
_IN_NONBLOCK, _IN_CLOEXEC = 0o4000, 0o2000000


def open_monitor(path: Path) -> ReaderMonitor:
    """By the better of the two ways. The node's writer must stream already. Raises OSError where there is no node."""
    try:
        return UsageEventMonitor(path)
    except OSError as exc:
        if exc.errno in v4l2.GONE:
            raise
        log.debug("%s tells no client usage (%s): its readers are looked for", path, exc.strerror)
    return OpenFileMonitor(path)


class UsageEventMonitor:
    """By the driver's own event. See `vbgcam.output.ReaderMonitor`."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where the driver has no such event."""
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            v4l2.subscribe(self._fd, _USAGE)
        except OSError:
            os.close(self._fd)
            raise
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLPRI)
        self._count = 0

    def watched(self, timeout: float) -> bool:
        """See `ReaderMonitor.watched`."""
        for _fd, happened in self._poll.poll(1000 * timeout):
            try:
                kind, payload = v4l2.event(self._fd)
            except OSError as exc:
                log.debug("%s: the node is gone (%s, %d)", self._fd, exc.strerror, happened)
                self._poll.unregister(self._fd)  # which would say so again and again
                self._count = 0
                return False
            if kind == _USAGE:
                (self._count,) = struct.unpack_from("I", payload)
        return self._count > 0

    def close(self) -> None:
        """Gives the descriptor back."""
        os.close(self._fd)


class OpenFileMonitor:
    """By a look at who has the node open, when somebody opened or closed it. See `vbgcam.output.ReaderMonitor`."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._path = path
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        kinds = _IN_OPEN | _IN_CLOSE_WRITE | _IN_CLOSE_NOWRITE
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), kinds) < 0:
            number = ctypes.get_errno()
            if self._fd >= 0:
                os.close(self._fd)
            raise OSError(number, os.strerror(number), str(path))
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._watched = False
        self._stirred = True  # those who are there already
        self._looked = -_AGAIN

    def watched(self, timeout: float) -> bool:
        """See `ReaderMonitor.watched`."""
        end = time.monotonic() + timeout
        due = self._looked + _AGAIN if self._watched else math.inf
        if not self._stirred:
            self._stirred = self._happened(max(0.0, min(end, due) - time.monotonic()))
        if not self._stirred and time.monotonic() < due:
            return self._watched
        earliest = self._looked + _RARELY
        time.sleep(max(0.0, min(end, earliest) - time.monotonic()))
        if end < earliest:
            return self._watched
        # What happens from here on is looked at the next time.
        self._happened(0)
        self._stirred = False
        there = self._readers()
        for _ in range(0 if self._watched else _LOOKS - 1):
            if not there:
                break
            time.sleep(_APART)
            there &= self._readers()
        self._watched, self._looked = bool(there), time.monotonic()
        return self._watched

    def close(self) -> None:
        """Gives inotify's descriptor back."""
        os.close(self._fd)

    def _readers(self) -> set[int]:
        me = os.getpid()
        return {holder.pid for holder in v4l2.holders(self._path) if not holder.write_only and holder.pid != me}

    def _happened(self, timeout: float) -> bool:
        if not self._poll.poll(1000 * timeout):
            return False
        with suppress(BlockingIOError):
            while os.read(self._fd, 65536):
                pass
        return True
