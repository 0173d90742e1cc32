"""Where the picture that others see is made of a frame, its mask and a backdrop. The only place that makes a SafeFrame.

It knows core and pixels alone; `live` and the offline rooms use it.
"""

from vbgcam.render.composer import Behind, Composer

__all__ = ["Behind", "Composer"]
