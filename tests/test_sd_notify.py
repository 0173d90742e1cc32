"""service: systemd's notify protocol, at a real socket."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vbgcam.cli import main
from vbgcam.system.sd_notify import ServiceManager

if sys.platform == "win32":
    pytest.skip("there is no systemd", allow_module_level=True)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        yield listening


def heard(manager: socket.socket) -> str:
    return manager.recv(4096).decode()


def silent(manager: socket.socket) -> bool:
    manager.setblocking(False)
    try:
        manager.recv(4096)
    except BlockingIOError:
        return True
    return False


def test_what_is_told_arrives_in_order_and_the_same_status_once(manager: socket.socket) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.getsockname()})
    service.ready()
    service.status("on air")
    service.status("on air")
    service.status("covered")
    service.alive()
    service.stopping()
    assert [heard(manager) for _ in range(4)] == ["READY=1", "STATUS=on air", "STATUS=covered", "STOPPING=1"]
    assert silent(manager)
    service.close()


def test_a_sign_of_life_comes_twice_in_the_time_that_was_asked_for(manager: socket.socket) -> None:
    now = [100.0]
    asked = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}
    service = ServiceManager(asked, lambda: now[0])
    signs = 0
    for _ in range(200):
        service.alive()
        now[0] += 0.1
    service.stopping()
    while heard(manager) == "WATCHDOG=1":
        signs += 1
    assert signs == 4
    service.close()


@pytest.mark.parametrize(
    "environment", [{"WATCHDOG_USEC": "10"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "10", "WATCHDOG_PID": "1"}]
)
def test_nothing_is_signed_for_somebody_else(manager: socket.socket, environment: dict[str, str]) -> None:
    service = ServiceManager(
        environment | ({"NOTIFY_SOCKET": manager.getsockname()} if "WATCHDOG_PID" in environment else {})
    )
    service.alive()
    assert silent(manager)
    service.close()


def test_without_a_manager_or_with_a_deaf_one_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nobody")}, {"NOTIFY_SOCKET": "@vbgcam-nobody"}):
        service = ServiceManager(environment)
        service.ready()
        service.close()


def test_a_run_tells_from_its_first_picture_to_its_end(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    told: list[str] = []

    def listen() -> None:
        while told[-1:] != ["STOPPING=1"]:
            told.append(heard(manager))

    listening = threading.Thread(target=listen)
    listening.start()
    arguments = ["run", "--source", "demo", "--sink", "null", "--model", "chroma", "--duration", "1"]
    assert main.main([*arguments, "--set", "camera.size=160x120"]) == 0
    listening.join(60)
    assert told[0] == "READY=1"
    assert told[-1] == "STOPPING=1"
    assert "WATCHDOG=1" in told
    assert any(line.startswith("STATUS=on air") for line in told)
