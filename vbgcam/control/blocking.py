"""Calls that may block, kept away from an event loop."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from vbgcam.core.errors import VbgcamError

log = logging.getLogger(__name__)

T = TypeVar("T")


class BlockingCalls:
    """Runs calls that may block, `most` at once; others wait for their turn. A thread that hangs in a driver is left
    behind when the program ends (see `cli.program`)."""

    def __init__(self, most: int) -> None:
        self._threads = ThreadPoolExecutor(most, "control-call")

    async def __call__(self, work: Callable[[], T]) -> T:
        """Returns or raises what `work` does. Where the caller is cancelled, `work` goes on if it has begun."""
        future = self._threads.submit(_result, work)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            future.add_done_callback(_left_behind)
            raise

    def close(self) -> None:
        """No more calls; the threads end when they are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _result(work: Callable[[], T]) -> T:
    try:
        return work()
    except StopIteration as exc:
        raise RuntimeError("a call ended with StopIteration, which no future takes") from exc


def _left_behind(future: Future[T]) -> None:
    if future.cancelled():
        return
    error = future.exception()
    if error is not None and not isinstance(error, VbgcamError):
        log.error("what a client asked for before it went failed", exc_info=error)
