"""Both halves of the mask in one thread: the network's prediction of a frame, and the mask made of it."""

from __future__ import annotations

from vbgcam.core.frames import Mask, RawFrame, Sighting
from vbgcam.core.options import NONE, Steps
from vbgcam.mask.plain import finish
from vbgcam.mask.roi import Looks
from vbgcam.mask.tracker import Present
from vbgcam.segment import Segmenter

__all__ = ["NONE", "Looks", "Masker", "Present", "Steps", "finish", "warm_up"]


def warm_up() -> None:
    """Loads the compiled loops, or compiles them, so that no frame waits for them."""
    from vbgcam.mask import kernels  # noqa: F401  # importing is compiling


class Masker:
    """Both halves, where one thread does all: a network's masks of frame after frame."""

    def __init__(self, segmenter: Segmenter, steps: Steps = NONE, *, hard: bool = False) -> None:
        self._looks = Looks(segmenter, crop=steps.crop)
        self._present = Present(steps, hard=hard)

    def reset(self) -> None:
        """Another scene follows."""
        self._looks.reset()
        self._present.reset()

    def sight(self, frame: RawFrame) -> Sighting:
        """What the network says of a frame. Raises ModelError."""
        return self._looks.sight(frame)

    def present(self, frame: RawFrame, sighting: Sighting) -> Mask | None:
        """The mask of a frame by a sighting of its own or of an earlier frame; see `Present.mask`."""
        mask = self._present.mask(frame, sighting)
        self._looks.seen(frame.epoch, self._present.box, elsewhere=self._present.elsewhere)
        return mask

    def mask(self, frame: RawFrame) -> Mask:
        """Of a frame that gets its own. Raises ModelError."""
        mask = self.present(frame, self.sight(frame))
        assert mask is not None, "a frame's own sighting is never too far"
        return mask
