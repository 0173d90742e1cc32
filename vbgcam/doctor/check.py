"""What is wrong with this machine, and the exact command that fixes it.

A check looks at the machine through a `Machine` (the file system below a root, commands with a time limit, the
environment, a few questions to the rooms next door) and says what it found as `Check` values; it fixes nothing itself.
They come in the order in which a person fixes: the first one that is wrong is the cause to begin with.

At their top the modules here import nothing but the standard library: a broken library is one of the things that are
looked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Check:
    """`name`: what was looked at; stays the same from version to version. `state`: "note" is worth knowing, "wrong"
    keeps vbgcam from working as it is set. `found`: one line. `fix`: the command, "" where there is nothing to do."""

    name: str
    state: State
    found: str
    fix: str = ""


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, "ok", found)


def note(name: str, found: str, fix: str = "") -> Check:
    """Works, but is worth knowing."""
    return Check(name, "note", found, fix)


def wrong(name: str, found: str, fix: str) -> Check:
    """Must be fixed."""
    return Check(name, "wrong", found, fix)
