"""Which network works: the one that counts, a candidate that is built beside it, and those that hung and were left
behind. A takeover swaps `ChainState.network` whole, so that whatever one before still does concerns nobody."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from vbgcam.core.errors import ModelError, VbgcamError
from vbgcam.core.policy import Why
from vbgcam.live.plan import Network, Plan
from vbgcam.live.state import ChainState
from vbgcam.live.stats import Stats
from vbgcam.live.workers.inference import Inference, loading_of
from vbgcam.system.process_wide import abandon

log = logging.getLogger(__name__)

# So many hangs, and a lighter network takes its place; twice as many, and the session ends.
_HANGS = 2


class Networks:
    """All methods: any thread. See `inference.Owner` for those that the inference workers call."""

    def __init__(self, plan: Plan, state: ChainState, stats: Stats, run: Callable[[Inference], None]) -> None:
        """`run`: starts a worker."""
        self._plan, self._state, self._stats, self._run = plan, state, stats, run
        self._lock = threading.Lock()
        # By _lock, and so is `ChainState.network`:
        self._network = plan.network
        self._current: Inference | None = None
        self._candidate: Inference | None = None
        self._hangs = 0

    def begin(self) -> None:
        """Starts the first one."""
        with self._lock:
            self._start(self._network, Why.LOADING)

    def choose(self, network: Network) -> None:
        """It takes over once it is ready. Where it cannot be had the present one stays, and the figures' `refused` says
        why."""
        with self._lock:
            if self._candidate is not None:
                self._candidate.retire()
            self._stats.fact(refused="", loading=loading_of(network))
            self._candidate = self._new(network, Why.LOADING, candidate=True)
            self._run(self._candidate)

    def cancel(self) -> bool:
        """Gives up a network that is being loaded beside another one, which stays, or the download of the only one.
        False where there is nothing to give up."""
        with self._lock:
            if self._candidate is not None:
                self._candidate.retire()
                self._refuse("the download was cancelled")
                return True
            loading = self._stats.get("loading")
            if self._current is None or loading is None or loading["done"] is None:
                return False
            self._current.cancel()
            return True

    def hurry(self) -> None:
        """Where a network could not be had and waits before it tries again, it tries now."""
        with self._lock:
            for inference in (self._candidate, self._current):
                if inference is not None:
                    inference.hurry()

    @property
    def any(self) -> bool:
        """Whether there is a network, or one is being built."""
        with self._lock:
            return self._candidate is not None or self._current is None or not self._current.lost

    def supervise(self) -> None:
        """A network that is in one call for longer than any takes has hung there, which nobody can end: its thread is
        left behind, and another one is built in a thread of its own."""
        with self._lock:
            for inference in (self._candidate, self._current):
                call = inference.own.call if inference is not None else None
                if inference is None or call is None or time.monotonic() - call[0] < call[1]:
                    continue
                inference.retire()
                abandon(inference.thread)
                error = ModelError(f"the network gave no answer for {call[1]:.0f} s")
                if inference is self._candidate:
                    log.warning("%s (the network stays as it is)", error)
                    self._refuse(str(error))
                else:
                    self._replace_hung(error)

    def take_over(self, inference: Inference) -> bool:
        """In the candidate's thread."""
        with self._lock:
            if inference is not self._candidate or self._state.stop.is_set():
                return False
            before, own = self._state.network, inference.own
            own.trouble = before.trouble
            if (prediction := before.predictions.peek()) is not None:
                own.predictions.put(prediction)  # masks go on until its own first one
            if self._current is not None:
                self._current.retire()
            self._state.network = own
            self._network, self._current, self._candidate, self._hangs = inference.network, inference, None, 0
        self._state.to_compose.wake()
        return True

    def refuse(self, inference: Inference, error: str) -> None:
        """In the candidate's thread."""
        with self._lock:
            if inference is self._candidate:
                self._refuse(error)

    def report_loading(self, inference: Inference, loading: object) -> None:
        """Of the network that was chosen last alone: another one's end would be taken for its."""
        with self._lock:
            if inference is (self._candidate or self._current):
                self._stats.fact(loading=loading)

    def report(self, inference: Inference, error: VbgcamError | None = None, **facts: object) -> None:
        """Of the network that counts alone."""
        with self._lock:
            if inference is self._current:
                if error is not None:
                    self._state.report(error)
                self._stats.fact(**facts)

    def _refuse(self, error: str) -> None:
        self._candidate = None
        self._stats.fact(refused=error, loading=None)

    def _replace_hung(self, error: ModelError) -> None:
        self._hangs += 1
        log.warning("%s: it is built anew", error)
        self._state.report(error)
        if self._hangs > 2 * _HANGS:
            self._state.fail(error)
            return
        lighter = self._network.lighter if self._hangs >= _HANGS else None
        self._start(self._network if lighter is None else replace(self._network, build=lighter), Why.MODEL)
        self._state.to_compose.wake()

    def _start(self, network: Network, trouble: Why) -> None:
        self._current = self._new(network, trouble, candidate=False)
        self._state.network = self._current.own
        self._run(self._current)

    def _new(self, network: Network, trouble: Why, *, candidate: bool) -> Inference:
        own = self._state.network_state(trouble)
        return Inference(network, self, self._plan, self._state, own, self._stats, candidate)
