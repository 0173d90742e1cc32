"""Both halves of the mask in one thread: the network's prediction of a frame, and the mask made of it."""

from vbgcam.core.frames import Mask, Prediction, RawFrame
from vbgcam.core.options import NONE, MaskOptions
from vbgcam.mask.roi import RoiSegmenter
from vbgcam.mask.tracker import MaskTracker
from vbgcam.segment import Segmenter


def warm_up() -> None:
    """Loads the compiled loops, those of `pixels` too, or compiles them (10 s in a fresh installation, then cached on
    disk), so that no frame waits for them."""
    from vbgcam.mask import kernels  # noqa: F401  # importing is compiling


class Masker:
    """Both halves, where one thread does all: a network's masks of frame after frame."""

    def __init__(self, segmenter: Segmenter, options: MaskOptions = NONE) -> None:
        self._roi = RoiSegmenter(segmenter, roi=options.roi)
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
        """What the network says of a frame. Raises ModelError."""
        return self._roi.predict(frame)

    def track(self, frame: RawFrame, prediction: Prediction) -> Mask | None:
        """The mask of a frame by a prediction of its own or of an earlier frame; see `MaskTracker.mask`."""
        mask = self._tracker.mask(frame, prediction)
        self._roi.update_roi(frame.epoch, self._tracker.box, elsewhere=self._tracker.elsewhere)
        return mask

    def mask(self, frame: RawFrame) -> Mask:
        """Of a frame that gets its own. Raises ModelError."""
        mask = self.track(frame, self.predict(frame))
        assert mask is not None, "a frame's own prediction is never too far"
        return mask
