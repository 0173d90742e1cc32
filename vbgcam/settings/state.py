"""What was chosen by hand, remembered from one run to the next, in the user's state folder.

The room as it is (background "none") is never remembered: who showed it yesterday need not mean to today. The config
file is the person's own and is never written. A choice wins over it until the file's value for the same
setting is another one than when the choice was made: then the file was edited later, and the choice is forgotten.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import platformdirs

from vbgcam.core.errors import ConfigError
from vbgcam.media.atomic import whole
from vbgcam.settings import schema
from vbgcam.settings.schema import Settings

log = logging.getLogger(__name__)

Choice = tuple[object, object]
"""What was chosen, and the config file's value at that time."""

NAME: Final = "state.json"
# Bytes; ours has a few hundred.
_LARGEST: Final = 1 << 16
# Seconds between two writings: a slider that is drawn makes ten choices a second.
_EVERY: Final = 0.5


def state_path() -> Path:
    """Of the user's file; it need not be there."""
    return Path(platformdirs.user_state_dir("vbgcam", appauthor=False)) / NAME


class State:
    """One thread at a time. `paused`, `welcomed`: see `ControlApi.status`. `masks`: measured milliseconds of a mask, by
    the network's name and device."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Reads what is there; what cannot be read is forgotten, which the log says."""
        self._path = path
        self._clock = clock
        self._written = -_EVERY
        self._said = ""
        kept = _read(path)
        self._chosen = _choices(kept.get("chosen"))
        self.paused = kept.get("paused") is True
        self.welcomed = kept.get("welcomed") is True
        masks = kept.get("masks")
        self.masks: dict[str, float] = (
            {name: float(ms) for name, ms in masks.items() if isinstance(ms, int | float)}
            if isinstance(masks, dict)
            else {}
        )
        self._kept = self._text()

    def chosen(self, base: Settings) -> dict[str, object]:
        """What was chosen, by "section.key", of what still holds. `base`: the config file's settings."""
        for name, (to, over) in list(self._chosen.items()):
            try:
                held = schema.value(base, name) == over
                schema.changed(base, {name: to})
            except (AttributeError, ConfigError):  # a setting of another version
                held = False
            if not held:
                del self._chosen[name]
        return {name: to for name, (to, _) in self._chosen.items()}

    def choose(self, values: Mapping[str, object], base: Settings) -> None:
        for name, to in values.items():
            over = schema.value(base, name)
            if (name, to) == ("background.show", "none"):
                continue
            self._chosen.pop(name, None)
            if to != over:
                self._chosen[name] = (to, over)

    def forget(self, name: str) -> None:
        self._chosen.pop(name, None)

    def kept(self, names: Iterable[str]) -> dict[str, Choice]:
        """What is remembered of these."""
        return {name: self._chosen[name] for name in names if name in self._chosen}

    def restore(self, name: str, choice: Choice | None) -> None:
        """As `kept` gave it; None forgets it."""
        self.forget(name)
        if choice is not None:
            self._chosen[name] = choice

    def keep(self, *, at_once: bool = False) -> None:
        """Writes what has changed, now and then. Where that cannot be done, one warning says so."""
        text = self._text()
        now = self._clock()
        if text == self._kept or (now - self._written < _EVERY and not at_once):
            return
        self._written = now
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with whole(self._path, mode=0o600) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as exc:
            if self._said != (said := f"{self._path}: what was chosen cannot be kept: {exc.strerror}"):
                self._said = said
                log.warning("%s", said)
        else:
            self._kept, self._said = text, ""

    def _text(self) -> str:
        kept = {
            "chosen": {name: {"to": to, "over": over} for name, (to, over) in sorted(self._chosen.items())},
            "paused": self.paused,
            "welcomed": self.welcomed,
            "masks": self.masks,
        }
        return json.dumps(kept, indent=2) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        kept = json.loads(data) if len(data) <= _LARGEST else None
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as exc:
        log.warning("%s: cannot be read, what was chosen is forgotten: %s", path, exc)
        return {}
    if not isinstance(kept, dict):
        log.warning("%s: holds nothing of ours, what was chosen is forgotten", path)
        return {}
    return kept


def _choices(kept: object) -> dict[str, Choice]:
    if not isinstance(kept, dict):
        return {}
    return {
        name: (entry["to"], entry["over"])
        for name, entry in kept.items()
        if isinstance(entry, dict) and {"to", "over"} <= entry.keys()
    }
