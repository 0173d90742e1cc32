"""The preview: one client that sees the output over a websocket, at its own pace."""

import asyncio
import contextlib
import logging
from functools import partial
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from vbgcam.control.api import ControlApi
from vbgcam.control.blocking import BlockingCalls
from vbgcam.control.connection import Connections
from vbgcam.control.messages import Refused, read_object

log = logging.getLogger(__name__)

WIDTHS: Final = range(16, 3841)
"""In pixels."""

_PER_SECOND: Final = 12


class Preview:
    """Pictures out, the client's messages in. The newest picture is sent when the client has drawn the one before, so
    that a slow page is behind by one at most. The loop's thread."""

    def __init__(self, api: ControlApi, calls: BlockingCalls, websocket: web.WebSocketResponse, width: int) -> None:
        self._websocket = websocket
        self._api = api
        self._calls = calls
        self._width = width
        self._mask = False
        self._after = -1
        self._drawn = True
        self._paused = False
        self._due = asyncio.Event()  # set while the last picture was drawn, and the page is not hidden
        self._due.set()
        self._watching = False  # whether the client wants to see itself
        self._gone = False
        self._watching_changed = asyncio.Event()  # set by a change of these two

    async def run(self, stopping: asyncio.Event, connections: Connections) -> None:
        """Until one side ends it, or the server."""
        work = self._receive(), self._send(), stopping.wait()
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._watching, self._gone = False, True
            self._watching_changed.set()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        code = WSCloseCode.GOING_AWAY if stopping.is_set() else WSCloseCode.OK
        for error in ended:
            if isinstance(error, Refused):
                connections.refused(error.why)
                code = WSCloseCode.POLICY_VIOLATION
            elif isinstance(error, Exception) and not isinstance(error, ConnectionError | TimeoutError):
                log.error("a preview failed", exc_info=error)
                code = WSCloseCode.INTERNAL_ERROR
        await closed(self._websocket, code)

    async def _receive(self) -> None:
        """The client's messages. Raises Refused where one makes no sense."""
        async for message in self._websocket:
            if message.type is not WSMsgType.TEXT:
                raise Refused(400, "a message that is no text")
            for key, value in read_object(message.data).items():
                if not isinstance(value, bool):
                    raise Refused(400, "message")
                self._received(key, value)

    def _received(self, key: str, value: bool) -> None:
        match key:
            case "got":
                self._drawn = self._drawn or value
            case "pause":
                self._paused = value
            case "mask":
                if self._mask != value:
                    # The newest frame once more, in its other shape: nothing new comes while nobody reads the camera.
                    self._mask, self._after = value, -1
            case "see":
                self._watching = value
                self._watching_changed.set()
            case _:
                raise Refused(400, "message")
        if self._drawn and not self._paused:
            self._due.set()
        else:
            self._due.clear()

    async def _send(self) -> None:
        """Pictures, each when it is new and the one before was drawn."""
        loop = asyncio.get_running_loop()
        next_ = loop.time()
        while True:
            await asyncio.sleep(next_ - loop.time())
            await self._due.wait()
            next_ = max(next_, loop.time() - 1 / _PER_SECOND) + 1 / _PER_SECOND
            mask, after = self._mask, self._after
            image = await self._calls(partial(self._api.preview, after, self._width, mask=mask))
            if image is None or (mask, after) != (self._mask, self._after) or self._paused:
                continue
            self._after = image.number
            self._drawn = False
            self._due.clear()
            await self._websocket.send_bytes(image.image)

    async def watch(self) -> None:
        """Says to ControlApi whether the client wants to see itself. To be run beside `run`, and not to be cancelled: a
        client that has gone does not watch any more."""
        reported = False
        while reported or not self._gone:
            await self._watching_changed.wait()
            self._watching_changed.clear()
            if reported != self._watching:
                reported = self._watching
                await self._calls(partial(self._api.watch_preview, reported))


async def closed(websocket: web.WebSocketResponse, code: WSCloseCode) -> None:
    """Closes it, in whatever state the other side is."""
    with contextlib.suppress(ConnectionError, TimeoutError, RuntimeError):
        await websocket.close(code=code)
