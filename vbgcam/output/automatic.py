"""The sink `auto`: v4l2loopback's device where there is one, since every app reads it, else a camera of PipeWire's."""

from __future__ import annotations

import sys

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import SafeFrame, Size
from vbgcam.output.base import Output, ReaderMonitor


def open_automatic(size: Size, fps: float) -> Output:
    """Not opened yet. Elsewhere than on Linux there is one kind of virtual camera alone."""
    from vbgcam.output.virtualcam import VirtualCamera

    device = VirtualCamera("", size, fps)
    if sys.platform != "linux":
        return device
    from vbgcam.output.pipewire import PipeWireCamera

    return Automatic(device, PipeWireCamera("", size, fps))


def device_there() -> bool:
    from vbgcam.output.loopback import loopbacks

    return bool(loopbacks())


class Automatic:
    """See `vbgcam.output.Output`. Which of the two it is, is decided each time that it is opened. A device that is
    there but cannot be written to is an error, and no reason to be shown elsewhere."""

    def __init__(self, device: Output, pipewire: Output) -> None:
        self._device, self._pipewire = device, pipewire
        self._chosen: Output | None = None
        self.name = device.name

    def open(self) -> None:
        if device_there():
            self._device.open()
            self._take(self._device)
            return
        try:
            self._pipewire.open()
        except OutputError as none_here:
            from vbgcam.output.loopback import absent

            module = absent()
            raise OutputError(
                f"there is no virtual camera: {module.message}; {none_here.message}",
                fix=f"{module.fix}; or, for apps that ask PipeWire: {none_here.fix}",
            ) from none_here
        self._take(self._pipewire)

    def send(self, frame: SafeFrame, at: float) -> None:
        if self._chosen is None:
            raise OutputError("no virtual camera is open")
        self._chosen.send(frame, at)

    def reader_monitor(self) -> ReaderMonitor | None:
        return None if self._chosen is None else self._chosen.reader_monitor()

    def close(self) -> None:
        chosen, self._chosen = self._chosen, None
        if chosen is not None:
            chosen.close()

    def _take(self, output: Output) -> None:
        self._chosen, self.name = output, output.name
