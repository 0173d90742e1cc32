"""Which cameras are there, and what each can do: for `vbgcam devices`, for choosing one, and for errors that name them.

On Linux by ioctl and sysfs, in milliseconds and without lighting a camera's LED; elsewhere by cv2-enumerate-cameras,
which knows names and OpenCV's indices but no modes.
"""

import errno
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from vbgcam.camera.base import CameraInfo, Mode
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import Size

LINKS: Final = Path("/dev/v4l")


def cameras() -> list[CameraInfo]:
    """In the order of their numbers. A device that gives no pictures just now (a webcam's second node) is none. Virtual
    cameras, which a program feeds, are left out and not even opened: one may be watching for readers. Raises
    CameraError where the system cannot be asked."""
    if platform.system() == "Linux":
        from vbgcam.system import v4l2

        found = [_inspect(node.path, node.label, virtual=False) for node in v4l2.nodes()]
        return [camera for camera in found if camera is not None]
    return [camera for camera in enumerated() if not _MADE_UP.search(camera.name)]


def camera_at(path: str) -> CameraInfo | None:
    """The camera behind a path such as /dev/video2 or a link to it, virtual or not; None where there is none. Raises
    CameraError where it is a device that gives no pictures."""
    if platform.system() == "Linux":
        from vbgcam.system import v4l2

        real = Path(path).resolve()
        node = next((node for node in v4l2.nodes() if node.path == real), None)
        camera = _inspect(node.path, node.label, virtual=True) if node else None
        if node and camera is None:
            raise CameraError(
                f"{path} gives no pictures: it is a webcam's second device, or a virtual camera that nobody feeds",
                fix=listed(cameras()),
            )
        return camera
    return next((camera for camera in enumerated() if camera.path.casefold() == path.casefold()), None)


def describe(camera: CameraInfo) -> list[str]:
    """Lines for people: the camera, how to name it, and its modes."""
    lines = [str(camera)]
    if camera.id:
        lines.append(f"  id {camera.id}")
    if camera.problem:
        lines.append(f"  its modes are unknown: {os.strerror(camera.problem)}")
    tables: dict[tuple[tuple[Size, tuple[float, ...]], ...], list[str]] = {}
    for name in dict.fromkeys(mode.format for mode in camera.modes):
        table = tuple((mode.size, mode.rates) for mode in camera.modes if mode.format == name)
        tables.setdefault(table, []).append(name)  # many formats have the same sizes and rates: said once
    for table, names in tables.items():
        lines += wrap(", ".join(names), 100, initial_indent="  ", subsequent_indent="  ")
        for size, rates in table:
            lines.append(f"    {size!s:<10} {' '.join(f'{rate:.4g}' for rate in rates)}".rstrip())
    return lines


def as_json(camera: CameraInfo) -> dict[str, Any]:
    """What `describe` says, for programs."""
    return {
        "name": camera.name,
        "path": camera.path,
        "id": camera.id,
        "driver": camera.driver,
        "virtual": False,
        "problem": os.strerror(camera.problem) if camera.problem else None,
        "modes": [
            {"format": mode.format, "width": mode.size.width, "height": mode.size.height, "fps": list(mode.rates)}
            for mode in camera.modes
        ],
    }


def offers(camera: CameraInfo) -> str:
    """Its formats in a few words: `MJPG up to 1920x1080 at 30, YUYV up to 640x480 at 30`."""
    words = []
    names = list(dict.fromkeys(mode.format for mode in camera.modes))
    for name in names[:_SAID]:
        largest = max((mode for mode in camera.modes if mode.format == name), key=lambda mode: mode.size.pixels)
        rate = f" at {largest.rates[0]:.4g}" if largest.rates else ""
        words.append(f"{name} up to {largest.size}{rate}")
    return ", ".join(words) + (f" and {len(names) - _SAID} more" if len(names) > _SAID else "")


# Formats that an error message names; grabbers and test devices have dozens.
_SAID: Final = 6


