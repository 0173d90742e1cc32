"""The kernel module v4l2loopback: is it there, is it built, may it be loaded, which version is it."""

import re
from collections.abc import Iterator
from typing import Final

from vbgcam.doctor.check import Check, note, ok, wrong
from vbgcam.doctor.machine import Machine
from vbgcam.system import linux_packages

_SECURE_BOOT: Final = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# What the kernel writes when it turns a module away: kernel/module/signing.c and security/lockdown.
_REFUSED: Final = re.compile(
    r"unsigned module loading is restricted"
    r"|Loading of (?:unsigned module|module with (?:unavailable key|unsupported crypto)) is rejected"
)
# Public halves of the keys that DKMS (Ubuntu; Debian and Arch) and akmods (Fedora) sign with.
_KEYS: Final = ("var/lib/shim-signed/mok/MOK.der", "var/lib/dkms/mok.pub", "etc/pki/akmods/certs/public_key.der")
_ENROL: Final = 'choose "Enroll MOK" in the blue menu at the start'


def check(machine: Machine) -> Iterator[Check]:
    """What keeps the module from being loaded. Linux only."""
    from vbgcam.output.loopback import LOAD, RELOAD, absent, module_version

    error = absent(machine.root, machine.release)
    if error.fix not in (LOAD, RELOAD):
        yield wrong("kernel module", error.message, machine.on_host(error.fix))
        return
    loaded = error.fix == RELOAD
    # Neither DKMS nor some builds of the module tell; modinfo reads the file.
    version = module_version(machine.root)
    if not version:
        said = machine.run("modinfo", "-F", "version", "v4l2loopback")
        version = said.out if said.good else ""
    called = f"v4l2loopback {version}".rstrip()
    yield ok("kernel module", f"{called} is {'loaded' if loaded else 'built for the kernel that runs'}")
    # The client-usage event that tells readers from probing apps came with 0.13.
    if version and tuple(map(int, re.findall(r"\d+", version)[:2])) < (0, 13):
        yield note("module version", f"{version}: from 0.13 on the module itself says whether an app reads the camera")
    else:
        yield ok("module version", version or "the module does not say")
    yield from _secure_boot(machine, loaded)


def _secure_boot(machine: Machine, loaded: bool) -> Iterator[Check]:
    name = "Secure Boot"
    if not _enforced(machine):
        yield ok(name, "off, or not there: any module may be loaded")
    elif loaded:
        yield ok(name, "on, and lets v4l2loopback in")
    else:
        key = next((f"/{place}" for place in _KEYS if (machine.root / place).exists()), "")
        why = _refusal(machine, key)
        if why:
            yield wrong(name, f"on, and keeps v4l2loopback out: {why}", _enrol(machine, key))
        else:
            yield ok(name, "on; nothing says that it keeps v4l2loopback out")


def _enforced(machine: Machine) -> bool:
    try:
        # Four bytes of attributes, then the value.
        return (machine.root / _SECURE_BOOT).read_bytes()[4:5] == b"\1"
    except OSError:
        return machine.run("mokutil", "--sb-state").out.startswith("SecureBoot enabled")


def _refusal(machine: Machine, key: str) -> str:
    """Why the kernel would not take the module, in words; "" where nothing says so."""
    for command in (("dmesg",), ("journalctl", "-k", "-b", "-q", "--no-pager", "-n", "3000")):
        said = machine.run(*command)
        if said.good and _REFUSED.search(said.out):
            return "the kernel has turned an unsigned module away"
    signer = machine.run("modinfo", "-F", "signer", "v4l2loopback")
    if signer.good and not signer.out:
        return "it is not signed"
    if key and "is not enrolled" in machine.run("mokutil", "--test-key", key).out:
        return f"the key that it is signed with, {key}, is not enrolled"
    return ""


def _enrol(machine: Machine, key: str) -> str:
    if key:
        return f"sudo mokutil --import {key} && sudo reboot, then {_ENROL}"
    manager = linux_packages.manager()
    if manager == "dnf":
        make, key = "sudo kmodgenca -a", _KEYS[2]
    elif "ubuntu" in linux_packages.names():
        make, key = "sudo update-secureboot-policy --new-key", _KEYS[0]
    elif manager in ("apt", "pacman"):
        make, key = "sudo dkms generate_mok", _KEYS[1]
        make += " && sudo dkms install --force v4l2loopback/$(modinfo -F version v4l2loopback)"
    else:
        return "sign the module with a key of your own and enrol it with mokutil, or turn Secure Boot off"
    return f"{make} && sudo mokutil --import /{key} && sudo reboot, then {_ENROL}"
