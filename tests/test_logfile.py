"""The log's file: bounded, private, and no picture in it, whatever is said to it."""

import logging
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from vbgcam.core.frames import Planes, RawFrame, Size
from vbgcam.system.logfile import NAME, LogFile, Rates


class Clock:
    """Seconds that pass when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def writing(path: Path, clock: Callable[[], float] | None = None) -> Iterator[logging.Logger]:
    """A logger whose only place is the file."""
    handler = LogFile(path, "test", clock or Clock())
    logger = logging.Logger("vbgcam.somewhere")
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        handler.close()


def entries(path: Path) -> list[str]:
    """Without the first line of the file, and without the times."""
    return [line.partition("Z ")[2] if "Z " in line[:26] else line for line in path.read_text().splitlines()[1:]]


def test_the_file_is_made_by_the_first_message_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / NAME
    with writing(path) as log:
        assert not path.parent.exists()
        log.info("source: %s, %s", "demo", Size(640, 360))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert " info vbgcam: " in path.read_text().splitlines()[0]
    assert entries(path) == ["info vbgcam.somewhere: source: demo, 640x360"]


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / NAME).touch(0o644)
    with writing(tmp_path / NAME) as log:
        log.info("a")
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_it_never_takes_more_than_five_megabytes(tmp_path: Path) -> None:
    with writing(tmp_path / NAME) as log:
        for number in range(4000):
            log.info(f"{number} {'long ' * 390}")  # 8 MB of messages, no two the same
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sorted(sizes) == [NAME, *(f"{NAME}.{number}" for number in range(1, 5))]
    assert max(sizes.values()) <= 1_000_000
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())


def test_the_same_message_again_and_again_is_ten_lines_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    with writing(tmp_path / NAME, clock) as log:
        for number in range(6000):  # ten minutes of ten a second
            log.warning("frame %d was damaged", number)
            log.info("once") if number == 3000 else None
            clock.now += 0.1
    lines = entries(tmp_path / NAME)
    assert sum(line.endswith("once") for line in lines) == 1
    told = [line for line in lines if "damaged" in line]
    assert 90 <= len(told) <= 110
    assert told[10].endswith("more like this were left out)")


def test_messages_that_are_made_up_on_the_way_do_not_fill_the_memory() -> None:
    rates = Rates(Clock())
    for number in range(5000):
        rates.more(("vbgcam", 20, str(number)))
    assert len(rates._seen) == 1000


@pytest.mark.parametrize(
    "what",
    [
        np.full((48, 64), 137, np.uint8),
        bytes([137] * 99),
        bytearray([137] * 99),
        [137] * 99,
        RawFrame(Planes.filled(Size(64, 48), (137, 137, 137)).frozen(), 0.0),
        ValueError("bad", np.full(9, 137)),
        dict.fromkeys(range(9), 137),
        {"luma": bytes([137])},
        (np.uint8(1), (2, [np.full(2, 137)])),
    ],
)
def test_no_picture_gets_into_it(tmp_path: Path, what: object) -> None:
    with writing(tmp_path / NAME) as log:
        log.warning("here: %s", what)
        log.warning("here: %d", what)
        log.warning(what)
        try:
            raise ValueError("told", what)
        except ValueError as exc:
            log.error("failed: %s", exc, exc_info=True)
    text = (tmp_path / NAME).read_text()
    assert text.count("somewhere:") == 4
    assert all("137" not in line.partition("Z ")[2] for line in text.splitlines()[1:])
    assert "\\x89" not in text


def test_a_message_stays_one_entry_whatever_stands_in_a_files_name(tmp_path: Path) -> None:
    with writing(tmp_path / NAME) as log:
        log.warning("%s is broken", Path("a\n2026-01-01T00:00:00.000Z error vbgcam: forged\x1b[2J\udcff.png"))
        log.warning("long: %s", "x" * 9000)
    lines = entries(tmp_path / NAME)
    assert lines[1].startswith("    2026-")
    assert "\\x1b[2J\\udcff.png is broken" in lines[1]
    assert lines[2].endswith("... (7006 characters more)")
    assert len(lines) == 3


def test_an_error_is_told_with_what_caused_it(tmp_path: Path) -> None:
    def inner() -> None:
        raise KeyError("first")

    with writing(tmp_path / NAME) as log:
        try:
            try:
                inner()
            except KeyError as exc:
                raise RuntimeError("second") from exc
        except RuntimeError:
            log.exception("failed")
    lines = entries(tmp_path / NAME)
    assert lines[0] == "error vbgcam.somewhere: failed"
    assert lines[1] == "    RuntimeError: second"
    assert "    KeyError: 'first'" in lines
    assert all(line.startswith("    ") for line in lines[1:])
    assert any("in inner" in line for line in lines)


def test_a_disk_that_has_room_again_is_written_to_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state" / NAME
    path.parent.touch()
    said: list[str] = []
    with writing(path) as log:
        telling = logging.getLogger("vbgcam.system.logfile")
        monkeypatch.setattr(telling, "propagate", False)
        listener = logging.Handler()
        listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
        telling.addHandler(listener)
        try:
            log.info("lost %d", 1)
            log.info("lost %d", 2)
            path.parent.unlink()
            log.info("kept")
        finally:
            telling.removeHandler(listener)
    assert said == [f"{path}: the log cannot be written: File exists"]
    assert entries(path) == ["info vbgcam.somewhere: kept"]
    assert "Traceback" not in capfd.readouterr().err
