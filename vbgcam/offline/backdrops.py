"""What stands behind pictures of any size, one after the other."""

from collections.abc import Callable

from vbgcam.background import Background
from vbgcam.core.frames import Backdrop, Planes, Size
from vbgcam.core.options import RenderOptions
from vbgcam.pixels.convert import BLACK
from vbgcam.render.composer import Behind

OpenBackground = Callable[[Size], Background]
"""Opens a background at a size. Raises BackgroundError."""


class Backdrops:
    """What stands behind, by size; the last one is kept, as pictures of one camera come in one size. Black where there
    is no background."""

    def __init__(self, options: RenderOptions, background: OpenBackground) -> None:
        self._options, self._open = options, background
        self._last: Backdrop | None = None

    def of(self, size: Size) -> Behind:
        """Raises BackgroundError."""
        if self._options.blur is not None:
            return self._options.blur
        if self._last is None or self._last.size != size:
            self._last = black(size) if self._options.plain else self._first(size)
        return self._last

    def _first(self, size: Size) -> Backdrop:
        background = self._open(size)
        try:
            return background.at(0.0)
        finally:
            background.close()


def black(size: Size) -> Backdrop:
    """What stands behind a picture that is shown whole."""
    return Backdrop(Planes.filled(size, BLACK).frozen())
