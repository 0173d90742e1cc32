"""Both halves of the mask in one thread: the network's prediction of a frame, and the mask made of it."""

from dataclasses import replace

import numpy as np

from vbgcam.core.frames import Mask, Prediction, RawFrame, read_only
from vbgcam.core.options import NONE, MaskOptions
from vbgcam.mask.looks import Looks
from vbgcam.mask.network_guard import NetworkGuard
from vbgcam.mask.roi import RoiSegmenter
from vbgcam.mask.tracker import MaskTracker
from vbgcam.segment import Segmenter


def warm_up() -> None:
    """Loads the compiled loops, those of `pixels` too, or compiles them (15 s in a fresh installation, then cached on
    disk), so that no frame waits for them."""
    from vbgcam.mask import kernels  # noqa: F401  # importing is compiling


class Masker:
    """Both halves, where one thread does all: a network's masks of frame after frame."""

    def __init__(
        self,
        segmenter: Segmenter,
        options: MaskOptions = NONE,
        guard: NetworkGuard | None = None,
        looks: Looks | None = None,
    ) -> None:
        """`guard`, `looks`: see `RoiSegmenter`."""
        self._roi = RoiSegmenter(segmenter, roi=options.roi, guard=guard, looks=looks)
        self._tracker = MaskTracker(options)

    @property
    def kept(self) -> float | None:
        """See `MaskTracker.kept`."""
        return self._tracker.kept

    def reset(self) -> None:
        """Another scene follows."""
        self._roi.reset()
        self._tracker.reset()

    def predict(self, frame: RawFrame) -> Prediction:
        """See `RoiSegmenter.predict`. Raises ModelError."""
        return self._roi.predict(frame)

    def track(self, frame: RawFrame, prediction: Prediction) -> Mask | None:
        """The mask of a frame by a prediction of its own or of an earlier frame; see `MaskTracker.mask`."""
        mask = self._tracker.mask(frame, prediction)
        tracker = self._tracker
        self._roi.update_roi(frame.epoch, tracker.box, elsewhere=tracker.elsewhere, kept=tracker.kept)
        return mask

    def mask(self, frame: RawFrame) -> Mask:
        """Of a frame that gets its own, nobody's where the network is not believed. Raises ModelError."""
        prediction = self.predict(frame)
        if prediction.doubt is not None:
            prediction = replace(prediction, alpha=read_only(np.zeros_like(prediction.alpha)))
        mask = self.track(frame, prediction)
        assert mask is not None, "a frame's own prediction is never too far"
        return mask
