"""autostart: each platform's way in a folder of the test's own; on Linux as the desktop's own library reads it."""

# ruff: noqa: N802  # a stand-in for winreg has its names
import json
import os
import plistlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.control_fakes import until
from tests.support.desktop import ROOT, skip_without
from vbgcam.core.errors import VbgcamError
from vbgcam.desktop import autostart
from vbgcam.desktop.autostart import Autostart, DesktopEntry, LaunchAgent, RunKey

RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
APPROVED = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
COMMAND = ["/opt/vbg cam/bin/vbgcam", "run"]


class FakeWinreg:
    """Windows' registry module, of one user. `refuses`: as a machine that is managed by others."""

    HKEY_CURRENT_USER, KEY_SET_VALUE, REG_SZ = 1, 2, 1

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str | bytes] = {}
        self.refuses = False

    @contextmanager
    def OpenKey(self, _hive: int, name: str, _reserved: int = 0, access: int = 0) -> Iterator[str]:
        if self.refuses and access:
            raise PermissionError(13, "Access is denied")
        yield name

    def CreateKey(self, hive: int, name: str) -> AbstractContextManager[str]:
        return self.OpenKey(hive, name, 0, self.KEY_SET_VALUE)

    def QueryValueEx(self, key: str, name: str) -> tuple[str | bytes, int]:
        if (key, name) not in self.values:
            raise FileNotFoundError
        return self.values[key, name], self.REG_SZ

    def SetValueEx(self, key: str, name: str, _reserved: int, _kind: int, text: str) -> None:
        self.values[key, name] = text

    def DeleteValue(self, key: str, name: str) -> None:
        if self.values.pop((key, name), None) is None:
            raise FileNotFoundError


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> FakeWinreg:
    fake = FakeWinreg()
    monkeypatch.setitem(sys.modules, "winreg", fake)
    return fake


Ways = Callable[[Path], Autostart]
WAYS: dict[str, Ways] = {
    "linux": lambda folder: DesktopEntry(folder / "config", [folder / "etc"]),
    "windows": lambda _: RunKey(),
    "macos": lambda folder: LaunchAgent(folder / "Library" / "LaunchAgents"),
}


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Autostart:
    made: Ways = request.param
    return made(tmp_path)


def test_it_goes_on_and_off_and_nothing_stays_behind(way: Autostart, tmp_path: Path, registry: FakeWinreg) -> None:
    assert not way.enabled()
    way.disable()  # nothing to do
    for _ in range(2):
        way.enable(COMMAND)
        assert way.enabled()
    way.disable()
    assert not way.enabled()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert registry.values == {}


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("[Desktop Entry]\nExec=vbgcam run\n", True),
        ("[Desktop Entry]\nExec = vbgcam run\nHidden=false\n", True),
        ("[Desktop Entry]\nExec=vbgcam run\nHidden=true\n", False),
        ("[Desktop Entry]\nExec=vbgcam run\nX-GNOME-Autostart-enabled=false\n", False),
        ("[Desktop Entry]\nName=VBG Camera\n", False),
        ("[Desktop Action other]\nExec=vbgcam run\n", False),
        ("[Desktop Entry]\nExec=vbgcam run\n[Desktop Action other]\nHidden=true\n", True),
        ("", False),
        ("Exec=vbgcam run\n", False),
    ],
)
def test_what_a_desktop_s_settings_switch_off_is_off(tmp_path: Path, text: str, on: bool) -> None:
    path = tmp_path / "config" / "autostart" / "vbgcam.desktop"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert WAYS["linux"](tmp_path).enabled() is on


def test_a_package_s_entry_for_everybody_is_overruled_by_the_user_s(tmp_path: Path) -> None:
    everybody = tmp_path / "etc" / "autostart" / "vbgcam.desktop"
    everybody.parent.mkdir(parents=True)
    everybody.write_text("[Desktop Entry]\nExec=vbgcam run\n")
    way = WAYS["linux"](tmp_path)
    assert way.enabled()
    way.disable()
    assert not way.enabled()
    assert everybody.exists()
    way.enable(COMMAND)
    assert way.enabled()


