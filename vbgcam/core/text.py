"""Text that comes from files, devices and other programs, made safe to show."""

from typing import Final

# C0 and C1 (ISO/IEC 6429), but for line breaks and tabs: what would move a terminal's cursor or colour its screen.
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """The text with its control characters spelled out as \\xNN; line breaks and tabs stay."""
    return text.translate(_CONTROL)


def megabytes(size: float) -> str:
    """Bytes for people: "0.4 MB", "218 MB"."""
    return f"{size / 1e6:.{1 if size < 10e6 else 0}f} MB"
