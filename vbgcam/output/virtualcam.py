"""The virtual camera, on whatever system this is: v4l2loopback on Linux, OBS's or UnityCapture's camera elsewhere.

On Linux see `loopback`; on Windows and macOS pyvirtualcam's own backends do all there is to do, and convert the I420.
"""

import sys
from contextlib import suppress
from typing import Final

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Planes, Size
from vbgcam.output.base import DEFAULT_NAME, Device, VirtualCameraInfo

_OBS_CLASS: Final = r"CLSID\{A3FCE0F5-3493-419F-958A-ABA1250EC20B}"
_UNITY_CLASS: Final = r"CLSID\{5C2CD55C-92AD-4999-8666-912BD3E700%02X}"


def virtual_cameras(system: str = sys.platform) -> list[VirtualCameraInfo]:
    """The virtual cameras that are there. Windows: those whose DirectShow classes are registered, under the keys that
    pyvirtualcam looks for. macOS has no way to ask."""
    if system == "linux":
        from vbgcam.output.loopback import loopbacks, module_version

        driver = f"v4l2loopback {module_version()}".rstrip()
        return [
            VirtualCameraInfo(here.node.label, str(here.node.path), driver, here.state, tuple(map(str, here.holders)))
            for here in loopbacks()
        ]
    if system != "win32":
        return []
    unity = [_registry(_UNITY_CLASS % (0x10 + number)) for number in (0, *range(2, 11))]  # 1 is UnityCapture's own
    found = [VirtualCameraInfo(name.strip(), "", "UnityCapture", "unknown") for name in unity if name and name.strip()]
    if _registry(_OBS_CLASS) is not None:
        found.append(VirtualCameraInfo("OBS Virtual Camera", "", "OBS", "unknown"))
    return found


def _registry(key: str) -> str | None:
    """A key's text; None where there is no such key."""
    if sys.platform == "win32":
        import winreg

        with suppress(OSError):
            return winreg.QueryValue(winreg.HKEY_CLASSES_ROOT, key)
    return None


def open_device(target: str, size: Size, fps: float, system: str = sys.platform) -> Device:
    """What other programs see as a camera. `target`: its name or a /dev path; "" is the one named "VBG Camera", else
    (on Linux) the first free one; elsewhere the first of the system's that opens. Raises OutputError."""
    if system == "linux":
        from vbgcam.output.loopback import open_loopback

        return open_loopback(target, size, fps)
    attempts: list[tuple[str, str | None]] = [("obs", target or None)]
    if system == "win32":
        attempts.insert(0, ("unitycapture", target or DEFAULT_NAME))
    reasons = []
    for backend, device in attempts:
        try:
            return PlainDevice(backend, device, size, fps)
        except RuntimeError as exc:
            reasons.append(str(exc))
    wanted = f"no virtual camera named {target!r}" if target else "no virtual camera"
    said = "; ".join(dict.fromkeys(" ".join(reason.split()) for reason in reasons))
    raise OutputError(f"{wanted} could be opened ({said})", fix=plain_fix(system, said))


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


def plain_fix(system: str, said: str = "") -> str:
    """What a person does where Windows or macOS has no virtual camera. `said`: pyvirtualcam's reasons."""
    if "could not be started" in said or "Couldn't start" in said or "Multiple cameras" in said:
        return "end the program that feeds it (OBS, another vbgcam) and start again"
    install = "winget install OBSProject.OBSStudio" if system == "win32" else "brew install --cask obs"
    return f"{install}, then start its virtual camera once and stop it again"
