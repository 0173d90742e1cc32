"""COCO as torchvision counts it, against a plain implementation that shares nothing with the program's."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.datasets import SIZES, CocoMaker, coco_set
from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8
from vbgcam.evaluate import coco
from vbgcam.evaluate.coco import VOC_NAMES, CocoSet, at_preset


@pytest.fixture
def maker(tmp_path: Path) -> CocoMaker:
    return coco_set(tmp_path / "coco")


def read(images: CocoSet) -> dict[str, U8]:
    return {name: images.read(number)[1] for number, name in enumerate(images.names)}


def test_the_truth_is_the_one_that_was_painted(maker: CocoMaker) -> None:
    found = read(maker.write())
    assert list(found) == sorted(maker.targets), "in the order of the images' numbers"
    for name, target in found.items():
        painted = maker.targets[name]
        assert np.array_equal(target, at_preset(np.zeros((*painted.shape, 3), np.uint8), painted)[1]), name
    assert any((target == 255).any() for target in found.values())
    assert any(not target.any() for target in found.values())


def test_the_figures_are_those_of_torchvisions_formulas() -> None:
    """As its reference writes them, on the table as a tensor, in float64."""
    import torch

    counts = np.random.default_rng(1).integers(0, 10**9, (21, 21))
    table = torch.tensor(counts).double()
    accuracy = torch.diag(table).sum() / table.sum()
    iou = torch.diag(table) / (table.sum(1) + table.sum(0) - torch.diag(table))
    assert coco.accuracy(counts) == pytest.approx(accuracy.item(), rel=1e-15)
    assert coco.class_iou(counts) == pytest.approx(iou.tolist(), rel=1e-15)


def test_ignored_pixels_count_nowhere_and_a_class_that_occurs_nowhere_has_no_iou() -> None:
    counts = coco.confusion(np.array([0, 15, 15, 255], np.uint8), np.array([0, 15, 0, 3], np.uint8))
    assert (coco.class_iou(counts)[15], coco.class_iou(counts)[5]) == (0.5, None)
    assert coco.accuracy(counts) == pytest.approx(2 / 3)
    assert coco.alone(counts, 15).tolist() == [[1, 0], [1, 1]]


def test_the_published_names_are_in_torchvisions_order() -> None:
    from vbgcam.segment.torchvision import published_weights

    meta = published_weights("fcn_resnet101").meta
    assert [name.strip("_") for name in meta["categories"]] == list(VOC_NAMES)


@pytest.mark.parametrize("size", SIZES)
def test_the_preset_is_torchvisions(size: tuple[int, int]) -> None:
    functional: Any = importlib.import_module("torchvision.transforms.functional")
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    target = rng.integers(0, 21, (size[1], size[0]), dtype=np.uint8)
    ours = at_preset(rgb, target)
    theirs = (
        functional.resize(Image.fromarray(rgb), 520),
        functional.resize(Image.fromarray(target), 520, interpolation=functional.InterpolationMode.NEAREST),
    )
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one, np.asarray(other))


def test_what_is_no_coco_set_is_said_in_one_line(tmp_path: Path, maker: CocoMaker) -> None:
    for folder, words in (
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path, r"instances_val2017\.json: .* no such file"),
    ):
        with pytest.raises(MediaError, match=words):
            CocoSet(folder)
    path = maker.folder / "annotations" / "instances_val2017.json"
    for text in ("{", "[]", '{"images": [], "annotations": []}'):
        path.write_text(text)
        with pytest.raises(MediaError, match=r"instances_val2017\.json"):
            CocoSet(maker.folder)


def test_a_missing_or_damaged_image_or_annotation_is_said_by_name(maker: CocoMaker) -> None:
    maker.annotations[0]["segmentation"] = "nonsense"
    images = maker.write()
    missing, damaged, wrong = f"{86:012}.jpg", f"{88:012}.jpg", f"{90:012}.jpg"
    (maker.folder / "val2017" / missing).unlink()
    (maker.folder / "val2017" / damaged).write_bytes(b"\xff\xd8 no picture")
    for name, words in ((missing, "is missing"), (damaged, "cannot be read"), (wrong, "an annotation of it")):
        with pytest.raises(MediaError, match=f"{name}.*{words}"):
            images.read(images.names.index(name))


def test_without_pycocotools_the_fix_is_a_command(maker: CocoMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(MediaError) as caught:
        maker.write()
    assert caught.value.fix == "pip install 'vbgcam[eval]'"
