"""How a film's picture is turned for showing: phones store it lying and say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.frames import Planes, Size

# Of display matrices, for each quarter turn against the clock.
_QUARTERS: Final = ((1, 0, 0, 0, 1), (0, -1, 0, 1, 0), (-1, 0, 0, 0, -1), (0, 1, 0, -1, 0))


@dataclass(frozen=True, slots=True)
class Turn:
    """First rows and columns change places, then left and right, then top and bottom."""

    turned: bool
    to_left: bool
    to_top: bool

    @classmethod
    def of(cls, matrix: NDArray[np.int32]) -> Self:
        """From a display matrix: nine numbers (a b u, c d v, x y w) that take a pixel at (p, q) to (a p + c q,
        b p + d q), as ISO/IEC 14496-12 defines them for a track. Angles between the four are rounded."""
        a, b, _, c, d = (int(value) for value in matrix[:5])
        turned = abs(b) + abs(c) > abs(a) + abs(d)
        return cls(turned, *((c < 0, b < 0) if turned else (a < 0, d < 0)))

    @classmethod
    def by(cls, degrees: int) -> Self:
        """Against the clock."""
        return cls.of(np.array(_QUARTERS[round(degrees / 90) % 4], np.int32))

    def applied(self, planes: Planes) -> Planes:
        """The picture upright; the same planes where it is already."""
        if self == UPRIGHT:
            return planes
        out = Planes.empty(Size(planes.size.height, planes.size.width) if self.turned else planes.size)
        for source, target in ((planes.y, out.y), (planes.u, out.u), (planes.v, out.v)):
            plane = cv2.transpose(source) if self.turned else source
            if self.to_left or self.to_top:
                cv2.flip(plane, -1 if self.to_left and self.to_top else int(self.to_left), dst=target)
            else:
                np.copyto(target, plane)
        return out


UPRIGHT: Final = Turn(False, False, False)
