"""Virtual cameras on Linux: v4l2loopback devices, found, revived, opened through pyvirtualcam and watched.

pyvirtualcam opens a device and sets its size. What it leaves out is done here on its own descriptor:

- v4l2loopback 0.12 (Debian 12, Ubuntu 22.04) with exclusive_caps=1 takes a program for its writer only after STREAMON.
  When a writer without it has gone, the device announces neither CAPTURE nor OUTPUT until the module is loaded anew.
  So STREAMON follows opening, and a device that somebody else left like that is revived by STREAMON on a descriptor
  that is closed at once. Versions from 0.14 on refuse that STREAMON with EINVAL and need none.
- Version 0.15 keeps a writer's place unless STREAMOFF comes before closing.
- While a reader is there the driver keeps the old size and silently cuts the frames short: the format is read back.
- The frame rate is never set.
- Its `send` holds the interpreter's lock while the driver copies (over 1 ms at 4K), and a write that fails is only a
  line on stderr: the frames are written here. The device is asked after each one whether it is still there and captures
  (35 us in the test bench, a tenth of the write at 1080p).

The tests run on 0.12.7; starting, restarting, being killed and readers that stay were tried on 0.15.0 as well.
Linux only: imported by `virtualcam` there.
"""

import errno
import logging
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyvirtualcam

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Planes, Size
from vbgcam.output.base import DEFAULT_NAME, ReaderMonitor, State
from vbgcam.output.readers import open_monitor
from vbgcam.system import v4l2
from vbgcam.system.linux_packages import install_loopback, rebuild_loopback

log = logging.getLogger(__name__)

DRIVER: Final = "v4l2 loopback"
LOAD: Final = f'sudo modprobe v4l2loopback video_nr=10 card_label="{DEFAULT_NAME}" exclusive_caps=1'
RELOAD: Final = f"sudo modprobe -r v4l2loopback && {LOAD}"
PERMIT: Final = "sudo usermod -aG video $USER, then log in again"


@dataclass(frozen=True, slots=True)
class Loopback:
    """A v4l2loopback device. `capability` is None where it could not be opened, and `refused` is then the errno.
    `holders`: who has it open, as far as this user may know."""

    node: v4l2.Node
    capability: v4l2.Capability | None
    refused: int = 0
    holders: tuple[v4l2.Holder, ...] = ()

    def __str__(self) -> str:
        return f"{self.node.label} ({self.node.path})"

    @property
    def state(self) -> State:
        """A writer shows in the capabilities with exclusive_caps=1 once it has written, and among the holders always,
        if it opened the device as pyvirtualcam does."""
        if self.capability is None:
            return "no permission" if self.refused in (errno.EACCES, errno.EPERM) else "busy"
        taken = self.capability.captures and not self.capability.outputs
        return "busy" if taken or self.writers else "free"

    @property
    def writers(self) -> tuple[v4l2.Holder, ...]:
        """Who has it open as pyvirtualcam does."""
        return tuple(holder for holder in self.holders if holder.write_only)

    @property
    def suspects(self) -> tuple[v4l2.Holder, ...]:
        """Who may be feeding a busy device: those who write to it, else whoever has it open."""
        return self.writers or self.holders

    @property
    def lost(self) -> bool:
        """Whether nobody can write to it before it is revived."""
        return self.capability is not None and not self.capability.captures and not self.capability.outputs


def loopbacks() -> list[Loopback]:
    """All v4l2loopback devices in the order of their numbers."""
    return [device for node in v4l2.nodes() if (device := inspect(node)) is not None]


def inspect(node: v4l2.Node) -> Loopback | None:
    """What the node is like now; None where it is no v4l2loopback device, or gone."""
    capability, refused = None, 0
    try:
        capability = v4l2.query(node.path)
    except OSError as exc:
        refused = exc.errno or 0
        # The driver cannot be asked, but this file is in no other driver's folder.
        ours = (v4l2.SYSFS / node.path.name / "max_openers").exists() and node.path.exists()
    else:
        ours = capability.driver == DRIVER
    return Loopback(node, capability, refused, tuple(v4l2.holders(node.path))) if ours else None


