"""Images and videos through the same steps as the live chain, each frame with its own mask, nothing dropped."""
