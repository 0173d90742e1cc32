"""terminal: what is shown while something takes long."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from vbgcam.cli.main import main
from vbgcam.cli.terminal import TERMINAL, progress
from vbgcam.core.text import printable


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch) -> Tty:
    """Not a fixture: between its set-up and the test pytest puts its own stderr back."""
    stream = Tty()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.mark.parametrize("name", ["a[/b].mp4", "[bold]", "[", "\x1b[2Ja.mp4"])
def test_a_files_name_is_no_markup_and_no_command(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tty = watched(monkeypatch)
    with progress(name) as show:
        show(1, 2, name)
    text = tty.getvalue()
    assert printable(name) in text
    assert "\x1b[2J" not in text


def test_the_logs_file_goes_on_while_a_bar_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    tty = watched(monkeypatch)
    log = logging.getLogger("vbgcam")
    kept: list[str] = []
    other, terminal = logging.Handler(), logging.StreamHandler()
    other.emit = lambda record: kept.append(record.getMessage())  # type: ignore[method-assign]
    terminal.name = TERMINAL
    before = log.handlers[:]
    log.handlers[:] = [terminal, other]
    try:
        with progress("a.mp4"):
            log.error("damaged")
        assert log.handlers == [terminal, other]
    finally:
        log.handlers[:] = before
    assert kept == ["damaged"]
    assert tty.getvalue().count("damaged") == 1


def test_a_name_with_a_command_for_the_terminal_or_no_text_is_shown_plainly(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "\x1b[2J\udcff.png", "-o", "out.png", "--background", "none"]) == 1
    assert "\x1b" not in capfd.readouterr().err
