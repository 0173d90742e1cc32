"""What clients send, read strictly, and what they are answered."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from vbgcam.control import auth

HEADERS: Final = {
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
"""Of every answer: no other page may show, read or keep it, and it loads nothing from elsewhere."""

# Seconds for a command.
_SENDING: Final = 10.0
# Levels of objects and lists: a command has three.
_DEEP: Final = 8
# Beyond this a JSON number means different things to different readers.
_LARGEST: Final = 10**18
_LATE: Final = "a body that does not come"


class Refused(Exception):  # noqa: N818  # it is no error of ours
    """A request is refused. `status`: HTTP's. `why`: for the log, and made of nothing that the client sent. `error`:
    the line for the person; without one the answer is empty."""

    def __init__(self, status: int, why: str, *, error: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.error, self.headers = status, why, error, headers or {}


def plain(status: int, body: bytes = b"", kind: str = "") -> web.Response:
    """An answer. `kind`: the content's type."""
    return web.Response(status=status, body=body, headers=HEADERS | ({"Content-Type": kind} if kind else {}))


def as_json(values: Mapping[str, Any], status: int = 200) -> web.Response:
    """Numbers that are not finite become null: no JSON reader takes NaN. Raises TypeError as `json.dumps`."""
    finite = json.loads(json.dumps(values), parse_constant=lambda _: None)
    return plain(status, json.dumps(finite).encode(), "application/json")


async def read_pieces(request: web.BaseRequest, most: int, patience: float) -> AsyncIterator[bytes]:
    """The body as it comes, of at most `most` bytes. `patience`: seconds for what the client sends next. Raises
    Refused."""
    too_large = Refused(413, "too large", error="too large")
    if (request.content_length or 0) > most:
        raise too_large
    left = most
    try:
        while True:
            async with asyncio.timeout(patience):
                piece = await request.content.readany()
            if not piece:
                return
            left -= len(piece)
            if left < 0:
                raise too_large
            yield piece
    except TimeoutError as exc:
        raise Refused(408, _LATE) from exc
    except (web.RequestPayloadError, ConnectionError) as exc:
        raise Refused(400, "body") from exc


async def read_command(request: web.BaseRequest) -> dict[str, Any]:
    """The body of a request, a JSON object. Raises Refused."""
    try:
        async with asyncio.timeout(_SENDING):  # for all of it, however many pieces it comes in
            return read_object(b"".join([piece async for piece in read_pieces(request, auth.BODY, _SENDING)]))
    except TimeoutError as exc:
        raise Refused(408, _LATE) from exc


def read_object(text: object) -> dict[str, Any]:
    """A JSON object. Raises Refused for anything else, and for values that the rest of the program could stumble
    over."""
    malformed = Refused(400, "json", error="not a JSON object that makes sense here")
    try:
        value = json.loads(text.decode() if isinstance(text, bytes) else text)  # type: ignore[arg-type]
    except (TypeError, ValueError, RecursionError) as exc:
        raise malformed from exc
    if not isinstance(value, dict) or not _acceptable(value, _DEEP):
        raise malformed
    return value


def _acceptable(value: object, depth: int) -> bool:
    """Not too deep, no numbers without a value, no text that cannot be a file's name or a setting (a zero byte, half a
    character)."""
    if isinstance(value, str):
        return not re.search("[\0\ud800-\udfff]", value)
    if isinstance(value, int | float):
        return abs(value) < _LARGEST if isinstance(value, int) else math.isfinite(value)
    if isinstance(value, dict):
        return depth > 0 and all(_acceptable(key, 0) and _acceptable(each, depth - 1) for key, each in value.items())
    if isinstance(value, list):
        return depth > 0 and all(_acceptable(each, depth - 1) for each in value)
    return True


def read_query(request: web.BaseRequest, *known: str) -> dict[str, str]:
    """The query's values by name. Raises Refused where a name is unknown or stands there twice."""
    try:
        pairs = parse_qsl(
            request.raw_path.partition("?")[2],
            keep_blank_values=True,
            strict_parsing="?" in request.raw_path,
            errors="strict",
            max_num_fields=len(known),
        )
    except ValueError as exc:
        raise Refused(400, "query") from exc
    values = dict(pairs)
    if len(values) < len(pairs) or not values.keys() <= {*known}:
        raise Refused(400, "query")
    return values


def read_number(text: str) -> int:
    """Raises Refused."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise Refused(400, "query")
    return int(text)


def read_name(text: str, *, quoted: bool = True) -> str:
    """A file's name and nothing else. Raises Refused."""
    try:
        name = unquote(text, errors="strict") if quoted else text
        size = len(name.encode())
    except UnicodeError as exc:
        raise Refused(400, "name") from exc
    if name in {"", ".", ".."} or any(each in name for each in "/\\\0") or size > 255:
        raise Refused(400, "name", error="not a file's name")
    return name
