"""notice: troubles on the desktop, by a program that stands for notify-send."""

import sys
from pathlib import Path

import pytest

from vbgcam.system.notifications import Notifications

if sys.platform == "win32":
    pytest.skip("notify-send is Linux's", allow_module_level=True)


@pytest.fixture
def desktop(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "notify-send"
    said = tmp_path / "said.$$"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" > {said}\n')
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin", "DISPLAY": ":0"}


def said(folder: Path, notices: Notifications) -> list[str]:
    for process in notices._running:
        process.wait(60)
    return [file.read_text().strip() for file in sorted(folder.glob("said.[0-9]*"))]


def test_each_trouble_is_shown_once_with_its_fix(tmp_path: Path, desktop: dict[str, str]) -> None:
    notices = Notifications(desktop)
    for problem in ("", "the camera is gone; plug it in again", "", "the camera is gone; plug it in again"):
        notices.tell(problem)
    [text] = said(tmp_path, notices)
    assert text == "--app-name=vbgcam --icon=camera-web -- VBG Camera: the camera is gone plug it in again"
    notices.tell("the model failed")
    assert len(said(tmp_path, notices)) == 2
    notices.close()


def test_each_time_that_the_room_comes_to_be_visible_is_said_once(tmp_path: Path, desktop: dict[str, str]) -> None:
    notices = Notifications(desktop)
    for shown in (False, True, True, False, False):
        notices.room(shown)
    [text] = said(tmp_path, notices)
    assert text.endswith("VBG Camera: Your room is visible Choose a background to hide it.")
    notices.room(True)
    assert len(said(tmp_path, notices)) == 2
    notices.close()


def test_a_service_that_hangs_holds_nothing_up(tmp_path: Path, desktop: dict[str, str]) -> None:
    (tmp_path / "notify-send").write_text("#!/bin/sh\nexec sleep 1000\n")
    notices = Notifications(desktop)
    notices.tell("the camera is gone")
    notices.close()


@pytest.mark.parametrize("missing", ["DISPLAY", "PATH"])
def test_without_a_desktop_or_the_program_nothing_is_shown(
    tmp_path: Path, desktop: dict[str, str], missing: str
) -> None:
    notices = Notifications(desktop | {missing: "" if missing == "DISPLAY" else "/nowhere"})
    notices.tell("the camera is gone")
    notices.close()
    assert not list(tmp_path.glob("said*"))


def test_no_more_than_a_few(tmp_path: Path, desktop: dict[str, str]) -> None:
    notices = Notifications(desktop)
    for number in range(40):
        notices.tell(f"trouble {number}")
    assert len(said(tmp_path, notices)) == 20
    notices.close()
