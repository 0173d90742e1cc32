"""Pictures with masks, in the layouts that people have them in: pairs in a folder, and AISegment's Matting Human.

Whatever has no counterpart is named, never passed over.
"""

from pathlib import Path
from typing import Final

import numpy as np

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8
from vbgcam.evaluate.base import LeftOut
from vbgcam.media import images

_MASK: Final = "_mask"
_PICTURES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic")
# The two folders of a set that keeps pictures and masks apart, as such sets are usually named.
_FOLDERS: Final = (("images", "masks"), ("image", "mask"), ("img", "mask"), ("fgr", "pha"))

Files = dict[str, Path]


class PictureSet:
    """`names` of the pictures with a mask, in order, below the set's `folder`. `left_out`: all that has no counterpart.
    `files`: all that is read. `kind`: as in the results; the masks of "aisegment" are their files' fourth channel.
    Raises MediaError."""

    def __init__(self, kind: str, folder: Path, pictures: Files, masks: Files, fix: str) -> None:
        self.kind, self.folder = kind, folder
        self.names: Final = sorted(pictures.keys() & masks.keys())
        if not self.names:
            raise MediaError(f"{folder}: there is not one picture with its mask in it", fix=fix)
        alone = {name: f"{path} has no mask" for name, path in pictures.items() if name not in masks}
        alone |= {name: f"{path} is a mask without its picture" for name, path in masks.items() if name not in pictures}
        self.left_out: Final[list[LeftOut]] = [{"name": name, "why": alone[name]} for name in sorted(alone)]
        self.files: Final = [files[name] for name in self.names for files in (pictures, masks)]
        self._pictures, self._masks = pictures, masks

    def read(self, number: int) -> tuple[U8, U8]:
        """The picture, RGB, uint8, (height, width, 3), and its true alpha, uint8, (height, width). Raises MediaError,
        also where they are not of one size."""
        name = self.names[number]
        rgb, mask = images.read(self._pictures[name]).rgb, images.read(self._masks[name])
        truth = mask.rgb[..., 0]
        if self.kind == "aisegment":
            # A matting of somebody who fills the picture has no transparent pixel, and an opaque alpha is read as none.
            truth = mask.alpha if mask.alpha is not None else np.full_like(truth, 255)
        elif (mask.rgb != truth[..., None]).any():
            raise MediaError(f"{self._masks[name]} is coloured: a mask is gray, white where the person is")
        if truth.shape != rgb.shape[:2]:
            raise MediaError(
                f"{self._masks[name]} is {truth.shape[1]}x{truth.shape[0]}, its picture {self._pictures[name].name} "
                f"{rgb.shape[1]}x{rgb.shape[0]}"
            )
        return rgb, truth


def pairs(folder: Path) -> PictureSet:
    """NAME.jpg with NAME_mask.png beside it, in any folder below, or images/ beside masks/ with the same names below
    them. Raises MediaError."""
    _check(folder)
    for of_pictures, of_masks in _FOLDERS:
        if (folder / of_pictures).is_dir() and (folder / of_masks).is_dir():
            pictures, masks = _files(folder / of_pictures), _files(folder / of_masks)
            break
    else:
        found = _files(folder)
        pictures = {name: path for name, path in found.items() if not name.endswith(_MASK)}
        masks = {name: path for name, path in found.items() if name.endswith(_MASK)}
    masks = {name.removesuffix(_MASK): path for name, path in masks.items()}
    fix = "a set of pairs holds NAME.jpg with NAME_mask.png, or images/ and masks/"
    return PictureSet("pairs", folder, pictures, masks, fix)


def aisegment(folder: Path) -> PictureSet:
    """clip_img/G/clip_N/X.jpg with matting/G/matting_N/X.png, whose alpha is the mask. Raises MediaError."""
    _check(folder)
    fix = f"give the folder that holds clip_img/ and matting/, not {folder.name}"
    for part in ("clip_img", "matting"):
        if not (folder / part).is_dir():
            raise MediaError(f"{folder} holds no {part}/: it is no AISegment set", fix=fix)
    pictures, masks = _files(folder / "clip_img", "clip_"), _files(folder / "matting", "matting_")
    return PictureSet("aisegment", folder, pictures, masks, fix)


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise MediaError(f"{folder} is no folder" if folder.exists() else f"{folder}: there is no such folder")


def _files(folder: Path, prefix: str = "") -> Files:
    """Pictures at any depth, by their names below the folder, without the prefix of the folder that they lie in. Hidden
    ones (macOS puts a "._X.jpg" beside each X.jpg of an archive) are none."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _PICTURES and not path.name.startswith(".") and path.is_file():
            below = path.relative_to(folder).with_suffix("")
            found[str(below.parent.parent / below.parent.name.removeprefix(prefix) / below.name)] = path
    return found
