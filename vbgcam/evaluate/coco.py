"""COCO val2017 with Pascal VOC's 21 classes, counted as torchvision's own evaluation counts, so that its published
figures (fcn_resnet101: 63.7 mIoU, 91.9 pixel accuracy) are what comes out.

The rules, from torchvision's segmentation reference (references/segmentation in its repository): annotations of other
categories than VOC's do not exist; where two of the rest overlap, a pixel counts nowhere (255); all images are scored,
also those without a person or an annotation; picture and truth are brought to 520 pixels on the short side, the truth
by the nearest pixel; one table over the whole set.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8

VOC_NAMES: Final = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
CATEGORIES: Final = (0, 5, 2, 16, 9, 44, 6, 3, 17, 62, 21, 67, 18, 19, 4, 1, 64, 20, 63, 7, 72)
"""COCO's category of each VOC class."""
IGNORED: Final = 255
PRESET: Final = 520


@dataclass(frozen=True, slots=True)
class Annotated:
    """One image of the set. `path`: its file."""

    name: str
    path: Path
    objects: tuple[Mapping[str, Any], ...]

    def read(self) -> tuple[U8, U8]:
        """RGB, uint8, (height, width, 3), as it lies in the file, and the class of each pixel, uint8, (height, width),
        0 to 20, or 255 where none counts. Raises MediaError."""
        try:
            with Image.open(self.path) as image:
                rgb = np.asarray(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as exc:
            what = "is missing" if isinstance(exc, FileNotFoundError) else "cannot be read"
            raise MediaError(f"{self.path}: the image {what}") from exc
        return rgb, self._target(*rgb.shape[:2])

    def _target(self, height: int, width: int) -> U8:
        target, times = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint16)
        for item in self.objects:
            mask = self._mask(item["segmentation"], height, width)
            np.maximum(target, mask * np.uint8(CATEGORIES.index(item["category_id"])), out=target)
            times += mask
        target[times > 1] = IGNORED
        return target

    def _mask(self, segmentation: Any, height: int, width: int) -> U8:
        """0 and 1. Polygons of one object are put together; a crowd is run lengths."""
        coder = _coder()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools and NumPy 2, not our reader's
                parts = np.asarray(coder.decode(coder.frPyObjects(segmentation, height, width)))
        except Exception as exc:  # bare ones, and whatever a damaged annotation makes pycocotools stumble over
            raise MediaError(f"{self.path.name}: an annotation of it cannot be read") from exc
        mask = parts if parts.ndim == 2 else parts.any(2)
        if mask.shape != (height, width):
            raise MediaError(
                f"{self.path.name}: an annotation is {mask.shape[1]}x{mask.shape[0]}, not {width}x{height}"
            )
        return np.asarray(mask, np.uint8)


class CocoSet:
    """`folder`: holds annotations/instances_NAME.json and NAME/, val2017 where there are several. Raises MediaError,
    also where pycocotools is missing."""

    def __init__(self, folder: Path) -> None:
        _coder()
        self.folder: Final = folder
        self.annotations, self.pictures = _files(folder)
        try:
            data = json.loads(self.annotations.read_bytes())
            images = {image["id"]: image["file_name"] for image in data["images"]}
            objects: dict[Any, list[Mapping[str, Any]]] = {image: [] for image in images}
            for item in data["annotations"]:
                if item["category_id"] in CATEGORIES and item["image_id"] in objects:
                    objects[item["image_id"]].append({key: item[key] for key in ("category_id", "segmentation")})
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise MediaError(f"{self.annotations} holds no instances in COCO's format: {exc!r}") from exc
        # In the order of the images' numbers, as torchvision goes.
        self.images: Final = [
            Annotated(images[number], self.pictures / images[number], tuple(objects[number]))
            for number in sorted(images)
        ]
        if not self.images:
            raise MediaError(f"{self.annotations} names no image")


def at_preset(rgb: U8, target: U8, side: int = PRESET) -> tuple[U8, U8]:
    """Both with `side` pixels on the short side, as torchvision's preset for evaluation does it with Pillow: bilinear
    with antialiasing, and the nearest for the classes. The long side is rounded down."""
    height, width = target.shape
    if min(height, width) == side:
        return rgb, target
    long = int(side * max(height, width) / min(height, width))
    size = (side, long) if width <= height else (long, side)
    return (
        np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR)),
        np.asarray(Image.fromarray(target).resize(size, Image.Resampling.NEAREST)),
    )


class Confusion:
    """How often each class of the truth (rows) was taken for each class (columns). `table`: int64,
    (classes, classes)."""

    def __init__(self, classes: int = len(VOC_NAMES)) -> None:
        self.classes: Final = classes
        self.table = np.zeros((classes, classes), np.int64)

    def update(self, target: U8, answer: U8) -> None:
        """Both uint8 of one shape; where the target is no class, nothing counts."""
        counts = target < self.classes
        pairs = target[counts].astype(np.int64) * self.classes + answer[counts]
        self.table += np.bincount(pairs, minlength=self.classes**2).reshape(self.table.shape)

    def merge(self, rows: list[list[int]]) -> None:
        """Adds another one's `rows`."""
        self.table += np.asarray(rows, np.int64)

    @property
    def rows(self) -> list[list[int]]:
        """As JSON can hold it."""
        return [[int(value) for value in row] for row in self.table]

    @property
    def accuracy(self) -> float:
        """Of all pixels that count, those that are right."""
        return float(np.diag(self.table).sum() / max(1, self.table.sum()))

    @property
    def class_iou(self) -> list[float | None]:
        """None for a class that is neither in the truth nor in the answers."""
        right = np.diag(self.table)
        either = self.table.sum(0) + self.table.sum(1) - right
        return [float(both / all_) if all_ else None for both, all_ in zip(right, either, strict=True)]

    @property
    def miou(self) -> float | None:
        """The mean over all classes; None where one of them never occurs (torchvision's is then not a number)."""
        known = [value for value in self.class_iou if value is not None]
        return float(np.mean(known)) if len(known) == self.classes else None

    @property
    def miou_present(self) -> float | None:
        """The mean over the classes that occur."""
        known = [value for value in self.class_iou if value is not None]
        return float(np.mean(known)) if known else None

    def alone(self, one: int) -> Confusion:
        """That class against all others."""
        found = Confusion(2)
        right = self.table[one, one]
        missed, extra = self.table[one].sum() - right, self.table[:, one].sum() - right
        found.table[:] = [[self.table.sum() - right - missed - extra, extra], [missed, right]]
        return found


def _coder() -> Any:
    try:
        from pycocotools import mask
    except ImportError as exc:
        raise MediaError("COCO's annotations need pycocotools", fix="pip install 'vbgcam[eval]'") from exc
    return mask


def _files(folder: Path) -> tuple[Path, Path]:
    """The annotations and the folder of the images."""
    if not folder.is_dir():
        raise MediaError(f"{folder}: there is no such folder")
    found = {path.stem.removeprefix("instances_"): path for path in (folder / "annotations").glob("instances_*.json")}
    name = "val2017" if "val2017" in found else next(iter(found), "")
    if not name or (len(found) > 1 and name != "val2017"):
        raise MediaError(
            f"{folder}: {'no' if not found else 'several'} annotations/instances_NAME.json, no val2017",
            fix="give the folder that holds annotations/instances_val2017.json and val2017/",
        )
    if not (folder / name).is_dir():
        raise MediaError(f"{folder}: the images' folder {name}/ is missing")
    return found[name], folder / name
