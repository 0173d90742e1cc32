"""What the Debian package's menu entry and service start, among commands that write down how they were called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEBIAN = Path(__file__).resolve().parents[1] / "packaging" / "debian"

if sys.platform == "win32":
    pytest.skip("shell scripts", allow_module_level=True)

# A vbgcam that remembers, in a folder, whether it has an environment and runs, and whether it was welcomed.
VBGCAM = """#!/bin/sh
echo "vbgcam $*" >>"$STUBS/called"
test -e "$STUBS/environment" || exit 1
case $1 in
config) ;;
run) touch "$STUBS/running" ;;
status)
    test -e "$STUBS/running" || exit 1
    test -e "$STUBS/welcomed" || echo '  "welcomed": false,'
    ;;
panel) test -e "$STUBS/running" ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
test -e "$STUBS/systemd" || exit 1
echo "systemctl $*" >>"$STUBS/called"
case $* in
"--user start vbgcam.service") test ! -e "$STUBS/broken" && touch "$STUBS/running" ;;
esac
"""
OTHER = """#!/bin/sh
echo "${0##*/} $*" >>"$STUBS/called"
"""


class ControlApi:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, text in (("vbgcam", VBGCAM), ("systemctl", SYSTEMCTL), ("x-terminal-emulator", OTHER)):
            self.stub(name, text)

    def stub(self, name: str, text: str = OTHER) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def have(self, *names: str) -> None:
        for name in names:
            (self.folder / name).touch()

    def call(self, script: Path, *arguments: str) -> int:
        env = {**os.environ, "PATH": f"{self.bin}:/usr/bin:/bin", "STUBS": str(self.folder)}
        return subprocess.run(["sh", script, *arguments], env=env, check=False, timeout=60).returncode

    def opened(self, *arguments: str) -> int:
        return self.call(DEBIAN / "open", *arguments)

    @property
    def called(self) -> list[str]:
        return (self.folder / "called").read_text().splitlines()


@pytest.fixture
def desk(tmp_path: Path) -> ControlApi:
    return ControlApi(tmp_path)


@pytest.mark.parametrize(
    ("there", "called"),
    [
        (("running", "systemd", "welcomed"), ["vbgcam config path", "vbgcam panel"]),
        (("systemd", "welcomed"), ["systemctl --user start vbgcam.service", "vbgcam panel"]),
        (("systemd",), ["systemctl --user start vbgcam.service", "vbgcam status --json"]),  # it shows the panel itself
        (("welcomed",), ["vbgcam run", "vbgcam panel"]),
    ],
)
def test_a_click_starts_what_does_not_run_and_shows_the_panel(
    desk: ControlApi, there: tuple[str, ...], called: list[str]
) -> None:
    desk.have("environment", *there)
    assert desk.opened() == 0
    assert called[0] in desk.called
    assert desk.called[-1] == called[-1]
    assert ("vbgcam run" in desk.called) == ("vbgcam run" in called)


def test_without_an_environment_a_click_opens_a_terminal_in_which_it_is_made(desk: ControlApi) -> None:
    assert desk.opened() == 0
    assert desk.called[-2].startswith("x-terminal-emulator -e sh -c vbgcam-setup && /usr/lib/vbgcam/open;")


def test_what_keeps_the_service_from_starting_is_said_in_a_terminal(desk: ControlApi) -> None:
    desk.have("environment", "systemd", "broken")
    desk.opened()
    assert any(line.startswith("x-terminal-emulator -e sh -c vbgcam doctor;") for line in desk.called)


def test_the_service_is_free_only_where_none_runs(desk: ControlApi) -> None:
    desk.have("environment")
    assert desk.call(DEBIAN / "service", "free") == 0
    desk.have("running")
    assert desk.call(DEBIAN / "service", "free") != 0


def test_the_service_opens_pages_outside_of_itself(desk: ControlApi) -> None:
    desk.stub("systemd-run")
    assert desk.call(DEBIAN / "xdg-open", "http://127.0.0.1:1/#code") == 0
    assert desk.called == ["systemd-run --user --collect --quiet -- /usr/bin/xdg-open http://127.0.0.1:1/#code"]
