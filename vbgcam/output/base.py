"""Where frames go: a virtual camera, PipeWire, a file, nowhere. An output takes nothing but SafeFrames.

An output is used by one thread (`live`'s compositor): `open` once, `send` for each frame, `close`, which may be called
twice and without `open`. The size never changes while it is open: v4l2loopback refuses that while a reader is there.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Planes, SafeFrame

DEFAULT_NAME: Final = "VBG Camera"

State = Literal["free", "busy", "no permission", "unknown"]


class ReaderMonitor(Protocol):
    """Who reads what goes out. One thread uses it, another one than the output's."""

    def watched(self, timeout: float) -> bool:
        """Whether some program reads the camera now; returns after `timeout` seconds at the latest (and a few looks, a
        quarter of a second), sooner where that changes. One that merely asks what the camera can do does not count.
        Never raises."""

    def close(self) -> None:
        """Releases what it watches with."""


class AlwaysRead:
    """A `ReaderMonitor` for where nobody can tell who reads: somebody always does."""

    def watched(self, timeout: float) -> bool:
        """True, after `timeout` seconds."""
        time.sleep(timeout)
        return True

    def close(self) -> None:
        """There is nothing to release."""


class Output(Protocol):
    """`name`: for people, such as "VBG Camera (/dev/video10)"; known after `open`."""

    name: str

    def open(self) -> None:
        """Raises OutputError: no module, busy, no permission; one line with the command that fixes it."""

    def send(self, frame: SafeFrame, at: float) -> None:
        """`frame`: I420 planes, uint8, BT.601 limited range, of the output's size. `at`: the frame's time in seconds on
        the monotonic clock; never decreases. Raises OutputError when the frame does not go out."""

    def reader_monitor(self) -> ReaderMonitor | None:
        """After `open` and the first frame. None: nobody can tell, and it is taken for watched. Raises OutputError."""

    def close(self) -> None:
        """Finishes what was written. A file that was never sent a frame is not left behind."""


class Device(Protocol):
    """An opened virtual camera, for the output's thread. `label`: for people, such as "VBG Camera (/dev/video10)"."""

    label: str

    def reader_monitor(self) -> ReaderMonitor | None:
        """See `Output.reader_monitor`."""

    def send(self, planes: Planes, at: float) -> None:
        """See `Output.send`."""

    def close(self) -> None:
        """Releases the device; called once."""


class DeviceOutput:
    """An `Output` to a device that is there only while it is open. `opener` raises OutputError."""

    def __init__(self, name: str, opener: Callable[[], Device]) -> None:
        """`name`: until it is open."""
        self.name = name
        self._opener = opener
        self._device: Device | None = None

    def open(self) -> None:
        """Opens the device and takes its label for a name. Raises OutputError."""
        self._device = self._opener()
        self.name = self._device.label

    def send(self, frame: SafeFrame, at: float) -> None:
        """See `Output.send`."""
        if self._device is None:
            raise OutputError(f"the virtual camera {self.name} is not open")
        self._device.send(frame.planes, at)

    def reader_monitor(self) -> ReaderMonitor | None:
        """See `Output.reader_monitor`."""
        return None if self._device is None else self._device.reader_monitor()

    def close(self) -> None:
        """Releases the device."""
        device, self._device = self._device, None
        if device is not None:
            device.close()


@dataclass(frozen=True, slots=True)
class VirtualCameraInfo:
    """A virtual camera that this machine has. `name`: as apps show it. `path`: of the device, "" where there is none.
    `driver`: with its version where that is known. `users`: the programs that have it open, such as "zoom (pid 812)";
    a camera with readers alone is free."""

    name: str
    path: str
    driver: str
    state: State
    users: tuple[str, ...] = ()
