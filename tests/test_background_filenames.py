"""background.filenames: names that every system takes, and how people read them."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.background import filenames
from vbgcam.background.filenames import KINDS, safe


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("late_summer-2.jpg", "late summer 2"),
        ("two  spaces.png", "two spaces"),
        ("archive.2024.png", "archive.2024"),
        ("--.png", "--.png"),
        ("a\tb\u202ec.png", "a b c"),
    ],
)
def test_a_label_is_the_readable_name(name: str, label: str) -> None:
    assert filenames.label(name) == label


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("beach.png", "beach.png"),
        ("Strand am Abend.PNG", "Strand am Abend.png"),
        ("../../etc/beach.png", "beach.png"),
        ("C:\\Users\\me\\beach.png", "beach.png"),
        ("..png", "background.png"),
        (".beach.png", "beach.png"),
        ("beach", "beach.png"),
        ("beach.jpg", "beach.jpg"),
        ("beach.mp4", "beach.mp4"),
        ("beach.2024", "beach.2024.png"),
        ("beach.html", "beach.html.png"),
        ("", "background.png"),
        ("...", "background.png"),
        ("con.png", "background con.png"),
        ("LPT1.tar.png", "background LPT1.tar.png"),
        ("a\0b\nc\x1b[31md\u202e.png", "a b c [31md.png"),
        ('w<h>a"t|?*:.png', "w h a t.png"),
        ("cafe\u0301.png", "café.png"),
        ("  spaces  .png", "spaces.png"),
    ],
)
def test_a_name_becomes_one_that_every_system_takes(asked: str, name: str) -> None:
    assert safe(asked, ".png") == name


@given(st.text(st.characters(codec=None), max_size=300))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    made = safe(name, ".png")
    assert Path(made).suffix in KINDS
    assert len(made) <= 100
    assert len(made.encode()) <= 140
    assert not made.startswith((".", " "))
    assert Path(made).stem.strip(" .") == Path(made).stem != ""
    assert not set(made) & set('/\\<>:"|?*')
    assert all(unicodedata.category(c)[0] != "C" for c in made)
    assert safe(made, ".png") == made
