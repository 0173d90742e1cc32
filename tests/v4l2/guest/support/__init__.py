"""What the tests inside the guest share: its kernel, programs that read a camera, the running daemon."""
