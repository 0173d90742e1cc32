"""One run of the live chain: starts its workers downstream first, waits, stops them upstream first. Meanwhile what is
shown, the camera and the network may be changed; the output, its size and its rate stay."""

import logging
import math
import threading
import time
from collections.abc import Callable

from vbgcam.background import Background
from vbgcam.camera import Source
from vbgcam.core.errors import CameraError, VbgcamError
from vbgcam.core.frames import Size
from vbgcam.core.options import RenderOptions
from vbgcam.live import pace
from vbgcam.live.networks import Networks
from vbgcam.live.plan import Network, Plan
from vbgcam.live.state import ChainState, SceneSnapshot, SentPicture
from vbgcam.live.stats import Stats
from vbgcam.live.workers.background import BackgroundPlayer
from vbgcam.live.workers.capture import Capture
from vbgcam.live.workers.compositor import Compositor
from vbgcam.live.workers.readers import ReaderWatch

log = logging.getLogger(__name__)

# Seconds without a round of the compositor: an output's write that blocks. Nothing here can end it.
_LIFELESS = 10.0
# Seconds that the cover of a pause may take to go out.
_PAUSED_WITHIN = 1.0


class Session:
    """`start`, `wait`, `stop`, in this order, by one thread; what changes it (`set_scene`, `set_camera`, `set_network`,
    `pause`, `watch_preview`) by any, between start and stop, `pause` before, too. What it tells, any thread may ask
    for."""

    def __init__(self, plan: Plan, stats: Stats) -> None:
        """Opens nothing."""
        self.stats = stats
        self._plan = plan
        self._state = ChainState(1 / plan.fps, plan.options)
        self._networks = Networks(plan, self._state, stats, lambda inference: self._run(inference.run, "inference"))
        self._capture = Capture(plan.source, plan.size, plan.fps, plan.retry, self._state, stats)
        self._reader_watch: ReaderWatch | None = None  # set by `start`
        self._lock = threading.Lock()
        # By _lock, and so is `ChainState.scene`:
        self._player: BackgroundPlayer | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Opens the output and sends the first cover. Raises OutputError, BackgroundError; nothing runs then."""
        plan, state = self._plan, self._state
        player = BackgroundPlayer(plan.background, 1 / plan.fps, state)
        state.scene = SceneSnapshot(plan.options, player.backdrop)
        compositor = Compositor(plan, state, self.stats)
        if compositor.open():
            self._reader_watch = ReaderWatch(state, self.stats)
        self._player = player
        self._run(compositor.run, "compositor")
        if self._reader_watch is not None:
            self._run(self._reader_watch.run, "watch")
        if player.moves:
            self._run(player.run, "backdrop")
        self._networks.begin()
        self._run(self._capture.run, "capture")

    def set_scene(self, options: RenderOptions, background: Background | None = None) -> None:
        """From the next picture on. `background`, opened for this and closed by the session, takes the present one's
        place; None leaves it. Raises BackgroundError where its first picture cannot be had: then nothing changes."""
        player = None if background is None else BackgroundPlayer(background, 1 / self._plan.fps, self._state)
        with self._lock:
            backdrop = self._state.scene.backdrop if player is None else player.backdrop
            self._state.scene = SceneSnapshot(options, backdrop)
            before = self._player
            if player is not None:
                self._player = player
        if player is not None:
            if before is not None:
                before.end()
            if player.moves:
                self._run(player.run, "backdrop")
        self._state.wake()
        self._state.to_compose.interrupt()

    def set_camera(self, source: Source) -> None:
        """Another camera, or the same in another size: it is opened as soon as the old one is closed, and what it gives
        fitted to the output's size and rate."""
        self._capture.change(source)

    def set_network(self, network: Network) -> None:
        """Another network: built beside the one that works, in whose place it comes once it has seen a frame. Where it
        cannot be had, that one stays, and the figures' `refused` says why."""
        self._networks.choose(network)

    def cancel_network(self) -> bool:
        """Gives up the network that is being loaded, see `Networks.cancel`."""
        return self._networks.cancel()

    def hurry_network(self) -> None:
        """A network that waits before it tries again tries now."""
        self._networks.hurry()

    def pause(self, paused: bool) -> None:
        """The cover, and the camera off. It is on air when this returns, unless the output is held up."""
        pause = self._state.demand.set_paused(paused)
        self._state.to_compose.interrupt()
        with self._lock:
            running = bool(self._threads) and not self.ended()
        if pause is not None and running:
            pause.wait(_PAUSED_WITHIN)

    @property
    def paused(self) -> bool:
        """Whether somebody has paused."""
        return self._state.demand.paused

    def watch_preview(self, begins: bool) -> None:
        """Somebody looks at what goes out, and the camera is to be on for them until it is taken back with False, once
        for each True."""
        self._state.demand.watch_preview(begins)

    @property
    def size(self) -> Size:
        """The output's."""
        return self._plan.size

    @property
    def clocked(self) -> bool:
        """Whether another camera can be taken; see `camera.Source`."""
        return self._plan.clocked

    @property
    def has_network(self) -> bool:
        """Whether there is a network, or one is being built."""
        return self._networks.any

    def last_sent(self) -> SentPicture | None:
        """What went out last."""
        return self._state.last_sent

    def wait(
        self, duration: float | None, interrupted: threading.Event, tick: Callable[[], bool] = lambda: False
    ) -> None:
        """Returns when the source has ended, a worker failed, `duration` seconds are over, `interrupted` is set
        or `tick`, called a few times a second, is True."""
        end = math.inf if duration is None else time.monotonic() + duration
        while not self._state.stop.is_set() and not interrupted.is_set():
            self._supervise()
            left = min(pace.TICK, end - time.monotonic())
            if left <= 0:
                return
            self._state.stop.wait(left)
            if tick():
                return

    def ended(self) -> bool:
        """Whether the source has ended or a worker failed: there is nothing left but to stop."""
        return self._state.stop.is_set()

    @property
    def failed(self) -> bool:
        """Whether a worker has: `stop` will raise why."""
        return self._state.failure is not None

    def alive(self) -> bool:
        """Whether pictures go out, or a device that is gone is being looked for."""
        return time.monotonic() - self._state.round_began_at < _LIFELESS

    def stop(self) -> bool:
        """Ends the workers and releases the devices; raises what made a worker fail. False where a thread had to be
        left behind in a library's call: the process should then end without waiting for it."""
        self._state.halt()
        self._capture.close()
        self._state.close()
        self._state.reader_monitors.put(None)
        with self._lock:
            threads, player = list(self._threads), self._player
        ended = time.monotonic()
        for thread in reversed(threads):
            patience = max(self._plan.finish, pace.END) if thread.name == "compositor" else pace.END
            thread.join(max(0.0, ended + patience - time.monotonic()))
        left = [thread.name for thread in threads if thread.is_alive()]
        if self._reader_watch is not None and "watch" not in left:
            self._reader_watch.end()
        if player is not None:
            player.end()
        else:
            self._plan.background.close()
        self.stats.fact(state="stopped", why="", room_shown=False)
        for name in left:
            log.debug("%s did not end in time", name)
        failure = self._state.failure
        if failure is None and not self.stats.composed():
            failure = self._state.last_problem
        if failure is not None:
            raise failure
        return not left

    def _supervise(self) -> None:
        self._networks.supervise()
        since = self._state.driver_called_at
        if since is not None and self._plan.clocked and time.monotonic() - since > pace.DRIVER_HUNG:
            # It can be neither asked nor closed: a new process can, which a service manager starts.
            error = f"the camera has not answered for {pace.DRIVER_HUNG:.0f} s"
            self._state.fail(CameraError(error, fix="plug it in again"))

    def _run(self, work: Callable[[], None], name: str) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as exc:
                # Whatever it is, it must not vanish with the thread: the session ends with it.
                if not isinstance(exc, VbgcamError):
                    log.debug("%s failed", name, exc_info=True)
                self._state.fail(exc)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(thread)
            thread.start()