def listed(found: Iterable[CameraInfo]) -> str:
    """The cameras in one line, for an error message."""
    names = ", ".join(str(camera) for camera in found)
    return f"cameras here: {names}" if names else "no camera is plugged in"


def _inspect(path: Path, label: str, *, virtual: bool) -> CameraInfo | None:
    from vbgcam.camera import v4l2_modes
    from vbgcam.system import v4l2

    place = (v4l2.SYSFS / path.name).resolve()
    made_up = "virtual" in place.parts
    if made_up and not virtual:
        return None
    driver, problem = "", 0
    modes: tuple[Mode, ...] = ()
    try:
        with v4l2.opened(path) as fd:
            capability = v4l2.capability(fd)
            if not capability.captures:
                return None
            driver, modes = capability.driver, tuple(v4l2_modes.modes(fd))
    except OSError as exc:
        # Whether a node that may not be opened gives pictures cannot be asked; a webcam's first node does.
        if exc.errno not in (errno.EACCES, errno.EPERM, errno.EBUSY) or _number(place, "index"):
            return None
        problem = exc.errno
    usb = _usb(place)
    bus = _number(usb, "speed") if usb is not None else 0
    stable = "" if made_up else _stable_id(path, place)
    return CameraInfo(label, str(path), stable, driver, modes, problem, bus)


def _usb(place: Path) -> Path | None:
    """The USB device that a node belongs to."""
    return next((parent for parent in place.parents if (parent / "idVendor").exists()), None)


def _number(place: Path, name: str) -> int:
    """0 where there is no such attribute. `index`: which of a device's nodes; `speed`: of a USB port, Mbit/s."""
    text = _attribute(place, name)
    return int(text) if text.isdecimal() else 0


def _attribute(place: Path, name: str) -> str:
    try:
        return (place / name).read_text(errors="replace").strip()
    except OSError:  # most devices lack most attributes
        return ""


def _stable_id(path: Path, place: Path) -> str:
    """The name that udev gives the device in /dev/v4l/by-id. Where udev does not run (a container), the same is made
    from what a USB device says of itself; other cameras are named by their place on their bus."""
    for link in sorted((LINKS / "by-id").glob("*")):
        if link.resolve() == path:
            return link.name
    suffix = f"-video-index{_number(place, 'index')}"
    usb = _usb(place)
    if usb is not None:
        names = [_attribute(usb, name) for name in ("manufacturer", "product", "serial")]
        words = [re.sub(r"[^A-Za-z0-9#+\-.:=@_]", "_", name) for name in names if name]
        return f"usb-{'_'.join(words)}{suffix}"
    device = (place / "device").resolve()
    return f"{(device / 'subsystem').resolve().name}-{device.name}{suffix}"


# Names of virtual cameras on Windows and macOS, which give no better sign.
_MADE_UP: Final = re.compile(r"virtual|unity video capture|vbg camera", re.IGNORECASE)
_BACKENDS: Final = {"Windows": ("CAP_MSMF", "CAP_DSHOW"), "Darwin": ("CAP_AVFOUNDATION",)}


def enumerated() -> list[CameraInfo]:
    """Where there are no device files: by OpenCV, virtual cameras too. Raises CameraError."""
    import cv2

    try:
        from cv2_enumerate_cameras import enumerate_cameras
    except ImportError as exc:
        raise CameraError(
            "the cameras cannot be listed: the package cv2-enumerate-cameras is missing",
            fix="run `pip install cv2-enumerate-cameras`",
        ) from exc
    found: dict[str, CameraInfo] = {}
    for backend in (int(getattr(cv2, name)) for name in _BACKENDS.get(platform.system(), ())):
        for camera in enumerate_cameras(backend):
            # Media Foundation and DirectShow call one camera by the same path, but for what stands behind the last #.
            own = camera.path or camera.name
            key = own.rpartition("#")[0].lower() if "#" in own else own
            known = found.get(key)
            opens = (*(known.opens if known else ()), (camera.index, backend))
            path = known.path if known else camera.path or ""
            found[key] = CameraInfo(camera.name, path, path, "", opens=opens)
    return list(found.values())
