"""What clients send, read strictly, and what they are answered."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote

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
_CHUNK: Final = 1 << 20
# A command is a name and settings of lists: three levels, and some to spare.
_DEEP: Final = 8
_DIGITS: Final = 18


class Refused(Exception):  # noqa: N818  # it is no error of ours
    """`status`: HTTP's. `why`: for the log, and made of nothing that the client sent. `error`: the line for the person,
    where one may see it; without, the answer is empty."""

    def __init__(self, status: int, why: str, *, error: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.error, self.headers = status, why, error, headers or {}


def plain(status: int, body: bytes = b"", kind: str = "") -> web.Response:
    """An answer. `kind`: the content's type."""
    headers = dict(HEADERS)
    if kind:
        headers["Content-Type"] = kind
    return web.Response(status=status, body=body, headers=headers)


def as_json(told: Mapping[str, Any], status: int = 200) -> web.Response:
    """Raises TypeError and ValueError as `json.dumps`."""
    return plain(status, json.dumps(told, allow_nan=False).encode(), "application/json")


def finite(told: Any) -> Any:
    """Figures that are none become null: no JSON reader takes NaN."""
    if isinstance(told, float):
        return told if math.isfinite(told) else None
    if isinstance(told, Mapping):
        return {key: finite(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [finite(value) for value in told]
    return told


async def read_pieces(request: web.BaseRequest, most: int, patience: float) -> AsyncIterator[bytes]:
    """The body, some megabyte at a time, of at most `most` bytes. `patience`: seconds for what the client sends next.
    Raises Refused."""
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
        raise _late() from exc
    except (web.RequestPayloadError, ConnectionError) as exc:
        raise Refused(400, "body") from exc


async def read_command(request: web.BaseRequest) -> dict[str, Any]:
    """The body of a request that is a JSON object. Raises Refused."""
    try:
        async with asyncio.timeout(_SENDING):  # for all of it, however many pieces it comes in
            body = b"".join([piece async for piece in read_pieces(request, auth.BODY, _SENDING)])
        return read_object(body.decode())
    except TimeoutError as exc:
        raise _late() from exc
    except UnicodeDecodeError as exc:
        raise _malformed() from exc


def read_object(text: object) -> dict[str, Any]:
    """A text that is a JSON object. Raises Refused for anything else, and for what would trip up those who read it."""
    if not isinstance(text, str):
        raise _malformed()
    try:
        told = json.loads(text, parse_constant=_no_number, parse_int=_integer, parse_float=_float)
    except (ValueError, RecursionError) as exc:
        raise _malformed() from exc
    if not isinstance(told, dict) or not _sound(told, _DEEP):
        raise _malformed()
    return told


def read_query(request: web.BaseRequest, *known: str) -> dict[str, str]:
    """What stands behind the question mark. Raises Refused for what is not known there, or stands there twice."""
    try:
        told = parse_qs(
            request.raw_path.partition("?")[2],
            keep_blank_values=True,
            strict_parsing="?" in request.raw_path,
            errors="strict",
            max_num_fields=len(known),
        )
    except ValueError as exc:
        raise Refused(400, "query") from exc
    if not told.keys() <= {*known} or any(len(values) > 1 for values in told.values()):
        raise Refused(400, "query")
    return {key: values[0] for key, values in told.items()}


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


def _too_large() -> Refused:
    return Refused(413, "too large", error="too large")


def _late() -> Refused:
    return Refused(408, "a body that does not come")


def _malformed() -> Refused:
    return Refused(400, "json", error="not a JSON object that makes sense here")


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
