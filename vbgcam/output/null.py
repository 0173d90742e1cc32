"""An output that shows nothing: for measuring the chain and for trying settings."""

from vbgcam.core.frames import SafeFrame


class NullOutput:
    """Takes every frame and forgets it. See `vbgcam.output.Output`."""

    name = "nowhere"

    def open(self) -> None:
        """There is nothing to open."""

    def send(self, frame: SafeFrame, at: float) -> None:
        """Forgets the frame."""

    def reader_monitor(self) -> None:
        """It is wanted for as long as it runs."""

    def close(self) -> None:
        """There is nothing to release."""
