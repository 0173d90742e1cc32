"""Pictures with masks, in the layouts that people have them in: pairs in a folder, and AISegment's Matting Human.

Whatever has no counterpart is named, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8
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
class LeftOut:
    """What cannot be scored, and `why`, in one sentence that names the file."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Listing:
    """In the order of the names."""

    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...] = ()


def pairs(folder: Path) -> Listing:
    """NAME.jpg with NAME_mask.png beside it, in any folder below, or images/ beside masks/ with the same names below
    them. Raises MediaError."""
    _check(folder)
    for of_pictures, of_masks in _FOLDERS:
        if (folder / of_pictures).is_dir() and (folder / of_masks).is_dir():
            return _listing(
                folder,
                {
                    str(path.relative_to(folder / of_pictures).with_suffix("")): path
                    for path in _files(folder / of_pictures)
                },
                {
                    str(path.relative_to(folder / of_masks).with_suffix("")).removesuffix(_MASK): path
                    for path in _files(folder / of_masks)
                },
            )
    found = list(_files(folder))
    return _listing(
        folder,
        {_key(folder, path): path for path in found if not path.stem.endswith(_MASK)},
        {_key(folder, path).removesuffix(_MASK): path for path in found if path.stem.endswith(_MASK)},
        "a set of pairs holds NAME.jpg with NAME_mask.png, or images/ and masks/",
    )


def aisegment(folder: Path) -> Listing:
    """clip_img/G/clip_N/X.jpg with matting/G/matting_N/X.png, whose alpha is the mask. Raises MediaError."""
    _check(folder)
    of_pictures, of_masks = folder / "clip_img", folder / "matting"
    fix = f"give the folder that holds clip_img/ and matting/, not {folder.name}"
    for part in (of_pictures, of_masks):
        if not part.is_dir():
            raise MediaError(f"{folder} holds no {part.name}/: it is no AISegment set", fix=fix)
    return _listing(
        folder,
        {_group(of_pictures, path, "clip_"): path for path in _files(of_pictures)},
        {_group(of_masks, path, "matting_"): path for path in _files(of_masks)},
        fix,
        in_alpha=True,
    )


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


def _files(folder: Path) -> Iterator[Path]:
    """Pictures at any depth; hidden ones (macOS puts a "._X.jpg" beside each X.jpg of an archive) are none."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _PICTURES and not path.name.startswith(".") and path.is_file():
            yield path


def _key(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder).with_suffix(""))


def _group(folder: Path, path: Path, prefix: str) -> str:
    """G/N/X of G/prefix_N/X."""
    group = path.parent.name.removeprefix(prefix)
    return str(path.parent.parent.relative_to(folder) / group / path.stem)


def _listing(
    folder: Path, of_pictures: dict[str, Path], of_masks: dict[str, Path], fix: str = "", *, in_alpha: bool = False
) -> Listing:
    both = sorted(of_pictures.keys() & of_masks.keys())
    if not both:
        raise MediaError(f"{folder}: there is not one picture with its mask in it", fix=fix)
    left_out = [
        *(LeftOut(key, f"{of_pictures[key]} has no mask") for key in of_pictures.keys() - of_masks.keys()),
        *(
            LeftOut(key, f"{of_masks[key]} is a mask without its picture")
            for key in of_masks.keys() - of_pictures.keys()
        ),
    ]
    return Listing(
        tuple(Pair(key, of_pictures[key], of_masks[key], in_alpha) for key in both),
        tuple(sorted(left_out, key=lambda item: item.name)),
    )
