"""All checks, in the order in which a person fixes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vbgcam.doctor import cameras, desktop, installation, module, networks, virtualcam
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
    read: Settings | None = None

    def config() -> Iterable[Check]:
        nonlocal read
        read, checks = installation.settings_file(machine, file)
        return checks

    def settings() -> Settings:
        """Where the file cannot be read, the others are checked as if all were at their defaults."""
        from vbgcam.settings.schema import Settings

        return read or Settings()

    def sink() -> str:
        """The kind of output; for `auto`, which one it comes to."""
        from vbgcam.core.specs import SinkSpec

        kind = SinkSpec.parse(settings().output.sink).kind
        if kind != "auto":
            return kind
        loaded = (machine.root / "sys/module/v4l2loopback").exists()
        return "pipewire" if machine.system == "linux" and not loaded and desktop.runs(machine) else "virtualcam"

    def if_used(checks: Iterable[Check]) -> Iterable[Check]:
        """What is wrong with a virtual camera that the settings do not use is worth a note only."""
        for check in checks:
            used = check.state != "wrong" or sink() in ("virtualcam", "both")
            yield check if used else replace(check, state="note")

    linux = machine.system == "linux"
    families: list[tuple[str, Callable[[], Iterable[Check]]]] = [
        ("libraries", lambda: installation.libraries(machine)),
        ("config", config),
        ("disk", lambda: installation.disk(machine)),
        ("kernel module", lambda: if_used(module.check(machine)) if linux else ()),
        (
            "virtual camera",
            lambda: if_used(virtualcam.check(machine, settings()) if linux else virtualcam.elsewhere(machine)),
        ),
        ("camera", lambda: cameras.check(machine, settings())),
        ("weights", lambda: networks.check(machine, settings())),
        ("background", lambda: installation.background(settings())),
        ("desktop", lambda: desktop.check(machine, needed=sink() in ("pipewire", "both")) if linux else ()),
    ]
    found = [check for name, work in families for check in _guarded(name, work)]
    fixed = tuple(replace(check, fix=_OWN.sub(lambda _: command, check.fix)) for check in found)
    return Examination(fixed, read)


def _guarded(name: str, work: Callable[[], Iterable[Check]]) -> list[Check]:
    """What the check found before it failed, if it does."""
    found: list[Check] = []
    try:
        found.extend(work())
    # Whatever a strange machine raises (a driver's odd errno, a half-installed library, a file where a folder should
    # be) costs one check and never the others: this is the program that is run where nothing works.
    except Exception as exc:
        why = " ".join(f"could not be looked at: {type(exc).__name__}: {exc}".rstrip(": ").split())
        found.append(note(name, why, "please report it with the file of vbgcam doctor --report FILE"))
    return found
