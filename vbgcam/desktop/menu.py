"""What the tray shows, decided from the program's status and choices alone: no icon, no toolkit, no threads. A menu is
a value: where it equals the last one, nothing on the screen has to be touched."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from vbgcam.core.specs import BackgroundSpec

# Pictures that the menu offers: it must fit on a screen. The panel has them all.
_MOST: Final = 30
# Characters of an item, and of a network's, which says what it costs.
_LONGEST: Final = 60
_LONGER: Final = 100


@dataclass(frozen=True, slots=True)
class Copy:
    """Puts a text on the clipboard."""

    text: str


Face = Literal["on air", "room", "idle", "paused", "trouble"]
"""`room`: the room as it is, on air."""

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
class MenuItem:
    """`checked`: None where it has no mark. `radio`: the mark is one of several. `default`: what a click on the icon
    itself does. With `items` it opens another menu, and does nothing else; without those and an action it is grey."""

    label: str
    action: Action | None = None
    checked: bool | None = None
    radio: bool = False
    default: bool = False
    picture: Picture | None = None
    items: "tuple[MenuItem, ...]" = ()


SEPARATOR: Final = MenuItem("")


def face(status: Mapping[str, Any]) -> Face:
    """The icon's face for this status."""
    if status["paused"]:
        return "paused"
    if status["room_shown"]:
        return "room"
    if status["state"] == "no output" or _trouble(status):
        return "trouble"
    return "on air" if status["state"] == "on air" else "idle"


def headline(status: Mapping[str, Any]) -> str:
    """The status in one line."""
    state, trouble = status["state"], _trouble(status)
    if status["paused"]:
        return "Paused: others see the background alone"
    if status["room_shown"]:
        return "Your room is visible"
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


def menu_items(status: Mapping[str, Any], choices: Mapping[str, Any], autostart: bool) -> tuple[MenuItem, ...]:
    """The whole menu. `autostart`: whether it starts at login."""
    paused, mirror = bool(status["paused"]), bool(status["settings"]["output"]["mirror"])
    first = MenuItem(headline(status))
    if status["room_shown"]:
        first = MenuItem(f"{first.label}: hide it", {"do": "background", "to": "last"})
    return (
        first,
        *_fix(status, choices),
        *_back(status),
        SEPARATOR,
        MenuItem("Background", items=tuple(_backgrounds(status, choices))),
        MenuItem("Camera", items=tuple(_cameras(status, choices))),
        MenuItem("Model", items=tuple(_models(status, choices))),
        MenuItem("Mask preset", items=tuple(_presets(status, choices))),
        MenuItem("Mirror", {"do": "mirror", "to": not mirror}, checked=mirror),
        MenuItem("Pause", {"do": "resume" if paused else "pause"}, checked=paused),
        SEPARATOR,
        MenuItem("Open panel", "panel", default=True),
        MenuItem("Copy diagnosis", "report"),
        MenuItem("Start at login", "autostart", checked=autostart),
        SEPARATOR,
        MenuItem("Quit", {"do": "quit"}),
    )


