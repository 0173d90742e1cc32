"""What the tray shows, decided from the program's status and choices alone: no icon, no toolkit, no threads.

The tree that `tree` makes is a value: where it equals the last one, nothing on the screen has to be touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from vbgcam.core.specs import BackgroundSpec
from vbgcam.desktop.icons import Face

# Pictures that the menu offers: it must fit on a screen. The panel has them all.
_MOST: Final = 30
# Characters of an entry, and of a network's, which says what it costs.
_LONGEST: Final = 60
_LONGER: Final = 100


@dataclass(frozen=True, slots=True)
class Copy:
    """Puts a text on the clipboard."""

    text: str


Action = Mapping[str, Any] | Copy | Literal["panel", "add", "report", "autostart"]
"""A command for the running program, as `control` takes it, or something that the tray does itself."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """Of the gallery's picture of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Swatch:
    """`colour`: #rrggbb."""

    colour: str


Picture = Thumbnail | Swatch


@dataclass(frozen=True, slots=True)
class Entry:
    """`checked`: None where it has no mark. `radio`: the mark is one of several. `default`: what a click on the icon
    itself does. With `entries` it opens another menu, and does nothing else."""

    label: str
    action: Action | None = None
    checked: bool | None = None
    radio: bool = False
    default: bool = False
    picture: Picture | None = None
    entries: tuple[Entry, ...] = ()

    @property
    def enabled(self) -> bool:
        return self.action is not None or bool(self.entries)


LINE: Final = Entry("")
"""Separates two groups."""


def face(status: Mapping[str, Any]) -> Face:
    """Which of the icon's faces."""
    if status["paused"]:
        return "paused"
    if status["state"] == "no output" or _trouble(status):
        return "trouble"
    return "on air" if status["state"] == "on air" else "idle"


def headline(status: Mapping[str, Any]) -> str:
    """How it is, in one line."""
    state, trouble = status["state"], _trouble(status)
    if status["paused"]:
        return "Paused: others see the background alone"
    if trouble:
        return _short(f"Trouble: {trouble['what']}")
    if state == "no output":
        return "Trouble: there is no virtual camera"
    if state == "on air":
        readers = ", ".join(status.get("readers") or ())
        return _short(f"On air: {readers}" if readers else "On air")
    if state == "idle":
        return "Idle: nobody is watching"
    if state == "covered":
        return _short(f"Covered: {status['why']}" if status.get("why") else "Covered")
    return str(state).capitalize()


def tree(status: Mapping[str, Any], choices: Mapping[str, Any], autostart: bool) -> tuple[Entry, ...]:
    """The whole menu. `autostart`: whether it starts at login."""
    paused, mirror = bool(status["paused"]), bool(status["settings"]["output"]["mirror"])
    return (
        Entry(headline(status)),
        *_fix(status, choices),
        LINE,
        Entry("Background", entries=tuple(_backgrounds(status, choices))),
        Entry("Camera", entries=tuple(_cameras(status, choices))),
        Entry("Model", entries=tuple(_models(status, choices))),
        Entry("Mask preset", entries=tuple(_presets(status, choices))),
        Entry("Mirror", {"do": "mirror", "to": not mirror}, checked=mirror),
        Entry("Pause", {"do": "resume" if paused else "pause"}, checked=paused),
        LINE,
        Entry("Open panel", "panel", default=True),
        Entry("Copy diagnosis", "report"),
        Entry("Start at login", "autostart", checked=autostart),
        LINE,
        Entry("Quit", {"do": "quit"}),
    )


