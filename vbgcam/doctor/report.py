"""One file to attach to an issue: what the doctor found, the machine, the settings, the log's newest lines. What is
private is masked; there are no pictures in it."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vbgcam import __version__
from vbgcam.doctor.machine import Machine

if TYPE_CHECKING:
    from vbgcam.doctor.examine import Examination
    from vbgcam.settings.schema import Settings

MARKS: Final = {"ok": ("ok", "green"), "note": ("note", "yellow"), "wrong": ("WRONG", "bold red")}
"""Of each state: the word for it, and the style of that in a terminal."""

_LOG_LINES: Final = 300
_LONGEST: Final = 1000

# Folders whose files say nothing of a person. Everything below another folder is masked, but for how its name ends.
_PUBLIC: Final = r"(?:bin|boot|dev|etc|lib|lib64|proc|run|sbin|sys|usr|var/lib/dkms|var/lib/shim-signed)"
_OURS: Final = r"(?:\.config/vbgcam|\.cache/vbgcam|\.cache/torch|\.local/share/vbgcam|\.local/state/vbgcam)"
_PICTURES: Final = r"jpe?g|png|gif|webp|heic|heif|avif|bmp|tiff?|mp4|mkv|mov|avi|webm|m4v"
_SUFFIXES: Final = rf"{_PICTURES}|onnx|pth|toml|json|html|txt"
# A path with spaces in it goes on to a known suffix, if no other path begins before that; one without ends at the next
# space.
_WORD: Final = r"[^\s\"'`;,:<>|()]+"
_PATH: Final = re.compile(
    r"(?<![\w./~$])(?:(?P<home>~)|[A-Za-z]:)?[/\\]"
    rf"(?:{_WORD}[ ](?=(?:(?! [/~])[^\n\"'`;,:<>|])*\.(?:{_SUFFIXES})\b))*{_WORD}"
)
# A film or picture that was named without a folder.
_FILE: Final = re.compile(rf"(?<![/\w.~-])[^\s\"'`;,:<>|()/\\]+(\.(?:{_PICTURES}))\b", re.IGNORECASE)
_ADDRESSES: Final = (
    (re.compile(r"\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b"), "<address>"),
    # OpenCV's version has four numbers, too.
    (re.compile(r"(?<![\w.])(?<!opencv-python: )(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"), "<address>"),
    # Names of GNOME's tray extension look like addresses.
    (re.compile(r"[\w.+-]+@(?!ubuntu\.com|rgcjonas\.gmail\.com)[\w-]+\.[\w.]+"), "<mail>"),
    # The serial number in udev's name of a camera: what stands behind the last _ of the name.
    (re.compile(r"(usb-[^\s\"']*)_[^_\s\"']+(-video-index\d+)"), r"\1_<serial>\2"),
)
# Names of users and hosts that say nothing of a person, and may stand in the text for something else.
_NOBODY: Final = ("root", "localhost", "debian", "ubuntu", "fedora", "arch", "archlinux", "opensuse")
# Shorter ones, such as the "0" that cheap webcams call their serial number, would mask half of the text.
_SHORTEST: Final = 4


def text(machine: Machine, found: Examination) -> str:
    """All that an issue needs, without what is private."""
    return mask("\n".join(_text(machine, found)), machine, found.settings) + "\n"


def mask(text: str, machine: Machine, settings: Settings | None = None) -> str:
    """The text without the home folder, user and host name, serial numbers, addresses, and paths outside the system's
    own folders."""
    for secret, shown in _secrets(machine, settings):
        text = text.replace(secret, shown)
    text = _FILE.sub(r"<file>\1", _PATH.sub(_path, text))
    for pattern, shown in _ADDRESSES:
        text = pattern.sub(shown, text)
    for name, shown in ((machine.user, "<user>"), (platform.node(), "<host>")):
        if len(name) > 1 and name.lower() not in _NOBODY:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", shown, text, flags=re.IGNORECASE)
    return text


def _path(match: re.Match[str]) -> str:
    text = match[0]
    if text.startswith("//") or re.match(rf"/{_PUBLIC}(?:/|$)", text) or re.match(rf"~/{_OURS}(?:/|$)", text):
        return text
    suffix = re.search(r"\.\w{1,5}$", text)
    return f"{'~/' if match['home'] else ''}<path>{suffix[0] if suffix else ''}"


def _secrets(machine: Machine, settings: Settings | None) -> Iterator[tuple[str, str]]:
    """What is known to be private, the longest first, and what stands in its place."""
    known: dict[str, str] = {}
    if settings is not None:
        for spec in (settings.background.show, settings.camera.source, settings.model.name, settings.output.sink):
            named = spec.startswith(("file:", "onnx:", "plate:", "virtualcam:", "pipewire:", "both:"))
            target = spec.partition(":")[2] if named else spec
            if ("/" in target or "\\" in target) and not target.startswith("/dev/"):
                known[target] = known[str(Path(target).expanduser())] = f"<path>{Path(target).suffix}"
        if settings.model.mirror:
            known[settings.model.mirror] = "<url>"
    for place in (
        *(machine.root / "sys/bus/usb/devices").glob("*/serial"),
        *(machine.root / "sys/class/dmi/id").glob("*_serial"),
        *(machine.root / "sys/class/dmi/id").glob("product_uuid"),
        machine.root / "etc/machine-id",
    ):
        serial = machine.text(place)
        if len(serial) >= _SHORTEST:
            known[serial] = "<serial>"
            # udev writes it so.
            known[re.sub(r"[^A-Za-z0-9#+\-.:=@_]", "_", serial)] = "<serial>"
    yield from sorted(known.items(), key=lambda item: -len(item[0]))
    if str(machine.home) not in ("/", "."):
        yield str(machine.home), "~"


def lines(found: Examination) -> Iterator[str]:
    """The checks, as plain text."""
    for check in found.checks:
        yield f"{MARKS[check.state][0]:<6} {check.name}: {check.found}"
        if check.fix:
            yield f"       fix: {check.fix}"


def _text(machine: Machine, found: Examination) -> Iterator[str]:
    from vbgcam.settings.schema import describe
    from vbgcam.system.logfile import log_path

    parameters = sorted((machine.root / "sys/module/v4l2loopback/parameters").glob("*"))
    settings = describe(found.settings).splitlines() if found.settings is not None else ["they could not be read"]
    yield f"vbgcam {__version__}, doctor's report of {time.strftime('%Y-%m-%d %H:%M')}"
    yield f"{found.wrong} to fix"
    yield from _part("Checks", lines(found))
    yield from _part("Machine", _machine(machine))
    yield from _part("v4l2loopback's parameters", (f"{place.name} = {machine.text(place)}" for place in parameters))
    yield from _part("Settings", settings)
    yield from _part(f"The log's newest {_LOG_LINES} lines", log_lines(log_path()))


def _part(title: str, said: Iterable[str]) -> Iterator[str]:
    yield ""
    yield f"== {title}"
    yield from list(said) or ["(nothing)"]


def _machine(machine: Machine) -> Iterator[str]:
    from vbgcam.system.machine import describe

    for key, value in describe().items():
        if isinstance(value, dict):
            yield from (f"{package}: {version}" for package, version in value.items())
        else:
            yield f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
    for name in ("XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "LANG"):
        yield f"{name}: {machine.env.get(name, '')}"


def log_lines(path: Path) -> list[str]:
    """The newest ones; [] where there is no log."""
    try:
        newest = path.read_text("utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    except OSError:
        return []
    return [line[:_LONGEST] for line in newest]
