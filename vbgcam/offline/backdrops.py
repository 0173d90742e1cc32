"""What stands behind pictures of any size, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from vbgcam.background import Background
from vbgcam.core.frames import Backdrop, Planes, Size
from vbgcam.pixels.convert import BLACK
from vbgcam.render.composer import Behind, Blur


class Backdrops:
    """What stands behind, by size; the last one is kept, as pictures of one camera come in one size. Black where there
    is no background."""

    def __init__(self, behind: Callable[[Size], Background] | Blur | None) -> None:
        self._behind = behind
        self._last: Behind | None = behind if isinstance(behind, Blur) else None

    def of(self, size: Size) -> Behind:
        """Raises BackgroundError."""
        last = self._last
        if isinstance(last, Blur) or (last is not None and last.size == size):
            return last
        if self._behind is None or isinstance(self._behind, Blur):
            self._last = Backdrop(Planes.filled(size, BLACK).frozen())
        else:
            background = self._behind(size)
            try:
                self._last = background.at(0.0)
            finally:
                background.close()
        return self._last
