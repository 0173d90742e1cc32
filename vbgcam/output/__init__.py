"""Where frames go: see `base`."""

from vbgcam.output.base import AlwaysRead, Output, ReaderMonitor
from vbgcam.output.factory import open_output

__all__ = ["AlwaysRead", "Output", "ReaderMonitor", "open_output"]
