"""files: whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from vbgcam.files import whole


def test_a_file_takes_its_name_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with whole(target) as part:
        part.write_text("new")
        assert not target.exists()
        assert part.suffix == ".txt"
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def break_off() -> None:
        with whole(target) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        break_off()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with whole(target, mode=0o600) as part:
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        part.write_text("secret")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole(tmp_path / "none" / "a.txt"):
        pass
