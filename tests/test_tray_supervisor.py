"""tray_supervisor: the tray's process as the running program sees it; programs stand for it, and a clock is set."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from tests.support.control_fakes import until
from vbgcam.desktop.tray_supervisor import DONE, NEVER, TraySupervisor

if sys.platform != "linux":
    pytest.skip("displays are told apart on Linux alone", allow_module_level=True)


class Tray:
    """A supervisor of a program that notes each of its starts and then does what `code` says; it is started while the
    block lasts."""

    def __init__(self, folder: Path, code: str = "sys.exit(1)") -> None:
        self.seconds = 0.0
        self.starts = folder / "starts"
        self.starts.touch()
        self.environment = {"WAYLAND_DISPLAY": "wayland-0"}
        program = f"import os, signal, sys, time\nopen({str(self.starts)!r}, 'a').write(f'{{os.getpid()}}\\n')\n{code}"
        self.supervisor = TraySupervisor([sys.executable, "-c", program], self.environment, lambda: self.seconds)

    def __enter__(self) -> Self:
        self.supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.supervisor.stop()

    @property
    def pids(self) -> list[int]:
        return [int(line) for line in self.starts.read_text().splitlines()]

    def after(self, seconds: float) -> int:
        """How often it was started by then."""
        self.seconds += seconds
        self.supervisor.tick()
        return len(self.pids)

    def ended(self, count: int) -> None:
        """Waits until the start of that number has ended, and the supervisor knows."""

        def known() -> bool:
            self.supervisor.tick()
            return self.supervisor._child is None

        until(lambda: len(self.pids) == count)
        until(known)


def test_it_is_started_again_after_longer_and_longer_pauses(tmp_path: Path) -> None:
    with Tray(tmp_path) as tray:
        tray.ended(1)
        for number, pause in enumerate((1, 2, 5, 10, 30, 30), 1):
            assert tray.after(pause - 0.1) == number
            tray.after(0.1)
            tray.ended(number + 1)
        tray.supervisor.stop()
        assert tray.after(1000) == 7


def test_one_that_was_well_is_started_again_at_once(tmp_path: Path) -> None:
    with Tray(
        tmp_path, f"sys.exit({DONE}) if os.path.exists({str(tmp_path / 'well')!r}) else time.sleep(1000)"
    ) as tray:
        for number in range(1, 4):
            until(lambda: len(tray.pids) == number)  # noqa: B023
            tray.seconds += 100
            os.kill(tray.pids[-1], signal.SIGKILL)
            tray.ended(number)
            assert tray.after(0.9) == number
            tray.after(0.1)
        until(lambda: len(tray.pids) == 4)


def test_where_there_can_be_no_icon_it_is_not_tried_again(tmp_path: Path) -> None:
    with Tray(tmp_path, f"sys.exit({NEVER})") as tray:
        tray.ended(1)
        assert tray.after(1000) == 1


def test_without_a_desktop_nothing_is_started(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tray = Tray(tmp_path)
    tray.environment.clear()
    with caplog.at_level(logging.DEBUG):
        tray.supervisor.start()
        assert tray.after(1000) == 0
        tray.supervisor.stop()
    assert caplog.messages == ["no tray icon: no desktop session"]
    assert caplog.records[0].levelno == logging.DEBUG


def test_it_ends_with_the_program_by_force_where_it_must(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    code = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(deaf)!r}, 'w'); time.sleep(1000)"
    with Tray(tmp_path, code) as tray:
        until(deaf.exists)
        child = tray.supervisor._child
        assert child is not None
        tray.supervisor.stop()
        assert child.returncode == -signal.SIGKILL
        tray.supervisor.stop()  # a second time is nothing


def test_a_program_that_is_not_there_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = TraySupervisor(["/nowhere/vbgcam"], {"DISPLAY": ":0"})
    supervisor.start()
    supervisor.tick()
    assert caplog.messages == ["no tray icon: /nowhere/vbgcam: No such file or directory"]


def test_what_it_says_is_told_once_and_what_its_libraries_say_goes_to_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = "vbgcam: warning: it has no menu\\n(x:1): Gtk-WARNING **: hm\\n"
    with Tray(tmp_path, f"sys.stderr.write('{said}'); sys.exit(1)") as tray:
        for number in (1, 2):
            tray.ended(number)
            until(lambda: caplog.messages.count("tray: (x:1): Gtk-WARNING **: hm") == number)  # noqa: B023
            tray.after(1)
    told = [record.levelno for record in caplog.records if record.getMessage() == "tray: warning: it has no menu"]
    assert told[:2] == [logging.INFO, logging.DEBUG]
    assert {record.levelno for record in caplog.records if "Gtk" in record.getMessage()} == {logging.DEBUG}


def test_ctrl_c_in_the_terminal_is_not_for_it(tmp_path: Path) -> None:
    with Tray(tmp_path, "time.sleep(1000)") as tray:
        until(lambda: len(tray.pids) == 1)
        assert os.getpgid(tray.pids[0]) == tray.pids[0]


def test_the_supervisor_is_light() -> None:
    """It is part of the running program, whose memory GTK and the icon are kept out of."""
    code = "import sys, vbgcam.desktop.tray_supervisor; print(*{'pystray', 'gi', 'PIL', 'aiohttp'} & set(sys.modules))"
    assert not subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
