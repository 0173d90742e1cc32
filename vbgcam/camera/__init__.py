"""Where frames come from: a device, a file at its own pace, the drawn demo presenter.

It knows pixels and files; `live` and the command line know it, and nothing that makes an output frame does.
"""

from vbgcam.camera.base import Captured, Negotiated, Requested, Source
from vbgcam.camera.factory import open_source

__all__ = ["Captured", "Negotiated", "Requested", "Source", "open_source"]
