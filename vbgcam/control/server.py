"""The loopback server: the owner's requests in, the desk's answers out.

It has one thread with an event loop, and whatever the desk does happens in other threads, so that a command that takes
long keeps nobody else waiting. Nothing is trusted: `guard` looks at each request before anything else does, bodies,
headers, waiting clients and their patience are bounded, and of what was refused one line is logged that holds nothing
of the request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, unquote

import platformdirs
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError

from vbgcam.control import Desk, guard
from vbgcam.control.place import HOST, Place
from vbgcam.errors import ConfigError, ControlError, VbgcamError
from vbgcam.logfile import Rates

log = logging.getLogger(__name__)

T = TypeVar("T")

BODY: Final = 64 << 10
"""Bytes that a command may have."""
UPLOAD: Final = 256 << 20
"""Bytes that a background may have: a minute of film at 30 Mbit/s."""
WAIT: Final = 25.0
"""Seconds that a question for the next status may wait."""

_LINE: Final = 8190  # bytes of the request's first line, and of a header
_CONNECTIONS: Final = 64
# Of other users' programs, which are refused: enough to do so, too few to be in the way.
_STRANGERS: Final = 8
_WAITING: Final = 32
_PREVIEWS: Final = 8
_UPLOADS: Final = 2
# Calls of the desk at once: those that answer at once, and those that may take long.
_LOOKS: Final = 8
_DEEDS: Final = 4
# Seconds: for a request's head, from the connection or the last answer on; for a command's body; for each piece of an
# upload; for a client that takes nothing of what it asked for.
_HEAD: Final = 15.0
_SENDING: Final = 10.0
_PIECE: Final = 30.0
_TAKING: Final = 10.0
_HELLO: Final = 5.0
_HEARTBEAT: Final = 15.0
_TOUCH: Final = 3600.0
_PER_SECOND: Final = 12
# Seconds for what is under way when the server ends, and for the end as a whole.
_LAST_ANSWERS: Final = 0.3
_END: Final = 0.9
_CHUNK: Final = 1 << 20
_MESSAGE: Final = 1024
_WIDTHS: Final = range(16, 3841)
# A command is a name and settings of lists: three levels, and some to spare.
_DEEP: Final = 8
_DIGITS: Final = 18
_UPLOAD_NAME: Final = "upload-"

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "vbgcam",
}

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Refused(Exception):  # noqa: N818  # it is no error of ours
    """`why`: for the log, and made of nothing that the client sent."""

    def __init__(self, status: int, why: str, *, error: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.error, self.headers = status, why, error, headers or {}


class Server:
    """`start` and `stop` are for one thread, which is not the server's own. The place must be held."""

    def __init__(self, desk: Desk, place: Place, assets: Path, uploads: Path | None = None) -> None:
        """`assets`: the panel's files, `index.html` among them; those of known types are read when the server starts,
        and nothing else is ever given. `uploads`: where a background lies until it is checked; None is in the user's
        cache."""
        self._desk = desk
        self._place = place
        self._assets = assets
        cache = Path(platformdirs.user_cache_dir("vbgcam", appauthor=False))
        self._uploads = cache / "uploads" if uploads is None else uploads
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._failed: Exception | None = None

    @property
    def port(self) -> int:
        """Where it listens, while it runs."""
        return self._place.port

    def start(self) -> None:
        """Listens from now on and says so in `control.json`. Raises ControlError where it cannot."""
        listener = _bound(self._place.port)
        try:
            files = _files(self._assets)
            _tidy(self._uploads)
            # Before the first byte is answered: who finds the port finds the token that goes with it.
            self._place.announce(listener.getsockname()[1])
            ready = threading.Event()
            self._failed = None
            self._thread = threading.Thread(
                target=self._run, args=(listener, files, ready), name="control", daemon=True
            )
            self._thread.start()
        except BaseException:
            listener.close()
            raise
        ready.wait()
        if self._failed is not None:
            raise ControlError(f"the program cannot be controlled: {self._failed}") from self._failed

    def stop(self) -> None:
        """Answers what is under way and closes everything, in less than a second. The place stays held. Where it does
        not run nothing happens."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(stopping.set)
        thread.join(_END)
        if thread.is_alive():
            log.warning("the control server did not end in time")

    def _run(self, listener: socket.socket, files: Mapping[str, _File], ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(listener, files, ready))
        except Exception as exc:
            if ready.is_set():
                log.exception("the control server ended")
            self._failed = exc
        finally:
            listener.close()
            ready.set()

    async def _serve(self, listener: socket.socket, files: Mapping[str, _File], ready: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        self._loop, self._stopping = loop, asyncio.Event()
        house = _House(self._desk, self._place, files, self._uploads, self._stopping)
        manager = web.Server(house.answer, handler_cancellation=True)
        server = await loop.create_server(lambda: _Connection(house, manager, loop), sock=listener, backlog=32)
        unlisten = self._desk.listen(house.changed)
        touching = loop.create_task(_every(_TOUCH, self._place.touch))
        ready.set()
        try:
            await self._stopping.wait()
        finally:
            touching.cancel()
            unlisten()
            server.close()
            await house.finish()
            await manager.shutdown(0.05)
            await house.farewells()


class _House:
    """What the server knows while it runs. All of it belongs to the loop's thread but `changed`."""

    def __init__(
        self, desk: Desk, place: Place, files: Mapping[str, _File], uploads: Path, stopping: asyncio.Event
    ) -> None:
        self.desk = desk
        self.refusals = _Refusals()
        self._place = place
        self._port = place.port
        self._token = place.token
        self._uploads = uploads
        self._codes = guard.Codes(time.monotonic)
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        self._looks = _Apart(_LOOKS)
        self._deeds = _Apart(_DEEDS)
        self._bell = asyncio.Event()
        self._waiting = self._previews = self._uploading = self._under_way = 0
        self._last = asyncio.Event()
        self._farewells: set[asyncio.Task[None]] = set()
        self.connections = {True: 0, False: 0}
        self._routes: dict[str, dict[str, Handler]] = {
            "/api/enter": {"POST": self._enter},
            "/api/open": {"POST": self._open},
            "/api/status": {"GET": self._status},
            "/api/choices": {"GET": self._choices},
            "/api/do": {"POST": self._do},
            "/api/gallery": {"POST": self._upload},
            "/api/snapshot": {"GET": self._snapshot},
            "/api/report": {"GET": self._report},
            "/api/preview": {"GET": self._preview},
            **{path: {"GET": partial(_give, file)} for path, file in files.items()},
        }

    def changed(self) -> None:
        """In any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def finish(self) -> None:
        """Nobody waits any more; what is being answered gets a moment."""
        self._ring()
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._last.wait(), _LAST_ANSWERS)

    async def farewells(self) -> None:
        """What has to be taken back when a connection ends."""
        if self._farewells:
            await asyncio.wait(self._farewells, timeout=_LAST_ANSWERS)

    # ---- one request

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The only way in. Never raises but when it is cancelled."""
        connection = request.protocol
        if not isinstance(connection, _Connection):
            raise TypeError("a connection of somebody else's")
        connection.begins()
        self._under_way += 1
        try:
            response = await self._answered(request, connection)
        finally:
            self._under_way -= 1
            connection.ends()
            if not self._under_way:
                self._last.set()
        if self._stopping.is_set() and not response.prepared:
            response.force_close()
        return response

    async def _answered(self, request: web.BaseRequest, connection: _Connection) -> web.StreamResponse:
        try:
            return await self._guarded(request, connection)
        except _Refused as exc:
            self.refusals.say(exc.why)
            told = _json({"error": exc.error, "problems": []}, exc.status) if exc.error else _response(exc.status)
            told.headers.update(exc.headers)
        except VbgcamError as exc:
            problems = list(exc.problems) if isinstance(exc, ConfigError) else []
            told = _json({"error": " / ".join(str(exc).splitlines()), "problems": problems}, 400)
        except Exception:
            log.exception("a request failed")
            told = _json({"error": "internal error", "problems": []}, 500)
        return told

    async def _guarded(self, request: web.BaseRequest, connection: _Connection) -> web.StreamResponse:
        if connection.stranger:
            raise _Refused(403, "another user's program")
        headers = request.headers
        wrong = guard.refusal(
            self._port,
            hosts=headers.getall("Host", []),
            origins=headers.getall("Origin", []),
            sites=headers.getall("Sec-Fetch-Site", []),
        )
        if wrong is not None:
            raise _Refused(403, wrong)
        path, _, _ = request.raw_path.partition("?")
        if not path.startswith("/") or path.startswith("//"):
            raise _Refused(400, "target")
        if path.startswith("/api/") and path not in {"/api/enter", "/api/preview"}:
            self._check(guard.bearer(headers.getall("Authorization", []), self._token))
        if "Content-Encoding" in headers:
            raise _Refused(415, "encoding")
        methods = self._routes.get(path) or self._gallery(path)
        if methods is None:
            raise _Refused(404, "path")
        handler = methods.get(request.method)
        if handler is None:
            raise _Refused(405, "method", headers={"Allow": ", ".join(methods)})
        return await handler(request)

    def _check(self, right: bool) -> None:
        if not right:
            raise _Refused(401, "token", headers={"WWW-Authenticate": "Bearer"})

    def _gallery(self, path: str) -> dict[str, Handler] | None:
        parts = path.split("/")
        if parts[:3] != ["", "api", "gallery"]:
            return None
        match parts[3:]:
            case [name]:
                return {"DELETE": partial(self._remove, _name(name))}
            case [name, "thumbnail"]:
                return {"GET": partial(self._thumbnail, _name(name))}
        return None

    # ---- what can be asked

    async def _enter(self, request: web.BaseRequest) -> web.StreamResponse:
        code = (await _command(request)).get("code")
        self._check(isinstance(code, str) and self._codes.take(code))
        return _json({"token": self._token})

    async def _open(self, request: web.BaseRequest) -> web.StreamResponse:
        return _json({"url": f"http://{HOST}:{self._port}/#{self._codes.make()}"})

    async def _status(self, request: web.BaseRequest) -> web.StreamResponse:
        query = _query(request, "after", "wait")
        if "after" in query:
            await self._change(_number(query["after"]), min(WAIT, _number(query.get("wait", "25"))))
        return _json(_finite(await self._looks(self.desk.status)))

    async def _change(self, after: int, seconds: float) -> None:
        """Waits until the revision is another one."""
        if self._waiting >= _WAITING:
            raise _Refused(503, "too many wait", error="too many wait for a change")
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while not self._stopping.is_set():
                    bell = self._bell
                    if await self._looks(self.desk.revision) != after:
                        return
                    await bell.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1

    async def _choices(self, request: web.BaseRequest) -> web.StreamResponse:
        return _json(_finite(await self._deeds(self.desk.choices)))

    async def _do(self, request: web.BaseRequest) -> web.StreamResponse:
        command = await _command(request)
        said = await self._deeds(partial(self.desk.do, command))
        return _json({"said": said, "revision": await self._looks(self.desk.revision)})

    async def _thumbnail(self, name: str, request: web.BaseRequest) -> web.StreamResponse:
        return _response(200, await self._looks(partial(self.desk.gallery.thumbnail, name)), "image/jpeg")

    async def _remove(self, name: str, request: web.BaseRequest) -> web.StreamResponse:
        await self._deeds(partial(self.desk.gallery.remove, name))
        return _json({})

    async def _snapshot(self, request: web.BaseRequest) -> web.StreamResponse:
        return _response(200, await self._looks(self.desk.snapshot), "image/png")

    async def _report(self, request: web.BaseRequest) -> web.StreamResponse:
        text = await self._deeds(self.desk.report)
        return _response(200, text.encode("utf-8", "replace"), "text/plain; charset=utf-8")

    async def _upload(self, request: web.BaseRequest) -> web.StreamResponse:
        name = _name(_query(request, "name").get("name", ""), quoted=False)
        if self._uploading >= _UPLOADS:
            raise _Refused(503, "too many uploads", error="two backgrounds are on their way already")
        self._uploading += 1
        try:
            # Its ending may say what it is. The rest of the name is the gallery's to judge.
            ending = re.search(r"\.[A-Za-z0-9]{1,8}$", name)
            part = _Part(self._uploads, ending[0] if ending else "")
            try:
                await self._deeds(part.open)
                async for piece in _pieces(request, UPLOAD, _PIECE):
                    await self._deeds(partial(part.write, piece))
            except BaseException:
                self._later(self._deeds(part.discard))
                raise
            # From here on it is the other thread's, which goes on where the client has gone.
            entry = await self._deeds(partial(part.give, partial(self.desk.gallery.add, name)))
        except OSError as exc:
            raise ControlError(f"{self._uploads}: {exc.strerror or exc}") from exc
        finally:
            self._uploading -= 1
        return _json({"name": entry.name, "spec": str(entry.path)})

    # ---- the preview

    async def _preview(self, request: web.BaseRequest) -> web.StreamResponse:
        socket_ = web.WebSocketResponse(
            heartbeat=_HEARTBEAT, max_msg_size=_MESSAGE, compress=False, timeout=_LAST_ANSWERS
        )
        socket_.headers.update(_HEADERS)
        if not socket_.can_prepare(request):
            raise _Refused(400, "no websocket")
        await socket_.prepare(request)
        try:
            hello = _object((await asyncio.wait_for(socket_.receive(), _HELLO)).data)
        except (TimeoutError, _Refused):
            hello = {}
        token, width = hello.get("token"), hello.get("width", 640)
        if not isinstance(token, str) or not guard.same(token, self._token):
            self.refusals.say("token")
            await _closed(socket_, WSCloseCode.POLICY_VIOLATION)
        elif type(width) is not int or width not in _WIDTHS:
            self.refusals.say("width")
            await _closed(socket_, WSCloseCode.POLICY_VIOLATION)
        elif self._previews >= _PREVIEWS:
            self.refusals.say("too many previews")
            await _closed(socket_, WSCloseCode.TRY_AGAIN_LATER)
        else:
            self._previews += 1
            preview = _Preview(self.desk, self._looks, socket_, width)
            try:
                await self._shown(preview)
            finally:
                self._previews -= 1
                self._later(preview.farewell())
        return socket_

    async def _shown(self, preview: _Preview) -> None:
        """Until one side ends it, or the server."""
        tasks = [asyncio.ensure_future(each) for each in (preview.listen(), preview.show(), self._stopping.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        code = WSCloseCode.GOING_AWAY if self._stopping.is_set() else WSCloseCode.OK
        for error in ended:
            if isinstance(error, _Refused):
                self.refusals.say(error.why)
                code = WSCloseCode.POLICY_VIOLATION
            elif isinstance(error, Exception) and not isinstance(error, ConnectionError | TimeoutError):
                log.error("a preview failed", exc_info=error)
                code = WSCloseCode.INTERNAL_ERROR
        await _closed(preview.socket, code)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


class _Preview:
    """One client that looks at the output."""

    def __init__(self, desk: Desk, looks: _Apart, socket_: web.WebSocketResponse, width: int) -> None:
        self.socket = socket_
        self._desk = desk
        self._looks = looks
        self._width = width
        self._mask = False
        self._after = -1
        self._wanted = asyncio.Event()  # the last picture was taken, and the page is to be seen
        self._wanted.set()
        self._taken = True
        self._paused = False
        self._seeing = False
        self._telling: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """What the client says. Raises _Refused where it makes no sense."""
        async for message in self.socket:
            if message.type is not WSMsgType.TEXT:
                raise _Refused(400, "a message that is no text")
            for what, value in _object(message.data).items():
                if not isinstance(value, bool):
                    raise _Refused(400, "message")
                await self._said(what, value)

    async def _said(self, what: str, value: bool) -> None:
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
                if self._seeing != value:
                    self._seeing = value
                    self._telling = asyncio.ensure_future(self._tell(value, self._telling))
                    await asyncio.shield(self._telling)
            case _:
                raise _Refused(400, "message")
        if self._taken and not self._paused:
            self._wanted.set()
        else:
            self._wanted.clear()

    async def show(self) -> None:
        """Pictures, each when it is new and the one before was taken."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await asyncio.sleep(due - loop.time())
            await self._wanted.wait()
            due = max(due, loop.time() - 1 / _PER_SECOND) + 1 / _PER_SECOND
            mask, after = self._mask, self._after
            shot = await self._looks(partial(self._desk.shot, after, self._width, mask=mask))
            if shot is None or (mask, after) != (self._mask, self._after) or self._paused:
                continue
            self._after = shot.number
            self._taken = False
            self._wanted.clear()
            await self.socket.send_bytes(shot.image)

    async def farewell(self) -> None:
        """Who has gone does not look any more."""
        if self._seeing:
            self._seeing = False
            await self._tell(False, self._telling)

    async def _tell(self, begins: bool, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        await self._looks(partial(self._desk.looking, begins))


class _Connection(web.RequestHandler):
    """One client's. A client that sends nothing, or takes nothing, is dropped."""

    __slots__ = ("_house", "_late", "_stuck", "counted", "stranger")

    def __init__(self, house: _House, manager: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to have none
            logger=_http_log,
            max_line_size=_LINE,
            max_field_size=_LINE,
            lingering_time=1.0,
            auto_decompress=False,
        )
        self._house = house
        self._late: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self.stranger = False
        self.counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.stranger = _stranger(transport)
        counts = self._house.connections
        if counts[self.stranger] >= (_STRANGERS if self.stranger else _CONNECTIONS):
            self._house.refusals.say("too many connections")
            self._abort()
            return
        counts[self.stranger] += 1
        self.counted = True
        self.ends()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self.counted:
            self.counted = False
            self._house.connections[self.stranger] -= 1
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
        if self.counted:
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
            self._house.refusals.say("malformed")
        else:
            log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer has been sent")
        response = _response(status)
        response.force_close()
        return response


class _Apart:
    """Calls that may block, each in a thread of its own, `most` at once; others wait for their turn. The threads are
    daemons: one that hangs in a driver does not keep the program from ending, as an executor's would."""

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)
        self._loop = asyncio.get_running_loop()

    async def __call__(self, work: Callable[[], T]) -> T:
        """What it returns, or raises. Where the caller is cancelled it goes on, and its end is awaited by nobody."""
        await self._free.acquire()
        done: asyncio.Future[tuple[T | None, BaseException | None]] = self._loop.create_future()

        def ended(result: T | None, error: BaseException | None) -> None:
            self._free.release()
            if not done.cancelled():
                done.set_result((result, error))
            elif error is not None and not isinstance(error, VbgcamError):
                log.error("what a client asked for before it went failed", exc_info=error)

        def call() -> None:
            result, error = None, None
            try:
                result = work()
            except BaseException as exc:
                error = exc
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(ended, result, error)

        threading.Thread(target=call, name="control-call", daemon=True).start()
        result, error = await done
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # T itself may be None


class _Refusals:
    """Says in the log, and not too often, that a request was refused."""

    def __init__(self) -> None:
        self._rates = Rates(time.monotonic)

    def say(self, why: str) -> None:
        """`why`: a word of this program."""
        more = self._rates.more((__name__, logging.DEBUG, why))
        if more is not None:
            log.debug("a request was refused (%s)%s", why, f"; {more} more like this before" if more else "")


class _Part:
    """A background on its way. Any thread; `open`, `write` and `give` in this order, `discard` at any time."""

    def __init__(self, folder: Path, ending: str) -> None:
        self._folder, self._ending = folder, ending
        self._lock = threading.Lock()
        self._gone = False
        self._handle = -1  # guarded by _lock, as the rest
        self._path: Path | None = None

    def open(self) -> None:
        with self._lock:
            if self._gone:
                return
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle, path = tempfile.mkstemp(self._ending, _UPLOAD_NAME, self._folder)
            self._path = Path(path)

    def write(self, piece: bytes) -> None:
        with self._lock:
            view = memoryview(piece)
            while view and self._handle >= 0:
                view = view[os.write(self._handle, view) :]

    def give(self, take: Callable[[Path], T]) -> T:
        """What `take` makes of it; the file is gone afterwards."""
        with self._lock:
            self._close()
            path = self._path
        if path is None:
            raise ControlError("the upload was given up")
        try:
            return take(path)
        finally:
            self.discard()

    def discard(self) -> None:
        with self._lock:
            self._gone = True
            self._close()
            if self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    kind: str


def _files(folder: Path) -> dict[str, _File]:
    """The panel, by the path under which it is given. What is no plain file of a known type is none of it."""
    files: dict[str, _File] = {}
    try:
        for path in sorted(folder.iterdir()):
            kind = _TYPES.get(path.suffix)
            if kind is not None and path.is_file() and not path.is_symlink():
                files["/" if path.name == "index.html" else f"/{path.name}"] = _File(path.read_bytes(), kind)
    except OSError as exc:
        log.warning("%s: the panel cannot be shown: %s", folder, exc.strerror or exc)
    return files


def _bound(last: int) -> socket.socket:
    """Listens at the last port, where it is free, or at another. Raises ControlError."""
    why: OSError | None = None
    for port in dict.fromkeys((last, 0)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if sys.platform == "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:  # connections of the program that ended may linger there; a listener is not pushed aside by this
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, port))
            listener.listen(32)
        except OSError as exc:
            listener.close()
            why = exc
        else:
            listener.setblocking(False)
            return listener
    raise ControlError(f"no port on {HOST} to be controlled by: {why}") from why


