"""How a video's picture is turned for showing: phones store it lying and say so."""

from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import Planes, Size

# The first five numbers of display matrices, for each quarter turn counterclockwise.
_QUARTER_TURNS: Final = ((1, 0, 0, 0, 1), (0, -1, 0, 1, 0), (-1, 0, 0, 0, -1), (0, 1, 0, -1, 0))


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a picture upright: rows and columns change places (`transposed`), then left and right (`flipped`),
    then top and bottom (`upended`)."""

    transposed: bool
    flipped: bool
    upended: bool

    @classmethod
    def of(cls, matrix: NDArray[np.int32]) -> Self:
        """From a display matrix: nine numbers (a b u, c d v, x y w) that take a pixel at (p, q) to (a p + c q,
        b p + d q), as ISO/IEC 14496-12 defines them for a track. Angles between the four are rounded."""
        a, b, _, c, d = (int(value) for value in matrix[:5])
        transposed = abs(b) + abs(c) > abs(a) + abs(d)
        return cls(transposed, *((c < 0, b < 0) if transposed else (a < 0, d < 0)))

    @classmethod
    def by(cls, degrees: int) -> Self:
        """From an angle counterclockwise, rounded to quarter turns."""
        return cls.of(np.array(_QUARTER_TURNS[round(degrees / 90) % 4], np.int32))

    def applied(self, planes: Planes) -> Planes:
        """The picture upright, in new planes; the same planes where it is upright already."""
        if self == UPRIGHT:
            return planes
        out = Planes.empty(Size(planes.size.height, planes.size.width) if self.transposed else planes.size)
        for source, target in ((planes.y, out.y), (planes.u, out.u), (planes.v, out.v)):
            plane = cv2.transpose(source) if self.transposed else source
            if self.flipped or self.upended:
                cv2.flip(plane, -1 if self.flipped and self.upended else int(self.flipped), dst=target)
            else:
                np.copyto(target, plane)
        return out


UPRIGHT: Final = Orientation(False, False, False)
"""What needs no turning."""
