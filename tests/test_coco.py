"""COCO as torchvision counts it, against a plain implementation that shares nothing with the program's."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8
from vbgcam.evaluate.coco import CATEGORIES, VOC_NAMES, CocoSet, Confusion, at_preset

Rows = list[list[int]]
SIZES = [(640, 427), (333, 500), (97, 61), (520, 520), (641, 120)]


def rectangle(left: int, top: int, right: int, bottom: int) -> list[float]:
    """A polygon of whole pixels."""
    return [left, top, right, top, right, bottom, left, bottom]


def run_lengths(mask: U8) -> dict[str, Any]:
    """COCO's uncompressed form: column by column, zeros first."""
    counts, before, length = [], 0, 0
    for value in mask.T.ravel():
        if value != before:
            counts.append(length)
            before, length = int(value), 0
        length += 1
    return {"counts": [*counts, length], "size": list(mask.shape)}


class Maker:
    """A set in COCO's format, and what each pixel is, painted here by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.targets: dict[str, U8] = {}
        (folder / "val2017").mkdir(parents=True)
        (folder / "annotations").mkdir()

    def image(self, number: int, width: int, height: int) -> str:
        rng = np.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        name = f"{number:012}.jpg"
        small.resize((width, height), Image.Resampling.BICUBIC).save(self.folder / "val2017" / name)
        self.images.append({"id": number, "file_name": name, "width": width, "height": height})
        self.targets[name] = np.zeros((height, width), np.uint8)
        return name

    def thing(self, number: int, category: int, box: tuple[int, int, int, int], *, crowd: bool = False) -> None:
        name = next(image["file_name"] for image in self.images if image["id"] == number)
        target = self.targets[name]
        left, top, right, bottom = box
        inside = np.zeros(target.shape, np.uint8)
        inside[top:bottom, left:right] = 1
        half = (left + right) // 2
        self.annotations.append(
            {
                "id": len(self.annotations) + 1,
                "image_id": number,
                "category_id": category,
                "iscrowd": int(crowd),
                # Two polygons of one object, that lie side by side.
                "segmentation": run_lengths(inside)
                if crowd
                else [rectangle(left, top, half, bottom), rectangle(half, top, right, bottom)],
            }
        )
        if category in CATEGORIES:
            taken = (inside == 1) & (target != 0)
            target[inside == 1] = CATEGORIES.index(category)
            target[taken] = 255

    def write(self, name: str = "val2017") -> CocoSet:
        data = {"images": self.images, "annotations": self.annotations}
        (self.folder / "annotations" / f"instances_{name}.json").write_text(json.dumps(data))
        return CocoSet(self.folder)


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """Several classes, overlaps of one and of two, a crowd, a category that VOC has not, an image with nothing."""
    made = Maker(tmp_path / "coco")
    for number, (width, height) in enumerate(SIZES):
        made.image(90 - number, width, height)
    made.thing(90, 1, (100, 50, 300, 400))
    made.thing(90, 1, (250, 100, 400, 300))
    made.thing(90, 62, (380, 200, 600, 420))
    made.thing(90, 8, (0, 0, 640, 40))  # a truck
    made.thing(89, 1, (20, 20, 200, 480), crowd=True)
    made.thing(89, 17, (180, 300, 300, 490))
    made.thing(88, 72, (10, 10, 80, 50))
    made.thing(87, 1, (0, 0, 520, 260))
    return made


def answer(rgb: U8) -> U8:
    """Some label for each pixel, of a few classes, by its colour."""
    return np.choose(rgb[..., 0].astype(int) // 64, [0, 15, 9, 8]).astype(np.uint8)


def plain(maker: Maker) -> Rows:
    """The table, pixel by pixel, in pure Python."""
    table = [[0] * 21 for _ in range(21)]
    for image in maker.images:
        name = image["file_name"]
        picture, target = (
            Image.open(maker.folder / "val2017" / name).convert("RGB"),
            Image.fromarray(maker.targets[name]),
        )
        width, height = picture.size
        scale = 520 / min(width, height)
        size = (520, int(520 * height / width)) if width <= height else (int(520 * width / height), 520)
        if scale != 1:
            picture, target = (
                picture.resize(size, Image.Resampling.BILINEAR),
                target.resize(size, Image.Resampling.NEAREST),
            )
        found = answer(np.asarray(picture)).ravel().tolist()
        for true, ours in zip(np.asarray(target).ravel().tolist(), found, strict=True):
            if true != 255:
                table[true][ours] += 1
    return table


def test_the_table_is_that_of_a_plain_implementation(maker: Maker) -> None:
    counts = Confusion()
    for image in maker.write():
        rgb, target = at_preset(*image.read())
        counts.update(target, answer(rgb))
    assert counts.rows == plain(maker)


def test_the_truth_is_the_one_that_was_painted(maker: Maker) -> None:
    found = {image.name: image.read()[1] for image in maker.write()}
    assert list(found) == sorted(maker.targets), "in the order of the images' numbers"
    for name, target in found.items():
        assert np.array_equal(target, maker.targets[name]), name
    assert any((target == 255).any() for target in found.values())
    assert any(not target.any() for target in found.values())


def test_the_figures_are_those_of_torchvisions_formulas() -> None:
    """As its reference writes them, on the table as a tensor, in float64."""
    import torch

    counts = Confusion()
    counts.table[:] = np.random.default_rng(1).integers(0, 10**9, (21, 21))
    table = torch.tensor(counts.rows).double()
    accuracy = torch.diag(table).sum() / table.sum()
    iou = torch.diag(table) / (table.sum(1) + table.sum(0) - torch.diag(table))
    assert counts.accuracy == pytest.approx(accuracy.item(), rel=1e-15)
    assert counts.class_iou == pytest.approx(iou.tolist(), rel=1e-15)
    assert counts.miou == pytest.approx(iou.mean().item(), rel=1e-15)


def test_a_class_that_occurs_nowhere_leaves_no_mean_over_all() -> None:
    counts = Confusion()
    counts.update(np.array([0, 15, 15, 255], np.uint8), np.array([0, 15, 0, 3], np.uint8))
    assert counts.miou is None
    assert counts.class_iou[15] == 0.5
    assert counts.class_iou[5] is None
    assert counts.miou_present == 0.5
    assert counts.accuracy == pytest.approx(2 / 3)
    alone = counts.alone(15)
    assert alone.rows == [[1, 0], [1, 1]]


def test_the_published_names_are_in_torchvisions_order() -> None:
    from vbgcam.segment.person import published_weights

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


def test_what_is_no_coco_set_is_said_in_one_line(tmp_path: Path, maker: Maker) -> None:
    with pytest.raises(MediaError, match="no such folder"):
        CocoSet(tmp_path / "nowhere")
    with pytest.raises(MediaError, match=r"no annotations/instances_NAME\.json"):
        CocoSet(tmp_path)
    path = maker.folder / "annotations" / "instances_val2017.json"
    for text in ("{", "[]", '{"images": [], "annotations": []}'):
        path.write_text(text)
        with pytest.raises(MediaError, match=r"instances_val2017\.json"):
            CocoSet(maker.folder)


def test_a_missing_or_damaged_image_or_annotation_is_said_by_name(maker: Maker) -> None:
    maker.annotations[0]["segmentation"] = "nonsense"
    images = {image.name: image for image in maker.write()}
    missing, damaged, wrong = f"{86:012}.jpg", f"{88:012}.jpg", f"{90:012}.jpg"
    (maker.folder / "val2017" / missing).unlink()
    (maker.folder / "val2017" / damaged).write_bytes(b"\xff\xd8 no picture")
    for name, words in ((missing, "is missing"), (damaged, "cannot be read"), (wrong, "an annotation of it")):
        with pytest.raises(MediaError, match=f"{name}.*{words}"):
            images[name].read()


def test_without_pycocotools_the_command_that_fixes_it_is_said(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pycocotools", None)
    with pytest.raises(MediaError) as caught:
        maker.write()
    assert caught.value.fix == "pip install 'vbgcam[eval]'"
