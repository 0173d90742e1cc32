"""The composition root: the life of a run from start to end, with a control plane (`serve`) or without (`run`)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from vbgcam.background.gallery import Gallery
from vbgcam.control.client import Client
from vbgcam.control.controller import Controller
from vbgcam.control.instance import Instance
from vbgcam.core.errors import BackgroundError, ControlError, VbgcamError
from vbgcam.desktop.handover import browse
from vbgcam.desktop.tray_supervisor import TraySupervisor
from vbgcam.factory import plan, refuse_truth
from vbgcam.live.plan import Plan
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.media.atomic import write_whole
from vbgcam.settings import reading
from vbgcam.settings.layered import LayeredSettings
from vbgcam.settings.schema import Settings, data_folder
from vbgcam.settings.state import RememberedState, state_path
from vbgcam.system.notifications import Notifications
from vbgcam.system.sd_notify import ServiceManager

if TYPE_CHECKING:
    from vbgcam.control.server import Server

log = logging.getLogger(__name__)

PANEL: Final = Path(__file__).parent / "desktop" / "panel"


def run(
    settings: Settings,
    duration: float | None,
    stats_file: Path | None,
    interrupted: threading.Event,
    tick: Callable[[Stats], bool] = lambda _stats: False,
) -> None:
    """The live chain alone, from start to end. `tick`, called a few times a second, may end it too. Raises
    what made the run fail; the figures are written in any case."""
    session = Session(plan(settings), _stats(settings))
    _live(session, duration, stats_file, interrupted, lambda: tick(session.stats))


def serve(
    path: Path | None,
    overrides: Mapping[str, str],
    interrupted: threading.Event,
    *,
    duration: float | None = None,
    stats_file: Path | None = None,
    desk: bool = True,
    report: Callable[[], str] = lambda: "",
) -> None:
    """The daemon: one for each user, with everything that controls it. `path`, `overrides`: see `LayeredSettings`.
    `desk`: with what belongs to a desktop, where there is one: the tray icon, the panel at the first start, and
    patience with a virtual camera that is not there yet, since the panel says how to make it. `report`: makes the
    doctor's. Else as `run`; raises ControlError where it runs already."""
    desk = desk and (os.name == "nt" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")))
    with Instance() as place:
        state = RememberedState(state_path())
        layers = LayeredSettings(path, overrides, state)
        refuse_truth(layers.settings)
        session = Session(_planned(layers, waits=desk), _stats(layers.settings))
        session.pause(state.paused)
        cache = Path(platformdirs.user_cache_dir("vbgcam", appauthor=False))
        gallery = Gallery(data_folder() / "backgrounds", cache / "thumbnails")
        try:
            gallery.fill()
        except BackgroundError as exc:
            log.warning("%s", exc)
        controller = Controller(session, layers, state, gallery, report=report)
        controls = _Controls(controller, place, desk=desk, welcome=desk and not state.welcomed)
        _live(session, duration, stats_file, interrupted, controls.tick, controls=controls)


def _planned(layers: LayeredSettings, *, waits: bool) -> Plan:
    """With the usual colour behind where the background that was chosen is not there any more, or where somebody is
    there who sees what became of it."""
    try:
        return plan(layers.settings, waits=waits)
    except BackgroundError as exc:
        if not (waits or layers.is_chosen("background.show")):
            raise
        log.warning("%s (a colour stands in for it)", exc)
        usual = {"background.show": Settings().background.show}
        layers.choose(usual, reading.changed(layers.settings, usual), remember=False)
        return plan(layers.settings, waits=waits)


class _Controls:
    """What controls the session. It comes after the first picture, and the picture goes on whatever becomes of it."""

    def __init__(self, controller: Controller, place: Instance, *, desk: bool, welcome: bool) -> None:
        self._controller = controller
        self._place = place
        self._welcome = welcome
        self._server: Server | None = None
        self.orderly = False  # whether the run ends because it should, not because something failed
        self._tray = TraySupervisor() if desk else None

    def start(self) -> None:
        from vbgcam.control.server import Server

        self._server = Server(self._controller, self._place, PANEL)
        try:
            self._server.start()
        except ControlError as exc:
            log.warning("%s (the picture goes on)", exc)
        else:
            if self._tray is not None:
                self._tray.start()
            if self._welcome:
                threading.Thread(target=self._open_panel, name="panel", daemon=True).start()

    def tick(self) -> bool:
        self._controller.tick()
        if self._tray is not None:
            self._tray.tick()
        return self._controller.quit.is_set()

    def stop(self) -> None:
        if self._tray is not None:
            self._tray.stop()
        if self._server is not None:
            self._server.stop()
        self._controller.close(orderly=self.orderly)

    def _open_panel(self) -> None:
        try:
            browse(Client.find(self._place).open())
        except VbgcamError as exc:
            log.warning("%s", exc)


def _live(
    session: Session,
    duration: float | None,
    stats_file: Path | None,
    interrupted: threading.Event,
    tick: Callable[[], bool],
    *,
    controls: _Controls | None = None,
) -> None:
    """From start to end. `tick`: may end it by True."""
    stats, service, notices = session.stats, ServiceManager(), Notifications()

    def ticked() -> bool:
        if session.alive():
            service.alive()
        service.status(stats.in_words())
        notices.tell(stats.get("problem"))
        if (helped := stats.get("helped")) is not None:
            notices.tell(f"{helped['why']}; The panel and the tray icon's menu go back.")
        # A camera that stalls for a moment begins nothing new.
        if stats.get("state") != "covered":
            notices.room(stats.get("room_shown"))
        return tick()

    with contextlib.ExitStack() as ends:  # from the last to the first, whatever fails
        if stats_file is not None:
            ends.callback(write_stats, stats_file, stats)
        ends.callback(notices.close)
        ends.callback(service.close)
        ends.callback(session.stop)  # threads that a library holds are left behind (see `cli.program`)
        if controls is not None:
            ends.callback(controls.stop)
        ends.callback(service.stopping)
        session.start()
        service.ready()
        if controls is not None:
            controls.start()
        session.wait(duration, interrupted, ticked)
        if controls is not None:
            controls.orderly = not session.failed


def write_stats(path: Path, stats: Stats) -> None:
    """Raises OutputError."""
    write_whole(path, json.dumps(stats.snapshot(), indent=2) + "\n", "the figures")


def _stats(settings: Settings) -> Stats:
    stats = Stats()
    stats.fact(source=settings.camera.source, sink=settings.output.sink, model=settings.model.name)
    return stats
