"""The command line as a process: parses, runs a verb, and shows an error as a line."""

import argparse
import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

from vbgcam.cli.log import log_kept, set_up_log
from vbgcam.cli.parser import command_line
from vbgcam.cli.signals import INTERRUPTED, Interruption, signals_caught
from vbgcam.cli.terminal import say
from vbgcam.core.errors import ConfigError, VbgcamError

# What was said on the terminal in the program's own words goes to the log's file alone.
_SAID: Final = {"said": True}

# The module of each verb; all others are the running program's. It is imported when its verb runs: `status` must not
# wait for what `eval` imports, and `doctor` runs where a library that the others import is broken.
_MODULES: Final = {
    "run": "cli.run",
    "demo": "cli.run",
    "image": "offline.verb",
    "video": "offline.verb",
    "eval": "evaluate.verb",
    "bench": "bench.verb",
    "models": "segment.verb",
    "plate": "segment.verb",
    "devices": "camera.verb",
    "config": "settings.verb",
    "doctor": "doctor.verb",
}

log = logging.getLogger("vbgcam")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 the work failed, 2 wrong usage or config, 130 interrupted."""
    arguments = command_line().parse_args(argv)
    interruption = Interruption()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may be no text
            stream.reconfigure(errors="backslashreplace")
    set_up_log(arguments.verbose)
    with log_kept(arguments.verb), signals_caught(interruption):
        return _perform(arguments, interruption)


def program() -> NoReturn:
    """`main` as a process of its own. All that has to be closed is by then, and nothing is unwound after it: Python
    would end the threads that a library still holds (a network in mid-inference, a picture that is drawn for nobody any
    more) inside the library's C++, which aborts the process."""
    _leave_no_core()
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


def _leave_no_core() -> None:
    """A crash writes no memory to the disk, neither this process's, with some 30 frames of the room and the control
    token, nor that of those it starts: they inherit both settings.

    PR_SET_DUMPABLE would do it, too, but hides the process from its own user's programs: newer PipeWire takes one that
    it cannot look into for a Flatpak, the desktop's portal refuses it, and nobody finds out who has the camera open."""
    if sys.platform == "win32":
        return
    import resource

    # 1 byte is too little for a file. Linux gives a core to a program such as systemd-coredump or Apport whatever the
    # limit is, also at 0; at 1 it writes none at all.
    with contextlib.suppress(ValueError):  # 0 for good already
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    # Then, and where a socket takes cores (from Linux 6.16 on, without a look at the limit), one of registers alone.
    with contextlib.suppress(OSError):  # not Linux, or a sandbox
        Path("/proc/self/coredump_filter").write_text("0", "ascii")


def _perform(arguments: argparse.Namespace, interruption: Interruption) -> int:
    try:
        module = import_module(f"vbgcam.{_MODULES.get(arguments.verb, 'control.verb')}")
        code: int = module.VERBS[arguments.verb](arguments, interruption)
        sys.stdout.flush()
    except VbgcamError as exc:
        problems = exc.problems if isinstance(exc, ConfigError) else (str(exc),)
        for problem in problems:
            say(f"vbgcam: {problem}", sys.stderr)
            log.error("%s", problem, extra=_SAID)  # noqa: TRY400  # nobody looks for a bug here
        code = exc.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough (`vbgcam devices | head`); nothing may be flushed into it at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as exc:  # the last resort: a bug must not show a person a traceback
        log.error("internal error", exc_info=True, extra=_SAID)
        where = next(
            (f"{kept.baseFilename} says where, " for kept in log.handlers if isinstance(kept, logging.FileHandler)), ""
        )
        say(f"vbgcam: internal error: {type(exc).__name__}: {exc}; {where}please report it", sys.stderr)
        code = 1
    return code
