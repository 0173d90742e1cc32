"""What a person's changes cost while the chain runs: backgrounds and the camera's size are changed through the loopback
server, as panel, tray and command line do it, while every picture that goes out is looked at."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from vbgcam import factory
from vbgcam.background.drawn import DRAWN
from vbgcam.background.gallery import Gallery
from vbgcam.bench.base import Check, Figures
from vbgcam.bench.sink import MemorySink
from vbgcam.camera.drawn import room
from vbgcam.control.client import Client
from vbgcam.control.controller import Controller
from vbgcam.control.instance import Instance
from vbgcam.control.server import Server
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import U8, SafeFrame, Size
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.media import images
from vbgcam.settings import reading, schema
from vbgcam.settings.layered import LayeredSettings
from vbgcam.settings.state import RememberedState

# A background and a camera's size are changed so often in a minute.
_BACKGROUNDS: Final = 200
_SIZES: Final = 20
_MINUTE: Final = 60.0
_START: Final = 30.0
_PICTURES: Final = 6
_PICTURE: Final = Size(1920, 1080)
# The corner that tells which background is shown: the presenter never comes there.
_CORNER: Final = (slice(0, 24), slice(0, 24))
# Levels: what blending rounds.
_NEAR: Final = 1.0


class Looker:
    """An output that looks at the corner of each picture. See `vbgcam.output.Output`."""

    name = "memory"

    def __init__(self, sink: MemorySink) -> None:
        self._sink = sink
        self._known: list[U8] = []
        self.changed = threading.Condition()
        # By `changed`:
        self.shown: dict[int, float] = {}
        self.covers = self.others = self.sent = 0
        self.sizes: set[Size] = set()

    def know(self, corner: U8) -> None:
        """A background's; they are numbered from 0."""
        self._known.append(corner)

    def open(self) -> None:
        """It always is."""

    def send(self, frame: SafeFrame, at: float) -> None:
        self._sink.write(frame.planes)
        seen = frame.planes.y[_CORNER].astype(np.int16)
        number = next(
            (number for number, corner in enumerate(self._known) if np.abs(seen - corner).mean() <= _NEAR), None
        )
        with self.changed:
            now = time.monotonic()
            self.sent += 1
            self.covers += frame.cover
            self.sizes.add(frame.size)
            if number is None:
                self.others += 1
            else:
                self.shown = {number: self.shown.get(number, now)}
            self.changed.notify_all()

    def since(self, number: int, timeout: float) -> float | None:
        """When that background was first shown, waiting for it; None where it was not."""
        with self.changed:
            self.changed.wait_for(lambda: number in self.shown, timeout)
            return self.shown.get(number)

    def reader_monitor(self) -> None:
        """Somebody always looks."""

    def close(self) -> None:
        """Nothing is held."""


def measure(size: Size, seconds: float, check: Check) -> Figures:
    """`changes.SIZE` of the figures: `ms`, from a command to the first picture with it (p50, p95, max), `backgrounds`
    and `cameras`, how many changes, and of all pictures meanwhile `sent`, `dropped`, `covers`, `sizes`, and `raw`,
    those whose corner shows none of the backgrounds. Raises VbgcamError."""
    with TemporaryDirectory(prefix="vbgcam-bench-") as name, MemorySink() as sink:
        folder = Path(name)
        looker = Looker(sink)
        with _running(folder, size, looker) as (session, client, controller):
            specs = _specs(folder, size, looker)
            _wait(session, controller, _START, check, lambda: session.stats.on_air() > 1)
            client.do({"do": "background", "to": specs[0]})
            if looker.since(0, _START) is None:
                raise OutputError("changes: the first background was never shown")
            before = session.stats.snapshot()["frames"], looker.covers, looker.others
            stop = threading.Event()
            sized = threading.Thread(target=_resize, args=(client, size, seconds, stop), daemon=True)
            sized.start()
            took: list[float] = []
            switch = partial(_switch, client, specs, looker, seconds, stop=stop, took=took)
            switching = threading.Thread(target=switch, daemon=True)
            switching.start()
            try:
                _wait(session, controller, seconds + _START, check, lambda: not switching.is_alive())
            finally:
                stop.set()
            sized.join()
            switching.join()
            after = session.stats.snapshot()["frames"]
    points = np.percentile(took, [50, 95])
    return {
        "ms": {"p50": round(points[0], 1), "p95": round(points[1], 1), "max": round(max(took), 1)},
        "backgrounds": len(took),
        "cameras": round(_SIZES * seconds / _MINUTE),
        "sent": after["sent"] - before[0]["sent"],
        "dropped": after["dropped"] - before[0]["dropped"],
        "covers": looker.covers - before[1],
        "raw": looker.others - before[2],
        "sizes": len(looker.sizes),
        "seconds": round(seconds, 1),
    }


def _switch(
    client: Client, specs: list[str], looker: Looker, seconds: float, *, stop: threading.Event, took: list[float]
) -> None:
    """Backgrounds, evenly over the time. `took`: milliseconds until each was seen."""
    count = round(_BACKGROUNDS * seconds / _MINUTE)
    begin = time.monotonic()
    for turn in range(1, count + 1):
        if stop.wait(max(0.0, begin + turn * seconds / count - time.monotonic())):
            return
        number = turn % len(specs)
        asked = time.monotonic()
        client.do({"do": "background", "to": specs[number]})
        seen = looker.since(number, _START)
        if seen is None:
            return
        took.append(1000 * (seen - asked))


def _resize(client: Client, size: Size, seconds: float, stop: threading.Event) -> None:
    count = round(_SIZES * seconds / _MINUTE)
    sizes = itertools.cycle([f"{size.width // 2}x{size.height // 2}", str(size)])
    for wanted in itertools.islice(sizes, count):
        if stop.wait(seconds / (count + 1)):
            return
        client.do({"do": "set", "settings": {"camera.size": wanted}})


@contextmanager
def _running(folder: Path, size: Size, looker: Looker) -> Iterator[tuple[Session, Client, Controller]]:
    """The daemon on the drawn presenter, in folders of its own."""
    plate, file = folder / "plate.png", folder / "config.toml"
    images.write(plate, room(size))
    file.touch()
    with Instance(folder / "run") as place:
        state = RememberedState(folder / "state.json")
        overrides = {"camera.source": "demo", "camera.size": str(size), "model.name": f"plate:{plate}"}
        layers = LayeredSettings(file, overrides, state)
        session = Session(replace(factory.plan(layers.settings), output=looker, on_demand=False), Stats())
        controller = Controller(session, layers, state, Gallery(folder / "backgrounds", folder / "thumbnails"))
        server = Server(controller, place, folder)
        session.start()
        try:
            server.start()
            yield session, Client.find(place), controller
        finally:
            server.stop()
            session.stop()


def _specs(folder: Path, size: Size, looker: Looker) -> list[str]:
    """Pictures as people have them, larger than the output."""
    specs = []
    (folder / "backgrounds").mkdir()
    for number, draw in zip(range(_PICTURES), DRAWN.values(), strict=False):
        path = folder / "backgrounds" / f"{number}.jpg"
        images.write(path, draw(_PICTURE))
        specs.append(str(path))
        shown = factory.backdrop(reading.changed(schema.Settings(), {"background.show": str(path)}), size)
        looker.know(shown.at(0.0).planes.y[_CORNER].astype(np.int16))
        shown.close()
    return specs


def _wait(session: Session, controller: Controller, seconds: float, check: Check, enough: Callable[[], bool]) -> None:
    def tick() -> bool:
        check()
        controller.tick()
        return enough()

    session.wait(seconds, threading.Event(), tick)
