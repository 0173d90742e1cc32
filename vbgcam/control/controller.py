"""The controller: carries out commands on the running program and reports its status.

Changes come from three sides: commands, the config file, and the live chain itself (a network that failed to load).
Each goes through `_apply`, which first does what can fail and only then changes anything.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

import cv2
import numpy as np

from vbgcam import __version__, factory
from vbgcam.background.gallery import Gallery
from vbgcam.camera import Source, open_source
from vbgcam.control import choices, commands
from vbgcam.control.api import PreviewImage
from vbgcam.control.lighter import Lighter, advice, lighter
from vbgcam.core.errors import BackgroundError, ConfigError, ControlError, ModelError, VbgcamError
from vbgcam.core.frames import Size
from vbgcam.core.policy import LATE, TooSlow
from vbgcam.core.specs import BackgroundSpec, ModelSpec, SourceSpec
from vbgcam.live.session import Session
from vbgcam.output.virtualcam import virtual_cameras
from vbgcam.pixels.convert import small_rgb, to_rgb
from vbgcam.settings import reading
from vbgcam.settings.layered import LayeredSettings
from vbgcam.settings.schema import Settings
from vbgcam.settings.state import RememberedState

log = logging.getLogger(__name__)

_TROUBLES: Final = 50
# Settings that are read when the program starts, and not again.
_AT_THE_START: Final = ("output.sink", "output.size", "output.on_demand", "model.unload_after_s")
# All other settings of the sections model and camera change the network or the source.
_NETWORK: Final = "model."
_CAMERA: Final = "camera."
_CHOICES: Final = {"model": "model.name", "camera": "camera.source", "preset": "mask.preset"}
# Seconds that a command waits for its network, to report at once where it cannot be loaded.
_ANSWER: Final = 2.0
# Seconds for which the list of readers is reused: it takes a search of /proc.
_READERS: Final = 2.0
# Seconds between two measurements of the time that a mask takes: a percentile of thousands of values.
_MEASURE: Final = 20.0
# Seconds without a mask after which a network does something else than to be slow: it compiles itself for another size
# of input, once, which takes a large one on a small CPU 10 s.
_COMPILES: Final = 4.0
# Of 0 to 100; a preview of 640 pixels has 30 to 60 kB.
_JPEG: Final = 80


@dataclass(slots=True)
class _NetworkChange:
    """A change to another network, until that one works or is refused. `before`: the settings of the one that works
    meanwhile; `undo`: takes back the choice of each setting, newest first. `refused`: why it cannot be loaded."""

    before: dict[str, object]
    undo: list[tuple[str, Callable[[str], None]]] = field(default_factory=list)
    refused: str = ""


class Controller:
    """See `vbgcam.control.ControlApi`. `tick` is called about ten times a second, by one thread. `report`: makes the
    doctor's report. `quit` is set by the command of that name."""

    def __init__(
        self,
        session: Session,
        layers: LayeredSettings,
        state: RememberedState,
        gallery: Gallery,
        *,
        report: Callable[[], str] = lambda: "",
    ) -> None:
        self.gallery = gallery
        self.quit = threading.Event()
        self._session = session
        self._stats = session.stats
        self.report = report
        self.watch_preview = session.watch_preview
        # Held by whoever changes the session; guards the fields up to the next lock.
        self._changing = threading.RLock()
        self._layered = layers
        self._state = state
        # What hides the room again; before the first change what was chosen in an earlier run, if anything was.
        remembered = state.choice("background.show")
        self._last_hiding = Settings().background.show if remembered is None else str(remembered.to)
        self._keep_hiding(layers.settings)
        self._network_change: _NetworkChange | None = None
        # What this program made lighter by itself; none any more, and for good, once a person chose something else.
        self._too_slow = TooSlow()
        self._lighter: Lighter | None = None
        self._may_lighten = True
        self._said_slow = False
        self._problem = ""
        self._troubles: deque[dict[str, Any]] = deque(maxlen=_TROUBLES)
        self._measured = time.monotonic()
        # Guards the next. A lock of its own, and held for a moment only: the session's threads take it.
        self._notifying = threading.Lock()
        self._revision = 1  # read without the lock
        self._listeners: list[Callable[[], None]] = []  # each change of it, and a copy, is one step
        # Replaced as a whole, by any thread: when the readers were looked up, and their names.
        self._readers_found: tuple[float, list[str]] = (-_READERS, [])
        self._stats.on_change(self._changed)

    # Commands

    def do(self, command: Mapping[str, Any]) -> str:
        match commands.parse(command):
            case commands.Set(settings=values):
                return self._set(values)
            case commands.SetBackground(to="last"):
                return self._hide_room()
            case commands.SetBackground(to=to):
                return self._background(self._background_spec(to))
            case commands.Blur(to=strength):
                return self._background(self._background_spec(f"blur:{strength:g}"))
            case commands.Choose(do="model", to="cancel"):
                return self._cancel_network()
            case commands.Choose(do=what, to=to):
                return self._set({_CHOICES[what]: to})
            case commands.Mirror(to=on):
                with self._changing:
                    return self._set({"output.mirror": not self._layered.settings.output.mirror if on is None else on})
            case commands.Simple(do="pause" | "resume" | "toggle" as how):
                return self._pause(how)
            case commands.Simple(do="welcomed"):
                with self._changing:
                    self._state.welcomed = True
                self._changed()
                return "welcome"
            case commands.Simple():
                self.quit.set()
                return "vbgcam ends"

    def _pause(self, how: Literal["pause", "resume", "toggle"]) -> str:
        with self._changing:
            paused = not self._session.paused if how == "toggle" else how == "pause"
            self._session.pause(paused)
            self._state.paused = paused
            self._state.save(at_once=True)
        self._changed()
        return "paused: the background alone is on air, the camera is off" if paused else "resumed"

    def _background(self, show: str) -> str:
        self._set({"background.show": show})
        return f"background: {choices.label_of(show, choices.backgrounds(self.gallery))}"

    def _hide_room(self) -> str:
        """Whatever became of the last background meanwhile: the room is not visible then."""
        try:
            return self._background(self._last_hiding)
        except BackgroundError as exc:
            log.warning("%s (using a plain colour instead)", exc)
            return self._background(Settings().background.show)

    def _background_spec(self, text: str) -> str:
        """`text`: a spec, the name of a file of the gallery, or "next" or "previous" there."""
        if text in ("next", "previous"):
            return self._neighbour(1 if text == "next" else -1)
        try:
            spec = BackgroundSpec.parse(text)
        except (ValueError, RuntimeError) as exc:
            raise ControlError(str(exc)) from exc
        if spec.kind != "file" or spec.path.exists():
            return text
        folded = text.casefold()
        for entry in self.gallery.entries():
            if folded in (entry.name.casefold(), entry.label.casefold()):
                return str(entry.path)
        raise BackgroundError(f"{text} does not exist", fix="`vbgcam background list` shows the pictures there are")

    def _neighbour(self, step: int) -> str:
        """The spec of the gallery's file `step` places after the one that is shown."""
        shown = self._layered.settings.background.show
        specs = [str(entry.path) for entry in self.gallery.entries() if not entry.broken]
        if not specs:
            raise BackgroundError(f"{self.gallery.folder} holds no picture", fix="put one there")
        if shown not in specs:
            return specs[0 if step > 0 else -1]
        return specs[(specs.index(shown) + step) % len(specs)]

    def _set(self, values: Mapping[str, object]) -> str:
        """Raises VbgcamError; nothing has changed then."""
        with self._changing:
            fixed = [name for name in values if name in _AT_THE_START]
            if fixed:
                raise ConfigError(
                    [f"{name} cannot change while vbgcam runs; set it in {self._layered.path}" for name in fixed]
                )
            before = self._lighter.before if self._lighter is not None and _CHOICES["model"] in values else {}
            change = self._change({**before, **values}, remember=True)
            name = str(ModelSpec.parse(self._layered.settings.model.name))
        self._changed()
        if change is not None:
            return self._outcome(change, name)
        return ", ".join(
            f"{name} = {('off', 'on')[value] if isinstance(value, bool) else value}" for name, value in values.items()
        )

    def _change(self, values: Mapping[str, object], *, remember: bool) -> _NetworkChange | None:
        """As `_apply`. `remember`: see `LayeredSettings.choose`. The caller holds `_changing`."""
        self._follow_the_network()  # the outcome of an earlier choice
        wanted = reading.changed(self._layered.settings, values)
        chosen = [name for name in values if name.startswith(_NETWORK)]
        change = self._apply(wanted, reload=bool(chosen) and not self._session.has_network)
        undo = self._layered.choose(values, wanted, remember=remember)
        if change is None and chosen:  # the one that is to be used already: whoever chooses it wants it now
            self._session.hurry_network()
        if change is not None:
            change.undo[:0] = [(name, undo) for name in chosen]
        return change

    def _cancel_network(self) -> str:
        with self._changing:
            if not self._session.cancel_network():
                raise ControlError("no network is being downloaded")
            self._follow_the_network(cancelled=True)
        self._changed()
        return "the download is cancelled; what has come is kept for the next time"

    def _outcome(self, change: _NetworkChange, name: str) -> str:
        """What became of a network that was chosen, if that is known soon."""
        end = time.monotonic() + _ANSWER
        while time.monotonic() < end and self._stats.get("loading") is not None:
            time.sleep(0.01)
        with self._changing:
            self._follow_the_network()
        if change.refused:
            raise ControlError(change.refused)
        if self._stats.get("loading") is not None:
            return f"model: {name} is being loaded; the one before works meanwhile"
        return f"model: {self._stats.get('model')}"

    def _apply(self, wanted: Settings, *, reload: bool = False) -> _NetworkChange | None:
        """Makes the session follow. Returns the change to another network, where one is being loaded; `reload`: in any
        case. Raises VbgcamError, and nothing has changed then. The caller holds `_changing`."""
        factory.refuse_truth(wanted)
        before = self._layered.settings
        names = reading.differing(before, wanted)
        source = self._source(wanted) if any(name.startswith(_CAMERA) for name in names) else None
        background = None
        if _backdrop_key(before) != _backdrop_key(wanted):
            background = factory.backdrop(wanted, self._session.size)
        if background is not None or factory.render_options(before) != factory.render_options(wanted):
            self._session.set_scene(factory.render_options(wanted), background)
        self._keep_hiding(wanted)
        if source is not None:
            self._session.set_camera(source)
            self._stats.fact(source=wanted.camera.source)
        network = {
            name: reading.value(before, name)
            for name in names
            if name.startswith(_NETWORK) and name not in _AT_THE_START
        }
        if not network and not reload:
            return None
        # While an earlier change is under way, the network that works is the one from before that.
        earlier = self._network_change or _NetworkChange({})
        self._network_change = _NetworkChange({**network, **earlier.before}, list(earlier.undo))
        self._session.set_network(factory.network(wanted))
        return self._network_change

    def _keep_hiding(self, wanted: Settings) -> None:
        if not factory.render_options(wanted).plain:
            self._last_hiding = wanted.background.show

    def _source(self, wanted: Settings) -> Source:
        """Raises CameraError where it is not there, ConfigError where it cannot take another's place."""
        spec = SourceSpec.parse(wanted.camera.source)
        source = open_source(spec, factory.wanted(wanted))
        if not self._session.clocked:
            raise ConfigError("a film without a pace of its own is read to its end; no other source can be chosen")
        if not source.clocked:
            raise ConfigError(
                f"source {wanted.camera.source}: a film without a pace of its own can be chosen at the start alone"
            )
        source.expected()
        return source

    # Status

    def status(self) -> dict[str, Any]:
        with self._changing:
            held = {
                "paused": self._session.paused,
                "settings": self._layered.settings.model_dump(),
                "troubles": [dict(trouble) for trouble in self._troubles],
                "config": {"path": str(self._layered.path), "problems": list(self._layered.problems)},
                "welcomed": self._state.welcomed,
            }
        figures = self._stats.snapshot()
        return {
            **figures,
            **held,
            "revision": self.revision(),
            "version": __version__,
            "pid": os.getpid(),
            "watched": bool(figures.get("watched", True)),
            "readers": self._readers(figures),
            "live": self._stats.now(),
        }

    def choices(self) -> dict[str, Any]:
        with self._changing:
            settings, masks = self._layered.settings, dict(self._state.masks)
        facts = self._stats.snapshot()
        lost = facts["state"] == "no output"
        fix = facts["problem"].partition("; ")[2] if lost else ""
        return {
            "backgrounds": choices.backgrounds(self.gallery),
            "blurs": [{"spec": spec, "label": label} for spec, label in choices.BLURS],
            "colours": [{"spec": spec, "label": label} for spec, label in choices.COLOURS],
            "cameras": choices.camera_choices(settings.camera.source, str(facts.get("source_name", ""))),
            "models": choices.networks(settings, facts["model"], masks),
            "presets": choices.presets(),
            "virtual": {"there": not lost, "name": facts["sink"], "fix": fix},
        }

    def revision(self) -> int:
        return self._revision

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(wake)
        return partial(self._listeners.remove, wake)

    def preview(self, after: int, width: int, *, mask: bool = False) -> PreviewImage | None:
        shown = self._session.last_sent()
        if shown is None or shown.number <= after:
            return None
        whole = shown.frame.planes.size
        size = Size(width, max(1, round(whole.height * width / whole.width))) if width < whole.width else whole
        if mask:
            alpha = shown.mask.alpha if shown.mask is not None else np.zeros((whole.height, whole.width), np.uint8)
            alpha = np.asarray(cv2.flip(alpha, 1), np.uint8) if shown.mirrored else alpha
            image = cv2.resize(alpha, (size.width, size.height), interpolation=cv2.INTER_AREA)
        else:
            image = cv2.cvtColor(small_rgb(shown.frame.planes, size), cv2.COLOR_RGB2BGR)
        return PreviewImage(shown.number, _encoded(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG]))

    def snapshot(self) -> bytes:
        shown = self._session.last_sent()
        if shown is None:
            raise ControlError("nothing is on air yet", fix="`vbgcam status` says why")
        return _encoded(".png", cv2.cvtColor(to_rgb(shown.frame.planes), cv2.COLOR_RGB2BGR))

    def _readers(self, figures: Mapping[str, Any]) -> list[str]:
        """The programs that read the virtual camera, where the system knows them."""
        if not figures.get("watched", True):
            return []
        at, names = self._readers_found
        if time.monotonic() - at >= _READERS:
            mine = f"(pid {os.getpid()})"
            names = [
                user.partition(" (pid")[0]
                for device in virtual_cameras()
                if device.path and f"({device.path})" in figures["sink"]
                for user in device.users
                if mine not in user
            ]
            self._readers_found = time.monotonic(), names
        return names

    # What it does without a command

    def tick(self) -> None:
        """Follows the config file and the session, and saves what was chosen."""
        with self._changing:
            self._follow_the_network()
            self._follow_the_file()
            self._help_where_it_is_slow()
            problem = self._stats.get("problem")
            if problem != self._problem:
                self._problem = problem
                for trouble in self._troubles:
                    trouble["now"] = False
                if problem:
                    self._trouble(problem, now=True)
                self._changed()
            self._measure()
            self._state.save()

    def close(self, *, orderly: bool = True) -> None:
        """A pause ends with an orderly stop. A program that is started again because it failed stays paused: else
        the camera would be on air although nobody wanted that."""
        with self._changing:
            if orderly:
                self._state.paused = False
            self._state.save(at_once=True)

    def _follow_the_file(self) -> None:
        before = self._layered.problems
        wanted = self._layered.reread()
        if wanted is not None:
            try:
                self._apply(wanted)
            except VbgcamError as exc:
                self._layered.problems = exc.problems if isinstance(exc, ConfigError) else (str(exc),)
            else:
                for name in reading.differing(self._layered.settings, wanted):
                    if name in _AT_THE_START:
                        log.info("%s takes effect at the next start", name)
                self._layered.settings = wanted
                log.info("the settings were read again from %s", self._layered.path)
        if self._layered.problems != before:
            for problem in self._layered.problems:
                log.warning("%s (the settings stay as they were)", problem)
                self._trouble(problem, now=False)
        if wanted is not None or self._layered.problems != before:
            self._changed()

    def _follow_the_network(self, *, cancelled: bool = False) -> None:
        # In this order: both change at once, and an end that was seen must not pass for a success.
        loading, refused = self._stats.get("loading"), self._stats.get("refused")
        change = self._network_change
        if change is None or not (refused or loading is None):
            return
        self._network_change = None
        if refused:
            self._stats.fact(refused="")
            change.refused = str(refused)
            for name, undo in change.undo:
                undo(name)
            self._layered.settings = reading.changed(self._layered.settings, change.before)
            self._session.set_scene(factory.render_options(self._layered.settings))
            if not cancelled:
                self._trouble(change.refused, now=False)
        self._changed()

    def _help_where_it_is_slow(self) -> None:
        """Takes something lighter where masks are late for too long, or says what a person can do."""
        settings = self._layered.settings
        if self._lighter is not None and not self._lighter.in_force(settings):
            self._lighter, self._may_lighten = None, False
            self._stats.fact(helped=None)
        if self._stats.get("loading") is not None:
            self._too_slow.restart()
            return
        slow = self._session.clocked and self._stats.since_mask() < _COMPILES
        hidden = slow and self._stats.get("why") in LATE
        if not self._too_slow.seen(time.monotonic(), hidden):
            return
        working = str(self._stats.get("model"))
        found = lighter(settings, working, str(self._stats.get("input")), self._lighter) if self._may_lighten else None
        if found is not None:
            self._change(found.to, remember=False)
            self._lighter, told = found, found.told()
            log.warning("%s", told["why"])
            self._trouble(str(told["why"]), now=False)
            self._stats.fact(helped=told)
        elif not self._said_slow:
            self._said_slow = True
            error = ModelError("masks come too late to follow you", fix=advice(settings, working))
            log.warning("%s", error)
            self._stats.fact(problem=str(error))

    def _trouble(self, text: str, *, now: bool) -> None:
        what, _, fix = text.partition("; ")
        self._troubles.appendleft({"at": time.time(), "what": what, "fix": fix, "now": now})

    def _measure(self) -> None:
        """Remembers how long a mask takes on this machine, for the list of networks."""
        now = time.monotonic()
        if now - self._measured < _MEASURE:
            return
        self._measured = now
        name, median = self._stats.get("model"), self._stats.inference_ms()
        if name and median and self._stats.get("loading") is None:
            known = self._state.masks.get(name)
            if known is None or abs(known - median) > known / 4:
                self._state.masks[name] = round(median, 1)

    def _changed(self) -> None:
        with self._notifying:
            self._revision += 1
        for wake in self._listeners.copy():
            wake()


def _backdrop_key(settings: Settings) -> object:
    """Differs where another backdrop is needed."""
    spec = BackgroundSpec.parse(settings.background.show)
    if spec.kind == "file":
        return spec.path, settings.background.fit
    return spec.color if spec.kind == "color" else "card"


def _encoded(suffix: str, image: Any, options: Sequence[int] = ()) -> bytes:
    done, data = cv2.imencode(suffix, image, options)
    if not done:
        raise ControlError("the picture could not be encoded")
    return data.tobytes()
