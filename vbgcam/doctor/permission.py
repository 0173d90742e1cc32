"""Why a person may not open a video device, and what lets them."""

import stat
from pathlib import Path

from vbgcam.doctor.machine import Machine


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
