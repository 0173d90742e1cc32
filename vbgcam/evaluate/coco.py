"""COCO val2017 with Pascal VOC's 21 classes, counted as torchvision's own evaluation counts, so that its published
figures (fcn_resnet101: 63.7 mIoU, 91.9 pixel accuracy) are what comes out.

The rules, from torchvision's segmentation reference (references/segmentation in its repository): annotations of other
categories than VOC's do not exist; where two of the rest overlap, a pixel counts nowhere (255); all images are scored,
also those without a person or an annotation; picture and truth are brought to 520 pixels on the short side, the truth
by the nearest pixel; one table over the whole set.
"""

import contextlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8
from vbgcam.evaluate.base import LeftOut

Table = NDArray[np.int64]
"""How often each class of the truth (rows) was taken for each class (columns): int64, (classes, classes)."""

VOC_NAMES: Final = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
CATEGORIES: Final = (0, 5, 2, 16, 9, 44, 6, 3, 17, 62, 21, 67, 18, 19, 4, 1, 64, 20, 63, 7, 72)
"""COCO's category of each VOC class."""
IGNORED: Final = 255
PRESET: Final = 520


class CocoSet:
    """`folder`: holds annotations/instances_val2017.json and val2017/. `names`: of the images, in the order of their
    numbers, as torchvision goes. Raises MediaError, also where pycocotools is missing."""

    kind = "coco"
    left_out: Sequence[LeftOut] = ()

    def __init__(self, folder: Path) -> None:
        try:
            from pycocotools.coco import COCO
        except ImportError as exc:
            raise MediaError("COCO's annotations need pycocotools", fix="pip install 'vbgcam[eval]'") from exc
        self.folder: Final = folder
        annotations, self._images = self.files = folder / "annotations" / "instances_val2017.json", folder / "val2017"
        for path in (folder, *self.files):
            if not path.exists():
                fix = "give the folder that holds annotations/instances_val2017.json and val2017/"
                raise MediaError(f"{path}: there is no such {'file' if path.suffix else 'folder'}", fix=fix)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress there
                self._coco = COCO(annotations)
            self._numbers: Final = sorted(self._coco.imgs)
            self.names: Final = [str(self._coco.imgs[number]["file_name"]) for number in self._numbers]
        except (OSError, ValueError, KeyError, TypeError, AssertionError) as exc:
            raise MediaError(f"{annotations} holds no instances in COCO's format: {exc!r}") from exc
        if not self.names:
            raise MediaError(f"{annotations} names no image")

    def read(self, number: int) -> tuple[U8, U8]:
        """RGB, uint8, (height, width, 3), and the class of each pixel, uint8, (height, width), 0 to 20, or 255 where
        none counts; both at `PRESET`. Raises MediaError."""
        path = self._images / self.names[number]
        try:
            with Image.open(path) as image:
                rgb = np.asarray(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as exc:
            what = "is missing" if isinstance(exc, FileNotFoundError) else "cannot be read"
            raise MediaError(f"{path}: the image {what}") from exc
        target, times = np.zeros(rgb.shape[:2], np.uint8), np.zeros(rgb.shape[:2], np.uint16)
        try:
            for item in self._coco.imgToAnns[self._numbers[number]]:
                if item["category_id"] in CATEGORIES:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools and NumPy 2, not our reader's
                        mask = self._coco.annToMask(item)
                    np.maximum(target, mask * np.uint8(CATEGORIES.index(item["category_id"])), out=target)
                    times += mask
        except Exception as exc:  # bare ones, and whatever a damaged annotation makes pycocotools stumble over
            raise MediaError(f"{path.name}: an annotation of it cannot be read") from exc
        target[times > 1] = IGNORED
        return at_preset(rgb, target)


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


def confusion(target: U8, answer: U8, classes: int = len(VOC_NAMES)) -> Table:
    """Both uint8 of one shape; where the target is no class, nothing counts."""
    counts = target < classes
    pairs = target[counts].astype(np.int64) * classes + answer[counts]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def accuracy(table: Table) -> float:
    """Of all pixels that count, those that are right."""
    return float(np.diag(table).sum() / max(1, table.sum()))


def class_iou(table: Table) -> list[float | None]:
    """None for a class that is neither in the truth nor in the answers."""
    right = np.diag(table)
    either = table.sum(0) + table.sum(1) - right
    return [float(both / all_) if all_ else None for both, all_ in zip(right, either, strict=True)]


def alone(table: Table, one: int) -> Table:
    """That class (1) against all others (0)."""
    right = table[one, one]
    missed, extra = table[one].sum() - right, table[:, one].sum() - right
    return np.array([[table.sum() - right - missed - extra, extra], [missed, right]], np.int64)
