"""Tables of text: the same on the terminal and on a page."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

# Wider than any of the tables: nothing is folded in a file.
_PLAIN_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class Table:
    """`head` and each row are of one length. `words`: the columns that are words; the others are figures. `key`: the
    head of the column that is read first. `note`: what stands below, "" for nothing."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    words: tuple[int, ...] = (0,)
    key: str = "ms"

    def html(self) -> str:
        """The table as an HTML element, without its title and note. A click on a column's head sorts it."""
        buttons = [f'<button type="button">{escape(cell)}</button>' for cell in self.head]
        head = "".join(self._cell("th", column, cell) for column, cell in enumerate(buttons))
        rows = "".join(
            f"<tr>{''.join(self._cell('td', column, escape(cell)) for column, cell in enumerate(row))}</tr>\n"
            for row in self.rows
        )
        return f'<table class="sorted"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'

    def _cell(self, tag: str, column: int, content: str) -> str:
        kind = "word" if column in self.words else "key" if self.head[column] == self.key else "figure"
        return f'<{tag} class="{kind}">{content}</{tag}>'

    def rich(self) -> RichTable:
        """The table for rich's console; what a row's first cell repeats is left out."""
        made = RichTable(
            title=Text(self.title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
        )
        for column, head in enumerate(self.head):
            justify = "left" if column in self.words else "right"
            made.add_column(head, justify=justify, no_wrap=True, style="bold" if head == self.key else "")  # type: ignore[arg-type]
        before = ""
        for first, *rest in self.rows:
            made.add_row(*map(Text, ("" if first == before else first, *rest)))
            before = first
        return made


def show(
    title: str,
    about: Iterable[str],
    tables: Iterable[Table],
    remarks: Iterable[str] = (),
) -> None:
    """Prints the tables below their title and the lines that say what was measured, then the remarks. Plain text of the
    width that it needs where stdout is no terminal."""
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(Text(title, "bold"), soft_wrap=True)
    for line in about:
        console.print(Text(line, "dim"))
    for table in tables:
        console.print()
        console.print(table.rich())
        if table.note:
            console.print(Text(table.note, "dim"))
    for remark in remarks:
        console.print(Text(remark), soft_wrap=True)
