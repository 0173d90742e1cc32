"""Sends requests to the running program: for the verbs of the command line, hotkeys and the tray.

Of the standard library alone, so that `vbgcam status` answers at once. Each call looks anew where the program runs: it
may have been started again since the last one, at another port, and its token goes to nobody else.
"""

import contextlib
import http.client
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Self
from urllib.parse import quote

from vbgcam.control import auth
from vbgcam.control.instance import HOST, ControlFile, Instance, other_user
from vbgcam.core.errors import ConfigError, ControlError
from vbgcam.system.logfile import log_path

# Seconds for an answer. A command may open a camera; a report looks at all of the machine.
_ANSWER: Final = 5.0
_LONG: Final = 60.0
_CHUNK: Final = 1 << 20


class Client:
    """Asks as `ControlApi` answers. Any thread. Every method raises ControlError where the program does not run, does
    not answer or refuses, and ConfigError where settings are wrong; its text is the line for the person."""

    def __init__(self, instance: Instance | None = None) -> None:
        self._instance = Instance() if instance is None else instance

    @classmethod
    def find(cls, instance: Instance | None = None) -> Self:
        """Raises ControlError where nothing runs."""
        client = cls(instance)
        client._instance.find()
        return client

    def status(self, after: int | None = None, wait: float = 25.0) -> dict[str, Any]:
        """The program's status. `after`: a revision; the answer comes when it is another one, or after `wait` seconds,
        at most 25."""
        if after is None:
            return _object(self._call("GET", "/api/status"))
        whole = max(0, min(25, round(wait)))
        return _object(self._call("GET", f"/api/status?after={after}&wait={whole}", seconds=whole + _ANSWER))

    def choices(self) -> dict[str, Any]:
        return _object(self._call("GET", "/api/choices", seconds=_LONG))

    def do(self, command: Mapping[str, Any]) -> str:
        return self._post("said", "/api/do", json.dumps(command).encode())

    def thumbnail(self, name: str) -> bytes:
        """A JPEG file's bytes. `name`: of the gallery."""
        return self._call("GET", f"/api/gallery/{_quoted(name)}/thumbnail", seconds=_LONG)

    def upload(self, path: Path) -> str:
        """Adds a picture or film to the gallery and returns its spec there. A file of at most 256 MiB."""
        try:
            with path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                if size > auth.UPLOAD:
                    raise ControlError(f"{path}: is too large for the gallery, which takes {auth.UPLOAD >> 20} MiB")
                return self._post("spec", f"/api/gallery?name={_quoted(path.name)}", stream, size)
        except OSError as exc:
            raise ControlError(f"{path}: {exc.strerror or exc}") from exc

    def remove(self, name: str) -> None:
        """Removes it from the gallery."""
        self._call("DELETE", f"/api/gallery/{_quoted(name)}")

    def snapshot(self) -> bytes:
        return self._call("GET", "/api/snapshot", seconds=_LONG)

    def report(self) -> str:
        return self._call("GET", "/api/report", seconds=_LONG).decode("utf-8", "replace")

    def open(self) -> str:
        """An address that opens the panel, once, within a minute."""
        return self._post("url", "/api/open")

    def _post(self, key: str, target: str, body: bytes | BinaryIO | None = None, size: int | None = None) -> str:
        """The text under that key of the answer."""
        value = _object(self._call("POST", target, body, size, seconds=_LONG if body else _ANSWER)).get(key)
        if not isinstance(value, str):
            raise _nonsense()
        return value

    def _call(
        self,
        method: str,
        target: str,
        body: bytes | BinaryIO | None = None,
        size: int | None = None,
        *,
        seconds: float | None = None,
    ) -> bytes:
        control = self._instance.find()
        if other_user(control):
            raise self._no_answer(control)
        headers = {"Authorization": f"Bearer {control.token}"}
        if size is not None:
            headers["Content-Length"] = str(size)
        connection = http.client.HTTPConnection(HOST, control.port, timeout=_ANSWER, blocksize=_CHUNK)
        try:
            connection.connect()
            connection.sock.settimeout(_ANSWER if seconds is None else seconds)
            with contextlib.suppress(ConnectionError):  # it may have refused before it had read all
                connection.request(method, target, body, headers)
            response = connection.getresponse()
            status, content = response.status, response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise self._no_answer(control) from exc
        finally:
            connection.close()
        if status != http.HTTPStatus.OK:
            raise _refused(status, content)
        return content

    def _no_answer(self, control: ControlFile) -> ControlError:
        """Why nothing came: it has ended meanwhile, or it hangs."""
        try:
            self._instance.find(doubtful=True)
        except ControlError as exc:
            return exc
        return ControlError(f"vbgcam does not answer (process {control.pid})", fix=f"`kill {control.pid}` ends it")


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogateescape")


def _nonsense() -> ControlError:
    return ControlError("vbgcam gives an answer that makes no sense", fix="start it again")


def _object(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise _nonsense() from exc
    if not isinstance(answer, dict):
        raise _nonsense()
    return answer


def _refused(status: int, content: bytes) -> ControlError | ConfigError:
    try:
        answer = _object(content)
        error, problems = str(answer["error"]), [str(each) for each in answer["problems"]]
    except (ControlError, LookupError, TypeError):
        error, problems = "", []
    if problems:
        return ConfigError(problems)
    if status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return ControlError("vbgcam met an error of its own", fix=f"{log_path()} says more")
    return ControlError(error or f"vbgcam refuses this ({status} {http.client.responses.get(status, '')})")
