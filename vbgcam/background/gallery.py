"""The folder of backgrounds that a person chooses from: pictures and films in the user's data folder."""

from __future__ import annotations


class Gallery:
    """See `vbgcam.control.Desk`."""