def test_the_desktop_starts_what_was_meant(tmp_path: Path) -> None:
    """However the folder is called, the program gets its arguments as they were. (A % in the program's own path is more
    than GLib can read.)"""
    skip_without(gtk=True)
    folder = tmp_path / "a \"b\" $HOME `c` \\ é 'd'"
    folder.mkdir()
    program, said = folder / "vbgcam", tmp_path / "said"
    program.write_text(f"#!{sys.executable}\nimport json, sys\nopen({str(said)!r}, 'w').write(json.dumps(sys.argv))\n")
    program.chmod(0o755)
    arguments = ["run", "--background", r"C:\new \\ $x `y` %u %% \"z\"", "", "~;&|<>*?#()"]
    WAYS["linux"](tmp_path).enable([str(program), *arguments])
    path = tmp_path / "config" / "autostart" / "vbgcam.desktop"
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from vbgcam.desktop.toolkit import load_gi, module; load_gi()\n"
        f"info = module('Gio').DesktopAppInfo.new_from_filename({str(path)!r})\n"
        "assert info.get_name() == 'VBG Camera'; assert info.launch([], None)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    until(lambda: said.exists() and bool(said.read_text()))
    assert json.loads(said.read_text()) == [str(program), *arguments]


def test_windows_gets_one_line_and_what_was_switched_off_there_is_on_again(registry: FakeWinreg) -> None:
    way = RunKey()
    way.enable([r"C:\Program Files\vbgcam\vbgcam.exe", "run"])
    assert registry.values == {(RUN, "vbgcam"): r'"C:\Program Files\vbgcam\vbgcam.exe" run'}
    registry.values[APPROVED, "vbgcam"] = bytes.fromhex("030000001122334455667788")
    assert not way.enabled()
    way.enable([r"C:\vbgcam.exe", "run"])
    assert way.enabled()
    registry.values[APPROVED, "vbgcam"] = bytes.fromhex("020000000000000000000000")
    assert way.enabled()


def test_macos_gets_an_agent_that_runs_at_load(tmp_path: Path) -> None:
    way = LaunchAgent(tmp_path)
    way.enable(COMMAND)
    told = plistlib.loads((tmp_path / "vbgcam.plist").read_bytes())
    assert (told["ProgramArguments"], told["RunAtLoad"]) == (COMMAND, True)
    for damaged in (b"", b"<plist", plistlib.dumps(["no", "agent"]), plistlib.dumps({**told, "Disabled": True})):
        (tmp_path / "vbgcam.plist").write_bytes(damaged)
        assert not way.enabled()


def test_a_system_that_refuses_is_told_in_a_line(way: Autostart, tmp_path: Path, registry: FakeWinreg) -> None:
    (tmp_path / "config").write_text("in the way")
    (tmp_path / "Library").write_text("in the way")
    registry.refuses = True
    assert not way.enabled()
    for change in (partial(way.enable, COMMAND), way.disable):
        with pytest.raises(VbgcamError, match="the start at login cannot be changed: "):
            change()


def test_the_command_starts_this_program() -> None:
    done = subprocess.run([*autostart.command()[:-1], "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("vbgcam ")
    assert autostart.command()[-1] == "run"
    assert os.path.isabs(autostart.command()[0])  # noqa: PTH117  # it is no Path


@pytest.mark.skipif(sys.platform != "linux", reason="where Linux keeps it")
@pytest.mark.parametrize("set_to", ["", "relative/config"])
def test_without_a_folder_of_the_user_s_own_it_is_dot_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_to: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    autostart.here({"XDG_CONFIG_HOME": set_to, "XDG_CONFIG_DIRS": str(tmp_path / "etc")}).enable(COMMAND)
    assert (tmp_path / ".config" / "autostart" / "vbgcam.desktop").exists()
