"""TOML that others may have written: read within bounds, whatever the file holds."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

LARGEST: Final = 1 << 16
"""Bytes; the example config has 8,000."""

# tomllib keeps every beginning of a dotted key: one of 9,000 parts, 18 KB, takes 470 MB. Ours have two.
_DOTTED: Final = re.compile(r"""(?<!["'\w-])(?:["'\w-]+[ \t]*\.[ \t]*){32}""")
_LONGEST: Final = 60


def read(path: Path) -> dict[str, Any]:
    """What the file holds. Raises OSError as the file system does, and ValueError, which says what the file is:
    too large, or no TOML."""
    with path.open("rb") as stream:  # its size says nothing where it is a pipe or a device
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"too large: more than {LARGEST >> 10} KiB")
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise ValueError(f"no TOML: it is not UTF-8 text: {exc.reason} at byte {exc.start}") from exc
    return parse(text.replace("\r\n", "\n"))


def parse(text: str) -> dict[str, Any]:
    """Raises ValueError, as `read`."""
    if _DOTTED.search(text):
        raise ValueError("no TOML: a key of more than 32 parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ValueError(f"no TOML: {exc}") from exc
    except (ValueError, RecursionError) as exc:  # numbers of thousands of digits, brackets without end
        raise ValueError(f"no TOML that can be read: {shortened(str(exc))}") from exc


def shortened(value: object) -> str:
    """The value for a message: at most 60 characters of it. What cannot be written out is named by its type."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # as above; pydantic says what is wrong with it
        return f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
