"""What stands behind the person: image, GIF, video, colour, and the card that covers when there is nothing else.

Nothing in this room ever sees a camera's frame (an import contract in the tests holds that), so that a Backdrop can
always be shown.
"""

from __future__ import annotations

from typing import Protocol

from vbgcam.core.frames import Backdrop


class Background(Protocol):
    """`moves`: whether `at` gives other pictures at other times; a still one may be asked once."""

    moves: bool

    def at(self, seconds: float) -> Backdrop:
        """The picture at that time since the start; times never go back. A film loops at its own rate. Raises
        BackgroundError where a film breaks off."""

    def close(self) -> None: ...
