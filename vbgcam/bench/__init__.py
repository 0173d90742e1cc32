"""What the chain costs on this machine: `vbgcam bench`. It knows every room, and none knows it."""
