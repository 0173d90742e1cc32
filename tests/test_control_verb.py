"""remote: what a verb makes of the words it is given, before the running program has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vbgcam.control.verb import _from_here


@pytest.mark.parametrize("text", ["next", "none", "blur", "blur:0.7", "#204060", "Beach"])
def test_what_names_no_file_here_stays_as_it_is(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _from_here(text) == text


def test_a_picture_is_meant_from_here_although_its_name_begins_like_a_blur(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "blurry.jpg").touch()
    assert _from_here("blurry.jpg") == str(tmp_path / "blurry.jpg")
