"""The loopback server: its user's requests in, the answers of `ControlApi` out.

It has one thread with an event loop; calls of `ControlApi` run in threads of their own, so that a command that takes
long keeps nobody else waiting. Nothing is trusted: `auth` judges each request before anything else looks at it, bodies,
headers, waiting clients and their time are bounded, and of what was refused one line is logged that holds nothing of
the request.
"""

import asyncio
import contextlib
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import platformdirs
from aiohttp import WSCloseCode, web

from vbgcam.control import auth, messages, upload
from vbgcam.control.api import ControlApi
from vbgcam.control.blocking import BlockingCalls
from vbgcam.control.connection import Connection, Connections
from vbgcam.control.instance import HOST, Instance
from vbgcam.control.messages import HEADERS, Refused, as_json, plain
from vbgcam.control.preview import WIDTHS, Preview, closed
from vbgcam.core.errors import ConfigError, ControlError, VbgcamError

log = logging.getLogger(__name__)

T = TypeVar("T")

WAIT: Final = 25.0
"""Seconds that a request for the next status may wait."""

_WAITING: Final = 32
_PREVIEWS: Final = 8
_UPLOADS: Final = 2
# Calls of ControlApi at once: those that return at once, and those that may take long.
_QUICK_CALLS: Final = 8
_SLOW_CALLS: Final = 4
# Seconds for each piece of an upload; for a preview's first message; between signs of life of a preview that is still.
_PIECE: Final = 30.0
_HELLO: Final = 5.0
_HEARTBEAT: Final = 15.0
_MESSAGE: Final = 1024  # bytes that a preview's client says at once
_TOUCH: Final = 3600.0
# Seconds for each of three things when the server ends: what is under way, what of it hears that it is cancelled, what
# has to be taken back; and for the end as a whole.
_LAST_ANSWERS: Final = 0.25
_END: Final = 0.9

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Routes = dict[str, dict[str, Handler]]
"""By path and method."""


class Server:
    """`start` and `stop` are for one thread, which is not the server's own, while the instance is held. When it stops,
    port and token stay in `control.json`, marked as of one that has ended: a panel that is open goes on after a
    restart, and who asks meanwhile hears that nothing runs."""

    def __init__(self, api: ControlApi, instance: Instance, assets: Path, uploads: Path | None = None) -> None:
        """`assets`: the panel's files, `index.html` among them; those of known types are read when the server starts,
        and nothing else is ever served. `uploads`: where a background lies until it is checked; None is in the user's
        cache."""
        self._api = api
        self._instance = instance
        self._assets = assets
        cache = Path(platformdirs.user_cache_dir("vbgcam", appauthor=False))
        self._uploads = cache / "uploads" if uploads is None else uploads
        self._thread: threading.Thread | None = None
        # Ends the loop; set by the server's thread before `start` returns.
        self._end: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Listens from now on and says so in `control.json`. Raises ControlError where it cannot."""
        listener = _bound(self._instance.port)
        ready: Future[None] = Future()
        try:
            # Before the first byte is answered: a client that finds the port finds the token that goes with it.
            self._instance.announce(listener.getsockname()[1])
            self._thread = threading.Thread(target=self._run, args=(listener, ready), name="control", daemon=True)
            self._thread.start()
        except BaseException:
            listener.close()
            self._instance.retire()
            raise
        try:
            ready.result()
        except Exception as exc:
            self.stop()
            raise ControlError(f"the program cannot be controlled: {exc}") from exc

    def stop(self) -> None:
        """Answers what is under way and closes everything, in less than a second. The instance stays held. Where it
        does not run nothing happens."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._instance.retire()
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._end()
        thread.join(_END)
        if thread.is_alive():
            log.warning("the control server did not end in time")

    def _run(self, listener: socket.socket, ready: Future[None]) -> None:
        with listener:
            try:
                asyncio.run(self._serve(listener, ready))
            except Exception as exc:
                if ready.done():
                    log.exception("the control server ended")
                else:
                    ready.set_exception(exc)

    async def _serve(self, listener: socket.socket, ready: Future[None]) -> None:
        upload.remove_leftovers(self._uploads)
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        self._end = partial(loop.call_soon_threadsafe, stopping.set)
        handlers = _Handlers(self._api, self._instance, _files(self._assets), self._uploads, stopping)
        manager = web.Server(handlers.answer, handler_cancellation=True)
        server = await loop.create_server(
            lambda: Connection(handlers.connections, manager, loop), sock=listener, backlog=32
        )
        unlisten = self._api.listen(handlers.changed)
        ready.set_result(None)
        try:
            while not stopping.is_set():
                self._instance.touch()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), _TOUCH)
        finally:
            unlisten()
            server.close()
            handlers.wake()
            await manager.shutdown(_LAST_ANSWERS)
            await handlers.clean_up()


