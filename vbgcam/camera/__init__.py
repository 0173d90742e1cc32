"""Where frames come from: see `base`."""

from vbgcam.camera.base import Captured, Negotiated, Requested, Source
from vbgcam.camera.factory import open_source

__all__ = ["Captured", "Negotiated", "Requested", "Source", "open_source"]
