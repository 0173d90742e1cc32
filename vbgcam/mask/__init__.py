"""What makes a mask good: from the network's answers to the alpha of each frame, the same way live and offline.

It knows the network's answer (`segment`), and neither cameras nor what becomes of the mask.

    frame -> Looks (the network, at the person) -> Sighting -\\
    frame -----------------------------------------------------> Present -> Mask

A `Sighting` is what the network made of one frame. `Present` makes the Mask of that frame and of those that follow
until the next sighting: it carries the sighting to the frame (`flow`), compares the frame with the room (`room_model`),
mends the outline (`refine`) and holds still what stands still. Each step can be left out (`core.options`); with none,
the mask is the network's answer at the frame's size.
"""

from vbgcam.core.options import NONE, Steps
from vbgcam.mask.masker import Masker, warm_up
from vbgcam.mask.plain import finish
from vbgcam.mask.roi import Looks
from vbgcam.mask.tracker import Present

__all__ = ["NONE", "Looks", "Masker", "Present", "Steps", "finish", "warm_up"]
