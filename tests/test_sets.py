"""Pictures with masks: which belong together, and what has no counterpart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import made_aisegment, picture
from vbgcam.core.errors import MediaError
from vbgcam.evaluate.sets import PictureSet, aisegment, pairs


def test_a_mask_belongs_to_the_picture_of_its_name(tmp_path: Path) -> None:
    for name in ("b.jpg", "b_mask.png", "deep/a.png", "deep/a_mask.png", "alone.jpg", "orphan_mask.png", "._b.jpg"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("")
    found = pairs(tmp_path)
    assert found.names == ["b", "deep/a"]
    assert found.files[:2] == [tmp_path / "b.jpg", tmp_path / "b_mask.png"]
    assert [item["why"] for item in found.left_out] == [
        f"{tmp_path / 'alone.jpg'} has no mask",
        f"{tmp_path / 'orphan_mask.png'} is a mask without its picture",
    ]


def test_pictures_and_masks_may_have_folders_of_their_own(tmp_path: Path) -> None:
    for name in ("images/x.jpg", "images/s/y.jpg", "masks/x.png", "masks/s/y_mask.png", "images/z.jpg"):
        picture(tmp_path / name)
    found = pairs(tmp_path)
    assert found.names == ["s/y", "x"]
    assert [item["name"] for item in found.left_out] == ["z"]


def test_aisegment_keeps_the_mask_in_the_mattings_alpha(tmp_path: Path) -> None:
    found = aisegment(made_aisegment(tmp_path))
    assert found.names == [
        "1803151818/00000000/1803151818-00000000",
        "1803151818/00000000/1803151818-00000001",
        "1803201916/00000000/1803201916-00000000",
    ]
    rgb, truth = found.read(0)
    assert rgb.shape == (8, 12, 3)
    assert truth[2, 3] == 200
    assert np.count_nonzero(truth) == 1


def test_a_matting_without_its_picture_and_hidden_files_of_the_archive(tmp_path: Path) -> None:
    made_aisegment(tmp_path)
    clips = tmp_path / "clip_img" / "1803151818" / "clip_00000000"
    (clips / "1803151818-00000001.jpg").unlink()
    picture(clips / ".hidden.jpg")
    found = aisegment(tmp_path)
    assert len(found.names) == 2
    assert [item["name"] for item in found.left_out] == ["1803151818/00000000/1803151818-00000001"]


@pytest.mark.parametrize(
    ("size", "mode", "value", "words"),
    [
        ((24, 16), "L", 90, r"a_mask\.png is 24x16, its picture a\.jpg 12x8"),
        ((12, 8), "RGB", (255, 0, 0), "is coloured"),
    ],
)
def test_a_mask_of_another_size_and_a_coloured_one_are_refused(
    tmp_path: Path, size: tuple[int, int], mode: str, value: object, words: str
) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "a_mask.png", size, mode, value)
    with pytest.raises(MediaError, match=words):
        pairs(tmp_path).read(0)


@pytest.mark.parametrize("look", [pairs, aisegment])
def test_what_holds_no_pair_is_said_in_one_line(tmp_path: Path, look: Callable[[Path], PictureSet]) -> None:
    with pytest.raises(MediaError, match="no such folder"):
        look(tmp_path / "nowhere")
    with pytest.raises(MediaError, match=r"holds no clip_img/|not one picture with its mask"):
        look(tmp_path)
    picture(tmp_path / "a.jpg")
    with pytest.raises(MediaError, match="is no folder"):
        look(tmp_path / "a.jpg")
