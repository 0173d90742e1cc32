"""How good the masks are: `vbgcam eval`. It knows the rooms that the offline verbs use, and none knows it."""

from vbgcam.evaluate.base import Item, Request, Results

__all__ = ["Item", "Request", "Results"]
