"""`vbgcam doctor`: what the command line calls. Apart from the other verbs, whose imports may be what is broken."""

import json
import logging
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Final, TextIO

from vbgcam import __version__
from vbgcam.cli.signals import Interruption, Verb
from vbgcam.cli.terminal import command, say
from vbgcam.doctor.examine import Examination, examine
from vbgcam.doctor.machine import Machine
from vbgcam.doctor.report import MARKS, lines, text


def doctor(arguments: Namespace, _interruption: Interruption) -> int:
    """1 where something needs fixing. Raises OutputError where the report cannot be written."""
    machine = Machine()
    log = logging.getLogger("vbgcam")
    before = log.level
    if not arguments.verbose:  # what the checked parts would say beside it stands among the findings
        log.setLevel(logging.ERROR)
    try:
        found = examine(machine, arguments.config, command())
    finally:
        log.setLevel(before)
    if arguments.json:
        checks = [asdict(check) for check in found.checks]
        say(json.dumps({"checks": checks, "wrong": found.wrong}, indent=2))
    else:
        show(found, sys.stdout)
    report: Path | None = arguments.report
    if report is not None:
        from vbgcam.media.atomic import write_whole

        write_whole(report, text(machine, found), "the report")
        say(f"vbgcam: {report}: look through it, then attach it to the issue", sys.stderr)
    return 1 if found.wrong else 0


def show(found: Examination, stream: TextIO) -> None:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:  # one of the things that may be broken
        stream.write("\n".join(lines(found)) + "\n")
        return
    console = Console(file=stream, width=None if stream.isatty() else 120, highlight=False)
    console.print(Text(f"vbgcam {__version__}, doctor", "bold"))
    console.print()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in found.checks:
        mark, style = MARKS[check.state]
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


VERBS: Final[dict[str, Verb]] = {"doctor": doctor}
