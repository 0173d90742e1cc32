"""Pictures with masks, in the layouts that people have them in: pairs in a folder, and AISegment's Matting Human.

Whatever has no counterpart is named, never passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8
from vbgcam.evaluate.base import LeftOut
from vbgcam.media import images

_MASK: Final = "_mask"
_PICTURES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic")
# The two folders of a set that keeps pictures and masks apart, as such sets are usually named.
_FOLDERS: Final = (("images", "masks"), ("image", "mask"), ("img", "mask"), ("fgr", "pha"))


@dataclass(frozen=True, slots=True)
class Pair:
    """`name`: the picture's, below the set's folder. `in_alpha`: the mask is its file's fourth channel."""

    name: str
    picture: Path
    mask: Path
    in_alpha: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """In the order of the names. `kind`: as in the results."""

    kind: Literal["pairs", "aisegment"]
    folder: Path
    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...] = ()


def pairs(folder: Path) -> Listing:
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
    return _listing("pairs", folder, pictures, masks, fix)


def aisegment(folder: Path) -> Listing:
    """clip_img/G/clip_N/X.jpg with matting/G/matting_N/X.png, whose alpha is the mask. Raises MediaError."""
    _check(folder)
    fix = f"give the folder that holds clip_img/ and matting/, not {folder.name}"
    for part in ("clip_img", "matting"):
        if not (folder / part).is_dir():
            raise MediaError(f"{folder} holds no {part}/: it is no AISegment set", fix=fix)
    pictures, masks = _files(folder / "clip_img", "clip_"), _files(folder / "matting", "matting_")
    return _listing("aisegment", folder, pictures, masks, fix)


def read(pair: Pair) -> tuple[U8, U8]:
    """The picture, RGB, uint8, (height, width, 3), and its true alpha, uint8, (height, width). Raises MediaError, also
    where they are not of one size."""
    rgb = images.read(pair.picture).rgb
    mask = images.read(pair.mask)
    if pair.in_alpha:
        # A matting of somebody who fills the picture has no transparent pixel, and an opaque alpha is read as none.
        truth = mask.alpha if mask.alpha is not None else np.full(mask.rgb.shape[:2], 255, np.uint8)
    else:
        truth = mask.rgb[..., 0]
        if (mask.rgb != truth[..., None]).any():
            raise MediaError(f"{pair.mask} is coloured: a mask is gray, white where the person is")
    if truth.shape != rgb.shape[:2]:
        raise MediaError(
            f"{pair.mask} is {truth.shape[1]}x{truth.shape[0]}, its picture {pair.picture.name} "
            f"{rgb.shape[1]}x{rgb.shape[0]}"
        )
    return rgb, truth


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise MediaError(f"{folder} is no folder" if folder.exists() else f"{folder}: there is no such folder")


def _files(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Pictures at any depth, by their names below the folder, without the prefix of the folder that they lie in. Hidden
    ones (macOS puts a "._X.jpg" beside each X.jpg of an archive) are none."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _PICTURES and not path.name.startswith(".") and path.is_file():
            below = path.relative_to(folder).with_suffix("")
            found[str(below.parent.parent / below.parent.name.removeprefix(prefix) / below.name)] = path
    return found


def _listing(
    kind: Literal["pairs", "aisegment"], folder: Path, pictures: dict[str, Path], masks: dict[str, Path], fix: str
) -> Listing:
    both = sorted(pictures.keys() & masks.keys())
    if not both:
        raise MediaError(f"{folder}: there is not one picture with its mask in it", fix=fix)
    left_out = [
        *(LeftOut(name, f"{path} has no mask") for name, path in pictures.items() if name not in masks),
        *(
            LeftOut(name, f"{path} is a mask without its picture")
            for name, path in masks.items()
            if name not in pictures
        ),
    ]
    found = tuple(Pair(name, pictures[name], masks[name], in_alpha=kind == "aisegment") for name in both)
    return Listing(kind, folder, found, tuple(sorted(left_out, key=lambda item: item.name)))
