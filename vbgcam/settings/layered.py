"""The settings in force while the program runs, and where each comes from.

    defaults < config file < what was chosen in an earlier run < command line < what was chosen in this one

The config file is looked at again and again. A setting that is edited there wins over what was chosen before: the
newest word counts. A file that cannot be read leaves all as it is, and `problems` says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from vbgcam.core.errors import ConfigError
from vbgcam.settings import schema
from vbgcam.settings.schema import Settings
from vbgcam.settings.state import State

Mark = tuple[int, int, int] | None


class LayeredSettings:
    """One thread at a time. `path`: the config file, None for the user's own; `overrides`: the command line's, as
    `config.load` takes them. Raises ConfigError where the settings cannot be read at the start."""

    def __init__(self, path: Path | None, overrides: Mapping[str, str], state: State) -> None:
        self._given = path
        self._overrides = dict(overrides)
        self._state = state
        self._now: dict[str, object] = {}
        self.path = path or schema.default_path()
        self._seen = self._settled = self._mark()
        self._base = schema.load(path)
        self.problems: tuple[str, ...] = ()
        self.settings = self._in_force(self._base)

    def chose(self, name: str) -> bool:
        """Whether the value in force was chosen by hand, in this run or an earlier one."""
        return name in self._now or (name not in self._overrides and name in self._state.chosen(self._base))

    def with_choice(self, values: Mapping[str, object]) -> Settings:
        """What the settings would be. Raises ConfigError."""
        return schema.changed(self.settings, values)

    def choose(self, values: Mapping[str, object], settings: Settings) -> Callable[[str], None]:
        """They are in force now, and remembered. `settings`: as `with_choice` gave them. The answer takes the choice of
        a setting back, so that the one before it is remembered, if there was one; `settings` stay."""
        now = {name: self._now[name] for name in values if name in self._now}
        kept = self._state.kept(values)
        self._now.update(values)
        self._state.choose(values, self._base)
        self.settings = settings

        def take_back(name: str) -> None:
            self._now.pop(name, None)
            if name in now:
                self._now[name] = now[name]
            self._state.restore(name, kept.get(name))

        return take_back

    def stand_in(self, name: str, value: object) -> None:
        """In force until something else is chosen, or the file edited there; not remembered."""
        self._now[name] = value
        self.settings = schema.changed(self.settings, {name: value})

    def edited(self) -> Settings | None:
        """To be called now and then: what the settings would be, once the file has changed and rests; None where there
        is nothing new. A file that is wrong says so in `problems`. What it holds counts as read, whatever the caller
        makes of it, but only `accept` puts it in force."""
        mark = self._mark()
        rests, self._seen = mark == self._seen, mark
        if mark == self._settled or not rests:
            return None
        self._settled = mark
        try:
            base = schema.load(self._given)
            edited = schema.differing(self._base, base)
            for name in edited:
                self._now.pop(name, None)
                self._state.forget(name)
            self._base, self.problems = base, ()
            return self._in_force(base)
        except ConfigError as exc:
            self.problems = exc.problems
            return None

    def accept(self, settings: Settings) -> None:
        """As `edited` gave them."""
        self.settings = settings

    def _in_force(self, base: Settings) -> Settings:
        remembered = {name: value for name, value in self._state.chosen(base).items() if name not in self._overrides}
        settings = schema.load(self._given, self._overrides) if self._overrides else base
        return schema.changed(settings, {**remembered, **self._now})

    def _mark(self) -> Mark:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
