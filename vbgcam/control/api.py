"""One control plane: what can be asked of the running program, and by whom.

    vbgcam VERB, hotkeys, tray, panel -> client -> server (guard) -> Desk -> the live chain

Everybody sends the same commands and reads the same status. `place` says where the running program is found and keeps
a second one from starting, `guard` who may talk to it, `server` and `client` carry it over a loopback port, and what is
done stands in `controller`, which implements `ControlApi`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture as others see it, or its mask. `number` grows with each; `image`: a JPEG file's bytes."""

    number: int
    image: bytes


class Entry(Protocol):
    """One background of the gallery: its name there and where it lies."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> Path: ...


class Gallery(Protocol):
    """What is asked of `vbgcam.background.gallery`. Said here anew, since who only sends commands (`vbgcam status`, the
    tray) imports this module, and that one imports pictures and films: half a second. Any thread."""

    def thumbnail(self, name: str) -> bytes:
        """A JPEG file's bytes, 320 x 180. Raises BackgroundError."""

    def add(self, name: str, data: Path) -> Entry:
        """A temporary file is checked and taken in under a free name like this one; it may be moved away. Raises
        BackgroundError where it is no picture and no film."""

    def remove(self, name: str) -> None:
        """Raises BackgroundError where the folder does not hold it."""


class ControlApi(Protocol):
    """The running program, as it is controlled. Any thread may call any of it; `do` serialises what changes it."""

    @property
    def gallery(self) -> Gallery:
        """The backgrounds to choose from."""

    def status(self) -> dict[str, Any]:
        """What `status --json` prints: the figures of `--stats`, and `revision`, `paused`, `settings`, `troubles`."""

    def choices(self) -> dict[str, Any]:
        """What a picker offers: backgrounds, cameras, models, presets. May take some tenths of a second."""

    def do(self, command: Mapping[str, Any]) -> str:
        """One command, as it came; the line for the person who gave it. Raises VbgcamError where it is refused: then
        nothing has changed."""

    def revision(self) -> int:
        """Grows whenever something changes that a picker or an icon shows; figures alone do not count."""

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` is called, in any thread, after each change of `revision`; the answer takes it back."""

    def shot(self, after: int, width: int, *, mask: bool = False) -> Shot | None:
        """The newest output frame, at most `width` pixels wide, or its mask; None where none is newer than number
        `after`. It is made of what was sent: nobody sees the camera here."""

    def snapshot(self) -> bytes:
        """The newest output frame, whole, as a PNG file's bytes. Raises ControlError where there is none yet."""

    def looking(self, begins: bool) -> None:
        """Somebody looks at the preview and wants to see themselves: counts as a reader of the camera until it is taken
        back with False, once for each True."""

    def report(self) -> str:
        """What `vbgcam doctor --report` writes."""
