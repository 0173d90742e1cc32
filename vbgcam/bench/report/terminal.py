"""The tables on the terminal. Where nobody watches one (a pipe, a file) they are plain text of the width they need."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from vbgcam.bench.base import Figures
from vbgcam.bench.report.rows import Table, machine, tables

_PLAIN_WIDTH = 120  # wider than any of the tables: nothing is folded in a file


def show(figures: Figures, stream: TextIO | None = None) -> None:
    """`stream`: None is stdout."""
    stream = stream or sys.stdout
    console = Console(file=stream, width=None if stream.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(Text(f"vbgcam {figures['version']}, bench", "bold"))
    for line in machine(figures):
        console.print(Text(line, "dim"))
    for table in tables(figures):
        console.print()
        console.print(_rich(table))
        if table.note:
            console.print(Text(table.note, "dim"))


def _rich(table: Table) -> RichTable:
    from rich import box

    made = RichTable(title=Text(table.title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, head in enumerate(table.head):
        words = index < table.names
        made.add_column(
            head, justify="left" if words else "right", no_wrap=True, style=_STYLES.get(head, ""), header_style="bold"
        )
    before = ""
    for row in table.rows:
        first = "" if table.names > 1 and row[0] == before else row[0]
        before = row[0]
        made.add_row(*(Text(cell) for cell in (first, *row[1:])), end_section=False)
    return made


_STYLES = {"ms": "bold", "faster": "green", "naive ms": "dim", "eager ms": "dim"}
