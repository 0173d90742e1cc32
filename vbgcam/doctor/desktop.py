"""The desktop around it: PipeWire, the portal, the browsers' switches, a host for the tray icon."""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Final

from vbgcam.doctor.check import Check, note, ok, wrong
from vbgcam.doctor.machine import Machine
from vbgcam.system import linux_packages

# Debian 12's, the oldest that cameras were read through.
_OLDEST: Final = (0, 3, 65)
_PORTAL: Final = "org.freedesktop.portal.Desktop"
_WATCHER: Final = "org.kde.StatusNotifierWatcher"
_FIREFOX: Final = re.compile(r'user_pref\("media\.webrtc\.camera\.allow-pipewire", *(true|false)\)')
_FIREFOX_SWITCH: Final = "about:config media.webrtc.camera.allow-pipewire"
_CHROMIUMS: Final = {"Chrome": "google-chrome", "Chromium": "chromium"}
_CHROMIUM_SWITCH: Final = "chrome://flags/#enable-webrtc-pipewire-camera"
_PANELS: Final = {"KDE": "systemctl --user restart plasma-plasmashell.service", "XFCE": "xfce4-panel --add=systray"}


def check(machine: Machine, *, needed: bool = False) -> Iterator[Check]:
    """`needed`: whether the picture goes to PipeWire; else it is worth a note only, for the kernel module's camera does
    without it. Linux only."""
    running = runs(machine)
    yield _pipewire(machine, running, wrong if needed else note)
    yield _portal(machine)
    yield from _browsers(machine, running, needed=needed)
    yield _tray(machine)


def runs(machine: Machine) -> bool:
    """Whether PipeWire's socket is there."""
    folder = machine.env.get("PIPEWIRE_RUNTIME_DIR") or machine.env.get("XDG_RUNTIME_DIR", "")
    return bool(folder) and (machine.root / folder.lstrip("/") / "pipewire-0").exists()


def _pipewire(machine: Machine, running: bool, lacking: Callable[[str, str, str], Check]) -> Check:
    """`lacking`: the check of what PipeWire needs to work."""
    name = "PipeWire"
    install = linux_packages.install("pipewire wireplumber")
    found = re.search(r"Linked with libpipewire (\d+)\.(\d+)\.(\d+)", machine.run("pipewire", "--version").out)
    if not found:
        return lacking(name, "not installed: apps in a sandbox (Flatpak, Snap) may see no camera", install)
    version = ".".join(found.groups())
    if tuple(map(int, found.groups())) < _OLDEST:
        oldest = f"{version} is older than {'.'.join(map(str, _OLDEST))}, the oldest that was tried with cameras"
        return note(name, oldest, f"upgrade the distribution, or {install} from its backports")
    if not running:
        return lacking(name, f"{version} is installed but does not run in this session", linux_packages.START_PIPEWIRE)
    managers = {machine.text(f"proc/{place.name}/comm") for place in (machine.root / "proc").glob("[0-9]*")}
    if "wireplumber" not in managers and "pipewire-media-" not in managers:
        start = "systemctl --user enable --now wireplumber.service"
        return lacking(name, f"{version} runs without a session manager: it hands out no cameras", start)
    return ok(name, f"{version} runs")


def _portal(machine: Machine) -> Check:
    name = "portal"
    if machine.bus_has(_PORTAL):
        return ok(name, "runs: it asks you once before an app may use a camera of PipeWire's")
    if (machine.root / f"usr/share/dbus-1/services/{_PORTAL}.service").exists():
        return ok(name, "installed; it starts when an app asks for a camera")
    install = linux_packages.install("xdg-desktop-portal xdg-desktop-portal-gtk")
    return note(name, "not installed: browsers get no cameras from PipeWire", install)


def _browsers(machine: Machine, running: bool, *, needed: bool) -> Iterator[Check]:
    """Whether they look for cameras in /dev, as they do by default, or ask PipeWire."""
    name = "browser"
    switches: dict[str, bool] = {}
    for browser, folder in _CHROMIUMS.items():
        with contextlib.suppress(OSError):
            state = (machine.home / ".config" / folder / "Local State").read_text(errors="replace")
            switches[browser] = "enable-webrtc-pipewire-camera@1" in state
    for profile in sorted((machine.home / ".mozilla/firefox").glob("*/prefs.js")):
        chosen = _FIREFOX.findall(profile.read_text(errors="replace"))
        switches["Firefox"] = switches.get("Firefox", False) or chosen[-1:] == ["true"]
    for browser, asks in switches.items():
        where = _CHROMIUM_SWITCH if browser in _CHROMIUMS else _FIREFOX_SWITCH
        if asks and not running:
            found = f"{browser} is told to ask PipeWire for cameras, which does not run: it will list none"
            yield note(name, found, f"switch it off there: {where}")
        elif asks:
            yield ok(name, f"{browser} asks PipeWire for cameras")
        elif needed:
            found = f"{browser} looks for cameras in /dev alone and lists none of PipeWire's"
            yield note(name, found, f"switch {where} on")
        else:
            yield ok(name, f"{browser} looks for cameras in /dev; for PipeWire's: {where}")


def _tray(machine: Machine) -> Check:
    """On GNOME an icon is silently invisible without an extension. A window manager without a tray is somebody's
    choice."""
    name = "tray host"
    desktop = machine.env.get("XDG_CURRENT_DESKTOP", "").upper()
    if not (machine.env.get("DISPLAY") or machine.env.get("WAYLAND_DISPLAY")):
        return note(name, "no desktop session: no tray icon, all else works")
    shown = machine.bus_has(_WATCHER)
    if shown:
        return ok(name, "the desktop shows tray icons")
    if shown is None:
        return note(name, "the session bus cannot be asked", linux_packages.install("dbus-x11"))
    found = "nothing shows tray icons here: vbgcam's would be invisible"
    if "GNOME" in desktop:
        # Debian and Ubuntu ship the extension under a name of Ubuntu's.
        ubuntus = linux_packages.manager() == "apt"
        extension = "ubuntu-appindicators@ubuntu.com" if ubuntus else "appindicatorsupport@rgcjonas.gmail.com"
        package = linux_packages.install("gnome-shell-extension-appindicator")
        return wrong(name, found, f"{package}, log out and in, then gnome-extensions enable {extension}")
    for known, fix in _PANELS.items():
        if known in desktop:
            return wrong(name, found, fix)
    return note(name, found, "start a bar with a tray, such as waybar or polybar, or snixembed")