def choose(target: str, devices: Sequence[Loopback]) -> Loopback:
    """The device that is meant: the /dev path, the name, and without a target the one named "VBG Camera", else the
    first free one. Raises OutputError where there is none such or it cannot be written to."""
    path = Path(target)
    if path.is_absolute():
        real = path.resolve()
        meant = [device for device in devices if device.node.path == real]
        if not meant:
            what = "is no v4l2loopback device" if path.exists() else "does not exist"
            raise OutputError(f"virtual camera {target} {what}", fix=_there(devices))
    else:
        meant = [device for device in devices if device.node.label == (target or DEFAULT_NAME)]
        if not meant and target:
            raise OutputError(f"there is no virtual camera named {target!r}", fix=_there(devices))
    candidates = meant or devices
    free = next((device for device in candidates if device.state == "free"), None)
    if free is None:
        raise _unusable(candidates)
    if not meant:
        log.info('no virtual camera is named "%s"; using %s', DEFAULT_NAME, free)
    return free


def _there(devices: Sequence[Loopback]) -> str:
    names = ", ".join(str(device) for device in devices)
    return f"there is {names}" if names else LOAD


def _unusable(devices: Sequence[Loopback]) -> OutputError:
    denied = [device for device in devices if device.state == "no permission"]
    if denied:
        return OutputError(f"no permission to write to the virtual camera {denied[0]}", fix=PERMIT)
    users = [", ".join(map(str, device.suspects)) for device in devices]
    said = "; ".join(
        f"the virtual camera {device} is in use by {names or 'a program of another user'}"
        for device, names in zip(devices, users, strict=True)
    )
    first, path = devices[0], devices[0].node.path
    if len(first.suspects) > 1 and not first.writers:
        return OutputError(said, fix="end the one that feeds it")
    if first.suspects:
        return OutputError(said, fix=f"end that program: kill {_pids(first.suspects)}")
    if os.geteuid() == 0:  # who sees every process and finds none
        said = f"the virtual camera {first} takes no writer although nobody has it open"
        return OutputError(said, fix=f"v4l2-ctl -d {path} -c keep_format=0, or {RELOAD}")
    return OutputError(said, fix=f"sudo fuser -v {path} names it; if it names nobody: {RELOAD}")


def _pids(holders: Sequence[v4l2.Holder]) -> str:
    return " ".join(str(holder.pid) for holder in holders)


def absent(root: Path = Path("/"), release: str = "") -> OutputError:
    """Why there is no device at all, with this distribution's command that fixes it: LOAD or RELOAD where the module
    is there. `root`: of the file system; `release`: of the kernel that runs, "" to ask it."""
    release = release or platform.release()
    module, modules = "the kernel module v4l2loopback", root / "lib/modules"
    if (root / "sys/module/v4l2loopback").exists():
        return OutputError(f"{module} is loaded but has no device", fix=RELOAD)
    try:
        if "/v4l2loopback.ko" in (modules / release / "modules.dep").read_text(errors="replace"):
            return OutputError(f"{module} is not loaded", fix=LOAD)
    except OSError:
        # An update has replaced the running kernel, and its modules with it. In a container there are none at all.
        if not (modules / release).exists() and any(modules.glob("*/modules.dep")):
            return OutputError(f"the running kernel {release} was replaced by an update", fix="sudo reboot")
    if [*(root / "usr/src").glob("v4l2loopback-*"), *(root / "usr/src/akmods").glob("v4l2loopback*")]:
        message = f"{module} is installed but not built for the running kernel {release}"
        return OutputError(message, fix=f"{rebuild_loopback()} && {LOAD}")
    return OutputError(f"{module} is not installed", fix=f"{install_loopback()} && {LOAD}")


def module_version(root: Path = Path("/")) -> str:
    """Such as "0.12.7", as the module says or else DKMS, which built it; "" where neither does."""
    try:
        return (root / "sys/module/v4l2loopback/version").read_text().strip()
    except OSError:
        built = (root / "var/lib/dkms/v4l2loopback").glob(f"*/{platform.release()}")
        return next((folder.parent.name for folder in built), "")


