"""What stands behind the person: image, GIF, video, colour, and the card that covers when there is nothing else.

Nothing in this room ever sees a camera's frame (an import contract in the tests holds that), so that a Backdrop can
always be shown.
"""

from __future__ import annotations

from typing import Protocol

from vbgcam.frames import Backdrop, Size
from vbgcam.pixels import Fit
from vbgcam.specs import BackgroundSpec


class Background(Protocol):
    """`moves`: whether `at` gives other pictures at other times; a still one may be asked once."""

    moves: bool

    def at(self, seconds: float) -> Backdrop:
        """The picture at that time since the start; times never go back. A film loops at its own rate. Raises
        BackgroundError where a film breaks off."""

    def close(self) -> None: ...


def open_background(spec: BackgroundSpec, size: Size, fit: Fit = "cover", *, exact: bool = False) -> Background:
    """What stands behind, at the output's size. For "blur" and "none", which have no backdrop of their own, the card:
    it is what covers. `exact`: a film shows each frame at its very time, however long `at` then takes, as offline work
    needs it; else it may fall behind rather than keep its caller waiting. Raises BackgroundError."""
    from vbgcam.background.still import Still, card

    if spec.kind == "color":
        return Still.color(spec.color, size)
    if spec.kind == "file":
        from vbgcam.background.files import open_file

        return open_file(spec.path, size, fit, exact=exact)
    return card(size)
