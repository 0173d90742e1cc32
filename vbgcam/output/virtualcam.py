"""The virtual camera, on whatever system this is: v4l2loopback on Linux, OBS's or UnityCapture's camera elsewhere.

pyvirtualcam does the sending. On Linux it needs help before and after it opens a device (see `loopback`); on Windows
and macOS its own backends do all there is to do. Frames go out as I420, which pyvirtualcam hands on without a copy on
Linux and converts itself elsewhere.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Final

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Planes, Size
from vbgcam.output.base import DEFAULT_NAME, Device, DeviceOutput, VirtualCameraInfo


class VirtualCamera(DeviceOutput):
    """What other programs see as a camera. `target`: a camera's name or a /dev path; "" is the camera named
    "VBG Camera", else (on Linux) the first free one. `size` has even sides."""

    def __init__(self, target: str, size: Size, fps: float) -> None:
        """Opens nothing yet."""
        super().__init__(target or DEFAULT_NAME, lambda: open_device(target, size, fps))


def open_device(target: str, size: Size, fps: float, system: str = sys.platform) -> Device:
    """Raises OutputError."""
    if system == "linux":
        from vbgcam.output.loopback import open_loopback

        return open_loopback(target, size, fps)
    return open_plain(target, size, fps, system)


def virtual_cameras(system: str = sys.platform) -> list[VirtualCameraInfo]:
    """The virtual cameras that are there. macOS has no way to ask."""
    if system == "linux":
        from vbgcam.output.loopback import listed

        return listed()
    return list(registered(_registry)) if system == "win32" else []


class PlainDevice:
    """A camera of Windows or macOS."""

    def __init__(self, backend: str, device: str | None, size: Size, fps: float) -> None:
        """Raises RuntimeError as pyvirtualcam does."""
        import pyvirtualcam

        self._camera = pyvirtualcam.Camera(
            size.width, size.height, fps, fmt=pyvirtualcam.PixelFormat.I420, device=device, backend=backend
        )
        self.label = self._camera.device

    def reader_monitor(self) -> None:
        """These systems do not tell."""

    def send(self, planes: Planes, at: float) -> None:
        """Hands the picture over at once. Raises OutputError."""
        try:
            self._camera.send(planes.data)
        except RuntimeError as exc:
            raise OutputError(f"the virtual camera {self.label} takes no more frames: {exc}") from exc

    def close(self) -> None:
        """Gives the camera back."""
        self._camera.close()


Opener = Callable[[str, "str | None", Size, float], Device]


def open_plain(target: str, size: Size, fps: float, system: str, opener: Opener = PlainDevice) -> Device:
    """The first of the system's virtual cameras that opens. Raises OutputError."""
    attempts: list[tuple[str, str | None]] = [("obs", target or None)]
    if system == "win32":
        attempts.insert(0, ("unitycapture", target or DEFAULT_NAME))
    reasons = []
    for backend, device in attempts:
        try:
            return opener(backend, device, size, fps)
        except RuntimeError as exc:
            reasons.append(str(exc))
    wanted = f"no virtual camera named {target!r}" if target else "no virtual camera"
    said = "; ".join(dict.fromkeys(" ".join(reason.split()) for reason in reasons))
    raise OutputError(f"{wanted} could be opened ({said})", fix=plain_fix(system, said))


def plain_fix(system: str, said: str = "") -> str:
    """What a person does where Windows or macOS has no virtual camera. `said`: pyvirtualcam's reasons."""
    if "could not be started" in said or "Couldn't start" in said or "Multiple cameras" in said:
        return "end the program that feeds it (OBS, another vbgcam) and start again"
    install = "winget install OBSProject.OBSStudio" if system == "win32" else "brew install --cask obs"
    return f"{install}, then start its virtual camera once and stop it again"


_OBS_CLASS: Final = r"CLSID\{A3FCE0F5-3493-419F-958A-ABA1250EC20B}"
_UNITY_CLASS: Final = r"CLSID\{5C2CD55C-92AD-4999-8666-912BD3E700%02X}"


def registered(value: Callable[[str], str | None]) -> Iterator[VirtualCameraInfo]:
    """Windows: the cameras whose DirectShow classes are registered, under the keys that pyvirtualcam looks for. `value`
    gives a key's text, None where there is no such key."""
    for number in (0, *range(2, 11)):  # UnityCapture keeps number 1 for itself
        name = (value(_UNITY_CLASS % (0x10 + number)) or "").strip()
        if name:
            yield VirtualCameraInfo(name, "", "UnityCapture", "unknown")
    if value(_OBS_CLASS) is not None:
        yield VirtualCameraInfo("OBS Virtual Camera", "", "OBS", "unknown")


def _registry(key: str) -> str | None:
    if sys.platform == "win32":
        import winreg

        try:
            return winreg.QueryValue(winreg.HKEY_CLASSES_ROOT, key)
        except OSError:
            return None
    else:
        raise NotImplementedError("only Windows has a registry")