def _trouble(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The newest that is not over."""
    return next((trouble for trouble in status["troubles"] if trouble["now"]), None)


def _fix(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[MenuItem]:
    if status["paused"]:
        return
    trouble = _trouble(status)
    fix = trouble["fix"] if trouble else choices["virtual"]["fix"] if status["state"] == "no output" else ""
    if fix:
        yield MenuItem(_short(f"Copy: {fix}"), Copy(fix))


def _back(status: Mapping[str, Any]) -> Iterator[MenuItem]:
    """Where something lighter is used because masks came too late."""
    if helped := status["helped"]:
        label = f"Go back to {helped['from']} (was too slow)"
        yield MenuItem(_short(label, _LONGER), {"do": "set", "settings": helped["back"]})


def _choice(command: str, to: str, label: str, checked: bool, picture: Picture | None = None) -> MenuItem:
    """One of several."""
    return MenuItem(_short(label), {"do": command, "to": to}, checked, radio=True, picture=picture)


def _backgrounds(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[MenuItem]:
    show = status["settings"]["background"]["show"]
    now = _background(show)

    def item(choice: Mapping[str, Any], picture: Picture | None = None) -> MenuItem:
        checked = _background(choice["spec"]) == now
        if choice.get("broken"):
            return MenuItem(_short(f"{choice['label']} (broken: {choice['broken']})"), None, checked, radio=True)
        return _choice("background", choice["spec"], choice["label"], checked, picture)

    files = sorted(choices["backgrounds"], key=lambda each: _background(each["spec"]) != now)
    offered = {each["name"] for each in files[:_MOST]}
    groups = [
        [item(each, Thumbnail(each["name"])) for each in choices["backgrounds"] if each["name"] in offered],
        [item(each) for each in choices["blurs"]],
        [item(each, Swatch(each["spec"])) for each in choices["colours"]],
    ]
    if len(files) > _MOST:
        groups[0].append(MenuItem(f"{len(files) - _MOST} more in the panel", "panel"))
    if not any(each.checked for group in groups for each in group):
        groups.insert(0, [_choice("background", show, _named(now), True)])
    for group in filter(None, groups):
        yield from group
        yield SEPARATOR
    yield MenuItem("Add pictures...", "add")


def _background(text: str) -> BackgroundSpec | str:
    """Equal for every way to write it."""
    try:
        return BackgroundSpec.parse(text)
    except ValueError:
        return text


def _named(now: BackgroundSpec | str) -> str:
    """The label of a background that is none of the choices."""
    if isinstance(now, str):
        return _short(now)
    if now.kind == "none":
        return "No background (room visible)"
    if now.kind == "blur":
        return f"Blur {now.strength:.0%}"
    return _short(now.path.stem if now.kind == "file" else f"Colour {now}")


def _cameras(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[MenuItem]:
    cameras = choices["cameras"]
    if not any(camera["now"] for camera in cameras):
        source = str(status["settings"]["camera"]["source"])
        yield _choice("camera", source, source, True)
    for camera in cameras:
        yield _choice("camera", camera["spec"], camera["label"], bool(camera["now"]))


def _models(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[MenuItem]:
    if status.get("loading"):
        yield MenuItem(_short(f"Loading {status['loading']['model']}"))
        if status["loading"]["done"] is not None:
            yield MenuItem("Cancel the download", {"do": "model", "to": "cancel"})
        yield SEPARATOR
    models, chosen = choices["models"], str(status["settings"]["model"]["name"])
    if status["model_problem"] and not status["loading"]:
        yield MenuItem("Retry", {"do": "model", "to": chosen})
        yield SEPARATOR
    # With "auto" two are in use: what was chosen, and what that came to. Only one can have the mark.
    offered = any(model["spec"] == chosen for model in models)
    if not offered and not any(model["now"] for model in models):
        yield _choice("model", chosen, chosen, True)
    for model in models:
        checked = model["spec"] == chosen if offered else bool(model["now"])
        notes = (
            model["cost"],
            "" if model["here"] else "will download",
            "in use" if model["now"] and not checked else "",
        )
        note = "; ".join(filter(None, notes))
        label = _short(f"{model['label']} ({note})" if note else model["label"], _LONGER)
        yield MenuItem(label, {"do": "model", "to": model["spec"]}, checked, radio=True)


def _presets(status: Mapping[str, Any], choices: Mapping[str, Any]) -> Iterator[MenuItem]:
    now = status["settings"]["mask"].get("preset")
    for preset in choices["presets"]:
        label = f"{preset['label']} ({preset['cost']})" if preset["cost"] else preset["label"]
        yield _choice("preset", preset["name"], label, preset["name"] == now)


def _short(text: str, longest: int = _LONGEST) -> str:
    """One line that fits; a file's name may hold anything."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"
