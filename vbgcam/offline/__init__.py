"""Pictures and films through the same steps as the live chain, each frame with its own mask, nothing dropped."""
