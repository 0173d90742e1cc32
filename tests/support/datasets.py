"""Sets of pictures with masks as people have them: COCO, AISegment, pairs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vbgcam.core.frames import U8
from vbgcam.evaluate.coco import CATEGORIES, CocoSet

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


class CocoMaker:
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

    def write(self) -> CocoSet:
        data = {"images": self.images, "annotations": self.annotations}
        (self.folder / "annotations" / "instances_val2017.json").write_text(json.dumps(data))
        return CocoSet(self.folder)


def coco_set(folder: Path) -> CocoMaker:
    """Several classes, overlaps of one and of two, a crowd, a category that VOC has not, an image with nothing."""
    made = CocoMaker(folder)
    for number, size in enumerate(SIZES):
        made.image(90 - number, *size)
    made.thing(90, 1, (100, 50, 300, 400))
    made.thing(90, 1, (250, 100, 400, 300))
    made.thing(90, 62, (380, 200, 600, 420))
    made.thing(90, 8, (0, 0, 640, 40))  # a truck
    made.thing(89, 1, (20, 20, 200, 480), crowd=True)
    made.thing(89, 17, (180, 300, 300, 490))
    made.thing(88, 72, (10, 10, 80, 50))
    made.thing(87, 1, (0, 0, 520, 260))
    return made


def labels_by_colour(rgb: U8) -> U8:
    """Some label for each pixel, of a few classes, by its colour."""
    return np.choose(rgb[..., 0].astype(int) // 64, [0, 15, 9, 8]).astype(np.uint8)


def counted(maker: CocoMaker) -> Rows:
    """The table, pixel by pixel."""
    table = [[0] * 21 for _ in range(21)]
    for name, painted in maker.targets.items():
        picture, target = Image.open(maker.folder / "val2017" / name).convert("RGB"), Image.fromarray(painted)
        if min(picture.size) != 520:
            width, height = (int(520 * side / min(picture.size)) for side in picture.size)
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            target = target.resize((width, height), Image.Resampling.NEAREST)
        found = labels_by_colour(np.asarray(picture)).ravel().tolist()
        for true, ours in zip(np.asarray(target).ravel().tolist(), found, strict=True):
            if true != 255:
                table[true][ours] += 1
    return table


def picture(path: Path, size: tuple[int, int] = (12, 8), mode: str = "RGB", value: object = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)  # type: ignore[arg-type]
    return path


def made_aisegment(folder: Path) -> Path:
    for group, name in (("1803151818", "00000000"), ("1803151818", "00000001"), ("1803201916", "00000000")):
        picture(folder / "clip_img" / group / "clip_00000000" / f"{group}-{name}.jpg")
        matting = folder / "matting" / group / "matting_00000000" / f"{group}-{name}.png"
        picture(matting, mode="RGBA", value=(9, 9, 9, 0))
        image = Image.open(matting)
        image.putpixel((3, 2), (9, 9, 9, 200))
        image.save(matting)
    return folder
