"""What makes a mask good: from the network's answers to the alpha of each frame, the same way live and offline.

It knows the network's answer (`segment`), and neither cameras nor what becomes of the mask.

    frame -> RoiSegmenter (the network, at the person) -> NetworkGuard -> Prediction -\\
    frame ---------------------------------------------------------------------------> MaskTracker -> Mask

A `Prediction` is what the network made of one frame, as far as `NetworkGuard` believes it; `Looks` says for which
frames it has to be asked. `MaskTracker` makes the Mask
of that frame and of those that follow until the next prediction: it carries the prediction to the frame (`flow`),
believes of it what looks like the person there (`guard`), compares the frame with the room (`room_model`), corrects the
outline (`refine`) and holds still what stands still. Each step can be left out
(`core.options`); with none, the mask is the network's answer at the frame's size.
"""

from vbgcam.core.options import NONE, MaskOptions
from vbgcam.mask.looks import Looks
from vbgcam.mask.masker import Masker, warm_up
from vbgcam.mask.network_guard import NetworkGuard
from vbgcam.mask.plain import finish
from vbgcam.mask.roi import RoiSegmenter
from vbgcam.mask.tracker import MaskTracker

__all__ = ["NONE", "Looks", "MaskOptions", "MaskTracker", "Masker", "NetworkGuard", "RoiSegmenter", "finish", "warm_up"]
