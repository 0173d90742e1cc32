"""The virtual camera: is there a device, does it bear the right name, do apps list it, may we write to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vbgcam.doctor.cameras import denied
from vbgcam.doctor.check import Check, note, ok, wrong
from vbgcam.doctor.machine import Machine

if TYPE_CHECKING:
    from vbgcam.core.errors import OutputError
    from vbgcam.output.loopback import Loopback
    from vbgcam.settings.schema import Settings


def elsewhere(machine: Machine) -> Iterator[Check]:
    """Windows and macOS: what other programs have installed."""
    from vbgcam.output.virtualcam import plain_fix, virtual_cameras

    found = virtual_cameras(machine.system)
    if found:
        yield ok("virtual camera", ", ".join(f"{item.name} ({item.driver})" for item in found))
    elif machine.system == "win32":
        yield wrong("virtual camera", "neither OBS's nor UnityCapture's is installed", plain_fix("win32"))
    else:
        yield note("virtual camera", "macOS does not say which there are", plain_fix(machine.system))


def check(machine: Machine, settings: Settings) -> Iterator[Check]:
    """The loaded module's device. Says nothing where the module is not even built: that is said already. Linux only."""
    from vbgcam.core.errors import OutputError
    from vbgcam.core.specs import SinkSpec
    from vbgcam.output.base import DEFAULT_NAME
    from vbgcam.output.loopback import RELOAD, absent, choose

    absence = absent(machine.root, machine.release)
    devices = machine.loopbacks() if absence.fix == RELOAD else []
    if not devices:
        yield from _none(machine, absence)
        return
    yield ok("virtual camera", ", ".join(map(str, devices)))
    sink = SinkSpec.parse(settings.output.sink)
    target = sink.target if sink.kind in ("virtualcam", "both") else ""
    if not Path(target).is_absolute():
        name = target or DEFAULT_NAME
        meant = [device for device in devices if device.node.label == name]
        if meant:
            yield ok("label", f'"{name}"')
        else:
            there = " and ".join(f'"{device.node.label}" ({device.node.path})' for device in devices)
            yield wrong("label", f'no virtual camera is named "{name}"; there is {there}', _reload(name, devices))
        target = str((meant or devices)[0].node.path)
    device, error = next((device for device in devices if str(device.node.path) == target), None), None
    try:
        device = choose(target, devices)
    except OutputError as exc:
        error = exc
        if device is None:
            yield wrong("virtual camera", exc.message, f"choose another one with output.sink: {exc.fix}")
            return
    path = device.node.path
    yield from _listed(machine, device, _reload(device.node.label, devices))
    if device.state == "no permission":
        found, fix = denied(machine, path)
        yield wrong("permission", f"you may not write to the virtual camera: {found}", fix)
        return
    yield ok("permission", f"{path} may be opened")
    ours = [holder for holder in device.holders if machine.is_ours(holder.pid)]
    if error is None:
        readers = f", read by {', '.join(map(str, device.holders))}" if device.holders else ""
        lost = "was left unusable by its last writer; `vbgcam run` revives it"
        yield ok("in use", f"{path} {lost if device.lost else f'is free to be fed{readers}'}")
    elif ours:
        yield ok("in use", f"{path} is fed by vbgcam itself, which is running (pid {ours[0].pid})")
    else:
        yield wrong("in use", error.message, error.fix)


def _none(machine: Machine, absence: OutputError) -> Iterator[Check]:
    from vbgcam.output.loopback import LOAD, RELOAD

    hidden = [
        place.name
        for place in sorted((machine.root / "sys/class/video4linux").glob("video*"))
        if (place / "max_openers").exists() and not (machine.root / "dev" / place.name).exists()
    ]
    if hidden:
        path = f"/dev/{hidden[0]}"
        fix = f"start the container with --device {path}" if machine.container else "sudo udevadm trigger"
        yield wrong("virtual camera", f"the kernel has a v4l2loopback device, but {path} is not here", fix)
    elif absence.fix in (LOAD, RELOAD):
        yield wrong("virtual camera", absence.message, machine.on_host(absence.fix))


def _listed(machine: Machine, device: Loopback, fix: str) -> Iterator[Check]:
    """Chrome, Zoom and Teams list no camera that also announces OUTPUT."""
    parameter = _parameter(machine, device)
    both = device.capability is not None and device.capability.captures and device.capability.outputs
    # With keep_format=1 an idle device announces both for a while; the parameter knows better.
    if parameter is False or (parameter is None and both):
        found = f"{device.node.path} was made with exclusive_caps=0: Chrome, Zoom and Teams will not list it"
        yield wrong("exclusive_caps", found, fix)
    elif parameter or device.capability is not None:
        yield ok("exclusive_caps", "1: Chrome, Zoom and Teams list the camera while it is fed")


def _parameter(machine: Machine, device: Loopback) -> bool | None:
    """exclusive_caps as the module was loaded with; None for a device that was added later."""
    numbers = machine.text("sys/module/v4l2loopback/parameters/video_nr").split(",")
    values = machine.text("sys/module/v4l2loopback/parameters/exclusive_caps").split(",")
    if str(device.node.number) not in numbers:
        return None
    place = numbers.index(str(device.node.number))
    return values[place] in ("Y", "1") if place < len(values) else None


def _reload(name: str, devices: Sequence[Loopback]) -> str:
    """Loads the module anew with that name; while anybody has a device of it open, the kernel keeps it."""
    from vbgcam.output.base import DEFAULT_NAME
    from vbgcam.output.loopback import RELOAD

    command = RELOAD.replace(f'"{DEFAULT_NAME}"', f'"{name}"')
    users = sorted({str(holder) for device in devices for holder in device.holders})
    return f"close {', '.join(users)}, then {command}" if users else command
