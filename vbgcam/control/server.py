"""The loopback server: the owner's requests in, the desk's answers out.

It has one thread with an event loop, and whatever the desk does happens in other threads, so that a command that takes
long keeps nobody else waiting. Nothing is trusted: `guard` looks at each request before anything else does, bodies,
headers, waiting clients and their patience are bounded, and of what was refused one line is logged that holds nothing
of the request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import platformdirs
from aiohttp import WSCloseCode, web

from vbgcam.control import auth
from vbgcam.control.api import ControlApi
from vbgcam.control.blocking import BlockingCalls
from vbgcam.control.connection import Connection, Door
from vbgcam.control.instance import HOST, Instance
from vbgcam.control.messages import (
    HEADERS,
    Refused,
    as_json,
    finite,
    plain,
    read_command,
    read_name,
    read_number,
    read_object,
    read_pieces,
    read_query,
)
from vbgcam.control.preview import WIDTHS, Preview, closed
from vbgcam.control.upload import Part, tidy
from vbgcam.core.errors import ConfigError, ControlError, VbgcamError

log = logging.getLogger(__name__)

WAIT: Final = 25.0
"""Seconds that a question for the next status may wait."""

_WAITING: Final = 32
_PREVIEWS: Final = 8
_UPLOADS: Final = 2
# Calls of the desk at once: those that answer at once, and those that may take long.
_LOOKS: Final = 8
_DEEDS: Final = 4
# Seconds for each piece of an upload; for a preview's first message; between signs of life of a preview that is still.
_PIECE: Final = 30.0
_HELLO: Final = 5.0
_HEARTBEAT: Final = 15.0
_MESSAGE: Final = 1024  # bytes that a preview's client says at once
_TOUCH: Final = 3600.0
# Seconds for what is under way when the server ends, and for the end as a whole.
_LAST_ANSWERS: Final = 0.3
_END: Final = 0.9

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server:
    """`start` and `stop` are for one thread, which is not the server's own, while the place is held. When it stops,
    port and token stay in `control.json`, marked as of one that has ended: a panel that is open goes on after a
    restart, and who asks meanwhile is told that nothing runs."""

    def __init__(self, api: ControlApi, place: Instance, assets: Path, uploads: Path | None = None) -> None:
        """`assets`: the panel's files, `index.html` among them; those of known types are read when the server starts,
        and nothing else is ever given. `uploads`: where a background lies until it is checked; None is in the user's
        cache."""
        self._api = api
        self._place = place
        self._assets = assets
        cache = Path(platformdirs.user_cache_dir("vbgcam", appauthor=False))
        self._uploads = cache / "uploads" if uploads is None else uploads
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def port(self) -> int:
        """Where it listens, while it runs."""
        return self._place.port

    def start(self) -> None:
        """Listens from now on and says so in `control.json`. Raises ControlError where it cannot."""
        listener = _bound(self._place.port)
        try:
            files = _files(self._assets)
            tidy(self._uploads)
            # Before the first byte is answered: who finds the port finds the token that goes with it.
            self._place.announce(listener.getsockname()[1])
            ready = threading.Event()
            failed: list[Exception] = []
            self._thread = threading.Thread(
                target=self._run, args=(listener, files, ready, failed), name="control", daemon=True
            )
            self._thread.start()
        except BaseException:
            listener.close()
            self._place.retire()
            raise
        ready.wait()
        if failed:
            self.stop()
            raise ControlError(f"the program cannot be controlled: {failed[0]}") from failed[0]

    def stop(self) -> None:
        """Answers what is under way and closes everything, in less than a second. The place stays held. Where it does
        not run nothing happens."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._place.retire()
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(stopping.set)
        thread.join(_END)
        if thread.is_alive():
            log.warning("the control server did not end in time")

    def _run(
        self, listener: socket.socket, files: Mapping[str, _File], ready: threading.Event, failed: list[Exception]
    ) -> None:
        try:
            asyncio.run(self._serve(listener, files, ready))
        except Exception as exc:
            if ready.is_set():
                log.exception("the control server ended")
            failed.append(exc)
        finally:
            listener.close()
            ready.set()

    async def _serve(self, listener: socket.socket, files: Mapping[str, _File], ready: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        self._loop, self._stopping = loop, asyncio.Event()
        house = _House(self._api, self._place, files, self._uploads, self._stopping)
        manager = web.Server(house.answer, handler_cancellation=True)
        server = await loop.create_server(lambda: Connection(house.door, manager, loop), sock=listener, backlog=32)
        unlisten = self._api.listen(house.changed)
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
        self, api: ControlApi, place: Instance, files: Mapping[str, _File], uploads: Path, stopping: asyncio.Event
    ) -> None:
        self.door = Door()
        self._refusals = self.door.refusals
        self._api = api
        self._place = place
        self._port = place.port
        self._token = place.token
        self._uploads = uploads
        self._codes = auth.Codes(time.monotonic)
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        self._looks = BlockingCalls(_LOOKS)
        self._deeds = BlockingCalls(_DEEDS)
        self._bell = asyncio.Event()
        self._waiting = self._previews = self._uploading = self._under_way = 0
        self._last = asyncio.Event()
        self._farewells: set[asyncio.Task[None]] = set()
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
        self._last.clear()
        self._ring()
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._last.wait(), _LAST_ANSWERS)

    async def farewells(self) -> None:
        """What has to be taken back when a connection ends."""
        if self._farewells:
            await asyncio.wait(self._farewells, timeout=_LAST_ANSWERS)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The only way in. Never raises but when it is cancelled."""
        connection = request.protocol
        if not isinstance(connection, Connection):
            raise TypeError("a connection of somebody else's")
        connection.begins()
        self._under_way += 1
        try:
            return await self._answered(request, connection)
        finally:
            self._under_way -= 1
            connection.ends()
            if not self._under_way:
                self._last.set()

    async def _answered(self, request: web.BaseRequest, connection: Connection) -> web.StreamResponse:
        try:
            return await self._guarded(request, connection)
        except Refused as exc:
            self._refusals.say(exc.why)
            told = as_json({"error": exc.error, "problems": []}, exc.status) if exc.error else plain(exc.status)
            told.headers.update(exc.headers)
        except VbgcamError as exc:
            problems = list(exc.problems) if isinstance(exc, ConfigError) else []
            told = as_json({"error": " / ".join(str(exc).splitlines()), "problems": problems}, 400)
        except Exception as exc:
            if isinstance(exc, ConnectionError) and (request.transport is None or request.transport.is_closing()):
                self._refusals.say("gone")
                return plain(400)
            log.exception("a request failed")
            told = as_json({"error": "internal error", "problems": []}, 500)
        return told

    async def _guarded(self, request: web.BaseRequest, connection: Connection) -> web.StreamResponse:
        if connection.stranger:
            raise Refused(403, "another user's program")
        headers = request.headers
        wrong = auth.refusal(
            self._port,
            hosts=headers.getall("Host", []),
            origins=headers.getall("Origin", []),
            sites=headers.getall("Sec-Fetch-Site", []),
        )
        if wrong is not None:
            raise Refused(403, wrong)
        path = request.raw_path.partition("?")[0]
        if path.startswith("/api/") and path not in {"/api/enter", "/api/preview"}:
            self._check(auth.bearer(headers.getall("Authorization", []), self._token))
        if "Content-Encoding" in headers:
            raise Refused(415, "encoding")
        methods = self._routes.get(path) or self._gallery(path)
        if methods is None:
            raise Refused(404, "path")
        handler = methods.get(request.method)
        if handler is None:
            raise Refused(405, "method", headers={"Allow": ", ".join(methods)})
        return await handler(request)

    def _check(self, right: bool) -> None:
        if not right:
            raise Refused(401, "token", headers={"WWW-Authenticate": "Bearer"})

    def _gallery(self, path: str) -> dict[str, Handler] | None:
        parts = path.split("/")
        if parts[:3] != ["", "api", "gallery"]:
            return None
        match parts[3:]:
            case [name]:
                return {"DELETE": partial(self._remove, read_name(name))}
            case [name, "thumbnail"]:
                return {"GET": partial(self._thumbnail, read_name(name))}
        return None

    async def _enter(self, request: web.BaseRequest) -> web.StreamResponse:
        code = (await read_command(request)).get("code")
        self._check(isinstance(code, str) and self._codes.take(code))
        return as_json({"token": self._token})

    async def _open(self, request: web.BaseRequest) -> web.StreamResponse:
        return as_json({"url": f"http://{HOST}:{self._port}/#{self._codes.make()}"})

    async def _status(self, request: web.BaseRequest) -> web.StreamResponse:
        query = read_query(request, "after", "wait")
        if "after" in query:
            await self._change(read_number(query["after"]), min(WAIT, read_number(query.get("wait", "25"))))
        return as_json(finite(await self._looks(self._api.status)))

    async def _change(self, after: int, seconds: float) -> None:
        """Waits until the revision is another one."""
        if self._waiting >= _WAITING:
            raise Refused(503, "too many wait", error="too many wait for a change")
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                while not self._stopping.is_set():
                    bell = self._bell
                    if await self._looks(self._api.revision) != after:
                        return
                    await bell.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1

    async def _choices(self, request: web.BaseRequest) -> web.StreamResponse:
        return as_json(finite(await self._deeds(self._api.choices)))

    async def _do(self, request: web.BaseRequest) -> web.StreamResponse:
        command = await read_command(request)
        said = await self._deeds(partial(self._api.do, command))
        return as_json({"said": said, "revision": await self._looks(self._api.revision)})

    async def _thumbnail(self, name: str, request: web.BaseRequest) -> web.StreamResponse:
        return plain(200, await self._looks(partial(self._api.gallery.thumbnail, name)), "image/jpeg")

    async def _remove(self, name: str, request: web.BaseRequest) -> web.StreamResponse:
        await self._deeds(partial(self._api.gallery.remove, name))
        return as_json({})

    async def _snapshot(self, request: web.BaseRequest) -> web.StreamResponse:
        return plain(200, await self._looks(self._api.snapshot), "image/png")

    async def _report(self, request: web.BaseRequest) -> web.StreamResponse:
        text = await self._deeds(self._api.report)
        return plain(200, text.encode("utf-8", "replace"), "text/plain; charset=utf-8")

    async def _upload(self, request: web.BaseRequest) -> web.StreamResponse:
        name = read_name(read_query(request, "name").get("name", ""), quoted=False)
        if self._uploading >= _UPLOADS:
            raise Refused(503, "too many uploads", error="two backgrounds are on their way already")
        self._uploading += 1
        try:
            # Its ending may say what it is. The rest of the name is the gallery's to judge.
            ending = re.search(r"\.[A-Za-z0-9]{1,8}$", name)
            part = Part(self._uploads, ending[0] if ending else "")
            try:
                await self._deeds(part.open)
                async for piece in read_pieces(request, auth.UPLOAD, _PIECE):
                    await self._deeds(partial(part.write, piece))
            except BaseException:
                self._later(self._deeds(part.discard))
                raise
            # From here on it is the other thread's, which goes on where the client has gone.
            entry = await self._deeds(partial(part.give, partial(self._api.gallery.add, name)))
        except OSError as exc:
            raise ControlError(f"{self._uploads}: {exc.strerror or exc}") from exc
        finally:
            self._uploading -= 1
        return as_json({"name": entry.name, "spec": str(entry.path)})

    async def _preview(self, request: web.BaseRequest) -> web.StreamResponse:
        socket_ = web.WebSocketResponse(
            heartbeat=_HEARTBEAT, max_msg_size=_MESSAGE, compress=False, timeout=_LAST_ANSWERS
        )
        socket_.headers.update(HEADERS)
        if not socket_.can_prepare(request):
            raise Refused(400, "no websocket")
        await socket_.prepare(request)
        try:
            hello = read_object((await asyncio.wait_for(socket_.receive(), _HELLO)).data)
        except (TimeoutError, Refused):
            hello = {}
        token, width = hello.get("token"), hello.get("width", 640)
        if not isinstance(token, str) or not auth.same(token, self._token):
            self._refusals.say("token")
            await closed(socket_, WSCloseCode.POLICY_VIOLATION)
        elif type(width) is not int or width not in WIDTHS:
            self._refusals.say("width")
            await closed(socket_, WSCloseCode.POLICY_VIOLATION)
        elif self._previews >= _PREVIEWS:
            self._refusals.say("too many previews")
            await closed(socket_, WSCloseCode.TRY_AGAIN_LATER)
        else:
            self._previews += 1
            preview = Preview(self._api, self._looks, socket_, width)
            try:
                await preview.run(self._stopping, self._refusals)
            finally:
                self._previews -= 1
                self._later(preview.closed_by_client())
        return socket_

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._farewells.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._farewells.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a client's leaving failed", exc_info=error)


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
            if kind is not None and path.is_file():
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


async def _give(file: _File, request: web.BaseRequest) -> web.StreamResponse:
    return plain(200, file.content, file.kind)


async def _every(seconds: float, work: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        work()
