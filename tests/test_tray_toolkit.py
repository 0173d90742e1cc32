"""toolkit, handover: what the tray takes from the system, and how it goes without."""

import subprocess
import sys
from pathlib import Path

import pytest

from vbgcam.core.errors import VbgcamError
from vbgcam.desktop import handover, toolkit
from vbgcam.desktop.toolkit import Toolkit

if sys.platform != "linux":
    pytest.skip("elsewhere pystray needs nothing of the system", allow_module_level=True)


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def in_a_process(code: str) -> str:
    asked = [sys.executable, "-c", f"import sys\nfrom vbgcam.desktop import toolkit\n{code}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A folder of packages like the system's, and other things in it."""
    (tmp_path / "gi").mkdir()
    (tmp_path / "gi" / "__init__.py").write_text("from gi import part\n")
    (tmp_path / "gi" / "part.py").touch()
    (tmp_path / "six.py").write_text("raise RuntimeError('the system has its own')")
    (tmp_path / "colorama_of_the_system.py").touch()
    return tmp_path


def test_gi_is_taken_from_the_system_and_nothing_else(system: Path) -> None:
    said = in_a_process(f"""
sys.modules.pop("gi", None)
toolkit.FOLDERS = [{str(system)!r}]
print(toolkit.load_gi())
import gi.part, six
print(gi.__file__.startswith({str(system)!r}), {str(system)!r} in sys.path)
try:
    import colorama_of_the_system
except ImportError:
    print("not found")
""")
    assert said.split() == ["True", "True", "False", "not", "found"]


def test_a_gi_for_another_python_is_told_as_that(system: Path) -> None:
    (system / "gi" / "__init__.py").write_text("raise ImportError('no module gi._gi')")
    said = in_a_process(f"""
toolkit.FOLDERS = [{str(system)!r}]
print(toolkit.load_gi(), "gi" in sys.modules)
print(toolkit._linux({{"DISPLAY": ":0"}}).lacks)
""").splitlines()
    assert said[0] == "False False"
    assert "made for another Python" in said[1]


def test_a_missing_gi_is_told_with_the_package() -> None:
    found = in_a_process("toolkit.FOLDERS = []; print(toolkit._linux({'DISPLAY': ':0'}))")
    assert found.startswith("Toolkit(backend='xorg', lacks='GTK for Python is not installed; ")


def test_without_an_opener_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VbgcamError, match=r"nothing opens the panel here; .*xdg-utils"):
        handover.browse("http://127.0.0.1:1/")


def test_an_opener_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path, "xdg-open", "exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(VbgcamError, match=r"no browser opens the panel: .*xdg-open ended with 3"):
        handover.browse("http://127.0.0.1:1/")


def test_a_browser_that_stays_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = tmp_path / "said"
    program(tmp_path, "xdg-open", f'echo "$1" > {said}; exec sleep 1000')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(handover, "_PATIENCE", 0.2)
    handover.browse("http://127.0.0.1:1/#code")
    [browser] = handover._running
    assert browser.poll() is None
    browser.kill()
    browser.wait()
    handover._running.clear()
    assert said.read_text() == "http://127.0.0.1:1/#code\n"


def test_on_wayland_the_clipboard_is_filled_by_its_own_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = tmp_path / "said"
    program(tmp_path, "wl-copy", f"cat > {said}")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    handover.copy("two\nlines é", Toolkit("appindicator"))
    assert said.read_text("utf-8") == "two\nlines é"
    program(tmp_path, "wl-copy", "exit 1")
    with pytest.raises(VbgcamError, match="wl-copy does not take the text"):
        handover.copy("two", Toolkit("appindicator"))


def test_without_a_clipboard_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(VbgcamError, match="no clipboard"):
        handover.copy("two", Toolkit("xorg"))


def test_pystray_is_told_what_was_chosen() -> None:
    environment: dict[str, str] = {}
    assert toolkit.prepare(environment).backend == ""
    assert "PYSTRAY_BACKEND" not in environment
