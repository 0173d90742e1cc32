"""One client's connection: whose it is, how long it may idle, and how little is logged of what it does wrong."""

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
# Of other users' programs: enough to refuse them, too few to be in the way.
_OTHER_USERS: Final = 8
# Seconds: for a request's head, from the connection or the last answer on; for a client that reads nothing of its
# answer; for the rest of a refused body, since a client that still sends would not hear why.
_HEAD: Final = 15.0
_TAKING: Final = 10.0
_LINGER: Final = 1.0


class Connections:
    """Those that are open, of this user's programs and of others', and what was refused to them. The loop's thread."""

    def __init__(self) -> None:
        self.open: set[Connection] = set()
        self._rates = Rates(time.monotonic)

    def add(self, connection: Connection) -> bool:
        """Whether there is room for one more."""
        alike = sum(each.other_user == connection.other_user for each in self.open)
        if alike >= (_OTHER_USERS if connection.other_user else _CONNECTIONS):
            self.refused("too many connections")
            return False
        self.open.add(connection)
        return True

    def refused(self, why: str) -> None:
        """Logs, and not too often, that a request was refused. `why`: a word of this program."""
        more = self._rates.more((__name__, logging.DEBUG, why))
        if more is not None:
            log.debug("a request was refused (%s)%s", why, f"; {more} more like this before" if more else "")


class Connection(web.RequestHandler):
    """One client's. `other_user`: whether it is another user's. A client that sends nothing, or reads nothing, is
    dropped. The loop's thread."""

    __slots__ = ("_connections", "_late", "_stuck", "other_user")

    def __init__(self, connections: Connections, manager: web.Server, loop: asyncio.AbstractEventLoop) -> None:
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
        self._connections = connections
        self._late: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self.other_user = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.other_user = _other_user(transport)
        if self._connections.add(self):
            self.answered()
        else:
            self._abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.open.discard(self)
        for timer in (self._late, self._stuck):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def requested(self) -> None:
        """A request's head has come."""
        if self._late is not None:
            self._late.cancel()

    def answered(self) -> None:
        """The next head must come in time, and the answer before it must be read."""
        self.requested()
        if self in self._connections.open:
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
        """Mostly of what could not be parsed as a request: its text is neither given back nor logged."""
        if isinstance(exc, HttpProcessingError):
            self._connections.refused("malformed")
        else:
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer has been sent")
        response = plain(status)
        response.force_close()
        return response


def _other_user(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end is another user's; False where the system does not know."""
    if not auth.knows_owners():
        return False
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not peer or not own:
        return True  # it has gone already
    for _ in range(2):  # while sockets come and go, a reader may miss one
        uid = auth.owner(auth.sockets(), peer[:2], own[:2])
        if uid is not None:
            return uid != os.geteuid()
    return True


# aiohttp's own logger would write out the text of a malformed request (3.11: after an upgrade that was declined).
_http_log: Final = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