class LoopbackDevice:
    """An open device; see `vbgcam.output.base.Device`."""

    def __init__(self, device: Loopback, size: Size, fps: float) -> None:
        """Raises OutputError."""
        self.label = str(device)
        path = self._path = device.node.path
        self._warned = False
        i420 = pyvirtualcam.PixelFormat.I420
        try:
            self._camera = pyvirtualcam.Camera(
                size.width, size.height, fps, fmt=i420, device=str(path), backend="v4l2loopback"
            )
        except RuntimeError as exc:
            raise _refusal(device, size, None, str(exc)) from exc
        try:
            ours = v4l2.descriptors(Path("/proc/self"), path)
            self._fd = next((fd for fd, write_only in ours if write_only), -1)  # pyvirtualcam's
            took = v4l2.get_format(self._fd, v4l2.OUTPUT)
            if took != v4l2.Format(size, "YU12"):
                self._camera.close()  # so that those who are still there are the readers
                raise _refusal(device, size, took, "the driver keeps its format")
            rate = v4l2.set_rate(self._fd, v4l2.OUTPUT, fps)
            log.debug("%s: I420 %s at %g fps", self.label, size, rate)
            _start(self._fd)
        except OSError as exc:
            self._camera.close()
            raise OutputError(f"the virtual camera {device} cannot be set up ({exc.strerror})", fix=RELOAD) from exc
        except BaseException:
            self._camera.close()
            raise

    def send(self, planes: Planes, at: float) -> None:
        """Writes the picture at once. Raises OutputError."""
        try:
            written = v4l2.write(self._fd, planes.data)
            capability = v4l2.capability(self._fd)
        except OSError as exc:
            raise self._gone(exc) from exc
        if not capability.captures:
            raise OutputError(f"the virtual camera {self.label} takes no frames", fix=RELOAD)
        if written != planes.data.size:
            raise OutputError(f"the virtual camera {self.label} cuts the frames short", fix=RELOAD)
        if capability.outputs and not self._warned:
            self._warned = True
            log.warning("%s lacks exclusive_caps=1: Chrome and Zoom will not list it; %s", self.label, RELOAD)

    def reader_monitor(self) -> ReaderMonitor | None:
        """See `readers`. Raises OutputError where the device is gone."""
        try:
            return open_monitor(self._path)
        except OSError as exc:
            if exc.errno in v4l2.GONE:
                raise self._gone(exc) from exc
            # Such as EMFILE, where other programs have taken all of a user's inotify instances (128).
            log.warning("who reads %s cannot be told (%s): the camera stays on", self.label, exc.strerror)
            return None

    def close(self) -> None:
        """Lets the driver forget its writer."""
        try:
            v4l2.stream_off(self._fd, v4l2.OUTPUT)
        except OSError as exc:
            log.debug("%s: STREAMOFF: %s", self.label, exc)
        self._camera.close()

    def _gone(self, exc: OSError) -> OutputError:
        return OutputError(f"the virtual camera {self.label} is gone ({exc.strerror})", fix=LOAD)


def open_loopback(target: str, size: Size, fps: float) -> LoopbackDevice:
    """The device that is meant (see `choose`), ready to be written to. Raises OutputError."""
    devices = loopbacks()
    if not devices:
        raise absent()
    device = choose(target, devices)
    if device.lost:  # what cannot be revived does not open
        with suppress(OSError), v4l2.opened(device.node.path) as fd:
            _start(fd)
            log.info("revived %s, which its last writer had left unusable", device)
    return LoopbackDevice(device, size, fps)


def _start(fd: int) -> None:
    """STREAMON; EINVAL is no error: there are no buffers to stream, and the driver has taken note of its writer."""
    try:
        v4l2.stream_on(fd, v4l2.OUTPUT)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise


def _refusal(device: Loopback, size: Size, took: v4l2.Format | None, reason: str) -> OutputError:
    """Why it did not open, by a second look: somebody else was faster, or it is kept at another format (`took`)."""
    now = inspect(device.node)
    if now is None:
        return OutputError(f"the virtual camera {device} is gone", fix=LOAD)
    if now.state != "free":
        return _unusable([now])
    readers, path = now.holders, device.node.path
    if took is None and readers:
        with suppress(OSError), v4l2.opened(path) as fd:
            took = v4l2.get_format(fd, v4l2.OUTPUT)
    if took in (None, v4l2.Format(size, "YU12")):
        return OutputError(f"the virtual camera {device} cannot be opened ({reason})", fix=RELOAD)
    by, fix = "", f"v4l2-ctl -d {path} -c keep_format=0, or {RELOAD}"
    if readers:
        by = f" by {', '.join(map(str, readers))}"
        fix = f"close the camera there, or: kill {_pids(readers)}"
    held = f"{took.size} {took.fourcc}"
    return OutputError(f"the virtual camera {device} is kept at {held}{by} and cannot become {size}", fix=fix)
