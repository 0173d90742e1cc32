"""What was found survives: an end without warning, another start, a evaluation that is another one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vbgcam.core.errors import OutputError
from vbgcam.evaluate.base import Item
from vbgcam.evaluate.journal import Journal

KEY = {"model": "x", "files": [["a", 1, 2]]}
MASK = np.arange(48, dtype=np.uint8).reshape(6, 8)


def test_what_was_added_is_there_again_in_the_order_of_the_data(tmp_path: Path) -> None:
    with Journal(tmp_path, KEY) as journal:
        journal.add(Item(3, "three", {"iou": 1 / 3}, MASK))
        journal.add(Item(1, "one", {"why": "no mask"}))
    with Journal(tmp_path, KEY) as journal:
        assert list(journal.items()) == [Item(1, "one", {"why": "no mask"}), Item(3, "three", {"iou": 1 / 3})]
        assert journal.numbers == {1, 3}
        kept = journal.mask(3)
        assert kept is not None
        assert np.array_equal(kept, MASK)
        assert journal.mask(1) is None
        assert journal.mask(7) is None


def test_another_evaluation_finds_nothing_and_a_finished_one_leaves_nothing_behind(tmp_path: Path) -> None:
    journal = Journal(tmp_path, KEY)
    journal.add(Item(0, "a", {}))
    with Journal(tmp_path, {**KEY, "files": [["a", 1, 3]]}) as other:
        assert not other.numbers
        other.remove()
    journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_went_on_with_for_a_month_is_forgotten(tmp_path: Path) -> None:
    paths = []
    for number in range(2):
        with Journal(tmp_path, {"number": number}) as journal:
            journal.add(Item(0, "a", {}))
            paths.append(journal.path)
        old = time.time() - 31 * 86400
        os.utime(journal.path, (old, old))
    with Journal(tmp_path, {"number": 1}) as journal:
        assert journal.numbers == {0}, "one's own is kept, however old"
    assert list(tmp_path.iterdir()) == [paths[1]]


def test_what_was_added_survives_a_kill(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from vbgcam.evaluate.base import Item
from vbgcam.evaluate.journal import Journal
journal = Journal(Path({str(tmp_path)!r}), {KEY!r})
journal.add(Item(0, "kept", {{}}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = subprocess.run([sys.executable, "-c", script], check=False)
    assert process.returncode == -signal.SIGKILL
    with Journal(tmp_path, KEY) as journal:
        assert [item.name for item in journal.items()] == ["kept"]


def test_the_same_evaluation_twice_at_once_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path, KEY), pytest.raises(OutputError, match="running already"):
        Journal(tmp_path, KEY)


def test_a_damaged_journal_says_how_it_is_fixed(tmp_path: Path) -> None:
    with Journal(tmp_path, KEY) as journal:
        path = journal.path
    path.write_bytes(b"no data base at all" * 100)
    with pytest.raises(OutputError, match="damaged") as caught:
        Journal(tmp_path, KEY)
    assert caught.value.fix == f"remove it: rm '{path}'"


@pytest.mark.skipif(os.name != "posix", reason="a folder's place taken by a file has another errno elsewhere")
def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="cannot be kept there"):
        Journal(tmp_path / "taken" / "under", KEY)
