"""What a person chose while it ran, remembered from one run to the next, in the user's state folder.

The room as it is (background "none") is never remembered: who showed it yesterday need not mean to today. The config
file is the person's own and is never written. A choice wins over it until the file's value for the same
setting is another one than when the choice was made: then the file was edited later, and the choice is forgotten.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import platformdirs

from vbgcam.core.errors import ConfigError
from vbgcam.media.atomic import whole
from vbgcam.settings import reading
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
    """The user's file; it need not exist."""
    return Path(platformdirs.user_state_dir("vbgcam", appauthor=False)) / NAME


class RememberedState:
    """One thread at a time. `paused`, `welcomed`: see `ControlApi.status`. `masks`: measured milliseconds of a mask, by
    the network's name and device."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Reads what is there; what cannot be read is forgotten, which the log says. `clock`: seconds."""
        self._path = path
        self._clock = clock
        self._written_at = -_EVERY
        self._warned = ""
        saved = _read(path)
        self._choices = _choices(saved.get("chosen"))
        self.paused = saved.get("paused") is True
        self.welcomed = saved.get("welcomed") is True
        masks = saved.get("masks")
        self.masks: dict[str, float] = {}
        if isinstance(masks, dict):
            self.masks = {name: float(ms) for name, ms in masks.items() if isinstance(ms, int | float)}
        self._saved = self._text()

    def choices(self, base: Settings) -> dict[str, object]:
        """The choices that still hold, by "section.key"; the others are forgotten. `base`: the config file's
        settings."""
        for name, (chosen, over) in list(self._choices.items()):
            try:
                holds = reading.value(base, name) == over
                reading.changed(base, {name: chosen})
            except (AttributeError, ConfigError):  # a setting of another version
                holds = False
            if not holds:
                self.forget(name)
        return {name: chosen for name, (chosen, _) in self._choices.items()}

    def choose(self, values: Mapping[str, object], base: Settings) -> None:
        """Remembers values by "section.key", but for those that the config file has anyway."""
        for name, chosen in values.items():
            if (name, chosen) == ("background.show", "none"):
                continue
            over = reading.value(base, name)
            self.restore(name, (chosen, over) if chosen != over else None)

    def forget(self, name: str) -> None:
        """Does nothing where there is no choice."""
        self._choices.pop(name, None)

    def choice(self, name: str) -> Choice | None:
        """The one that is remembered, for `restore`."""
        return self._choices.get(name)

    def restore(self, name: str, choice: Choice | None) -> None:
        """As `choice` returned it; None forgets it."""
        self.forget(name)
        if choice is not None:
            self._choices[name] = choice

    def save(self, *, at_once: bool = False) -> None:
        """Writes what has changed; not twice within half a second, unless `at_once`. Where that cannot be done, one
        warning says so."""
        text = self._text()
        now = self._clock()
        if text == self._saved or (now - self._written_at < _EVERY and not at_once):
            return
        self._written_at = now
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with whole(self._path, mode=0o600) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as exc:
            if self._warned != (warning := f"{self._path}: what was chosen cannot be kept: {exc.strerror}"):
                self._warned = warning
                log.warning("%s", warning)
        else:
            self._saved, self._warned = text, ""

    def _text(self) -> str:
        state = {
            "chosen": {name: {"to": chosen, "over": over} for name, (chosen, over) in sorted(self._choices.items())},
            "paused": self.paused,
            "welcomed": self.welcomed,
            "masks": self.masks,
        }
        return json.dumps(state, indent=2) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
        saved = json.loads(data) if len(data) <= _LARGEST else None
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as exc:
        log.warning("%s: cannot be read, what was chosen is forgotten: %s", path, exc)
        return {}
    if not isinstance(saved, dict):
        log.warning("%s: holds nothing of ours, what was chosen is forgotten", path)
        return {}
    return saved


def _choices(saved: object) -> dict[str, Choice]:
    if not isinstance(saved, dict):
        return {}
    return {
        name: (entry["to"], entry["over"])
        for name, entry in saved.items()
        if isinstance(entry, dict) and {"to", "over"} <= entry.keys()
    }
