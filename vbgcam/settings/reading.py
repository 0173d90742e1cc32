"""Reading of settings: later layers win (see `layered`), and all mistakes of all layers are reported at once.

A mistake says file, key and value and, where a name is near a known one, that name.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from vbgcam.core.errors import ConfigError
from vbgcam.core.specs import nearest
from vbgcam.media import toml_reader
from vbgcam.settings import schema
from vbgcam.settings.schema import Settings, known_settings, toml_value

# A file of 64 KiB has room for thousands of mistakes, or for one of 64 KiB.
_MOST_PROBLEMS: Final = 50
_LONGEST_PROBLEM: Final = 600  # characters


def load(path: Path | None = None, overrides: Mapping[str, str] | None = None) -> Settings:
    """`path`: a config file that must exist; None is the user's own, if there is one. `overrides`: texts by
    "section.key". Raises ConfigError with every mistake."""
    file, overrides = path or schema.default_path(), overrides or {}
    known, problems = known_settings(), list[str]()
    tree = _file(file, problems) if path is not None or file.exists() else {}
    for name, text in overrides.items():
        section, _, key = name.partition(".")
        if name not in known:
            problems.append(f"--set {name}={text}: {_no_setting(name)}")
        elif isinstance(table := tree.setdefault(section, {}), dict):
            table[key] = _value(text, known[name])
    return _checked(tree, problems, str(file), overrides)


def changed(settings: Settings, values: Mapping[str, object]) -> Settings:
    """The settings with other values, by "section.key". Raises ConfigError with every mistake."""
    known, tree = known_settings(), settings.model_dump()
    for name in known.keys() & values.keys():
        section, _, key = name.partition(".")
        tree[section][key] = values[name]
    return _checked(tree, [_no_setting(name) for name in values if name not in known], "chosen")


def differing(one: Settings, other: Settings) -> dict[str, object]:
    """The other's values, by "section.key", where the two differ."""
    names = (name for name in known_settings() if value(one, name) != value(other, name))
    return {name: value(other, name) for name in names}


def value(settings: Settings, name: str) -> object:
    """The value of a setting, by "section.key". Raises AttributeError where there is no such setting."""
    section, _, key = name.partition(".")
    return getattr(getattr(settings, section), key)


def _file(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return toml_reader.read(file)
    except FileNotFoundError:
        problems.append(f"{file}: there is no such config file; `vbgcam config example > {file}` makes one")
    except ValueError as exc:
        problems.append(f"{file} is {exc}")
    except OSError as exc:
        problems.append(f"{file}: cannot be read: {exc.strerror}")
    return {}


def _value(text: str, field: FieldInfo) -> object:
    """A text from the command line as the type of the setting; what does not fit stays text, for the check to name."""
    if isinstance(field.default, str) and int not in get_args(field.annotation):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _checked(tree: dict[str, Any], problems: list[str], place: str, overridden: Collection[str] = ()) -> Settings:
    """`place`: where the values come from; those that are `overridden` come from the command line."""
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as exc:
        problems += [_problem(error, place, overridden) for error in exc.errors()[:_MOST_PROBLEMS]]
    else:
        if not problems:
            return settings
    raise ConfigError([problem[:_LONGEST_PROBLEM] for problem in problems])


def _problem(error: ErrorDetails, place: str, overridden: Collection[str]) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if name in overridden:
        place = "command line"
    if error["type"] == "extra_forbidden":
        if len(error["loc"]) > 1:
            return f"{place}: {_no_setting(name)}"
        return f"{place}: there is no section {name!r}{nearest(name, list(Settings.model_fields))}"
    if error["type"] == "value_error":
        return f"{place}: {name}: {error['ctx']['error']}"
    given = error["input"]
    given = toml_value(given) if isinstance(given, str | bool | float) else toml_reader.shortened(given)
    if error["type"] == "string_pattern_mismatch":
        return f"{place}: {name} = {given}: 64 hexadecimal digits, or empty"
    return f"{place}: {name} = {given}: {error['msg'].removeprefix('Input ')}"


def _no_setting(name: str) -> str:
    return f"there is no setting {name!r}{nearest(name, list(known_settings()))}"
