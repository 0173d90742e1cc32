"""One client's connection: whose it is, how long it may idle, and how little is said of what it does wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from vbgcam.control import auth
from vbgcam.control.messages import plain
from vbgcam.system.logfile import Rates

log = logging.getLogger(__name__)

_LINE: Final = 8190  # bytes of the request's first line, and of a header
_CONNECTIONS: Final = 64
# Of other users' programs, which are refused: enough to do so, too few to be in the way.
_STRANGERS: Final = 8
# Seconds: for a request's head, from the connection or the last answer on; for a client that takes nothing of what it
# asked for; for the rest of a body that nobody wants, since who still sends it would not hear why, otherwise.
_HEAD: Final = 15.0
_TAKING: Final = 10.0
_LINGER: Final = 1.0


class Refusals:
    """Says in the log, and not too often, that a request was refused."""

    def __init__(self) -> None:
        self._rates = Rates(time.monotonic)

    def say(self, why: str) -> None:
        """`why`: a word of this program."""
        more = self._rates.more((__name__, logging.DEBUG, why))
        if more is not None:
            log.debug("a request was refused (%s)%s", why, f"; {more} more like this before" if more else "")


class Door:
    """How many are connected: this user's programs, and strangers. The loop's thread."""

    def __init__(self) -> None:
        self.refusals = Refusals()
        self._counts = {True: 0, False: 0}

    def enter(self, stranger: bool) -> bool:
        """Whether there is room for one more; who was let in leaves."""
        if self._counts[stranger] >= (_STRANGERS if stranger else _CONNECTIONS):
            self.refusals.say("too many connections")
            return False
        self._counts[stranger] += 1
        return True

    def leave(self, stranger: bool) -> None:
        self._counts[stranger] -= 1


class Connection(web.RequestHandler):
    """One client's. `stranger`: another user's. A client that sends nothing, or takes nothing, is dropped."""

    __slots__ = ("_door", "_inside", "_late", "_stuck", "stranger")

    def __init__(self, door: Door, manager: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to have none
            logger=_http_log,
            max_line_size=_LINE,
            max_field_size=_LINE,
            lingering_time=_LINGER,
            auto_decompress=False,
        )
        self._door = door
        self._late: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._inside = False
        self.stranger = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.stranger = _other_user(transport)
        self._inside = self._door.enter(self.stranger)
        if self._inside:
            self.ends()
        else:
            self._abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._inside:
            self._inside = False
            self._door.leave(self.stranger)
        for timer in (self._late, self._stuck):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def begins(self) -> None:
        """A request's head is here."""
        if self._late is not None:
            self._late.cancel()

    def ends(self) -> None:
        """The next head must come in time, and the answer before it must be taken."""
        self.begins()
        if self._inside:
            self._late = self._loop.call_later(_HEAD, self._abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self._loop.call_later(_TAKING, self._abort)

    def resume_writing(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
        super().resume_writing()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What could not be read as a request, mostly; its words are neither given back nor logged."""
        if isinstance(exc, HttpProcessingError):
            self._door.refusals.say("malformed")
        else:
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer has been sent")
        response = plain(status)
        response.force_close()
        return response


def _other_user(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end is another user's; False where the system does not tell."""
    if not auth.told():
        return False
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not peer or not own:
        return True  # it has gone already
    for _ in range(2):  # while sockets come and go, a reader may miss one
        uid = auth.owner(auth.sockets(), peer[:2], own[:2])
        if uid is not None:
            return uid != os.geteuid()
    return True


class _NoWords(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


# aiohttp's own, which would write out what a malformed request says (3.11: after an upgrade that was declined).
_http_log: Final = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(_NoWords())
