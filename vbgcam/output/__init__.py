"""Where frames go: a virtual camera, PipeWire, a file, nowhere. An output takes nothing but SafeFrames.

An output is used by one thread (`live`'s compositor): `open` once, `send` for each frame, `close`, which may be called
twice and without `open`. The size never changes while it is open: v4l2loopback refuses that while a reader is there.
"""

from __future__ import annotations

from typing import Protocol

from vbgcam.frames import SafeFrame, Size
from vbgcam.specs import SinkSpec


class Audience(Protocol):
    """Who reads what goes out. One thread uses it."""

    def watched(self, timeout: float) -> bool:
        """Whether some program reads the camera now; returns after `timeout` seconds at the latest (and a few looks, a
        quarter of a second), sooner where that changes. One that merely asks what the camera can do does not count."""

    def close(self) -> None: ...


class Output(Protocol):
    """`name`: for people, such as "VBG Camera (/dev/video10)"; known after `open`."""

    name: str

    def open(self) -> None:
        """Raises OutputError: no module, busy, no permission; one line with the command that mends it."""

    def send(self, frame: SafeFrame, at: float) -> None:
        """`at`: the frame's time in seconds on the monotonic clock; never decreases. Raises OutputError."""

    def audience(self) -> Audience | None:
        """After `open` and the first frame. None: nobody can tell, and it is taken for watched. Raises OutputError."""

    def close(self) -> None:
        """Finishes what was written. A file that was never sent a frame is not left behind."""


def open_output(spec: SinkSpec, size: Size, fps: float) -> Output:
    """The output that the spec names, not opened yet. `size` has even sides."""
    if spec.kind == "null":
        from vbgcam.output.null import NullOutput

        return NullOutput()
    if spec.kind == "file":
        from vbgcam.output.file import FileOutput

        return FileOutput(spec.target, size, fps)
    if spec.kind == "auto":
        from vbgcam.output.automatic import open_automatic

        return open_automatic(size, fps)
    from vbgcam.output.virtualcam import VirtualCamera

    if spec.kind == "virtualcam":
        return VirtualCamera(spec.target, size, fps)
    from vbgcam.output.pipewire import PipeWireCamera

    camera = PipeWireCamera(spec.target, size, fps)
    if spec.kind == "pipewire":
        return camera
    from vbgcam.output.both import Both

    return Both([VirtualCamera(spec.target, size, fps), camera])
