"""What the loopback server answers, and to whom: real sockets, real requests, real other users."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import os
import random
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Coroutine, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.control_fakes import PATIENCE, Controlled, FakeControl, controlled, picture, started, until
from vbgcam.control import PreviewImage, auth, connection, messages
from vbgcam.control import server as module
from vbgcam.control.instance import Instance
from vbgcam.control.server import Server
from vbgcam.core.errors import ControlError

T = TypeVar("T")

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SPY = "xyzzy-plugh"
"""A text that a client sends and that must never be logged or given back."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> dict[str, Any]:
        told = json.loads(self.body)
        assert isinstance(told, dict)
        return told


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Controlled]:
    """A program that runs, with a panel of three files."""
    assets = tmp_path / "panel"
    assets.mkdir()
    (assets / "index.html").write_text("<!doctype html><title>panel</title>")
    (assets / "panel.js").write_text("'use strict'")
    (assets / "icon.svg").write_text("<svg/>")
    (assets / "secret.txt").write_text("no")
    (assets / "deep").mkdir()
    (assets / "deep" / "panel.css").write_text("no")
    with controlled(tmp_path, assets=assets) as running:
        yield running


def ask(
    it: Controlled,
    method: str,
    target: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    token: bool = True,
) -> Answer:
    """One request, as a browser's page of the panel or a verb sends it; `headers` replace what it says by itself, and
    an empty one takes it away."""
    all_headers = {"Host": f"127.0.0.1:{it.instance.port}"}
    if token:
        all_headers["Authorization"] = f"Bearer {it.instance.token}"
    if body is not None:
        all_headers["Content-Length"] = str(len(body))
    all_headers |= headers or {}
    connection = http.client.HTTPConnection("127.0.0.1", it.instance.port, timeout=PATIENCE)
    try:
        connection.connect()
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in all_headers.items():
            if value:
                connection.putheader(name, value)
        with contextlib.suppress(ConnectionError):  # it may have answered before it read all
            connection.endheaders(body)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def do(it: Controlled, body: bytes) -> Answer:
    return ask(it, "POST", "/api/do", body)


def connected(it: Controlled) -> socket.socket:
    return socket.create_connection(("127.0.0.1", it.instance.port), timeout=PATIENCE)


def raw(it: Controlled, sent: bytes, *, half: bool = False) -> bytes:
    """What comes back for these bytes until the server closes. `half`: nothing more is to come, and it is told so."""
    with connected(it) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
            if half:
                client.shutdown(socket.SHUT_WR)
        return rest(client)


