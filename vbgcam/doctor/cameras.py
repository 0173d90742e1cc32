"""The camera that films: is it there, may it be opened, has it a mode that can be read, does another program use it."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vbgcam.doctor.check import Check, ok, wrong
from vbgcam.doctor.machine import Machine

if TYPE_CHECKING:
    from vbgcam.camera.base import CameraInfo
    from vbgcam.settings.schema import Settings


def check(machine: Machine, settings: Settings) -> Iterator[Check]:
    """Asks without lighting a camera's LED."""
    from vbgcam import factory
    from vbgcam.camera.listing import offers
    from vbgcam.core.errors import CameraError
    from vbgcam.core.specs import SourceSpec

    spec = SourceSpec.parse(settings.camera.source)
    if spec.kind != "camera":
        yield ok("camera", f"none is needed: camera.source is {settings.camera.source}")
        return
    try:
        found = machine.cameras()
        if not found:
            yield _none(machine)
            return
        for other in found:
            yield ok("camera", f"{other}: {offers(other) or 'its modes are unknown'}")
        meant = machine.camera(spec.target, factory.wanted(settings))
    except CameraError as exc:
        yield wrong("camera choice", exc.message, exc.fix or "vbgcam devices")
        return
    yield _usable(machine, meant)


def _usable(machine: Machine, camera: CameraInfo) -> Check:
    name = "camera use"
    if camera.problem in (errno.EACCES, errno.EPERM):
        found, fix = denied(machine, Path(camera.path))
        return wrong("camera permission", f"you may not open {camera}: {found}", fix)
    ours = [holder.pid for holder in machine.holders(camera.path) if machine.is_ours(holder.pid)]
    if ours:
        return ok(name, f"{camera} films for vbgcam, which is running (pid {ours[0]})")
    refused = machine.camera_in_use(camera)
    return ok(name, f"{camera} is free") if refused is None else wrong(name, refused.message, refused.fix)


def _none(machine: Machine) -> Check:
    """No camera, and why."""
    from vbgcam.system.v4l2 import nodes

    known = machine.root / "sys/class/video4linux"
    cameras = [node.path for node in nodes(known) if not (known / node.path.name / "max_openers").exists()]
    hidden = [path for path in cameras if not (machine.root / path.relative_to("/")).exists()]
    if hidden and machine.container:
        fix = f"start the container with --device {hidden[0]}"
        return wrong("camera", f"the kernel has {hidden[0]}, but it is not in this container", fix)
    for place in (machine.root / "sys/bus/usb/devices").glob("*/bInterfaceClass"):
        # Of the class that USB calls video.
        if machine.text(place) == "0e" and not (place.parent / "driver").exists():
            return wrong("camera", "a USB webcam is plugged in, but it has no driver", "sudo modprobe uvcvideo")
    return wrong("camera", "no camera is plugged in", "plug one in, then vbgcam devices; vbgcam demo needs none")


def denied(machine: Machine, path: Path) -> tuple[str, str]:
    """What was found, and the fix. `path`: of the device, such as /dev/video10, which the system did not let the user
    open."""
    try:
        status = (machine.root / path.relative_to("/")).stat()
    except OSError as exc:
        return f"{path} cannot be looked at: {exc.strerror}", f"ls -l {path}"
    lines = [line.split(":") for line in machine.text("etc/group").splitlines()]
    groups = {fields[2]: fields[0] for fields in lines if len(fields) == 4}
    members = {fields[0]: fields[3].split(",") for fields in lines if len(fields) == 4}
    group = groups.get(str(status.st_gid), str(status.st_gid))
    shown = f"{path} ({stat.filemode(status.st_mode)} {group})"
    join = "sudo usermod -aG {} $USER, then log in again"
    # read and write for the group is what udev gives a video device
    if status.st_mode & 0o060 != 0o060 or group == "root":
        then = "" if machine.user in members.get("video", ()) else f" && {join.format('video')}"
        return f"{shown} is closed to its group", f"sudo chgrp video {path} && sudo chmod 660 {path}{then}"
    if status.st_gid in machine.groups:
        if machine.container:
            return f"{shown} is not let into this container", f"start the container with --device {path}"
        return f"{shown} is refused although you are in the group", f"getfacl {path}; sudo aa-status; getenforce"
    if machine.user in members.get(group, ()):
        return f"{shown}: you are in the group {group}, but not in this login yet", "log out and in again"
    return f"{shown}: you are not in the group {group}", join.format(group)
