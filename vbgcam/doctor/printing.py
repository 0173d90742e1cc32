"""What a person reads in the terminal, and what a program reads."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, TextIO

from vbgcam import __version__

if TYPE_CHECKING:
    from vbgcam.doctor.examine import Examination

_PLAIN_WIDTH: Final = 120
_MARKS: Final = {"ok": ("ok", "green"), "note": ("note", "yellow"), "wrong": ("WRONG", "bold red")}


def as_json(found: Examination) -> dict[str, Any]:
    """{checks: [{name, state, found, fix}], wrong: N}."""
    return {"checks": [asdict(check) for check in found.checks], "wrong": found.wrong}


def lines(found: Examination) -> list[str]:
    """Plain text, for a file."""
    said = []
    for check in found.checks:
        said.append(f"{_MARKS[check.state][0]:<6} {check.name}: {check.found}")
        said += [f"       fix: {check.fix}"] if check.fix else []
    return said


def show(found: Examination, stream: TextIO | None = None) -> None:
    """`stream`: None is stdout."""
    stream = stream or sys.stdout
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:  # one of the things that may be broken
        stream.write("\n".join(lines(found)) + "\n")
        return
    console = Console(file=stream, width=None if stream.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(Text(f"vbgcam {__version__}, doctor", "bold"))
    console.print()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in found.checks:
        mark, style = _MARKS[check.state]
        table.add_row(Text(mark, style), Text(check.name), Text(check.found, "" if check.state != "ok" else "dim"))
    console.print(table)
    console.print()
    bad = [check for check in found.checks if check.state == "wrong"]
    notes = [check for check in found.checks if check.state == "note" and check.fix]
    for title, items in (
        ("To fix, in this order:", [(f"{number}.", check) for number, check in enumerate(bad, 1)]),
        ("Worth a look:", [("-", check) for check in notes]),
    ):
        if not items:
            continue
        console.print(Text(title, "bold"))
        for mark, check in items:
            console.print(Text(f"  {mark} {check.name}"), soft_wrap=True)
            # Never folded: a command that is copied must stay one line.
            console.print(Text(f"     {check.fix}", "cyan"), soft_wrap=True)
        console.print()
    if not bad:
        console.print(Text("Nothing needs fixing.", "bold green"))
