"""A loopback web server that serves one file, knows ranges, and misbehaves on demand: one `Act` for each request."""

import contextlib
import http.server
import re
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Act:
    """What the server does with one request. `stop_after`: bytes of the body before the connection is closed; `reset`
    makes that closing a rude one. `silent`: nothing more comes after `stop_after` bytes (or no answer at all, with
    -1). `redirect`: to that address. `shift`: a range is answered from that many bytes further on. `wrong`: other bytes
    of the same length."""

    status: int = 200
    ranges: bool = True
    length: bool = True
    stop_after: int | None = None
    reset: bool = False
    silent: bool = False
    shift: int = 0
    wrong: bool = False
    redirect: str = ""
    html: bool = False


class Server:
    """`content` is given under every path. `script`: the acts of the next requests; afterwards it behaves. `asked`: the
    path and the Range header of each request."""

    def __init__(self) -> None:
        self.content = b""
        self.script: list[Act] = []
        self.asked: list[tuple[str, str | None]] = []
        self._let_go = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Range"]))
                outer._answer(self, outer.script.pop(0) if outer.script else Act())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that walked away

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._let_go.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, to: http.server.BaseHTTPRequestHandler, act: Act) -> None:
        if act.silent and act.stop_after == -1:
            self._let_go.wait()
            return
        if act.status != 200 or act.redirect:
            to.send_response(302 if act.redirect else act.status)
            if act.redirect:
                to.send_header("Location", act.redirect)
            to.end_headers()
            return
        content = bytes(255 - byte for byte in self.content) if act.wrong else self.content
        start, status = 0, 200
        wanted = re.fullmatch(r"bytes=(\d+)-", to.headers["Range"] or "")
        if wanted and act.ranges:
            start, status = int(wanted[1]) + act.shift, 206
            if start >= len(content):
                to.send_response(416)
                to.end_headers()
                return
        body = content[start:]
        to.send_response(status)
        to.send_header("Content-Type", "text/html" if act.html else "application/octet-stream")
        if status == 206:
            to.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if act.length:
            to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body[: act.stop_after])
        to.wfile.flush()
        if act.silent:
            self._let_go.wait()
        if act.reset:
            # A lingering time of 0 makes close() send RST instead of FIN.
            to.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            to.connection.close()


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
