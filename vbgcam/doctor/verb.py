"""`vbgcam doctor`: what the command line calls. Apart from the other verbs, whose imports may be what is broken."""

from __future__ import annotations

import json
import logging
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vbgcam.cli.signals import Interruption, Verb
from vbgcam.cli.terminal import command, say
from vbgcam.doctor.examine import examine
from vbgcam.doctor.machine import Machine
from vbgcam.doctor.printing import as_json, show
from vbgcam.doctor.report import write


def doctor(arguments: Namespace, _interruption: Interruption) -> int:
    """1 where something needs fixing. Raises OutputError where the report cannot be written."""
    machine = Machine()
    with _quiet(verbose=arguments.verbose):
        found = examine(machine, arguments.config, command())
    if arguments.json:
        say(json.dumps(as_json(found), indent=2))
    else:
        show(found)
    report: Path | None = arguments.report
    if report is not None:
        write(report, machine, found)
        say(f"vbgcam: {report}: look through it, then attach it to the issue", sys.stderr)
    return 1 if found.wrong else 0


@contextmanager
def _quiet(*, verbose: bool) -> Iterator[None]:
    """What the rooms would say beside it (which camera is taken instead) stands among the findings."""
    log = logging.getLogger("vbgcam")
    before = log.level
    log.setLevel(before if verbose else logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


VERBS: Final[dict[str, Verb]] = {"doctor": doctor}
