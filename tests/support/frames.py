"""Frames that an output takes: covers, since only the composer makes what may go out."""

from vbgcam.core.frames import Backdrop, Planes, SafeFrame, Size
from vbgcam.render.composer import Composer


def safe(planes: Planes) -> SafeFrame:
    """Those planes, as a cover."""
    return Composer(planes.size).cover(Backdrop(planes.frozen()))


def plain(size: Size, luma: int = 60, u: int = 128, v: int = 128) -> SafeFrame:
    """One colour, by default a dark grey."""
    return safe(Planes.filled(size, (luma, u, v)))
