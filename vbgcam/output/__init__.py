"""Where frames go: a virtual camera, PipeWire, a file, nowhere. An output takes nothing but SafeFrames.

It knows frames, and nothing of where they come from (an import contract holds that); `live` uses it.
"""

from vbgcam.output.base import AlwaysRead, Output, ReaderMonitor
from vbgcam.output.factory import open_output

__all__ = ["AlwaysRead", "Output", "ReaderMonitor", "open_output"]
