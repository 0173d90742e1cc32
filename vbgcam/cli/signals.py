"""How a run is asked to end."""

import contextlib
import signal
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Final

INTERRUPTED: Final = 130
"""The exit code of what a person interrupts."""


class Interruption(threading.Event):
    """Set by the first signal that asks for an end; `by` is that signal's number."""

    by = 0


Verb = Callable[[Namespace, Interruption], int]
"""Runs one command; returns the exit code. Raises VbgcamError. The `VERBS` of a `verb` module hold them by name."""


@contextlib.contextmanager
def signals_caught(interruption: Interruption) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks for an orderly end; the second Ctrl-C ends at once."""

    def ask(signum: int, _frame: object) -> None:
        if interruption.is_set() and signum == signal.SIGINT:
            raise KeyboardInterrupt
        interruption.by = signum
        interruption.set()

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), ask) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
