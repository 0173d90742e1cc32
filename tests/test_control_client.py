"""The client and the running program, together, over a real port; and every way in which there is none to talk to."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.control_fakes import PATIENCE, controlled
from vbgcam.control import auth
from vbgcam.control import client as module
from vbgcam.control.client import Client
from vbgcam.control.instance import Instance
from vbgcam.core.errors import ConfigError, ControlError

TOP = Path(__file__).resolve().parents[1]

Say = Callable[[socket.socket], None]


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A program of its own, below `folder`, with everything but a camera."""
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    command = [sys.executable, "-m", "tests.support.control_fakes", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TOP) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            if process.poll() is None:
                if sys.platform != "win32":
                    process.send_signal(signal.SIGCONT)
                process.communicate("", timeout=PATIENCE)


def client_of(folder: Path) -> Client:
    return Client(Instance(folder / "run" / "vbgcam"))


def line(call: Callable[[], object]) -> str:
    """What is said to the person."""
    with pytest.raises(ControlError) as said:
        call()
    assert len(str(said.value).splitlines()) == 1
    return str(said.value)


def silent(pid: int) -> str:
    return f"vbgcam does not answer (process {pid}); `kill {pid}` ends it"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """Held by this process."""
    (tmp_path / "run").mkdir(mode=0o700)
    with Instance(tmp_path / "run" / "vbgcam") as held:
        yield held


