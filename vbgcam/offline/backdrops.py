"""What stands behind pictures of any size, one after the other."""

from collections.abc import Callable
from contextlib import closing

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
            if self._options.plain:
                self._last = black(size)
            else:
                with closing(self._open(size)) as background:
                    self._last = background.at(0.0)
        return self._last


def black(size: Size) -> Backdrop:
    """What stands behind a picture that is shown whole."""
    return Backdrop(Planes.filled(size, BLACK).frozen())
