"""The controller: does what is asked of the running program, and knows how it is.

What changes comes from three sides: commands, the config file, and the live chain itself (a network that could not be
had). All of it goes through `_apply`, which first does what can fail and only then changes anything.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np

from vbgcam import __version__, factory
from vbgcam.background.gallery import Gallery
from vbgcam.camera import Source, open_source
from vbgcam.control import choices, commands
from vbgcam.control.api import Shot
from vbgcam.core.errors import BackgroundError, ConfigError, ControlError, VbgcamError
from vbgcam.core.frames import Size
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
# Settings that are looked at when the program starts, and not again.
_AT_THE_START: Final = ("output.sink", "output.size", "output.on_demand", "model.unload_after_s")
# Of the sections model and camera all others change the network or the source.
_NETWORK: Final = "model."
_CAMERA: Final = "camera."
# Seconds that whoever chose a network waits for it, so as to be told at once where it cannot be had.
_ANSWER: Final = 2.0
# Seconds for which who reads the camera is not looked up again, a look through /proc.
_READERS: Final = 2.0
# Seconds between two looks at what a mask takes: a percentile of thousands of values.
_MEASURE: Final = 20.0
# Of 0 to 100; a preview of 640 pixels has 30 to 60 kB.
_JPEG: Final = 80


@dataclass(slots=True)
class _Wish:
    """For another network, until it works or is refused. `before`: the settings of the one that works meanwhile;
    `take_back`: for the choice of each of them, newest first. `refused`: why it cannot be had."""

    before: dict[str, object]
    take_back: list[tuple[str, Callable[[str], None]]] = field(default_factory=list)
    refused: str = ""


class Controller:
    """See `vbgcam.control.ControlApi`. `tick` is called about ten times a second, by one thread. `report`: makes the
    doctor's report. `quit` is set when a person has asked for the end."""

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
        self._report = report
        self._measured = time.monotonic()
        # Serialises what changes the session; guards what follows.
        self._changing = threading.RLock()
        self._layered = layers
        self._state = state
        self._wish: _Wish | None = None
        self._problem = ""
        self._troubles: deque[dict[str, Any]] = deque(maxlen=_TROUBLES)
        # Its own lock: the session's threads come by it.
        self._telling = threading.Lock()
        self._revision = 1
        self._wakes: dict[int, Callable[[], None]] = {}
        self._tickets = itertools.count()
        self._looked: tuple[float, list[str]] = (-_READERS, [])
        self._stats.on_change(self._changed)

    # What is asked of it

    def do(self, command: Mapping[str, Any]) -> str:
        asked = commands.parse(command)
        match asked:
            case commands.Set():
                return self._set(asked.settings)
            case commands.Show(to="next" | "previous" as way):
                return self._background(self._neighbour(1 if way == "next" else -1))
            case commands.Show():
                return self._background(self._meant(asked.to))
            case commands.Blur():
                return self._background(f"blur:{asked.to:g}")
            case commands.Choose(do="model"):
                return self._set({"model.name": asked.to})
            case commands.Choose(do="camera"):
                return self._set({"camera.source": asked.to})
            case commands.Choose():
                return self._set({"mask.preset": asked.to})
            case commands.Mirror():
                with self._changing:
                    to = not self._layered.settings.output.mirror if asked.to is None else asked.to
                    return self._set({"output.mirror": to})
            case commands.Plain(do="quit"):
                self.quit.set()
                return "vbgcam ends"
            case commands.Plain(do="welcomed"):
                with self._changing:
                    self._state.welcomed = True
                self._changed()
                return "welcome"
            case commands.Plain():
                return self._pause({"pause": True, "resume": False}.get(asked.do))

    def _pause(self, to: bool | None) -> str:
        """None: the other way."""
        with self._changing:
            paused = not self._session.paused if to is None else to
            self._session.pause(paused)
            self._state.paused = paused
            self._state.save(at_once=True)
        self._changed()
        return "paused: the background alone is on air, the camera is off" if paused else "resumed"

    def _background(self, show: str) -> str:
        self._set({"background.show": show})
        return f"background: {choices.label_of(show, choices.backgrounds(self.gallery))}"

    def _meant(self, text: str) -> str:
        """A background's spec; a picture of the gallery may be called by its name."""
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
        """The gallery's picture after the one that is shown, or before it."""
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
            self._follow_the_network()  # what became of the choice before
            wanted = reading.changed(self._layered.settings, values)
            again = any(name.startswith(_NETWORK) for name in values) and not self._session.has_network
            wish = self._apply(wanted, again=again)
            take_back = self._layered.choose(values, wanted)
            if wish is not None:
                wish.take_back[:0] = [(name, take_back) for name in values if name.startswith(_NETWORK)]
        self._changed()
        if wish is not None:
            return self._answer(wish, str(ModelSpec.parse(wanted.model.name)))
        return ", ".join(f"{name} = {_shown(value)}" for name, value in values.items())

    def _answer(self, wish: _Wish, name: str) -> str:
        """What became of a network that was chosen, if that can be said soon."""
        end = time.monotonic() + _ANSWER
        while time.monotonic() < end and self._stats.get("loading") is not None:
            time.sleep(0.01)
        with self._changing:
            self._follow_the_network()
        if wish.refused:
            raise ControlError(wish.refused)
        if self._stats.get("loading") is not None:
            return f"model: {name} is being loaded; the one before works meanwhile"
        return f"model: {self._stats.get('model')}"

    def _apply(self, wanted: Settings, *, again: bool = False) -> _Wish | None:
        """The session follows. The wish for another network, where that is being built; `again`: in any case. Raises
        VbgcamError, and nothing has changed then. The caller holds `_changing`."""
        factory.refuse_truth(wanted)
        before = self._layered.settings
        names = reading.differing(before, wanted)
        source = self._source(wanted) if any(name.startswith(_CAMERA) for name in names) else None
        background = None
        if _ground(before) != _ground(wanted):
            background = factory.backdrop(wanted, self._session.size)
        if background is not None or factory.render_options(before) != factory.render_options(wanted):
            self._session.set_scene(factory.render_options(wanted), background)
        if source is not None:
            self._session.set_camera(source)
            self._stats.fact(source=wanted.camera.source)
        network = {
            name: reading.value(before, name)
            for name in names
            if name.startswith(_NETWORK) and name not in _AT_THE_START
        }
        if not network and not again:
            return None
        # Of a wish that has not come true yet: what works is still what it was before that.
        earlier = self._wish or _Wish({})
        self._wish = _Wish({**network, **earlier.before}, list(earlier.take_back))
        self._session.set_network(factory.network(wanted))
        return self._wish

    def _source(self, wanted: Settings) -> Source:
        """Raises CameraError where it is not there, ConfigError where it cannot take another's place."""
        spec = SourceSpec.parse(wanted.camera.source)
        source = open_source(spec, factory.wanted(wanted))
        if not self._session.clocked:
            raise ConfigError("a film without a pace of its own is read to its end; no other source can be chosen")
        if not source.clocked:
            raise ConfigError(f"source {spec}: a film without a pace of its own can be chosen at the start alone")
        source.expected()
        return source

    # How it is

    def status(self) -> dict[str, Any]:
        with self._changing:
            settings, paused = self._layered.settings, self._session.paused
            troubles = [dict(trouble) for trouble in self._troubles]
            told = {"path": str(self._layered.path), "problems": list(self._layered.problems)}
            welcomed = self._state.welcomed
        figures = self._stats.snapshot()
        return {
            **figures,
            "revision": self.revision(),
            "paused": paused,
            "version": __version__,
            "pid": os.getpid(),
            "watched": bool(figures.get("watched", True)),
            "readers": self._readers(figures),
            "settings": settings.model_dump(),
            "troubles": troubles,
            "config": told,
            "welcomed": welcomed,
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
            "cameras": choices.filmed(settings.camera.source, str(facts.get("source_name", ""))),
            "models": choices.networks(settings, facts["model"], masks),
            "presets": choices.presets(),
            "virtual": {"there": not lost, "name": facts["sink"], "fix": fix},
        }

    def revision(self) -> int:
        return self._revision

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        with self._telling:
            ticket = next(self._tickets)
            self._wakes[ticket] = wake

        def enough() -> None:
            with self._telling:
                self._wakes.pop(ticket, None)

        return enough

    def shot(self, after: int, width: int, *, mask: bool = False) -> Shot | None:
        shown = self._session.last_sent()
        if shown is None or shown.number <= after:
            return None
        whole = shown.frame.size
        height = max(1, round(whole.height * width / whole.width))
        size = Size(width, height) if width < whole.width else whole
        if mask:
            alpha = shown.mask.alpha if shown.mask is not None else np.zeros((whole.height, whole.width), np.uint8)
            alpha = np.asarray(cv2.flip(alpha, 1), np.uint8) if shown.mirrored else alpha
            picture = cv2.resize(alpha, (size.width, size.height), interpolation=cv2.INTER_AREA)
        else:
            picture = cv2.cvtColor(small_rgb(shown.frame.planes, size), cv2.COLOR_RGB2BGR)
        return Shot(shown.number, _encoded(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG]))

    def snapshot(self) -> bytes:
        shown = self._session.last_sent()
        if shown is None:
            raise ControlError("nothing is on air yet", fix="`vbgcam status` says why")
        return _encoded(".png", cv2.cvtColor(to_rgb(shown.frame.planes), cv2.COLOR_RGB2BGR), [])

    def looking(self, begins: bool) -> None:
        self._session.watch_preview(begins)

    def report(self) -> str:
        return self._report()

    def _readers(self, figures: Mapping[str, Any]) -> list[str]:
        """The programs that read the virtual camera, where that can be told."""
        if not figures.get("watched", True):
            return []
        at, names = self._looked
        if time.monotonic() - at >= _READERS:
            mine = f"(pid {os.getpid()})"
            names = [
                user.partition(" (pid")[0]
                for device in virtual_cameras()
                if device.path and f"({device.path})" in figures["sink"]
                for user in device.users
                if mine not in user
            ]
            self._looked = time.monotonic(), names
        return names

    # What it does by itself

    def tick(self) -> None:
        """Follows the config file and the session, and keeps what was chosen."""
        with self._changing:
            self._follow_the_network()
            self._follow_the_file()
            problem = self._stats.problem()
            if problem != self._problem:
                self._problem = problem
                self._settled()
                if problem:
                    self._trouble(problem, now=True)
            self._measure()
            self._state.save()

    def close(self, *, orderly: bool = True) -> None:
        """The end. After an orderly one whoever has paused begins anew the next time; a program that is started again
        because it failed goes on paused, or the camera would be on air without anybody's having wanted it."""
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
                late = [name for name in reading.differing(self._layered.settings, wanted) if name in _AT_THE_START]
                for name in late:
                    log.info("%s takes effect at the next start", name)
                self._layered.settings = wanted
                log.info("the settings were read again from %s", self._layered.path)
        if self._layered.problems != before:
            for problem in self._layered.problems:
                log.warning("%s (the settings stay as they were)", problem)
                self._trouble(problem, now=False)
            self._changed()
        elif wanted is not None:
            self._changed()

    def _follow_the_network(self) -> None:
        # In this order: both change at once, and an end that was seen must not pass for a success.
        loading, refused = self._stats.get("loading"), self._stats.get("refused")
        wish = self._wish
        if wish is None or not (refused or loading is None):
            return
        self._wish = None
        if refused:
            self._stats.fact(refused="")
            wish.refused = str(refused)
            for name, take_back in wish.take_back:
                take_back(name)
            self._layered.settings = reading.changed(self._layered.settings, wish.before)
            self._session.set_scene(factory.render_options(self._layered.settings))
            self._trouble(wish.refused, now=False)
        self._changed()

    def _settled(self) -> None:
        for trouble in self._troubles:
            trouble["now"] = False
        self._changed()

    def _trouble(self, text: str, *, now: bool) -> None:
        what, _, fix = text.partition("; ")
        self._troubles.appendleft({"at": time.time(), "what": what, "fix": fix, "now": now})
        self._changed()

    def _measure(self) -> None:
        """What the network takes on this machine, for who chooses one."""
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
        with self._telling:
            self._revision += 1
            wakes = list(self._wakes.values())
        for wake in wakes:
            wake()


def _ground(settings: Settings) -> object:
    """What the backdrop is made of."""
    spec = BackgroundSpec.parse(settings.background.show)
    if spec.kind == "file":
        return spec.path, settings.background.fit
    return spec.color if spec.kind == "color" else "card"


def _encoded(suffix: str, picture: Any, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, picture, options)
    if not done:
        raise ControlError("the picture could not be encoded")
    return data.tobytes()


def _shown(value: object) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)