@contextmanager
def strange(instance: Instance, say: Say) -> Iterator[Client]:
    """A program that runs at `instance` and answers with what `say` does with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    with connection, contextlib.suppress(OSError):
                        say(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        instance.announce(listener.getsockname()[1])
        try:
            yield Client(Instance(instance.folder))
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def test_every_question_is_answered(tmp_path: Path) -> None:
    with controlled(tmp_path) as it:
        assert it.client.status() == it.api.status()
        assert it.client.status(after=0)["revision"] == 1
        assert it.client.status(after=1, wait=0)["revision"] == 1
        assert it.client.choices() == it.api.choices()
        assert it.client.do({"do": "background", "to": "#102030"}) == "background: #102030"
        assert it.client.snapshot() == it.api.snapshot()
        assert it.client.report() == it.api.text
        assert it.client.open().startswith(f"http://127.0.0.1:{it.instance.port}/#")
        assert Client.find(it.instance).status()["revision"] == 2


def test_a_refused_command_raises_the_programs_own_line(tmp_path: Path) -> None:
    with controlled(tmp_path) as it:
        assert line(lambda: it.client.do({"do": "nothing"})) == "no such command"
        it.api.errors["snapshot"] = ControlError("the camera\nis away", fix="plug it in")
        assert line(it.client.snapshot) == "the camera / is away; plug it in"
        with pytest.raises(ConfigError) as refused:
            it.client.do({"do": "set", "settings": {"a.b": 1, "c.d": 2}})
        assert refused.value.problems == ("a.b: unknown", "c.d: unknown")


def test_an_error_of_the_programs_own_is_said_without_its_words(tmp_path: Path) -> None:
    with controlled(tmp_path) as it:
        it.api.errors["report"] = ValueError("secret")
        said = line(it.client.report)
        assert said.startswith("vbgcam met an error of its own; ")
        assert said.endswith("vbgcam.log says more")


def test_a_picture_goes_into_the_gallery_and_out_of_it(tmp_path: Path) -> None:
    beach = tmp_path / "my #1 beach? é%.jpg"
    beach.write_bytes(b"x" * 3_000_000)
    with controlled(tmp_path) as it:
        spec = Path(it.client.upload(beach))
        assert (spec.name, spec.read_bytes()) == (beach.name, beach.read_bytes())
        assert it.client.thumbnail(spec.name).startswith(b"\xff\xd8")
        it.client.remove(spec.name)
        assert not spec.exists()
        assert line(lambda: it.client.remove(spec.name)) == f"{spec.name}: is not in the gallery"
    assert not list((tmp_path / "uploads").iterdir())


def test_an_upload_that_cannot_be_is_said(tmp_path: Path) -> None:
    with controlled(tmp_path) as it:
        missing = tmp_path / "missing.jpg"
        assert line(lambda: it.client.upload(missing)) == f"{missing}: No such file or directory"
        assert line(lambda: it.client.upload(tmp_path)) == f"{tmp_path}: Is a directory"
        large = tmp_path / "large.mp4"
        with large.open("wb") as stream:
            stream.truncate(auth.UPLOAD + 1)
        assert line(lambda: it.client.upload(large)) == f"{large}: is too large for the gallery, which takes 256 MiB"
        assert it.api.gallery.begun == 0


def test_a_program_that_was_killed_is_said_to_be(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        client = client_of(tmp_path)
        assert client.do({"do": "pause"}) == "paused"
        process.kill()
        process.wait(PATIENCE)
        said = f"vbgcam is not running: it was ended by force (process {process.pid}); `vbgcam run` starts it"
        assert line(client.status) == said
    with running(tmp_path):  # and the client goes on where it was
        assert client.status()["state"] == "on air"


def test_a_program_that_is_killed_while_it_is_asked_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path) as process:
        client = client_of(tmp_path)
        revision = client.status()["revision"]
        wait = http.client.HTTPConnection.getresponse

        def killing(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
            process.kill()
            return wait(connection)

        monkeypatch.setattr(http.client.HTTPConnection, "getresponse", killing)
        assert line(lambda: client.status(after=revision)).startswith("vbgcam is not running: it was ended by force")


@pytest.mark.skipif(sys.platform == "win32", reason="nothing stops a process there")
def test_a_program_that_hangs_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWER", 0.2)
    with running(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        assert line(client_of(tmp_path).status) == silent(process.pid)


def test_a_port_at_which_nobody_listens_is_said(instance: Instance) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    instance.announce(port)
    assert line(Client(Instance(instance.folder)).status) == silent(os.getpid())


def answering(answer: bytes) -> Say:
    def say(connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:  # all of it: what is left unread resets the connection
            length = 0
            while (row := stream.readline().lower()).strip():
                length = int(row.partition(b":")[2]) if row.startswith(b"content-length:") else length
            stream.read(length)
        connection.sendall(answer)

    return say


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n",
    ],
)
def test_an_answer_that_is_none_is_no_answer(instance: Instance, answer: bytes) -> None:
    with strange(instance, answering(answer)) as client:
        assert line(client.status) == silent(os.getpid())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"said": '])
def test_an_answer_that_makes_no_sense_is_said(instance: Instance, body: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with strange(instance, answering(answer)) as client:
        said = "vbgcam gives an answer that makes no sense; start it again"
        assert line(client.status) == said
        assert line(lambda: client.do({"do": "pause"})) == said
        assert line(client.open) == said


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"error": 1}', b'{"error": "", "problems": 1}'])
def test_a_refusal_without_words_is_said_by_its_number(instance: Instance, body: bytes) -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with strange(instance, answering(answer)) as client:
        assert line(client.status) == "vbgcam refuses this (403 Forbidden)"


@pytest.mark.parametrize("reads", [True, False])
def test_a_program_that_refuses_before_it_has_read_all_is_heard(
    instance: Instance, tmp_path: Path, reads: bool
) -> None:
    film = tmp_path / "film.mp4"
    with film.open("wb") as stream:
        stream.truncate(50_000_000)

    def say(connection: socket.socket) -> None:
        connection.recv(1 << 10)
        connection.sendall(b'HTTP/1.1 413 Too Large\r\nContent-Length: 37\r\n\r\n{"error": "too large","problems": []}')
        while reads and connection.recv(1 << 16):
            pass

    with strange(instance, say) as client:
        assert line(lambda: client.upload(film)) == "too large"


def test_the_token_goes_to_the_running_program_alone(instance: Instance) -> None:
    heard: list[bytes] = []

    def say(connection: socket.socket) -> None:
        heard.append(connection.recv(1 << 16))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with strange(instance, say) as client:
        assert client.status() == {}
        assert f"\r\nAuthorization: Bearer {instance.token}\r\n".encode() in heard[0]
        instance.retire()
        assert line(client.status).startswith("vbgcam is ending")
    assert len(heard) == 1
