"""What a background is to those that show it."""

from typing import Protocol

from vbgcam.core.frames import Backdrop


class Background(Protocol):
    """`moves`: whether `at` gives other pictures at other times; a still one may be asked once."""

    moves: bool

    def at(self, seconds: float) -> Backdrop:
        """The picture at that time since the start; times never go back. A film loops at its own rate. Raises
        BackgroundError where a film breaks off."""

    def close(self) -> None: ...