def rest(client: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(1 << 16):
            got += piece
    return got


def head(it: Controlled, first: str = "GET /api/status HTTP/1.1", *more: str) -> bytes:
    """A request that would be answered, and `more` headers."""
    lines = [first, f"Host: 127.0.0.1:{it.instance.port}", f"Authorization: Bearer {it.instance.token}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


REFUSED: list[tuple[str, Mapping[str, str]]] = [
    ("a host that was rebound", {"Host": "evil.example:80"}),
    ("a host without its port", {"Host": "127.0.0.1"}),
    ("another origin", {"Origin": "http://evil.example"}),
    ("another origin on this machine", {"Origin": "http://127.0.0.1:1"}),
    ("no origin that is one", {"Origin": "null"}),
    ("another site", {"Sec-Fetch-Site": "cross-site"}),
    ("another port's page", {"Sec-Fetch-Site": "same-site"}),
]


@pytest.mark.parametrize("headers", [each for _, each in REFUSED], ids=[name for name, _ in REFUSED])
@pytest.mark.parametrize("target", ["/", "/api/status", "/api/enter", "/api/preview", "/nowhere"])
def test_who_did_not_mean_this_port_is_refused_everywhere(
    it: Controlled, headers: Mapping[str, str], target: str
) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = ask(it, method, target, headers=headers)
        assert (answer.status, answer.body) == (403, b"")
    assert it.api.called == {"listen": 1}


def test_a_request_that_says_its_host_twice_is_refused(it: Controlled) -> None:
    for first, second in (("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "evil.example"), ("evil.example", "127.0.0.1")):
        port = it.instance.port
        sent = f"GET / HTTP/1.1\r\nHost: {first}:{port}\r\nHost: {second}:{port}\r\nConnection: close\r\n\r\n"
        assert re.match(rb"HTTP/1\.[01] 40[03] ", raw(it, sent.encode()))


def test_the_owners_page_is_let_in_by_both_names(it: Controlled) -> None:
    for name in ("127.0.0.1", "localhost"):
        own = f"{name}:{it.instance.port}"
        headers = {"Host": own, "Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"}
        assert ask(it, "GET", "/api/status", headers=headers).status == 200


@pytest.mark.parametrize("given_", ["", "Bearer", "Bearer ", f"Bearer {SPY}", f"bearer {SPY}", "Basic Og=="])
def test_a_wrong_token_is_refused(it: Controlled, given_: str) -> None:
    for method, target in [
        ("GET", "/api/status"),
        ("GET", "/api/choices"),
        ("POST", "/api/do"),
        ("POST", "/api/open"),
        ("GET", "/api/snapshot"),
        ("GET", "/api/report"),
        ("GET", "/api/gallery/a.jpg/thumbnail"),
        ("DELETE", "/api/gallery/a.jpg"),
        ("POST", "/api/gallery?name=a.jpg"),
        ("GET", "/api/nowhere"),
    ]:
        answer = ask(it, method, target, headers={"Authorization": given_}, token=False)
        assert (answer.status, answer.body) == (401, b"")
    assert it.api.called == {"listen": 1}


def test_the_right_token_in_the_wrong_place_is_refused(it: Controlled) -> None:
    token = it.instance.token
    assert ask(it, "GET", f"/api/status?token={token}", token=False).status == 401
    assert ask(it, "GET", "/api/status", headers={"Cookie": f"token={token}"}, token=False).status == 401
    twice = head(it, "GET /api/status HTTP/1.1", f"Authorization: Bearer {token}", "Connection: close")
    assert re.match(rb"HTTP/1\.[01] 40[01] ", raw(it, twice))


OTHER_USER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
port, sent = int(sys.argv[1]), sys.stdin.buffer.read()
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")):
    try:
        client = socket.socket(family)
        client.connect((host, port))
    except OSError:
        continue
    client.sendall(sent)
    got = b""
    while piece := client.recv(65536):
        got += piece
    print(got.decode("latin-1").split("\\r\\n")[0], repr(got.partition(b"\\r\\n\\r\\n")[2]), flush=True)
"""

needs_another_user = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can be another user, and only Linux tells"
)


@needs_another_user
def test_another_user_is_refused_even_with_the_token(it: Controlled) -> None:
    for first in ("GET / HTTP/1.1", "GET /api/status HTTP/1.1"):
        ran = subprocess.run(
            [sys.executable, "-c", OTHER_USER, str(it.instance.port)],
            input=head(it, first, "Connection: close"),
            capture_output=True,
            timeout=60,
            check=True,
        )
        lines = ran.stdout.decode().splitlines()
        assert lines
        assert set(lines) == {"HTTP/1.1 403 Forbidden b''"}
    assert raw(it, head(it, "GET / HTTP/1.1", "Connection: close")).startswith(b"HTTP/1.1 200")
    assert "status" not in it.api.called


SILENT = """
import os, select, socket, sys, time
os.setgroups([]); os.setgid(65534); os.setuid(65534)
clients = [socket.socket() for _ in range(100)]
for client in clients:
    client.connect(("127.0.0.1", int(sys.argv[1])))
dropped, end = 0, time.monotonic() + 10
while dropped < 92 and time.monotonic() < end:
    dropped = len(select.select(clients, [], [], 0.01)[0])
print(dropped, flush=True)
sys.stdin.read()
"""


@needs_another_user
def test_another_user_cannot_take_all_the_connections(it: Controlled) -> None:
    command = [sys.executable, "-c", SILENT, str(it.instance.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"92\n"  # eight of them are heard, to be refused
        assert ask(it, "GET", "/api/status").status == 200
        other.communicate(b"", timeout=PATIENCE)


def test_where_the_system_does_not_tell_who_connects_the_rest_of_the_guard_holds(
    it: Controlled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "knows_owners", lambda: False)
    assert ask(it, "GET", "/api/status").status == 200
    assert ask(it, "GET", "/api/status", token=False).status == 401


def test_a_code_is_exchanged_for_the_token_once(it: Controlled) -> None:
    url = ask(it, "POST", "/api/open").json()["url"]
    start, _, code = url.partition("#")
    assert start == f"http://127.0.0.1:{it.instance.port}/"
    body = json.dumps({"code": code}).encode()
    assert ask(it, "POST", "/api/enter", body, token=False).json() == {"token": it.instance.token}
    again = ask(it, "POST", "/api/enter", body, token=False)
    assert (again.status, again.body) == (401, b"")


@pytest.mark.parametrize("body", [b"{}", b'{"code": ""}', b'{"code": 1}', b'{"code": null}', b'{"code": "\\u00e9"}'])
def test_a_code_that_was_never_made_is_refused(it: Controlled, body: bytes) -> None:
    ask(it, "POST", "/api/open")
    answer = ask(it, "POST", "/api/enter", body, token=False)
    assert (answer.status, answer.body) == (401, b"")


NO_COMMANDS = [
    b"",
    b"null",
    b"{",
    b'{"do": "pause"} x',
    b"\xff\xfe{}",
    b'\xef\xbb\xbf{"do": "pause"}',
    b'{"do": NaN}',
    b'{"do": 1e999}',
    b'{"do": ' + b"9" * 19 + b"}",
    b'{"do": -' + b"9" * 5000 + b"}",
    b'{"do": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"do": "a\\u0000b"}',
    b'{"do": ' + b"[" * 9 + b"]" * 9 + b"}",
    b'{"do": ' + b"[" * 30000 + b"]" * 30000 + b"}",
]


@pytest.mark.parametrize("body", NO_COMMANDS, ids=range(len(NO_COMMANDS)))
def test_what_is_no_json_object_is_refused(it: Controlled, body: bytes) -> None:
    answer = do(it, body)
    assert answer.status == 400
    assert answer.json() == {"error": "not a JSON object that makes sense here", "problems": []}
    assert it.api.done == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.dictionaries(st.text(), JSON))
def test_an_object_arrives_as_it_is_or_not_at_all(told: dict[str, Any]) -> None:
    try:
        assert messages.read_object(json.dumps(told)) == told
    except messages.Refused:
        text = json.dumps(told)
        assert "\\u0000" in text or "[" in text or text.count("{") > 1


@given(st.text(alphabet='[]{}":,.-+0123456789eEaNtrue\\u0d8 \n\0') | st.text())
def test_no_text_trips_the_reader_up(text: str) -> None:
    try:
        told = messages.read_object(text)
    except messages.Refused:
        return
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_what_is_a_json_object_arrives(it: Controlled) -> None:
    told = {
        "do": "set",
        "settings": {"background.show": "/tmp/é \U0001f600.jpg", "mask.edges": [1, -2.5e3, None, True]},
    }
    it.api.carry_out = lambda command: "yes"
    answer = do(it, json.dumps(told).encode())
    assert answer.json() == {"said": "yes", "revision": 2}
    assert it.api.done == [told]


@pytest.mark.parametrize("length", ["exact", "chunked"])
def test_a_command_that_is_too_large_is_refused(it: Controlled, length: str) -> None:
    body = b'{"do": "' + b"x" * auth.BODY + b'"}'
    if length == "exact":
        answer = do(it, body)
        assert (answer.status, answer.json()["error"]) == (413, "too large")
    else:
        chunks = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        sent = head(it, "POST /api/do HTTP/1.1", "Transfer-Encoding: chunked", "Connection: close") + chunks
        assert raw(it, sent).startswith(b"HTTP/1.1 413 ")
    assert it.api.done == []


def test_a_packed_command_is_not_unpacked(it: Controlled) -> None:
    """Some kilobytes of it can be gigabytes."""
    for encoding in ("gzip", "deflate", "br", "identity"):
        assert ask(it, "POST", "/api/do", b"{}", {"Content-Encoding": encoding}).status == 415


MALFORMED = [
    b"\r\n\r\n\r\n",
    b"hello\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: " + b"b" * 9000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
    b"GET / HTTP/1.1\r\nA\0: b\r\n\r\n",
    b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
]


@pytest.mark.parametrize("sent", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_no_request_is_refused(it: Controlled, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sent = sent.replace(b"\r\n\r\n", f"\r\nX: {SPY}\r\n\r\n".encode(), 1)
    got = raw(it, sent, half=True)
    assert re.match(rb"(HTTP/1\.[01] 40[034] |$)", got)
    assert got == b"" or got.partition(b"\r\n\r\n")[2] == b""
    assert got == b"" or b"\r\nX-Content-Type-Options: nosniff\r\n" in got
    quiet(it, caplog)
    assert ask(it, "GET", "/api/status").status == 200


def test_what_follows_an_upgrade_that_was_declined_is_not_logged(
    it: Controlled, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "vbgcam.control")
    for first in ("GET /nowhere HTTP/1.1", "GET /api/preview HTTP/1.1"):
        for more in (f"{SPY}\r\n\r\n", f"GET /{SPY} HTTP/9.9\r\nX: {SPY}\r\n\r\n", SPY * 2000):
            got = raw(it, head(it, first, *UPGRADE[:3]) + more.encode())
            assert re.match(rb"(HTTP/1\.[01] 40[04] |$)", got)  # aiohttp 3.11 closes the connection at once
            assert SPY.encode() not in got
    quiet(it, caplog)


def quiet(it: Controlled, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was logged but what the program's own words are."""
    for record in caplog.records:
        assert record.levelno == logging.DEBUG
        text = caplog.handler.format(record)
        assert SPY not in text
        assert it.instance.token not in text
        assert "Traceback" not in text


def test_nothing_is_logged_that_helps_who_was_refused(it: Controlled, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(40):
        ask(it, "GET", f"/api/{SPY}?{SPY}", headers={"Authorization": f"Bearer {SPY}", "X": SPY}, token=False)
        ask(it, "GET", f"/{SPY}", headers={"Host": SPY})
        ask(it, "GET", "/", headers={"Origin": SPY})
        ask(it, "POST", "/api/enter", json.dumps({"code": SPY}).encode(), token=False)
        do(it, f'{{"do": "{SPY}"'.encode())
        raw(it, f"{SPY}\r\n\r\n".encode())
    quiet(it, caplog)
    lines = [record.message for record in caplog.records if record.name == connection.__name__]
    whys = ("token", "host", "origin", "json", "malformed")
    assert set(lines) == {f"a request was refused ({why})" for why in whys}
    assert len(lines) == 10 * len(whys)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "POST", "PROPFIND", "XYZZY"])
def test_other_methods_are_refused(it: Controlled, method: str) -> None:
    for target in ("/", "/api/status", "/api/gallery/a.jpg/thumbnail"):
        answer = ask(it, method, target)
        assert answer.status in {400, 405}
        assert answer.body == b""
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "query", ["after=", "after=x", "after=1.5", "after=" + "9" * 19, "after=1&after=2", "x=1", "after=%ff", "&", "a"]
)
def test_a_question_that_makes_no_sense_is_refused(it: Controlled, query: str) -> None:
    assert ask(it, "GET", f"/api/status?{query}").status == 400


def test_the_panel_is_given_to_who_asks(it: Controlled) -> None:
    for target, kind, content in [
        ("/", "text/html; charset=utf-8", b"<!doctype html><title>panel</title>"),
        ("/panel.js", "text/javascript; charset=utf-8", b"'use strict'"),
        ("/icon.svg", "image/svg+xml", b"<svg/>"),
    ]:
        answer = ask(it, "GET", target, token=False)
        assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, kind, content)


@pytest.mark.parametrize(
    "target",
    [
        "/index.html",
        "/secret.txt",
        "/deep/panel.css",
        "/../panel/panel.js",
        "/%2e%2e/panel/panel.js",
        "/%70anel.js",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/panel.js%00",
        "//panel.js",
    ],
)
def test_nothing_else_is_a_file_of_the_panel(it: Controlled, target: str) -> None:
    assert ask(it, "GET", target).status in {400, 404}


def test_a_program_without_a_panel_can_be_controlled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with controlled(tmp_path, assets=tmp_path / "nowhere") as it:
        assert ask(it, "GET", "/").status == 404
        assert ask(it, "GET", "/api/status").status == 200
    assert "nowhere: the panel cannot be shown: No such file or directory" in caplog.text


def test_every_answer_keeps_other_pages_out(it: Controlled) -> None:
    answers = [
        ask(it, "GET", "/"),
        ask(it, "GET", "/nowhere"),
        ask(it, "GET", "/api/status"),
        ask(it, "GET", "/api/status", token=False),
        ask(it, "GET", "/api/status", headers={"Host": "x"}),
        ask(it, "OPTIONS", "/api/status"),
        ask(it, "GET", "/api/snapshot"),
        ask(it, "GET", "/api/preview"),
        do(it, b"{}"),
        do(it, b"x"),
        ask(it, "GET", "/", headers={"A": "b" * 9000}),
    ]
    assert [answer.status for answer in answers] == [200, 404, 200, 401, 403, 405, 200, 400, 400, 400, 400]
    for answer in answers:
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
        assert "aiohttp" not in str(answer.headers)


def test_a_figure_that_is_none_becomes_null(it: Controlled) -> None:
    it.api.values |= {"fps": float("nan"), "live": {"fps": float("inf"), "all": [1.0, float("-inf")]}}
    told = ask(it, "GET", "/api/status").json()
    assert (told["fps"], told["live"]) == (None, {"fps": None, "all": [1.0, None]})


@pytest.mark.parametrize("error", [ValueError(SPY), KeyError(SPY), TimeoutError(SPY), StopIteration(SPY), OSError(SPY)])
def test_an_error_that_nobody_expected_is_logged_once_and_not_told(
    it: Controlled, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    it.api.errors["choices"] = error
    answer = ask(it, "GET", "/api/choices")
    assert (answer.status, answer.json()) == (500, {"error": "internal error", "problems": []})
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.levelname for record in records] == ["ERROR"]
    assert records[0].exc_info
    assert ask(it, "GET", "/api/status").status == 200


def test_a_command_that_takes_long_keeps_nobody_else_waiting(it: Controlled) -> None:
    it.api.gates["do"] = gate = threading.Event()
    answers = [started(lambda: do(it, b'{"do": "pause"}')) for _ in range(12)]
    until(lambda: it.api.called.get("do") == 4)
    for _ in range(3):
        assert ask(it, "GET", "/api/status").status == 200
    assert it.api.called["do"] == 4
    gate.set()
    assert [answer.result(PATIENCE).status for answer in answers] == [200] * 12


def waiting(it: Controlled, query: str) -> Future[Answer]:
    return started(lambda: ask(it, "GET", f"/api/status?{query}"))


def test_who_waits_for_a_change_is_woken_by_it(it: Controlled) -> None:
    asked = it.api.called.get("revision", 0)
    answer = waiting(it, "after=1")
    until(lambda: it.api.called.get("revision", 0) > asked)
    it.api.change(state="covered")
    status = answer.result(PATIENCE).json()
    assert (status["revision"], status["state"]) == (2, "covered")


def test_who_waits_in_vain_is_answered_in_the_end(it: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    for query in ("after=1&wait=0", "after=0", "after=2", "after=-1"):
        assert ask(it, "GET", f"/api/status?{query}").json()["revision"] == 1
    monkeypatch.setattr(module, "WAIT", 0.05)
    assert ask(it, "GET", "/api/status?after=1").json()["revision"] == 1
    assert ask(it, "GET", "/api/status?after=1&wait=999999").json()["revision"] == 1


def test_a_change_that_is_none_wakes_nobody_for_good(it: Controlled) -> None:
    """Waiters may be woken for what they knew already."""
    assert ask(it, "GET", "/api/status?after=2").json()["revision"] == 1
    answer = waiting(it, "after=1")
    until(lambda: it.api.called["revision"] >= 2)
    for wake in list(it.api.listeners.values()):
        wake()
    until(lambda: it.api.called["revision"] >= 3)
    assert not answer.done()
    it.api.change()
    assert answer.result(PATIENCE).json()["revision"] == 2


def test_too_many_that_wait_are_refused_and_who_went_away_is_not_counted(it: Controlled) -> None:
    clients = [connected(it) for _ in range(33)]
    for client in clients:
        client.sendall(head(it, "GET /api/status?after=1 HTTP/1.1"))
    ready = select.select(clients, [], [], PATIENCE)[0]
    assert len(ready) == 1
    assert ready[0].recv(1 << 16).startswith(b"HTTP/1.1 503 ")
    for client in clients:
        client.close()
    until(lambda: ask(it, "GET", "/api/status?after=1&wait=0").status == 200)


def test_a_client_that_never_asks_is_dropped(it: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD", 0.1)
    assert raw(it, b"") == b""
    assert raw(it, head(it)[:-2]) == b""
    with connected(it) as client:
        with contextlib.suppress(ConnectionError):
            for byte in head(it, "GET /" + "a" * 4000 + " HTTP/1.1"):  # one by one; it would take 40 s
                client.sendall(bytes([byte]))
                if select.select([client], [], [], 0.01)[0]:
                    break
        assert rest(client) == b""
    assert raw(it, head(it)).startswith(b"HTTP/1.1 200 ")  # and then nothing more
    assert ask(it, "GET", "/api/status").status == 200


def test_a_command_that_does_not_come_or_drips_is_given_up(it: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_SENDING", 0.2)
    got = raw(it, head(it, "POST /api/do HTTP/1.1", "Content-Length: 10", "Connection: close") + b'{"do"')
    assert got.startswith(b"HTTP/1.1 408 ")
    with connected(it) as client:
        client.sendall(head(it, "POST /api/do HTTP/1.1", "Content-Length: 60000", "Connection: close"))
        with contextlib.suppress(ConnectionError):
            for _ in range(2000):  # 40 s
                client.sendall(b" ")
                if select.select([client], [], [], 0.02)[0]:
                    break
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 408 ")


def test_a_command_that_breaks_off_is_not_done(it: Controlled) -> None:
    raw(it, head(it, "POST /api/do HTTP/1.1", "Content-Length: 18") + b'{"do": "pause"}', half=True)
    broken = b'f\r\n{"do": "pause"}\r\nzz\r\n'
    raw(it, head(it, "POST /api/do HTTP/1.1", "Transfer-Encoding: chunked") + broken)
    assert ask(it, "GET", "/api/status").status == 200
    assert it.api.done == []


@pytest.mark.skipif(not auth.knows_owners(), reason="this system does not tell whose a socket is")
def test_a_client_that_takes_nothing_is_dropped(it: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_TAKING", 0.1)
    it.api.text = "x" * (32 << 20)
    with connected(it) as client:
        ends = ("127.0.0.1", it.instance.port), client.getsockname()
        client.sendall(head(it, "GET /api/report HTTP/1.1"))
        until(lambda: it.api.called.get("report") == 1)
        until(lambda: auth.owner(auth.sockets(), *ends) is None)
        assert len(rest(client)) < 32 << 20


def test_more_than_64_connections_are_too_many(it: Controlled) -> None:
    clients = [connected(it) for _ in range(65)]
    try:
        assert rest(clients[-1]) == b""
        clients[0].sendall(head(it))
        assert clients[0].recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    finally:
        for client in clients:
            client.close()
    until(lambda: raw(it, head(it, "GET / HTTP/1.1", "Connection: close")).startswith(b"HTTP/1.1 200 "))


def test_one_connection_serves_many_requests(it: Controlled) -> None:
    with connected(it) as client:
        client.sendall(head(it) * 20 + head(it, "GET / HTTP/1.1", "Connection: close"))
        assert rest(client).count(b"HTTP/1.1 200 OK\r\n") == 21


def test_an_upload_lies_in_a_file_that_its_owner_alone_can_read(it: Controlled, tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("there, permissions are other than these")
    it.api.gallery.gate = gate = threading.Event()
    answer = started(lambda: ask(it, "POST", "/api/gallery?name=a.weird~ending", b"xyz"))
    uploads = tmp_path / "uploads"
    until(lambda: uploads.is_dir() and [path.stat().st_size for path in uploads.iterdir()] == [3])
    (part,) = uploads.iterdir()
    assert part.stat().st_mode & 0o777 == 0o600
    assert uploads.stat().st_mode & 0o777 == 0o700
    assert part.suffix == ""
    gate.set()
    answer.result(PATIENCE)


@pytest.mark.parametrize("length", ["exact", "chunked"])
def test_a_background_that_is_too_large_is_refused(
    it: Controlled, length: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(auth, "UPLOAD", 3_000_000)
    first = "POST /api/gallery?name=a.jpg HTTP/1.1"
    body = b"x" * 3_000_001
    if length == "exact":
        sent = head(it, first, f"Content-Length: {len(body)}", "Connection: close") + body
    else:
        chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        sent = head(it, first, "Transfer-Encoding: chunked", "Connection: close") + chunk
    got = raw(it, sent)
    assert got.startswith(b"HTTP/1.1 413 ")
    assert it.api.gallery.seen == []
    until(lambda: not (tmp_path / "uploads").is_dir() or not list((tmp_path / "uploads").iterdir()))
    assert ask(it, "POST", "/api/gallery?name=a.jpg", body[1:]).status == 200


def test_an_upload_that_breaks_off_leaves_nothing(it: Controlled, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    with connected(it) as client:
        client.sendall(head(it, "POST /api/gallery?name=a.jpg HTTP/1.1", "Content-Length: 9000000") + b"x" * 3_000_000)
        until(lambda: uploads.is_dir() and any(path.stat().st_size for path in uploads.iterdir()))
    until(lambda: not list(uploads.iterdir()))
    assert it.api.gallery.seen == []


def test_more_than_two_uploads_at_once_are_too_many(it: Controlled) -> None:
    def upload(name: str) -> Answer:
        return ask(it, "POST", f"/api/gallery?name={name}.jpg", b"x")

    it.api.gallery.gate = gate = threading.Event()
    answers = [started(partial(upload, name)) for name in "ab"]
    until(lambda: it.api.gallery.begun == 2)
    assert upload("c").status == 503
    gate.set()
    assert [answer.result(PATIENCE).status for answer in answers] == [200, 200]
    assert len(it.api.gallery.entries()) == 2
    assert upload("c").status == 200


def test_where_uploads_cannot_lie_it_is_said(it: Controlled, tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("in the way")
    answer = ask(it, "POST", "/api/gallery?name=a.jpg", b"x")
    assert (answer.status, answer.json()["error"]) == (400, f"{tmp_path / 'uploads'}: File exists")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "%2e%2e", "a%2Fb.jpg", "a%5Cb.jpg", "a%00.jpg", "%ff.jpg", "%ED%A0%80", "x" * 256]
)
def test_a_name_that_is_a_way_to_elsewhere_is_refused(it: Controlled, name: str) -> None:
    assert ask(it, "POST", f"/api/gallery?name={name}", b"x").status == 400
    assert ask(it, "DELETE", f"/api/gallery/{name}").status == 400
    assert ask(it, "GET", f"/api/gallery/{name}/thumbnail").status == 400
    assert ask(it, "DELETE", f"/api/gallery/{name}/x").status == 404
    assert it.api.gallery.seen == []


def test_what_a_killed_program_left_of_an_upload_is_removed(tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "upload-x.jpg").write_bytes(b"x")
    (tmp_path / "uploads" / "mine.txt").write_bytes(b"x")
    with controlled(tmp_path):
        assert [path.name for path in (tmp_path / "uploads").iterdir()] == ["mine.txt"]


class Viewer:
    """A page that sees the preview; it says `hello` at once, or nothing."""

    def __init__(self, it: Controlled, hello: object = None, *, silent: bool = False) -> None:
        self._runner = asyncio.Runner()
        self._session = self._run(self._opened())
        address = f"http://127.0.0.1:{it.instance.port}/api/preview"
        self.websocket = self._run(self._session.ws_connect(address))
        if not silent:
            hello = {"token": it.instance.token, "width": 320} if hello is None else hello
            self.send(hello if isinstance(hello, str) else json.dumps(hello))

    async def _opened(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    def _run(self, work: Coroutine[Any, Any, T] | Awaitable[T], seconds: float = PATIENCE) -> T:
        async def bounded() -> T:
            return await asyncio.wait_for(work, seconds)

        return self._runner.run(bounded())

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self.websocket.close())
        self._run(self._session.close())
        self._runner.close()

    def send(self, text: str) -> None:
        self._run(self.websocket.send_str(text))

    def say(self, **message: object) -> None:
        self.send(json.dumps(message))

    def shown(self) -> bytes:
        """The next picture."""
        message = self._run(self.websocket.receive())
        assert message.type is aiohttp.WSMsgType.BINARY
        assert isinstance(message.data, bytes)
        return message.data

    def is_shown_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            self._run(self.websocket.receive(), 0.3)

    def close_code(self) -> int | None:
        """With which the server ends it."""
        while not self.websocket.closed:
            self._run(self.websocket.receive())
        return self.websocket.close_code


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


def frame(text: str) -> bytes:
    """A websocket's message from a client, for those that do what no client's library does."""
    return b"\x81\xfe" + struct.pack(">H", len(text)) + b"\0\0\0\0" + text.encode()


def test_each_new_frame_is_shown_once_and_when_the_last_was_taken(it: Controlled) -> None:
    with Viewer(it) as viewer:
        assert viewer.shown() == picture(1, 320)
        it.api.frames = 2
        asked = it.api.called["preview"]
        viewer.is_shown_nothing()  # not before the last was taken
        assert it.api.called["preview"] == asked
        it.api.frames = 3
        viewer.say(got=True)
        assert viewer.shown() == picture(3, 320)  # and 2 was never queued
        viewer.say(got=True)
        asked = it.api.called["preview"]
        until(lambda: it.api.called["preview"] >= asked + 3)
        it.api.frames = 4
        assert viewer.shown() == picture(4, 320)


def test_a_frame_that_is_not_there_yet_is_waited_for(it: Controlled) -> None:
    it.api.frames = 0
    with Viewer(it) as viewer:
        until(lambda: it.api.called.get("preview", 0) >= 3)
        it.api.frames = 1
        assert viewer.shown() == picture(1, 320)


def test_at_most_twelve_pictures_a_second_are_asked_for(it: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve periods lie between the first and the thirteenth, however busy the machine is."""
    asked: list[float] = []
    preview = it.api.preview

    def timed(after: int, width: int, *, mask: bool = False) -> PreviewImage | None:
        asked.append(time.monotonic())
        it.api.frames += 1
        return preview(after, width, mask=mask)

    monkeypatch.setattr(it.api, "preview", timed)
    with Viewer(it) as viewer:
        for _ in range(13):
            viewer.shown()
            viewer.say(got=True)
    assert asked[12] - asked[0] > 10 / 12  # two less: the first and the last may come late and early


def test_the_mask_takes_the_pictures_place_at_once(it: Controlled) -> None:
    with Viewer(it) as viewer:
        assert viewer.shown() == picture(1, 320)
        viewer.say(got=True, mask=True)
        assert viewer.shown() == picture(1, 320, mask=True)
        viewer.say(mask=False)
        viewer.say(got=True)
        assert viewer.shown() == picture(1, 320)


def test_a_page_that_is_hidden_is_shown_nothing_until_it_is_seen_again(it: Controlled) -> None:
    with Viewer(it) as viewer:
        viewer.shown()
        asked = it.api.called["preview"]
        it.api.gates["preview"] = gate = threading.Event()
        it.api.frames = 2
        viewer.say(got=True)
        until(lambda: it.api.called["preview"] > asked)
        viewer.say(pause=True)
        viewer.say(see=True)
        until(lambda: it.api.watchers == 1)  # it has heard it
        gate.set()
        viewer.is_shown_nothing()  # not even the one that was being made
        assert it.api.called["preview"] == asked + 1
        viewer.say(pause=False)
        assert viewer.shown() == picture(2, 320)


def test_who_wants_to_be_seen_counts_until_they_go(it: Controlled) -> None:
    with Viewer(it) as viewer:
        for number, see in enumerate((True, False, True), 1):
            viewer.say(see=see)
            viewer.say(see=see)
            until(lambda: len(it.api.watch_calls) == number)  # noqa: B023
        assert it.api.watch_calls == [True, False, True]
    until(lambda: it.api.watch_calls == [True, False, True, False])


def test_who_vanishes_does_not_count_any_more(it: Controlled) -> None:
    with connected(it) as client:
        client.sendall(head(it, "GET /api/preview HTTP/1.1", *UPGRADE))
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 101 ")
        client.sendall(frame(json.dumps({"token": it.instance.token, "see": 1, "width": 320})))
        client.sendall(frame('{"see": true}'))
        until(lambda: it.api.watchers == 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no goodbye: a reset
    until(lambda: it.api.watchers == 0)


def test_who_goes_while_they_are_being_counted_is_taken_back_too(it: Controlled) -> None:
    it.api.gates["watch_preview"] = gate = threading.Event()
    with Viewer(it) as viewer:
        viewer.say(see=True)
        until(lambda: it.api.called.get("watch_preview") == 1)
    assert it.api.watch_calls == []
    gate.set()
    until(lambda: it.api.watch_calls == [True, False])


TOKEN = object()
"""Stands for the right one."""


@pytest.mark.parametrize(
    "hello",
    [
        *("", "x", "[]", "{}", "{" * 1000),
        *({"token": token} for token in ("", SPY, 1, None)),
        {"width": 320},
        *({"token": TOKEN, "width": width} for width in (0, -1, 15, 3841, 10**9, 1.5, "640", None, True)),
    ],
)
def test_a_preview_without_the_token_or_with_an_odd_width_is_refused(
    it: Controlled, hello: str | dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "vbgcam.control")
    if isinstance(hello, dict) and hello.get("token") is TOKEN:
        hello = hello | {"token": it.instance.token}
    with Viewer(it, hello) as viewer:
        assert viewer.close_code() == aiohttp.WSCloseCode.POLICY_VIOLATION
    assert "preview" not in it.api.called
    quiet(it, caplog)


def test_a_preview_that_does_not_say_who_it_is_is_refused(it: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HELLO", 0.05)
    with Viewer(it, silent=True) as viewer:
        assert viewer.close_code() == aiohttp.WSCloseCode.POLICY_VIOLATION


@pytest.mark.parametrize(
    "message", ["", "x", "[]", '{"got": 1}', '{"see": "yes"}', '{"mask": null}', '{"do": true}', '{"got": NaN}']
)
def test_a_message_that_makes_no_sense_ends_the_preview(
    it: Controlled, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Viewer(it) as viewer:
        viewer.say(see=True)
        viewer.send(message)
        assert viewer.close_code() == aiohttp.WSCloseCode.POLICY_VIOLATION
    until(lambda: it.api.watch_calls == [True, False])
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_message_that_is_too_large_ends_the_preview(it: Controlled) -> None:
    with Viewer(it) as viewer:
        viewer.send('{"got": true' + " " * 2000 + "}")
        # Where the rest of it had not been read the connection is reset, and the code may be lost with it.
        assert viewer.close_code() in {aiohttp.WSCloseCode.MESSAGE_TOO_BIG, aiohttp.WSCloseCode.ABNORMAL_CLOSURE}


def test_a_preview_that_fails_is_logged_and_ended(it: Controlled, caplog: pytest.LogCaptureFixture) -> None:
    it.api.errors["preview"] = ValueError("no")
    with Viewer(it) as viewer:
        assert viewer.close_code() == aiohttp.WSCloseCode.INTERNAL_ERROR
    assert [record.levelname for record in caplog.records if record.levelno >= logging.WARNING] == ["ERROR"]


def test_more_than_eight_previews_are_too_many(it: Controlled) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(Viewer(it)).shown()
        assert stack.enter_context(Viewer(it)).close_code() == aiohttp.WSCloseCode.TRY_AGAIN_LATER

    def let_in() -> bool:
        with Viewer(it) as viewer:
            viewer.send("x")
            return viewer.close_code() == aiohttp.WSCloseCode.POLICY_VIOLATION

    until(let_in)


def test_it_comes_back_to_its_port_with_its_token(tmp_path: Path) -> None:
    with controlled(tmp_path) as it:
        before = it.instance.port, it.instance.token
        with connected(it) as client:
            client.sendall(head(it))  # a connection that lingers
            assert client.recv(1)
            it.server.stop()
    with controlled(tmp_path) as it:
        assert (it.instance.port, it.instance.token) == before
        assert ask(it, "GET", "/api/status").status == 200


def test_where_its_port_is_taken_it_takes_another_and_a_new_token(tmp_path: Path) -> None:
    with controlled(tmp_path) as it:
        port, token = it.instance.port, it.instance.token
    with socket.create_server(("127.0.0.1", port)), controlled(tmp_path) as it:
        assert it.instance.port != port
        assert it.instance.token != token
        assert it.client.status()["state"] == "on air"
        assert ask(it, "GET", "/api/status", headers={"Authorization": f"Bearer {token}"}).status == 401


def test_only_this_machine_can_reach_it(it: Controlled) -> None:
    """It listens at 127.0.0.1 alone, not even at the machine's other loopback addresses."""
    if sys.platform != "linux":
        pytest.skip("127.0.0.2 is an address of its own on Linux alone")
    for address in ("127.0.0.2", "::1"):
        with pytest.raises(OSError, match=r"refused|unreachable|assign"):
            socket.create_connection((address, it.instance.port), timeout=10)


def test_the_end_answers_what_is_under_way(it: Controlled, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends the program, above all."""
    monkeypatch.setattr(module, "_LAST_ANSWERS", PATIENCE)
    monkeypatch.setattr(module, "_END", PATIENCE)
    assert ask(it, "GET", "/api/status").status == 200
    it.api.gates["do"] = gate = threading.Event()
    done, waits = started(lambda: do(it, b'{"do": "quit"}')), waiting(it, "after=1")
    until(lambda: it.api.called.get("do") == 1 and it.api.called.get("revision", 0) >= 1)
    ending = started(it.server.stop)
    assert waits.result(PATIENCE).json()["revision"] in {1, 2}
    assert not done.done()
    gate.set()
    assert done.result(PATIENCE).json()["said"] == "vbgcam ends"
    ending.result(PATIENCE)
    with pytest.raises(ConnectionRefusedError):
        ask(it, "GET", "/")
    assert it.api.listeners == {}


def test_calls_that_hang_do_not_keep_it_from_ending(it: Controlled) -> None:
    gates = {what: threading.Event() for what in ("do", "watch_preview", "snapshot")}
    it.api.gates |= gates
    clients = []
    for first in ("POST /api/do HTTP/1.1", "GET /api/snapshot HTTP/1.1"):
        client = connected(it)
        client.sendall(head(it, first, "Content-Length: 2") + b"{}")
        clients.append(client)
    with Viewer(it) as viewer:
        viewer.say(see=True)
        until(lambda: all(it.api.called.get(what) == 1 for what in gates))
        it.server.stop()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "control"])
    for gate in gates.values():
        gate.set()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("control-call")])
    for client in clients:
        assert rest(client) == b""
        client.close()


def test_a_preview_is_told_that_the_program_ends(it: Controlled) -> None:
    with Viewer(it) as viewer:
        viewer.say(see=True)
        until(lambda: it.api.watchers == 1)
        ending = started(it.server.stop)
        assert viewer.close_code() == aiohttp.WSCloseCode.GOING_AWAY
        ending.result(PATIENCE)
        assert it.api.watchers == 0


def test_it_starts_and_stops_again_and_again(it: Controlled) -> None:
    for _ in range(3):
        it.server.stop()
        it.server.stop()
        with pytest.raises(ControlError, match="vbgcam is ending"):
            it.client.status()
        it.server.start()
        assert it.client.status()["state"] == "on air"


def test_a_desk_that_cannot_be_listened_to_is_said(tmp_path: Path) -> None:
    api = FakeControl(tmp_path)
    api.errors["listen"] = ValueError("no")
    (tmp_path / "run").mkdir(mode=0o700)
    with (
        Instance(tmp_path / "run" / "vbgcam") as instance,
        pytest.raises(ControlError, match=r"^the program cannot be controlled: no$"),
    ):
        Server(api, instance, tmp_path).start()
    with Instance(tmp_path / "run" / "vbgcam") as instance:
        del api.errors["listen"]
        server = Server(api, instance, tmp_path)
        server.start()
        server.stop()


def test_its_files_are_kept_from_getting_old(it: Controlled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it.server.stop()
    monkeypatch.setattr(module, "_TOUCH", 0.01)
    it.server.start()
    lock = it.instance.folder / "vbgcam.lock"
    os.utime(lock, (0, 0))
    until(lambda: lock.stat().st_mtime > 1e9)


def test_whatever_is_sent_the_next_request_is_answered(
    it: Controlled, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "vbgcam.control")
    waits = {connection: ("_HEAD", "_LINGER"), messages: ("_SENDING",), module: ("_PIECE", "_HELLO")}
    for owner, names in waits.items():
        for name in names:
            monkeypatch.setattr(owner, name, 0.5)
    good = [
        head(it, "POST /api/do HTTP/1.1", "Content-Length: 2") + b"{}",
        head(it, "POST /api/gallery?name=a.jpg HTTP/1.1", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        head(it, "GET /api/status?after=1&wait=0 HTTP/1.1", "Expect: 100-continue"),
        head(it, "DELETE /api/gallery/a.jpg HTTP/1.1"),
        head(it, "GET /nowhere HTTP/1.1", "Origin: null"),
        head(it, "GET /api/preview HTTP/1.1", *UPGRADE) + b"\x81\x82\0\0\0\0{}",
    ]

    def seen(number: int) -> set[bytes]:
        """What is answered to three requests with a few bytes that differ."""
        chance = random.Random(f"request {number}")
        sent = bytearray(b"".join(chance.sample(good, 3)))
        for _ in range(chance.randrange(6)):
            at = chance.randrange(len(sent))
            sent[at : at + chance.choice((0, 0, 1, 9))] = chance.randbytes(chance.randrange(4))
        return set(re.findall(rb"HTTP/1\.[01] (\d{3})", raw(it, bytes(sent), half=chance.random() < 0.2)))

    with ThreadPoolExecutor(48) as clients:
        statuses = set[bytes]().union(*clients.map(seen, range(400)))
    known = {b"100", b"101", b"200", b"400", b"401", b"403", b"404", b"405", b"408", b"413", b"415", b"503"}
    assert {b"200", b"400", b"403"} <= statuses <= known
    assert ask(it, "GET", "/api/status").status == 200
    quiet(it, caplog)


def test_whatever_a_preview_says_the_next_request_is_answered(it: Controlled, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "vbgcam.control")
    for number in range(100):
        chance = random.Random(f"preview {number}")
        said = bytearray(frame(json.dumps({"token": it.instance.token, "width": 64})))
        for _ in range(chance.randrange(6)):
            said += frame(json.dumps({chance.choice(("got", "see", "mask", "pause", "x")): chance.random() < 0.5}))
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(said))
            said[at : at + chance.randrange(9)] = chance.randbytes(chance.randrange(9))
        raw(it, head(it, "GET /api/preview HTTP/1.1", *UPGRADE) + bytes(said), half=True)
    assert ask(it, "GET", "/api/status").status == 200
    until(lambda: it.api.watchers == 0)
    quiet(it, caplog)
