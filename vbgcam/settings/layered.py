"""The settings in force while the program runs, and where each comes from.

    defaults < config file < what was chosen in an earlier run < command line < what was chosen in this one

The config file is looked at again and again. A setting that is edited there wins over what was chosen before: the
newest word counts. A file that cannot be read leaves all as it is, and `problems` says what is wrong.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from vbgcam.core.errors import ConfigError
from vbgcam.settings import reading, schema
from vbgcam.settings.schema import Settings
from vbgcam.settings.state import RememberedState


class LayeredSettings:
    """One thread at a time. `settings`: those in force, which the caller sets to what `changed` and `reread` return,
    once it has put them into effect. `path`: of the config file. `problems`: why it could not be read again."""

    def __init__(self, path: Path | None, overrides: Mapping[str, str], state: RememberedState) -> None:
        """`path`: the config file, None for the user's own; `overrides`: the command line's, as `reading.load` takes
        them. Raises ConfigError where the settings cannot be read."""
        self._given = path
        self._overrides = dict(overrides)
        self._state = state
        self._chosen: dict[str, object] = {}  # in this run
        self.path = path or schema.default_path()
        self._seen = self._settled = self._version()
        self._base = reading.load(path)
        self.problems: tuple[str, ...] = ()
        self.settings = self._with_choices(self._base)

    def is_chosen(self, name: str) -> bool:
        """Whether the value in force was chosen by hand, in this run or an earlier one."""
        return name in self._chosen or (name not in self._overrides and name in self._state.choices(self._base))

    def choose(
        self, values: Mapping[str, object], settings: Settings, *, remember: bool = True
    ) -> Callable[[str], None]:
        """Puts `values` in force, which make `settings`, until something else is chosen, or the file edited there. The
        answer takes the choice of a setting back, so that the one before it counts, if there was one; `settings` stay.
        `remember`: for the next run, too, since a person chose them."""
        chosen = dict(self._chosen)
        remembered = {name: self._state.choice(name) for name in values}
        self._chosen.update(values)
        if remember:
            self._state.choose(values, self._base)
        self.settings = settings

        def take_back(name: str) -> None:
            self._chosen.pop(name, None)
            if name in chosen:
                self._chosen[name] = chosen[name]
            self._state.restore(name, remembered[name])

        return take_back

    def reread(self) -> Settings | None:
        """To be called now and then: what the settings would be, once the file has changed and rests; None where there
        is nothing new, or where the file is wrong, which `problems` then says. What it holds counts as read, whatever
        the caller makes of it."""
        version = self._version()
        rests, self._seen = version == self._seen, version
        if version == self._settled or not rests:
            return None
        self._settled = version
        try:
            base = reading.load(self._given)
            for name in reading.differing(self._base, base):
                self._chosen.pop(name, None)
                self._state.restore(name, None)
            self._base, self.problems = base, ()
            return self._with_choices(base)
        except ConfigError as exc:
            self.problems = exc.problems
            return None

    def _with_choices(self, base: Settings) -> Settings:
        choices = {name: value for name, value in self._state.choices(base).items() if name not in self._overrides}
        settings = reading.load(self._given, self._overrides) if self._overrides else base
        return reading.changed(settings, {**choices, **self._chosen})

    def _version(self) -> tuple[int, int, int] | None:
        """Tells two states of the file apart; None is no file."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
