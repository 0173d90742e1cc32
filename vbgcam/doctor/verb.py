"""`vbgcam doctor`: what the command line calls. Apart from the other verbs, whose imports may be what is broken."""

import json
import logging
import sys
from argparse import Namespace
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
    log = logging.getLogger("vbgcam")
    before = log.level
    if not arguments.verbose:  # what the checked parts would say beside it stands among the findings
        log.setLevel(logging.ERROR)
    try:
        found = examine(machine, arguments.config, command())
    finally:
        log.setLevel(before)
    if arguments.json:
        say(json.dumps(as_json(found), indent=2))
    else:
        show(found)
    report: Path | None = arguments.report
    if report is not None:
        write(report, machine, found)
        say(f"vbgcam: {report}: look through it, then attach it to the issue", sys.stderr)
    return 1 if found.wrong else 0


VERBS: Final[dict[str, Verb]] = {"doctor": doctor}
