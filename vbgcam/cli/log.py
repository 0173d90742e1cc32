"""Where the log goes: to the terminal, and to its file."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator

from vbgcam.cli.terminal import TERMINAL
from vbgcam.core.text import printable

log = logging.getLogger("vbgcam")


class _Lines(logging.Formatter):
    """`vbgcam: ...`, with the level where it is more than news, and never a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"vbgcam: {level}{printable(record.getMessage())}"


def set_up_log(verbose: bool) -> None:
    """What a person sees; what stays on disk is `log_kept`'s."""
    handler = logging.StreamHandler()
    handler.name = TERMINAL
    handler.setFormatter(_Lines())
    level = logging.DEBUG if verbose else logging.INFO
    handler.setLevel(level)
    handler.addFilter(lambda record: not hasattr(record, "said"))
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False


@contextlib.contextmanager
def log_kept(verb: str) -> Iterator[None]:
    """The log goes to its file, too, and so does what Python would print of errors in threads and finalizers."""
    try:
        from vbgcam.system.logfile import LogFile, log_path
    except ImportError:  # an installation that lacks platformdirs; `doctor` says so
        yield
        return

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and args.exc_type is not SystemExit:
            name, found = args.thread.name if args.thread else "a thread", args.exc_value
            log.error("%s ended: %s: %s", name, type(found).__name__, found, exc_info=found)

    def in_finalizer(args: sys.UnraisableHookArgs) -> None:
        log.debug("ignored: %s", args.err_msg or "an error in a finalizer", exc_info=args.exc_value)

    kept = LogFile(log_path(), verb)
    log.addHandler(kept)
    level = log.level
    log.setLevel(logging.DEBUG)
    before = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = in_thread, in_finalizer
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before
        log.setLevel(level)
        log.removeHandler(kept)
        kept.close()
