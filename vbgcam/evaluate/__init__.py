"""How good the masks are: `vbgcam eval`. It knows the rooms that the offline verbs use, and none knows it."""
