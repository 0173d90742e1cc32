"""What a program that collects cores, as systemd-coredump and Apport do, gets when vbgcam crashes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.v4l2.guest.support.daemon import HD, running
from tests.v4l2.guest.support.kernel import vivid

KERNEL = Path("/proc/sys/kernel")
# Without the right to raise a limit, as people are.
FORBIDDEN = ("prlimit", "--core=0:0", "setpriv", "--bounding-set=-sys_resource")


@pytest.fixture
def collected() -> Iterator[Path]:
    """Where the program puts the last core; there is no such file before the first."""
    program, core = Path("/run/collect"), Path("/run/core")
    program.write_text(f"#!/bin/sh\nexec /bin/cat >{core}\n")
    program.chmod(0o755)
    # One at a time: the kernel then waits for it before it lets anybody know of the end.
    meant = {KERNEL / "core_pattern": f"|{program}", KERNEL / "core_pipe_limit": "1"}
    before = {path: path.read_text() for path in meant}
    for path, value in meant.items():
        path.write_text(value)
    yield core
    for path, value in before.items():
        path.write_text(value)
    core.unlink(missing_ok=True)


def test_any_other_program_gives_it_its_memory_whatever_the_limit(collected: Path) -> None:
    """Else the tests below say nothing."""
    crash = "import os; room = b'ro' + b'om' * 100_000; os.abort()"
    ended = subprocess.run([*FORBIDDEN, sys.executable, "-c", crash], check=False)
    assert ended.returncode == -signal.SIGABRT
    assert b"om" * 100_000 in collected.read_bytes()


def test_it_is_not_even_started(camera: Path, network: Path, collected: Path) -> None:
    with running(network, vivid(), HD, end=signal.SIGSEGV):
        pass
    assert not collected.exists()


def test_where_cores_are_forbidden_it_gets_no_memory(camera: Path, network: Path, collected: Path) -> None:
    """A limit of 0, which nobody may raise to 1, does not keep the kernel from starting it."""
    with running(network, vivid(), HD, end=signal.SIGSEGV, by=FORBIDDEN):
        pass
    assert 0 < collected.stat().st_size < HD.i420_bytes