def _trouble(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The newest of those that are not over."""
    return next((trouble for trouble in status["troubles"] if trouble["now"]), None)


def _fix(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[Entry]:
    if status["paused"]:
        return
    trouble = _trouble(status)
    fix = trouble["fix"] if trouble else choices["virtual"]["fix"] if status["state"] == "no output" else ""
    if fix:
        yield Entry(_short(f"Copy: {fix}"), Copy(fix))


def _backgrounds(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[Entry]:
    now = _background(status["settings"]["background"]["show"])
    files = [each for each in choices["backgrounds"] if _background(each["spec"]) == now]
    files += [each for each in choices["backgrounds"] if _background(each["spec"]) != now]
    shown = {each["name"] for each in files[:_MOST]}
    groups = [
        [_file(each, now) for each in choices["backgrounds"] if each["name"] in shown],
        [_drawn(each, now) for each in choices["blurs"]],
        [_drawn(each, now, Swatch(each["spec"])) for each in choices["colours"]],
    ]
    if len(files) > _MOST:
        groups[0].append(Entry(f"{len(files) - _MOST} more in the panel", "panel"))
    if not any(entry.checked for group in groups for entry in group):
        yield Entry(_named(now), {"do": "background", "to": status["settings"]["background"]["show"]}, True, radio=True)
        yield LINE
    for group in groups:
        if group:
            yield from group
            yield LINE
    yield Entry("Add pictures...", "add")


def _file(choice: Mapping[str, Any], now: object) -> Entry:
    checked = _background(choice["spec"]) == now
    if choice["broken"]:
        return Entry(_short(f"{choice['label']} (broken: {choice['broken']})"), None, checked, radio=True)
    picture = Thumbnail(choice["name"])
    return Entry(_short(choice["label"]), {"do": "background", "to": choice["spec"]}, checked, True, picture=picture)


def _drawn(choice: Mapping[str, Any], now: object, picture: Swatch | None = None) -> Entry:
    command = {"do": "background", "to": choice["spec"]}
    checked = _background(choice["spec"]) == now
    return Entry(_short(choice["label"]), command, checked, radio=True, picture=picture)


def _background(text: str) -> BackgroundSpec | str:
    """The same for every way to write it."""
    try:
        return BackgroundSpec.parse(text)
    except ValueError:
        return text


def _named(now: BackgroundSpec | str) -> str:
    """Of a background that nobody offers."""
    if isinstance(now, str):
        return _short(now)
    if now.kind == "none":
        return "The plain camera: your room is shown"
    if now.kind == "blur":
        return f"Blur {now.strength:.0%}"
    return _short(now.path.stem if now.kind == "file" else f"Colour {now}")


def _cameras(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[Entry]:
    cameras = choices["cameras"]
    if not any(camera["now"] for camera in cameras):
        source = str(status["settings"]["camera"]["source"])
        yield Entry(_short(source), {"do": "camera", "to": source}, True, radio=True)
    for camera in cameras:
        command = {"do": "camera", "to": camera["spec"]}
        yield Entry(_short(camera["label"]), command, bool(camera["now"]), radio=True)


def _models(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[Entry]:
    loading = status.get("loading")
    if loading:
        yield Entry(_short(f"Getting {loading['model']} ready"))
        yield LINE
    models, asked = choices["models"], str(status["settings"]["model"]["name"])
    # With "auto" two are in use: what was chosen, and what that came to. One alone can have the mark.
    chosen = any(model["spec"] == asked for model in models)
    if not chosen and not any(model["now"] for model in models):
        yield Entry(_short(asked), {"do": "model", "to": asked}, True, radio=True)
    for model in models:
        checked = model["spec"] == asked if chosen else bool(model["now"])
        notes = [
            model["cost"],
            "" if model["here"] else "not here yet",
            "in use" if model["now"] and not checked else "",
        ]
        told = "; ".join(filter(None, notes))
        label = _short(f"{model['label']} ({told})" if told else model["label"], _LONGER)
        yield Entry(label, {"do": "model", "to": model["spec"]}, checked, radio=True)


def _presets(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[Entry]:
    now = status["settings"]["mask"].get("preset")
    for preset in choices["presets"]:
        label = f"{preset['label']} ({preset['cost']})" if preset["cost"] else preset["label"]
        yield Entry(_short(label), {"do": "preset", "to": preset["name"]}, preset["name"] == now, radio=True)


def _short(text: str, longest: int = _LONGEST) -> str:
    """One line that fits; a file's name may hold anything."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"
