"""What belongs to the whole process and is changed by several threads: the garbage collector, the memory limit.

Each holder's wish counts until it lets go, whatever the others do meanwhile; nobody waits for anybody. A thread that
hangs in a library's call lets go of nothing: whoever leaves it behind calls `abandon` for it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

_everything: Final[list[ProcessWide[Any]]] = []


class ProcessWide(Generic[T]):
    """One such thing. Any thread."""

    def __init__(self, apply: Callable[[Collection[T]], None]) -> None:
        """`apply`: called with all holders' wishes after each change, none once the last one has let go; under a lock,
        so that no two of them run at once."""
        self._apply = apply
        self._lock = threading.Lock()
        self._held: dict[tuple[int, object], T] = {}  # by _lock: a thread and its hold, its wish
        _everything.append(self)

    @contextlib.contextmanager
    def hold(self, wish: T) -> Iterator[None]:
        """While the block lasts."""
        key = threading.get_ident(), object()
        with self._lock:
            self._held[key] = wish
            self._apply(self._held.values())
        try:
            yield
        finally:
            self._release(lambda held: held == key)

    def abandon(self, thread: int) -> None:
        """What that thread holds, it holds no more."""
        self._release(lambda held: held[0] == thread)

    def _release(self, which: Callable[[tuple[int, object]], bool]) -> None:
        with self._lock:
            over = [key for key in self._held if which(key)]
            for key in over:
                del self._held[key]
            if over:
                self._apply(self._held.values())


def abandon(thread: int) -> None:
    """The thread of that identity hangs, and is left behind: nothing stays as it has set it."""
    for each in _everything:
        each.abandon(thread)
