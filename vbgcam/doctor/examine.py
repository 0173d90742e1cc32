"""All checks, in the order in which a person fixes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vbgcam.doctor import cameras, desktop, module, networks, own, virtualcam
from vbgcam.doctor.check import Check, note
from vbgcam.doctor.machine import Machine

if TYPE_CHECKING:
    from vbgcam.settings.schema import Settings

# Our own name in a fix, where it is a command; it may have to be called by its path.
_OWN: Final = re.compile(r"(?<![\w/.-])vbgcam(?= (?:devices|models|plate|demo|config|run)\b)")


@dataclass(frozen=True, slots=True)
class Examination:
    """`settings`: those in force, None where they could not be read."""

    checks: tuple[Check, ...]
    settings: Settings | None

    @property
    def wrong(self) -> int:
        return sum(check.state == "wrong" for check in self.checks)


def examine(machine: Machine, file: Path | None = None, command: str = "vbgcam") -> Examination:
    """`file`: a config file, None for the user's own. `command`: how this program is called. Raises nothing."""
    checks = list(_guarded("libraries", partial(own.libraries, machine)))
    settings: list[Settings] = []

    def read() -> Iterator[Check]:
        found, said = own.settings_file(machine, file)
        settings.extend([found] if found is not None else [])
        yield from said

    checks += _guarded("config", read)
    checks += _guarded("disk", partial(own.disk, machine))
    for name, look in _families(machine, settings[0] if settings else None):
        checks += _guarded(name, look)
    fixed = tuple(replace(check, fix=_OWN.sub(lambda _: command, check.fix)) for check in checks)
    return Examination(fixed, settings[0] if settings else None)


Look = Callable[[], Iterable[Check]]


def _families(machine: Machine, settings: Settings | None) -> Iterator[tuple[str, Look]]:
    """Where the settings cannot be read, the others are looked at as if all were at their defaults."""

    def those() -> Settings:
        from vbgcam.settings.schema import Settings

        return settings or Settings()

    def to_pipewire() -> bool:
        """Whether the picture goes there; with `auto`, where the kernel module is not loaded and PipeWire runs."""
        kind = _sink(those())
        loaded = (machine.root / "sys/module/v4l2loopback").exists()
        by_itself = machine.system == "linux" and not loaded and desktop.runs(machine)
        return kind in ("pipewire", "both") or (kind == "auto" and by_itself)

    def if_needed(checks: Iterable[Check]) -> Iterable[Check]:
        kind = _sink(those())
        needed = kind in ("virtualcam", "both") or (kind == "auto" and not to_pipewire())
        return checks if needed else map(_eased, checks)

    if machine.system == "linux":
        yield "kernel module", lambda: if_needed(module.check(machine))
        yield "virtual camera", lambda: if_needed(virtualcam.check(machine, those()))
    else:
        yield "virtual camera", lambda: if_needed(virtualcam.elsewhere(machine))
    yield "camera", lambda: cameras.check(machine, those())
    yield "weights", lambda: networks.check(machine, those())
    yield "background", lambda: own.background(those())
    if machine.system == "linux":
        yield "desktop", lambda: desktop.check(machine, shows=to_pipewire())


def _sink(settings: Settings) -> str:
    from vbgcam.core.specs import SinkSpec

    return SinkSpec.parse(settings.output.sink).kind


def _eased(check: Check) -> Check:
    """What is wrong with a virtual camera that the settings do not use keeps nobody from working."""
    return replace(check, state="note") if check.state == "wrong" else check


def _guarded(name: str, look: Look) -> list[Check]:
    """What the check found before it failed, if it does."""
    found: list[Check] = []
    try:
        found.extend(look())
    # Whatever a strange machine throws (a driver's odd errno, a half-installed library, a file where a folder should
    # be) costs one check and never the others: this is the program that is run where nothing works.
    except Exception as exc:
        said = f"could not be looked at: {type(exc).__name__}: {exc}".rstrip(": ")
        found.append(
            note(name, " ".join(said.split()), "please report it with the file of vbgcam doctor --report FILE")
        )
    return found
