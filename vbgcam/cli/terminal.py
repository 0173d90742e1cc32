"""What a person sees while something takes long: a bar with the time left, or, where nobody watches a terminal, a line
for each tenth. And how they call this program."""

import contextlib
import logging
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from vbgcam.core.text import printable

log = logging.getLogger(__name__)

Show = Callable[[float, "float | None", str], None]
"""Called with what is done, what there is in all (None: nobody knows) and a short text such as "212 frames/s"."""


def say(text: str = "", stream: TextIO | None = None) -> None:
    """Writes a line, or several, to stdout or to another stream, without what a terminal would take for a command."""
    stream = stream or sys.stdout
    stream.write(printable(text) + "\n")
    stream.flush()


@contextlib.contextmanager
def progress(what: str) -> Iterator[Show]:
    """A bar on stderr for as long as the block lasts; log lines meanwhile stand above it."""
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    title, note = (TextColumn(f"{{{field}}}", markup=False) for field in ("task.description", "task.fields[note]"))
    columns = (title, BarColumn(), TaskProgressColumn(), note)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(printable(what), total=None, note="")
        yield lambda done, total, note: bar.update(task, completed=done, total=total, note=printable(note))


def _lines(title: str) -> Show:
    said = 0

    def show(done: float, total: float | None, note: str) -> None:
        nonlocal said
        tenth = int(done * 10 / total) if total else 0
        if tenth > said:
            said = tenth
            log.info("%s: %d %%%s", title, min(100, tenth * 10), f", {note}" if note else "")

    return show


def command() -> str:
    """How this program is called from where the person stands: its name, or its path where the shell does not find
    it (a virtual environment that is not switched on)."""
    if shutil.which("vbgcam"):
        return "vbgcam"
    own = Path(sys.executable).with_name("vbgcam")
    with contextlib.suppress(ValueError):  # it lies elsewhere
        own = own.relative_to(Path.cwd())
    return shlex.quote(str(own)) if own.exists() else f"{shlex.quote(sys.executable)} -m vbgcam"
