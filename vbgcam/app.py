"""The composition root: the life of a run from start to end."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from vbgcam.config import Settings
from vbgcam.errors import OutputError
from vbgcam.files import whole
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.notice import Notices
from vbgcam.parts import plan
from vbgcam.service import Service

log = logging.getLogger(__name__)


def run(
    settings: Settings,
    duration: float | None,
    stats_file: Path | None,
    interrupted: threading.Event,
    tick: Callable[[Stats], bool] = lambda _stats: False,
) -> bool:
    """The live chain from start to end. `tick`, called about ten times a second, may end it too. False where a thread
    had to be left behind (see `Session.stop`). Raises what made the run fail; the figures are written in any case."""
    stats = Stats()
    stats.fact(source=settings.camera.source, sink=settings.output.sink, model=settings.model.name)
    session = Session(plan(settings), stats)
    service, notices = Service(), Notices()

    def ticked() -> bool:
        if session.alive():
            service.alive()
        service.status(stats.in_words())
        notices.tell(stats.problem())
        return tick(stats)

    try:
        session.start()
        service.ready()
        session.wait(duration, interrupted, ticked)
    finally:
        service.stopping()
        try:
            ended = session.stop()
        finally:
            service.close()
            notices.close()
            if stats_file is not None:
                write_stats(stats_file, stats)
    return ended


def write_stats(path: Path, stats: Stats) -> None:
    """Raises OutputError."""
    try:
        with whole(path) as part:
            part.write_text(json.dumps(stats.snapshot(), indent=2) + "\n")
    except OSError as exc:
        raise OutputError(f"{path}: the figures could not be written: {exc.strerror}") from exc