class _Handlers:
    """Answers the requests, while the server runs. All of it belongs to the loop's thread but `changed`."""

    def __init__(
        self, api: ControlApi, instance: Instance, files: Routes, uploads: Path, stopping: asyncio.Event
    ) -> None:
        self.connections = Connections()
        self._api = api
        self._instance = instance
        self._uploads = uploads
        self._codes = auth.Codes(time.monotonic)
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        self._quick = BlockingCalls(_QUICK_CALLS)
        self._slow = BlockingCalls(_SLOW_CALLS)
        self._change = asyncio.Event()  # set, and replaced, at each change
        self._waiting = self._previews = self._uploading = 0
        self._cleanups: set[asyncio.Task[None]] = set()
        self._routes: Routes = {
            "/api/enter": {"POST": self._enter},
            "/api/open": {"POST": self._open},
            "/api/status": {"GET": self._status},
            "/api/choices": {"GET": _calls(self._slow, api.choices, as_json)},
            "/api/do": {"POST": self._do},
            "/api/gallery": {"POST": self._upload},
            "/api/snapshot": {"GET": _calls(self._quick, api.snapshot, lambda png: plain(200, png, "image/png"))},
            "/api/report": {"GET": _calls(self._slow, api.report, _text)},
            "/api/preview": {"GET": self._preview},
            **files,
        }

    def changed(self) -> None:
        """In any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self.wake)

    def wake(self) -> None:
        """Whoever waits for a change looks again."""
        change, self._change = self._change, asyncio.Event()
        change.set()

    async def clean_up(self) -> None:
        """Waits a moment for what has to be taken back when a connection ends."""
        if self._cleanups:
            await asyncio.wait(self._cleanups, timeout=_LAST_ANSWERS)
        for calls in (self._quick, self._slow):
            calls.close()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The only way in. Never raises but when it is cancelled."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.requested()
        try:
            return await self._authorised(request, other_user=connection.other_user)
        except Refused as exc:
            self.connections.refused(exc.why)
            refusal = as_json({"error": exc.error, "problems": []}, exc.status) if exc.error else plain(exc.status)
            refusal.headers.update(exc.headers)
            return refusal
        except VbgcamError as exc:
            problems = list(exc.problems) if isinstance(exc, ConfigError) else []
            return as_json({"error": " / ".join(str(exc).splitlines()), "problems": problems}, 400)
        except Exception as exc:
            if isinstance(exc, ConnectionError) and (request.transport is None or request.transport.is_closing()):
                self.connections.refused("gone")
                return plain(400)
            log.exception("a request failed")
            return as_json({"error": "internal error", "problems": []}, 500)
        finally:
            connection.answered()

    async def _authorised(self, request: web.BaseRequest, *, other_user: bool) -> web.StreamResponse:
        if other_user:
            raise Refused(403, "another user's program")
        headers = request.headers
        wrong = auth.refusal(
            self._instance.port,
            hosts=headers.getall("Host", []),
            origins=headers.getall("Origin", []),
            sites=headers.getall("Sec-Fetch-Site", []),
        )
        if wrong is not None:
            raise Refused(403, wrong)
        path = request.raw_path.partition("?")[0]
        if path.startswith("/api/") and path not in {"/api/enter", "/api/preview"}:
            _require(auth.bearer(headers.getall("Authorization", []), self._instance.token))
        if "Content-Encoding" in headers:
            raise Refused(415, "encoding")
        methods = self._routes.get(path) or self._gallery(path)
        if methods is None:
            raise Refused(404, "path")
        handler = methods.get(request.method)
        if handler is None:
            raise Refused(405, "method", headers={"Allow": ", ".join(methods)})
        return await handler(request)

    def _gallery(self, path: str) -> dict[str, Handler] | None:
        gallery = self._api.gallery
        match path.split("/"):
            case ["", "api", "gallery", name]:
                remove = partial(gallery.remove, messages.read_name(name))
                return {"DELETE": _calls(self._slow, remove, lambda _: as_json({}))}
            case ["", "api", "gallery", name, "thumbnail"]:
                thumbnail = partial(gallery.thumbnail, messages.read_name(name))
                return {"GET": _calls(self._quick, thumbnail, lambda jpeg: plain(200, jpeg, "image/jpeg"))}
        return None

    async def _enter(self, request: web.BaseRequest) -> web.StreamResponse:
        code = (await messages.read_command(request)).get("code")
        _require(isinstance(code, str) and self._codes.take(code))
        return as_json({"token": self._instance.token})

    async def _open(self, request: web.BaseRequest) -> web.StreamResponse:
        return as_json({"url": f"http://{HOST}:{self._instance.port}/#{self._codes.make()}"})

    async def _status(self, request: web.BaseRequest) -> web.StreamResponse:
        query = messages.read_query(request, "after", "wait")
        if "after" in query:
            after, seconds = query["after"], query.get("wait", "25")
            await self._wait(messages.read_number(after), min(WAIT, messages.read_number(seconds)))
        return as_json(await self._quick(self._api.status))

    async def _wait(self, after: int, seconds: float) -> None:
        """Until the revision is another one."""
        if self._waiting >= _WAITING:
            raise Refused(503, "too many wait", error="too many wait for a change")
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while not self._stopping.is_set():
                    change = self._change
                    if await self._quick(self._api.revision) != after:
                        return
                    await change.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1

    async def _do(self, request: web.BaseRequest) -> web.StreamResponse:
        command = await messages.read_command(request)
        said = await self._slow(partial(self._api.do, command))
        return as_json({"said": said, "revision": await self._quick(self._api.revision)})

    async def _upload(self, request: web.BaseRequest) -> web.StreamResponse:
        name = messages.read_name(messages.read_query(request, "name").get("name", ""), quoted=False)
        if self._uploading >= _UPLOADS:
            raise Refused(503, "too many uploads", error="two backgrounds are on their way already")
        self._uploading += 1
        try:
            # The file's ending may help to decode it. The rest of the name is the gallery's to judge.
            ending = re.search(r"\.[A-Za-z0-9]{1,8}$", name)
            file = upload.created(self._uploads, ending[0] if ending else "")
            try:
                async for piece in messages.read_pieces(request, auth.UPLOAD, _PIECE):
                    await self._slow(partial(upload.write, file, piece))
            except BaseException:
                self._later(self._slow(partial(upload.discard, file)))
                raise
            # From here on it is the other thread's, which goes on although the client may have gone.
            entry = await self._slow(partial(upload.moved_to, partial(self._api.gallery.add, name), file))
        except OSError as exc:
            raise ControlError(f"{self._uploads}: {exc.strerror or exc}") from exc
        finally:
            self._uploading -= 1
        return as_json({"name": entry.name, "spec": str(entry.path)})

    async def _preview(self, request: web.BaseRequest) -> web.StreamResponse:
        websocket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT, max_msg_size=_MESSAGE, compress=False, timeout=_LAST_ANSWERS
        )
        websocket.headers.update(HEADERS)
        try:
            able = bool(websocket.can_prepare(request))
        except ValueError:  # aiohttp's decoder of the key takes ASCII alone
            able = False
        if not able:
            raise Refused(400, "no websocket")
        await websocket.prepare(request)
        try:
            hello = messages.read_object((await asyncio.wait_for(websocket.receive(), _HELLO)).data)
        except (TimeoutError, Refused):
            hello = {}
        token, width = hello.get("token"), hello.get("width", 640)
        why, code = "", WSCloseCode.POLICY_VIOLATION
        if not isinstance(token, str) or not auth.same(token, self._instance.token):
            why = "token"
        elif type(width) is not int or width not in WIDTHS:
            why = "width"
        elif self._previews >= _PREVIEWS:
            why, code = "too many previews", WSCloseCode.TRY_AGAIN_LATER
        if why:
            self.connections.refused(why)
            await closed(websocket, code)
            return websocket
        self._previews += 1
        preview = Preview(self._api, self._quick, websocket, width)
        self._later(preview.watch())
        try:
            await preview.run(self._stopping, self.connections)
        finally:
            self._previews -= 1
        return websocket

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._cleanups.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._cleanups.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("what was to be done for a client failed", exc_info=error)


def _calls(calls: BlockingCalls, work: Callable[[], T], response: Callable[[T], web.Response]) -> Handler:
    """A handler that makes its response from what one call returns."""

    async def handle(_request: web.BaseRequest) -> web.StreamResponse:
        return response(await calls(work))

    return handle


def _require(right: bool) -> None:
    if not right:
        raise Refused(401, "token", headers={"WWW-Authenticate": "Bearer"})


def _text(text: str) -> web.Response:
    return plain(200, text.encode("utf-8", "replace"), "text/plain; charset=utf-8")


def _files(folder: Path) -> Routes:
    """The panel. Anything but a plain file of a known type is no part of it."""
    routes: Routes = {}
    try:
        for path in sorted(folder.iterdir()):
            kind = _TYPES.get(path.suffix)
            if kind is not None and path.is_file():
                routes["/" if path.name == "index.html" else f"/{path.name}"] = {
                    "GET": partial(_serve_file, path.read_bytes(), kind)
                }
    except OSError as exc:
        log.warning("%s: the panel cannot be shown: %s", folder, exc.strerror or exc)
    return routes


async def _serve_file(content: bytes, kind: str, _request: web.BaseRequest) -> web.StreamResponse:
    return plain(200, content, kind)


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
