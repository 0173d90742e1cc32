"""From a background spec to the background that it names."""

from vbgcam.background.base import Background
from vbgcam.core.frames import Planes, Size
from vbgcam.core.specs import BackgroundSpec
from vbgcam.pixels.convert import Fit, color_yuv


def open_background(spec: BackgroundSpec, size: Size, fit: Fit = "cover", *, exact: bool = False) -> Background:
    """What stands behind, at the output's size. For "blur" and "none", which have no backdrop of their own, the card:
    it is what covers. `exact`: a film shows each frame at its very time, however long `at` then takes, as offline work
    needs it; else it may fall behind rather than keep its caller waiting. Raises BackgroundError."""
    from vbgcam.background.still import Still, card

    if spec.kind == "color":
        return Still(Planes.filled(size, color_yuv(spec.color)))
    if spec.kind == "file":
        from vbgcam.background.files import open_file

        return open_file(spec.path, size, fit, exact=exact)
    return card(size)
