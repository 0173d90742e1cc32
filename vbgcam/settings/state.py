"""What a person chose while it ran, remembered from one run to the next, in the user's state folder.

The room as it is (background "none") is never remembered, and not restored where the file has it all the same: who
showed it yesterday need not mean to today. Nor is a value that is refused now, which the log says. The config file is
the person's own and is never written. A choice wins over it until the file's value for the same setting is another one
than when the choice was made: then the file was edited later, and the choice is forgotten.
"""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import platformdirs
from pydantic import BaseModel

from vbgcam.core.errors import ConfigError
from vbgcam.media.atomic import whole
from vbgcam.settings import reading
from vbgcam.settings.schema import Settings

log = logging.getLogger(__name__)

# Bytes; ours has a few hundred.
_LARGEST: Final = 1 << 16
# Seconds between two writings: a slider that is drawn makes ten choices a second.
_EVERY: Final = 0.5


class Choice(BaseModel):
    """What was chosen, and the config file's value at that time."""

    to: object
    over: object


class _Saved(BaseModel):
    """The file's form."""

    chosen: dict[str, Choice] = {}
    paused: bool = False
    welcomed: bool = False
    masks: dict[str, float] = {}


def state_path() -> Path:
    """The user's file; it need not exist."""
    return Path(platformdirs.user_state_dir("vbgcam", appauthor=False)) / "state.json"


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
        self._choices, self.masks = saved.chosen, saved.masks
        self.paused, self.welcomed = saved.paused, saved.welcomed
        self._saved = self._text()

    def choices(self, base: Settings) -> dict[str, object]:
        """The choices that still hold, by "section.key"; the others are forgotten. `base`: the config file's
        settings."""
        for name, choice in list(self._choices.items()):
            try:
                holds = reading.value(base, name) == choice.over and not _shows_room(name, choice.to)
                reading.changed(base, {name: choice.to})
            except AttributeError:  # a setting of another version
                holds = False
            except ConfigError as exc:
                holds = False
                log.warning("%s: what was chosen is forgotten: %s", self._path, exc.problems[0])
            if not holds:
                self.restore(name, None)
        return {name: choice.to for name, choice in self._choices.items()}

    def choose(self, values: Mapping[str, object], base: Settings) -> None:
        """Remembers values by "section.key", but for those that the config file has anyway."""
        for name, chosen in values.items():
            if _shows_room(name, chosen):
                continue
            over = reading.value(base, name)
            self.restore(name, Choice(to=chosen, over=over) if chosen != over else None)

    def choice(self, name: str) -> Choice | None:
        """The one that is remembered, for `restore`."""
        return self._choices.get(name)

    def restore(self, name: str, choice: Choice | None) -> None:
        """As `choice` returned it; None forgets it."""
        self._choices.pop(name, None)
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
        chosen = dict(sorted(self._choices.items()))
        saved = _Saved(chosen=chosen, paused=self.paused, welcomed=self.welcomed, masks=self.masks)
        return saved.model_dump_json(indent=2) + "\n"


def _shows_room(name: str, value: object) -> bool:
    return (name, value) == ("background.show", "none")


def _read(path: Path) -> _Saved:
    try:
        with path.open("rb") as stream:
            return _Saved.model_validate_json(stream.read(_LARGEST), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return _Saved()
    except (OSError, ValueError) as exc:
        log.warning("%s: cannot be read, what was chosen is forgotten: %s", path, str(exc).partition("\n")[0])
        return _Saved()
