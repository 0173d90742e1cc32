"""vbgcam: a virtual camera that never shows your room."""

__version__ = "0.1.0"
