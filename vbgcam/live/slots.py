"""A slot holds the newest value and nothing else: pixels never queue."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """One writer, one taker, any number of onlookers, each in its own thread. The condition's lock guards all fields.
    `changed`: a condition that several slots share, for a taker that waits for a change in any of them."""

    def __init__(self, changed: threading.Condition | None = None) -> None:
        self._changed = changed or threading.Condition()
        self._value: T | None = None
        self._fresh = False
        self._closed = False
        self._interrupted = False

    def put(self, value: T) -> bool:
        """Replaces what is there. True where that was never taken: it is lost."""
        with self._changed:
            lost = self._fresh
            self._value, self._fresh = value, True
            self._changed.notify_all()
            return lost

    def wait_taken(self, timeout: float | None = None) -> bool:
        """For a writer that may not lose a value: True once the last one was taken, or the slot is closed."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._fresh or self._closed, timeout)

    def take(self, timeout: float | None, *, done: bool = True, unless: Callable[[], bool] = lambda: False) -> T | None:
        """A value that was not taken before, waiting for it up to `timeout` seconds; None if none came, the taker is
        interrupted, or `unless`, asked again at each `wake`, is true: then nothing is taken. Without `done` it counts
        as taken only when `done` is called, so that its writer waits until then."""
        with self._changed:
            self._changed.wait_for(lambda: self._fresh or self._closed or self._interrupted or unless(), timeout)
            self._interrupted = False
            if not self._fresh or unless():
                return None
            if done:
                self.done()
            return self._value

    def done(self) -> None:
        """The value is taken."""
        with self._changed:
            self._fresh = False
            self._changed.notify_all()

    def interrupt(self) -> None:
        """Whoever waits in `take`, or comes there next, goes on without a value: something else has changed."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Whoever waits asks its condition again."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, enough: Callable[[], bool], timeout: float) -> None:
        """Until `enough`, asked at each change of a slot that shares the condition, up to `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or enough(), timeout)

    def fresh(self) -> bool:
        """Whether there is a value that was not taken."""
        with self._changed:
            return self._fresh

    def peek(self) -> T | None:
        """The newest value, taken or not."""
        with self._changed:
            return self._value

    def clear(self) -> None:
        """Forgets the value."""
        with self._changed:
            self._value, self._fresh = None, False
            self._changed.notify_all()

    def close(self) -> None:
        """Wakes everyone who waits, for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
