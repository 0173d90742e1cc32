"""What the gallery's files are called: which are backgrounds by their names, which names are safe, and how people read
them."""

import os
import re
import unicodedata
from pathlib import Path
from typing import Final, Literal

Kind = Literal["picture", "film"]

_PICTURES: Final = ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .tif .tiff .avif .heic .heif .bmp .ppm .pgm .pbm .pnm"
_FILMS: Final = ".mp4 .m4v .mov .3gp .mkv .webm .avi .ogv .ogg .flv .wmv .asf .mpg .mpeg .ts .m2ts .mts"
KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(_PICTURES.split(), "picture"),
    **dict.fromkeys(_FILMS.split(), "film"),
}
"""Which files of the folder are listed at all. What is in them, their heads say."""

# Encrypted home folders (eCryptfs) hold names of 143 bytes; a number may come behind.
_NAME: Final = 100
_NAME_BYTES: Final = 136
_FORBIDDEN: Final = '<>:"|?*'  # in Windows' file names
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)


def safe(name: str, usual: str) -> str:
    """A file name like `name` that every system takes, with its own suffix where that is one of KINDS, else `usual`."""
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    name = "".join(" " if c in _FORBIDDEN or unicodedata.category(c)[0] in "CZ" else c for c in name).strip()
    suffix = Path(name).suffix
    if suffix.lower() in KINDS:
        name, usual = name[: -len(suffix)], suffix.lower()
    stem = " ".join(name.split()).strip(". ") or "background"
    if _RESERVED.match(stem):
        stem = f"background {stem}"
    return _shortened(stem, usual) + usual


def _shortened(stem: str, end: str) -> str:
    """As much of it as leaves room for the end."""
    stem = stem[: _NAME - len(end)]
    return stem.encode()[: _NAME_BYTES - len(end)].decode(errors="ignore").rstrip(". ")


def free(folder: Path, name: str) -> str:
    """The name, or with the first number that no file of the folder has."""
    stem, suffix = Path(name).stem, Path(name).suffix
    number = 1
    while os.path.lexists(folder / name):
        number += 1
        end = f" {number}{suffix}"
        name = _shortened(stem, end) + end
    return name


def label(name: str) -> str:
    """The name for people: "late_summer-2.jpg" is "late summer 2"."""
    stem = "".join(c if c.isprintable() else " " for c in Path(name).stem)
    return re.sub(r"[\s_-]+", " ", stem).strip() or name


def order(name: str) -> tuple[list[tuple[int, str]], str]:
    """What sorts "beach 2" before "beach 10": the label as pairs of a number and the text after it, then the name."""
    parts = re.split(r"([0-9]+)", label(name).casefold())
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return [(-1, parts[0]), *((int(number), text) for number, text in pairs)], name
