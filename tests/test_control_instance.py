"""Where the running program is found, and why there is only one."""

import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.control_fakes import PATIENCE, started
from vbgcam.control import auth
from vbgcam.control.client import Client
from vbgcam.control.instance import Instance, runtime_folder
from vbgcam.core.errors import ControlError

TOP = Path(__file__).resolve().parents[1]
NOBODY = 65534
HOLDER = """
import sys
from pathlib import Path
from vbgcam.control.instance import Instance
instance = Instance(Path(sys.argv[1]))
instance.hold()
if int(sys.argv[2]):
    instance.announce(int(sys.argv[2]))
print("ready", flush=True)
sys.stdin.read()
instance.release()
"""

needs_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can make what belongs to another user"
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="there, permissions are other than these")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the running program; not made yet."""
    return tmp_path / "run" / "vbgcam"


@contextmanager
def holder(folder: Path, port: int = 0) -> Iterator[subprocess.Popen[str]]:
    """Another process that is the running program there; with a port it says that it listens at it."""
    command = [sys.executable, "-c", HOLDER, str(folder), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TOP) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            if process.poll() is None:
                process.communicate("", timeout=PATIENCE)


def killed(folder: Path, port: int = 0) -> int:
    """The number of a process that was the running program there, and was ended by force."""
    with holder(folder, port) as process:
        process.kill()
        process.wait(PATIENCE)
        return process.pid


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def written(folder: Path) -> dict[str, object]:
    told = json.loads((folder / "control.json").read_text())
    assert isinstance(told, dict)
    return told


def test_the_place_is_the_users_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("XDG_RUNTIME_DIR is Linux's")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert runtime_folder() == tmp_path / "vbgcam" == Instance().folder


@posix
def test_the_token_is_its_owners_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        with Instance(folder) as instance:
            instance.announce(40123)
            assert mode(folder) == mode(folder.parent) == 0o700
            assert {path.name: mode(path) for path in folder.iterdir()} == {"control.json": 0o600, "vbgcam.lock": 0o600}
    finally:
        os.umask(before)


def test_of_many_that_start_at_once_one_runs(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    instances = [Instance(folder) for _ in range(8)]
    gate = threading.Barrier(len(instances))

    def start(instance: Instance) -> str:
        gate.wait(PATIENCE)
        try:
            instance.hold()
        except ControlError as exc:
            return exc.message
        return ""

    ends = sorted(end.result(PATIENCE) for end in [started(partial(start, instance)) for instance in instances])
    assert [end.startswith("vbgcam runs already") for end in ends] == [False] + [True] * 7
    for instance in instances:
        instance.release()


def test_who_asks_does_not_keep_it_from_starting(folder: Path) -> None:
    with Instance(folder):
        pass
    stop = threading.Event()
    lines = set()

    def ask() -> None:
        while not stop.is_set():
            try:
                Instance(folder).find()
            except ControlError as exc:
                lines.add(exc.message)

    asking = [started(ask) for _ in range(4)]
    try:
        for _ in range(20):
            with Instance(folder) as instance:
                instance.announce(40123)
    finally:
        stop.set()
        for each in asking:
            each.result(PATIENCE)
    assert lines <= {"vbgcam is not running", "vbgcam is starting", "vbgcam is ending"}


@pytest.mark.parametrize("ran", [False, True])
def test_what_never_ran_or_has_ended_is_not_running(folder: Path, ran: bool) -> None:
    if ran:
        with Instance(folder) as instance:
            instance.announce(40123)
    with pytest.raises(ControlError, match=r"^vbgcam is not running; `vbgcam run` starts it$"):
        Instance(folder).find()
    assert folder.parent.exists() == ran


def test_after_a_kill_it_starts_again_with_the_same_port_and_token(folder: Path) -> None:
    killed(folder, 40123)
    token = written(folder)["token"]
    with Instance(folder) as instance:
        assert (instance.port, instance.token) == (40123, token)
        instance.announce(40123)
        assert Instance(folder).find().token == token


def test_what_is_held_but_not_announced_is_starting(folder: Path) -> None:
    with Instance(folder) as instance:
        with pytest.raises(ControlError, match=r"^vbgcam is starting; ask again in a moment$"):
            Instance(folder).find()
        (folder / "control.json").unlink()
        with pytest.raises(ControlError, match=r"^vbgcam is starting"):
            Instance(folder).find()
        instance.announce(40123)
        instance.retire()
        with pytest.raises(ControlError, match=r"^vbgcam is ending"):
            Instance(folder).find()


def test_what_an_earlier_run_wrote_is_not_believed_while_the_next_one_starts(folder: Path) -> None:
    """Between the lock and the first word of the new one."""
    killed(folder, 40123)
    before = (folder / "control.json").read_bytes()
    with Instance(folder):
        (folder / "control.json").write_bytes(before)
        with pytest.raises(ControlError, match=r"^vbgcam is starting"):
            Instance(folder).find()


def test_the_token_lasts_as_long_as_the_port(folder: Path) -> None:
    with Instance(folder) as instance:
        instance.announce(40123)
        first = instance.token
    with Instance(folder) as instance:
        instance.announce(40123)
        assert instance.token == first
        instance.announce(40124)
        assert instance.token != first
        assert Instance(folder).find().token == instance.token


@posix
@pytest.mark.parametrize(
    ("bits", "owner"), [(0o640, -1), (0o604, -1), (0o660, -1), pytest.param(0o600, NOBODY, marks=needs_root)]
)
def test_a_token_that_others_could_read_or_chose_is_not_taken_over(folder: Path, bits: int, owner: int) -> None:
    with Instance(folder) as instance:
        instance.announce(40123)
        first = instance.token
    (folder / "control.json").chmod(bits)
    os.chown(folder / "control.json", owner, -1)
    with Instance(folder) as instance:
        assert instance.token != first
        assert mode(folder / "control.json") == 0o600


@posix
def test_a_link_in_place_of_the_control_file_is_not_followed(folder: Path, tmp_path: Path) -> None:
    with Instance(folder) as instance:
        first = instance.token
    elsewhere = tmp_path / "elsewhere.json"
    (folder / "control.json").rename(elsewhere)
    (folder / "control.json").symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    with Instance(folder) as instance:
        assert instance.token != first
    assert elsewhere.read_bytes() == before
    assert not (folder / "control.json").is_symlink()


def refused(folder: Path, line: str) -> None:
    for ask in (Instance(folder).hold, Instance(folder).find):
        with pytest.raises(ControlError) as said:
            ask()
        assert str(said.value) == line


@posix
def test_a_folder_that_is_not_the_users_alone_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.parent.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.touch()
    with pytest.raises(ControlError, match=r"is not a folder, where vbgcam's own folder should be; rm "):
        Instance(folder).hold()
    folder.unlink()
    folder.symlink_to(elsewhere)
    refused(folder, f"{folder} is a link, where vbgcam's own folder should be; rm {folder}")
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o750)
    refused(folder, f"{folder} is open to other users; chmod 700 {folder}")
    folder.chmod(0o700)
    folder.parent.chmod(0o777)
    refused(folder, f"{folder.parent} is in other users' hands; set XDG_RUNTIME_DIR to a folder of your own")
    folder.parent.chmod(0o1777)
    Instance(folder).hold()
    assert not list(elsewhere.iterdir())


@needs_root
def test_another_users_folder_is_refused(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    os.chown(folder, NOBODY, -1)
    refused(folder, f"{folder} belongs to another user (uid {NOBODY}); sudo rm -r {folder}")
    os.chown(folder, 0, -1)
    os.chown(folder.parent, NOBODY, -1)
    with pytest.raises(ControlError, match=r"is in other users' hands"):
        Instance(folder).hold()
    with pytest.raises(ControlError, match=r"set XDG_RUNTIME_DIR$"):
        Instance(Path("/proc/nowhere/vbgcam")).hold()


def as_bytes(told: object) -> bytes:
    return json.dumps(told).encode()


ODD = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["running", "ended", "", 1]),
        "port": st.one_of(st.integers(), st.booleans(), st.floats(), st.text()),
        "token": st.one_of(st.text(), st.just("x" * 40), st.just("\n" * 40), st.integers()),
        "pid": st.one_of(st.integers(), st.booleans(), st.none()),
        "version": st.one_of(st.text(), st.none()),
    }
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.binary(), st.recursive(st.none() | st.text(), st.lists).map(as_bytes), ODD.map(as_bytes)))
def test_no_control_file_trips_anybody_up(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "run" / "vbgcam"
    with Instance(folder):
        pass
    (folder / "control.json").write_bytes(content)
    with pytest.raises(ControlError, match=r"^vbgcam is not running"):
        Instance(folder).find()
    with Instance(folder) as instance:
        assert instance.token.isascii()
        assert len(instance.token) >= 32
        assert 0 <= instance.port < 65536


def test_a_other_at_the_port_of_one_that_was_killed_is_not_told_the_token(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        killed(folder, other.getsockname()[1])
        with pytest.raises(ControlError, match=r"^vbgcam is not running: it was ended by force"):
            Client(Instance(folder)).status()
        assert select.select([other], [], [], 0)[0] == []


@pytest.mark.skipif(not auth.knows_owners(), reason="this system does not tell who listens")
@needs_root
def test_another_user_at_the_port_is_not_told_the_token(folder: Path) -> None:
    """As it is when the program runs and its port is somebody else's."""
    listening = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.readline()
listener.settimeout(0)
try:
    listener.accept()
    print("somebody came", flush=True)
except BlockingIOError:
    print("nobody came", flush=True)
"""
    command = [sys.executable, "-c", listening]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        with holder(folder, int(other.stdout.readline())) as process:
            with pytest.raises(ControlError) as said:
                Client(Instance(folder)).status()
            assert str(said.value) == (f"vbgcam does not answer (process {process.pid}); `kill {process.pid}` ends it")
        assert other.communicate("\n", timeout=PATIENCE)[0] == "nobody came\n"
