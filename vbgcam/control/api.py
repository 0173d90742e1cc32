"""The running program as clients see it. Imports nothing heavy: who only sends commands (`vbgcam status`, the tray)
starts at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from vbgcam.background.gallery import Gallery


@dataclass(frozen=True, slots=True)
class PreviewImage:
    """A picture as others see it, or its mask. `number` grows with each; `image`: a JPEG file's bytes."""

    number: int
    image: bytes


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
        """Carries out one command, unchecked as it came; returns the line for the person who gave it. Raises
        VbgcamError where it is refused: then nothing has changed."""

    def revision(self) -> int:
        """Grows whenever something changes that a picker or an icon shows; figures alone do not count."""

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` is called, in any thread, after each change of `revision`, until the function returned is called."""

    def preview(self, after: int, width: int, *, mask: bool = False) -> PreviewImage | None:
        """The newest output frame, at most `width` pixels wide, or its mask; None where none is newer than number
        `after`. Made of what was sent: nobody sees the camera here."""

    def snapshot(self) -> bytes:
        """The newest output frame, whole, as a PNG file's bytes. Raises ControlError where there is none yet."""

    def watch_preview(self, watching: bool) -> None:
        """Somebody wants to see themselves in the preview: counts as a reader of the camera until it is taken back with
        False, once for each True."""

    def report(self) -> str:
        """What `vbgcam doctor --report` writes."""
