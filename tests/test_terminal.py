"""terminal: what is shown while something takes long."""

import io
import logging
import sys

import pytest

from vbgcam.cli.log import set_up_log
from vbgcam.cli.main import main
from vbgcam.cli.terminal import progress
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


def test_the_log_goes_on_above_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    log = logging.getLogger("vbgcam")
    before = log.handlers[:]
    tty = watched(monkeypatch)
    set_up_log(verbose=False)
    try:
        with progress("a.mp4"):
            log.error("damaged")
    finally:
        log.handlers[:] = before
    assert tty.getvalue().count("damaged") == 1


def test_a_name_with_a_command_for_the_terminal_or_no_text_is_shown_plainly(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "\x1b[2J\udcff.png", "-o", "out.png", "--background", "none"]) == 1
    assert "\x1b" not in capfd.readouterr().err
