"""files: whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vbgcam.media import atomic
from vbgcam.media.atomic import whole


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


def test_the_umask_is_obeyed_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To ask for it is to set it for all threads: two that asked at once left it 0 for good."""
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "umask", lambda _mask: pytest.fail("the process's umask was set"))
            with whole(tmp_path / "a.txt") as part:
                part.write_text("new")
    finally:
        assert os.umask(before) == 0o027
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def left_over(folder: Path, name: str = "a.txt") -> Path:
    """What a program that is killed while it writes leaves behind."""
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom vbgcam.media.atomic import whole\n"
        f"with whole(Path({str(folder / name)!r})) as part:\n"
        "    part.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (found,) = folder.glob("*.txt")
    assert len(list(folder.iterdir())) == 2, "the part and its lock"
    return found


def test_what_a_killed_program_left_half_written_goes_with_the_next_file(tmp_path: Path) -> None:
    half = left_over(tmp_path)
    strangers = [tmp_path / name for name in (".original.txt", "vbgcam-0123456789ab.txt", ".vbgcam-0123.txt")]
    for stranger in strangers:
        stranger.write_text("a person's own")
    link = tmp_path / ".vbgcam-0123456789ab.txt"
    link.symlink_to(strangers[0])
    atomic._cleaned.discard(tmp_path)
    with whole(tmp_path / "b.txt") as part:
        part.write_text("new")
    assert not half.exists()
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "b.txt", link, *strangers])


def test_what_another_program_is_writing_stays(tmp_path: Path) -> None:
    with whole(tmp_path / "a.txt") as part:
        part.write_text("mine")
        script = (
            "from pathlib import Path\nfrom vbgcam.media import atomic\n"
            f"atomic._remove_leftovers(Path({str(tmp_path)!r}))\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert (tmp_path / "a.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["x" * 251 + ".txt", "\N{CLOUD}" * 83 + ".txt", "x", ".x"])
def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path: Path, name: str) -> None:
    with whole(tmp_path / name) as part:
        part.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == [name]
