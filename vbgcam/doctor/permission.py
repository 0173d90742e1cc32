"""Why a person may not open a video device, and what lets them."""

from __future__ import annotations

import stat
from pathlib import Path

from vbgcam.doctor.machine import Machine


def denied(machine: Machine, path: Path) -> tuple[str, str]:
    """What was found, and the command. `path`: of the device, such as /dev/video10, which the system did not let the
    user open."""
    place = machine.root / path.relative_to("/")
    try:
        status = place.stat()
    except OSError as exc:
        return f"{path} cannot be looked at: {exc.strerror}", f"ls -l {path}"
    groups = _groups(machine)
    group, members = groups.get(status.st_gid, (str(status.st_gid), frozenset()))
    shown = f"{path} ({stat.filemode(status.st_mode)} {group})"
    join = "" if machine.user in _members(groups, "video") else " && sudo usermod -aG video $USER, then log in again"
    # read and write for the group is what udev gives a video device
    if status.st_mode & 0o060 != 0o060 or group == "root":
        return f"{shown} is closed to its group", f"sudo chgrp video {path} && sudo chmod 660 {path}{join}"
    if status.st_gid in machine.groups:
        if machine.container:
            return f"{shown} is not let into this container", f"start the container with --device {path}"
        return f"{shown} is refused although you are in the group", f"getfacl {path}; sudo aa-status; getenforce"
    if machine.user in members:
        return f"{shown}: you are in the group {group}, but not in this login yet", "log out and in again"
    return f"{shown}: you are not in the group {group}", f"sudo usermod -aG {group} $USER, then log in again"


def _groups(machine: Machine) -> dict[int, tuple[str, frozenset[str]]]:
    """Names and members by number, from /etc/group."""
    found = {}
    for line in machine.text("etc/group").splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdecimal():
            found[int(fields[2])] = (fields[0], frozenset(fields[3].split(",")))
    return found


def _members(groups: dict[int, tuple[str, frozenset[str]]], name: str) -> frozenset[str]:
    return next((members for group, members in groups.values() if group == name), frozenset())
