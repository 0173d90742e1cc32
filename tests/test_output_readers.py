"""output.readers: who reads, told by opens, closes and a look. A plain file stands for the node."""

import errno
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("inotify and /proc are Linux's", allow_module_level=True)

from vbgcam.output import loopback, readers
from vbgcam.output.readers import OpenFileMonitor, open_monitor
from vbgcam.system import v4l2

READ = "import sys; f = open(sys.argv[1], 'r+b'); print(flush=True); sys.stdin.read()"
WRITE = "import sys; f = open(sys.argv[1], 'wb'); print(flush=True); sys.stdin.read()"
PATIENCE = 60.0
READER = v4l2.Holder(1, "reader")

Looking = Callable[[Callable[[], bool]], OpenFileMonitor]


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "video10"
    path.touch()
    return path


@contextmanager
def program(code: str, path: Path) -> Iterator[None]:
    """One that has begun; its end is waited for."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-I", "-c", code, str(path)], stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(PATIENCE)


@pytest.fixture
def looking(node: Path, monkeypatch: pytest.MonkeyPatch) -> Looking:
    """A monitor whose looks find a reader where the function says so."""

    def make(there: Callable[[], bool]) -> OpenFileMonitor:
        monkeypatch.setattr(readers, "_APART", 0.0)
        monkeypatch.setattr(v4l2, "holders", lambda _path: [READER] if there() else [])
        return OpenFileMonitor(node)

    return make


def becomes(monitor: OpenFileMonitor, wanted: bool) -> bool:
    """Asks until it is so."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if monitor.watched(0.5) == wanted:
            return True
    return False


def test_a_reader_is_seen_and_so_is_its_end_another_time_too(node: Path) -> None:
    monitor = OpenFileMonitor(node)
    assert not monitor.watched(0)
    for _ in range(2):
        with program(READ, node):
            assert becomes(monitor, True)
        assert becomes(monitor, False)
    monitor.close()


def test_one_of_two_readers_leaves_and_it_is_still_watched(node: Path) -> None:
    monitor = OpenFileMonitor(node)
    with program(READ, node):
        with program(READ, node):
            assert becomes(monitor, True)
        for _ in range(5):
            assert monitor.watched(0.1)
    assert becomes(monitor, False)
    monitor.close()


def test_a_reader_that_was_there_before_is_seen(node: Path) -> None:
    with program(READ, node):
        monitor = OpenFileMonitor(node)
        assert becomes(monitor, True)
    monitor.close()


def test_neither_the_writer_nor_this_process_is_a_reader(node: Path) -> None:
    monitor = OpenFileMonitor(node)
    with program(WRITE, node), node.open("r+b"):
        for _ in range(5):
            assert not monitor.watched(0.1)
    monitor.close()


@pytest.mark.parametrize(("seen", "reads"), [("100", False), ("110", False), ("101", False), ("111", True)])
def test_a_program_that_opens_and_closes_it_all_the_time_is_none(looking: Looking, seen: str, reads: bool) -> None:
    """A reader is who was there in each look."""
    looks = iter(seen)
    monitor = looking(lambda: next(looks, "0") == "1")
    assert monitor.watched(0) == reads
    monitor.close()


def test_without_events_nothing_is_looked_at(looking: Looking) -> None:
    looks = itertools.count()
    monitor = looking(lambda: next(looks) < 0)
    monitor.watched(0)
    first = next(looks)
    for _ in range(20):
        monitor.watched(0.01)
    assert next(looks) == first + 1
    monitor.close()


def test_a_readers_end_that_no_event_told_is_seen_all_the_same(
    looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_AGAIN", 0.05)
    there = threading.Event()
    there.set()
    monitor = looking(there.is_set)
    assert monitor.watched(1.0)
    there.clear()
    assert becomes(monitor, False)
    monitor.close()


def test_a_wait_is_over_as_soon_as_somebody_comes(looking: Looking, node: Path) -> None:
    came = threading.Event()
    monitor = looking(came.is_set)
    assert not monitor.watched(0)
    found = []
    thread = threading.Thread(target=lambda: found.append(monitor.watched(PATIENCE)))
    thread.start()
    came.set()
    node.open("rb").close()
    thread.join()
    assert found == [True]
    monitor.close()


def test_a_node_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    for way in (OpenFileMonitor, open_monitor):
        with pytest.raises(FileNotFoundError):
            way(tmp_path / "video10")


def test_a_driver_without_the_event_is_looked_at(node: Path) -> None:
    monitor = open_monitor(node)
    assert isinstance(monitor, OpenFileMonitor)
    monitor.close()


def test_where_nobody_can_tell_the_camera_stays_on_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def exhausted(_path: Path) -> OpenFileMonitor:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(loopback, "open_monitor", exhausted)
    device = object.__new__(loopback.LoopbackDevice)
    device.label, device._path = "VBG Camera", Path("/dev/video10")
    assert device.reader_monitor() is None
    assert "cannot be told (Too many open files)" in caplog.text