def _tidy(folder: Path) -> None:
    """Uploads that an earlier run, which was killed, left behind."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{_UPLOAD_NAME}*"):
            path.unlink()


def _stranger(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end is another user's; False where the system does not tell."""
    if sys.platform != "linux":
        return False
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    texts = guard.tables()
    return bool(texts) and (not peer or guard.owner(texts, peer[:2], own[:2]) != os.geteuid())


def _response(status: int, body: bytes = b"", kind: str = "") -> web.Response:
    headers = dict(_HEADERS)
    if kind:
        headers["Content-Type"] = kind
    return web.Response(status=status, body=body, headers=headers)


def _json(told: Mapping[str, Any], status: int = 200) -> web.Response:
    return _response(status, json.dumps(told, allow_nan=False).encode(), "application/json")


def _finite(told: Any) -> Any:
    """Figures that are none become null: no JSON reader takes NaN."""
    if isinstance(told, float):
        return told if math.isfinite(told) else None
    if isinstance(told, Mapping):
        return {key: _finite(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [_finite(value) for value in told]
    return told


async def _give(file: _File, request: web.BaseRequest) -> web.StreamResponse:
    return _response(200, file.content, file.kind)


def _too_large() -> _Refused:
    return _Refused(413, "too large", error="too large")


async def _pieces(request: web.BaseRequest, most: int, patience: float) -> AsyncIterator[bytes]:
    """The body, a megabyte or less at a time. `patience`: seconds for each piece."""
    if (request.content_length or 0) > most:
        raise _too_large()
    left, piece = most, bytearray()
    try:
        while True:
            async with asyncio.timeout(patience):
                got = await request.content.readany()
            left -= len(got)
            if left < 0:
                raise _too_large()
            piece += got
            if len(piece) >= _CHUNK or (piece and not got):
                yield bytes(piece)
                piece.clear()
            if not got:
                return
    except TimeoutError as exc:
        raise _Refused(408, "a body that does not come") from exc
    except (web.RequestPayloadError, ConnectionError) as exc:
        raise _Refused(400, "body") from exc


async def _command(request: web.BaseRequest) -> dict[str, Any]:
    body = b"".join([piece async for piece in _pieces(request, BODY, _SENDING)])
    try:
        return _object(body.decode())
    except UnicodeDecodeError as exc:
        raise _malformed() from exc


def _malformed() -> _Refused:
    return _Refused(400, "json", error="not a JSON object that makes sense here")


def _object(text: object) -> dict[str, Any]:
    """Raises _Refused for what is no JSON object, or one that would trip up those who read it."""
    if not isinstance(text, str):
        raise _malformed()
    try:
        told = json.loads(text, parse_constant=_no_number, parse_int=_integer, parse_float=_float)
    except (ValueError, RecursionError) as exc:
        raise _malformed() from exc
    if not isinstance(told, dict) or not _sound(told, _DEEP):
        raise _malformed()
    return told


def _no_number(name: str) -> float:
    raise ValueError(name)


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(digits)
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _sound(told: object, depth: int) -> bool:
    """Neither deep nor with texts that no file's name and no setting can be: a zero byte, half a character."""
    if isinstance(told, str):
        return not re.search("[\0\ud800-\udfff]", told)
    if isinstance(told, dict):
        return depth > 0 and all(_sound(key, 0) and _sound(value, depth - 1) for key, value in told.items())
    if isinstance(told, list):
        return depth > 0 and all(_sound(value, depth - 1) for value in told)
    return True


def _query(request: web.BaseRequest, *known: str) -> dict[str, str]:
    """What stands behind the question mark. Raises _Refused for what is not known there, or stands there twice."""
    try:
        told = parse_qs(
            request.raw_path.partition("?")[2],
            keep_blank_values=True,
            strict_parsing="?" in request.raw_path,
            errors="strict",
            max_num_fields=len(known),
        )
    except ValueError as exc:
        raise _Refused(400, "query") from exc
    if not told.keys() <= {*known} or any(len(values) > 1 for values in told.values()):
        raise _Refused(400, "query")
    return {key: values[0] for key, values in told.items()}


def _number(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise _Refused(400, "query")
    return int(text)


def _name(text: str, *, quoted: bool = True) -> str:
    """A file's name and nothing else. Raises _Refused."""
    try:
        name = unquote(text, errors="strict") if quoted else text
    except UnicodeDecodeError as exc:
        raise _Refused(400, "name") from exc
    if not name or name in {".", ".."} or any(each in name for each in "/\\\0") or len(name.encode()) > 255:
        raise _Refused(400, "name", error="not a file's name")
    return name


async def _closed(socket_: web.WebSocketResponse, code: WSCloseCode) -> None:
    """However the other side takes it."""
    with contextlib.suppress(ConnectionError, TimeoutError, RuntimeError):
        await socket_.close(code=code)


async def _every(seconds: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        work()


class _NoWords(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


# aiohttp's own, which would write out what a malformed request says.
_http_log: Final = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(_NoWords())
