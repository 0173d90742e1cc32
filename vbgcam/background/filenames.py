"""What the gallery's files are called: which are backgrounds by their names, which names are safe, and how people read
them."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Final, Literal

Kind = Literal["picture", "film"]

# Formats by what their files begin with: where, what, and the suffixes that fit, the usual one first. It only decides
# what a file is called; whether it can be read, and as what, its decoder says.
_FORMATS: Final[tuple[tuple[int, bytes, Kind, tuple[str, ...]], ...]] = (
    (0, b"\xff\xd8\xff", "picture", (".jpg", ".jpeg", ".jpe", ".jfif")),
    (0, b"\x89PNG", "picture", (".png", ".apng")),
    (8, b"WEBP", "picture", (".webp",)),
    (0, b"GIF8", "picture", (".gif",)),
    (0, b"II*\0", "picture", (".tif", ".tiff")),
    (0, b"MM\0*", "picture", (".tif", ".tiff")),
    (4, b"ftypavi", "picture", (".avif",)),
    (4, b"ftyphe", "picture", (".heic", ".heif")),
    (4, b"ftypmif1", "picture", (".heic", ".heif", ".avif")),
    (0, b"BM", "picture", (".bmp",)),
    (0, b"P", "picture", (".ppm", ".pgm", ".pbm", ".pnm")),
    (4, b"ftyp", "film", (".mp4", ".m4v", ".mov", ".3gp")),
    (4, b"moov", "film", (".mov", ".mp4")),
    (0, b"\x1aE\xdf\xa3", "film", (".mkv", ".webm")),
    (8, b"AVI ", "film", (".avi",)),
    (0, b"OggS", "film", (".ogv", ".ogg")),
    (0, b"FLV", "film", (".flv",)),
    (0, b"0&\xb2u", "film", (".wmv", ".asf")),
    (0, b"\0\0\1", "film", (".mpg", ".mpeg")),
    (0, b"G", "film", (".ts", ".m2ts", ".mts")),
)
KINDS: Final[dict[str, Kind]] = {suffix: kind for _, _, kind, suffixes in _FORMATS for suffix in suffixes}
"""Which files of the folder are listed at all."""

# Encrypted home folders (eCryptfs) hold names of 143 bytes; a number may come behind.
_NAME: Final = 100
_NAME_BYTES: Final = 136
_FORBIDDEN: Final = '<>:"|?*'  # in Windows' file names
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)


def suffixes(path: Path, kind: Kind) -> tuple[str, ...]:
    """Those that fit what the file is, the usual one first. For a film of another format any film's."""
    with path.open("rb") as file:
        head = file.read(16)
    for at, magic, _, fitting in _FORMATS:
        if head.startswith(magic, at):
            return fitting
    return (".mp4", *(suffix for suffix, its in KINDS.items() if its == kind))


def safe(name: str, suffix: str, fitting: tuple[str, ...] = ()) -> str:
    """A file name like `name` that every system takes; it ends in `suffix`, or keeps its own if `fitting`."""
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    name = "".join(" " if c in _FORBIDDEN or unicodedata.category(c)[0] in "CZ" else c for c in name)
    given = Path(name.strip()).suffix
    stem = name.strip()
    if given.lower() in KINDS:
        stem = stem[: -len(given)]
        suffix = given.lower() if given.lower() in fitting or not suffix else suffix
    stem = " ".join(stem.split()).strip(". ") or "background"
    if _RESERVED.match(stem):
        stem = f"background {stem}"
    return _shortened(stem, suffix) + suffix


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


def is_text(name: str) -> bool:
    """Whether a name can stand in a configuration file and in an address; on Linux it may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
