"""The preview: one client that looks at the output over a websocket, at its own pace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from vbgcam.control.api import ControlApi
from vbgcam.control.blocking import BlockingCalls
from vbgcam.control.connection import Refusals
from vbgcam.control.messages import Refused, read_object

log = logging.getLogger(__name__)

WIDTHS: Final = range(16, 3841)
"""In pixels."""

_PER_SECOND: Final = 12


class Preview:
    """Pictures out, wishes in. The newest picture goes out when the one before was taken, so that a slow page is behind
    by one at most."""

    def __init__(self, api: ControlApi, looks: BlockingCalls, socket_: web.WebSocketResponse, width: int) -> None:
        self._socket = socket_
        self._api = api
        self._looks = looks
        self._width = width
        self._mask = False
        self._after = -1
        self._wanted = asyncio.Event()  # the last picture was taken, and the page is to be seen
        self._wanted.set()
        self._taken = True
        self._paused = False
        self._seeing = self._told = False  # what the client wants, and what the desk knows of it
        self._asked = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None

    async def run(self, stopping: asyncio.Event, refusals: Refusals) -> None:
        """Until one side ends it, or the server. `closed_by_client` is still to be called."""
        tasks = [asyncio.ensure_future(each) for each in (self._listen(), self._show(), self._tell(), stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        code = WSCloseCode.GOING_AWAY if stopping.is_set() else WSCloseCode.OK
        for error in ended:
            if isinstance(error, Refused):
                refusals.say(error.why)
                code = WSCloseCode.POLICY_VIOLATION
            elif isinstance(error, Exception) and not isinstance(error, ConnectionError | TimeoutError):
                log.error("a preview failed", exc_info=error)
                code = WSCloseCode.INTERNAL_ERROR
        await closed(self._socket, code)

    async def _listen(self) -> None:
        """What the client says. Raises Refused where it makes no sense."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                raise Refused(400, "a message that is no text")
            for what, value in read_object(message.data).items():
                if not isinstance(value, bool):
                    raise Refused(400, "message")
                self._said(what, value)

    def _said(self, what: str, value: bool) -> None:
        match what:
            case "got":
                self._taken = self._taken or value
            case "pause":
                self._paused = value
            case "mask":
                if self._mask != value:
                    # The newest frame once more, in its other shape: nothing new comes while nobody reads the camera.
                    self._mask, self._after = value, -1
            case "see":
                self._seeing = value
                self._asked.set()
            case _:
                raise Refused(400, "message")
        if self._taken and not self._paused:
            self._wanted.set()
        else:
            self._wanted.clear()

    async def _show(self) -> None:
        """Pictures, each when it is new and the one before was taken."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await asyncio.sleep(due - loop.time())
            await self._wanted.wait()
            due = max(due, loop.time() - 1 / _PER_SECOND) + 1 / _PER_SECOND
            mask, after = self._mask, self._after
            shot = await self._looks(partial(self._api.shot, after, self._width, mask=mask))
            if shot is None or (mask, after) != (self._mask, self._after) or self._paused:
                continue
            self._after = shot.number
            self._taken = False
            self._wanted.clear()
            await self._socket.send_bytes(shot.image)

    async def _tell(self) -> None:
        """The desk hears who wants to be seen."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._told != self._seeing:
                self._telling = asyncio.ensure_future(self._hear(self._seeing))
                await asyncio.shield(self._telling)

    async def closed_by_client(self) -> None:
        """Who has gone does not look any more."""
        if self._telling is not None:
            await asyncio.wait({self._telling})
        if self._told:
            await self._hear(False)

    async def _hear(self, begins: bool) -> None:
        await self._looks(partial(self._api.looking, begins))
        self._told = begins


async def closed(socket_: web.WebSocketResponse, code: WSCloseCode) -> None:
    """However the other side takes it."""
    with contextlib.suppress(ConnectionError, TimeoutError, RuntimeError):
        await socket_.close(code=code)
