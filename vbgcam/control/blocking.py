"""Calls that may block, kept away from an event loop."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from vbgcam.core.errors import VbgcamError

log = logging.getLogger(__name__)

T = TypeVar("T")


class BlockingCalls:
    """Runs calls that may block, each in a thread of its own, `most` at once; others wait for their turn.

    Made and called in the event loop's thread, which owns the semaphore and the futures; a call's own thread touches
    neither and only hands its result to the loop. The threads are daemons: one that hangs in a driver does not keep the
    program from ending, as an executor's would.
    """

    def __init__(self, most: int) -> None:
        self._free = asyncio.Semaphore(most)
        self._loop = asyncio.get_running_loop()

    async def __call__(self, work: Callable[[], T]) -> T:
        """Returns or raises what `work` does. Where the caller is cancelled, `work` goes on, and keeps its place among
        the `most` until it has ended."""
        await self._free.acquire()
        # The error is carried as a value: a future does not take StopIteration.
        done: asyncio.Future[tuple[T | None, BaseException | None]] = self._loop.create_future()

        def ended(result: T | None, error: BaseException | None) -> None:
            self._free.release()
            if not done.cancelled():
                done.set_result((result, error))
            elif error is not None and not isinstance(error, VbgcamError):
                log.error("what a client asked for before it went failed", exc_info=error)

        def call() -> None:
            result, error = None, None
            try:
                result = work()
            except BaseException as exc:
                error = exc
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(ended, result, error)

        try:
            threading.Thread(target=call, name="control-call", daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            self._free.release()
            raise
        result, error = await done
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # T itself may be None
