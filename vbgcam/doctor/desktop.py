"""The desktop around it: PipeWire, the portal, the browsers' switches, a host for the tray icon."""

from __future__ import annotations

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
_CHROMIUMS: Final = {"Chrome": "google-chrome", "Chromium": "chromium"}


def check(machine: Machine, *, shows: bool = False) -> Iterator[Check]:
    """`shows`: whether the picture goes to PipeWire; else it is worth a note only, for the kernel module's camera does
    without it. Linux only."""
    running = runs(machine)
    yield _pipewire(machine, running, _needed if shows else note)
    yield _portal(machine)
    yield from _browsers(machine, running, shows=shows)
    yield _tray(machine)


def _needed(name: str, found: str, fix: str) -> Check:
    return wrong(name, found, fix)


def runs(machine: Machine) -> bool:
    """Whether PipeWire's socket is there."""
    folder = machine.env.get("PIPEWIRE_RUNTIME_DIR") or machine.env.get("XDG_RUNTIME_DIR", "")
    return bool(folder) and (machine.root / folder.lstrip("/") / "pipewire-0").exists()


def _pipewire(machine: Machine, running: bool, say: Callable[[str, str, str], Check]) -> Check:
    name = "PipeWire"
    said = machine.run("pipewire", "--version")
    found = re.search(r"Linked with libpipewire (\d+)\.(\d+)\.(\d+)", said.out)
    if not found:
        return say(
            name,
            "not installed: apps in a sandbox (Flatpak, Snap) may see no camera",
            linux_packages.install("pipewire wireplumber"),
        )
    version = ".".join(found.groups())
    if tuple(map(int, found.groups())) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        return note(
            name,
            f"{version} is older than {oldest}, the oldest that was tried with cameras",
            f"upgrade the distribution, or {linux_packages.install('pipewire wireplumber')} from its backports",
        )
    if not running:
        return say(name, f"{version} is installed but does not run in this session", linux_packages.START_PIPEWIRE)
    managers = {machine.text(f"proc/{place.name}/comm") for place in (machine.root / "proc").glob("[0-9]*")}
    if "wireplumber" not in managers and "pipewire-media-" not in managers:
        start = "systemctl --user enable --now wireplumber.service"
        return say(name, f"{version} runs without a session manager: it hands out no cameras", start)
    return ok(name, f"{version} runs")


def _portal(machine: Machine) -> Check:
    name = "portal"
    if machine.bus_has(_PORTAL):
        return ok(name, "runs: it asks you once before an app may use a camera of PipeWire's")
    if (machine.root / f"usr/share/dbus-1/services/{_PORTAL}.service").exists():
        return ok(name, "installed; it starts when an app asks for a camera")
    return note(
        name,
        "not installed: browsers get no cameras from PipeWire",
        linux_packages.install("xdg-desktop-portal xdg-desktop-portal-gtk"),
    )


def _browsers(machine: Machine, running: bool, *, shows: bool) -> Iterator[Check]:
    """Whether they look for cameras in /dev, as they do by default, or ask PipeWire."""
    name = "browser"
    switches: dict[str, bool] = {}
    for browser, folder in _CHROMIUMS.items():
        try:
            state = (machine.home / ".config" / folder / "Local State").read_text(errors="replace")
        except OSError:
            continue
        switches[browser] = "enable-webrtc-pipewire-camera@1" in state
    for profile in sorted((machine.home / ".mozilla/firefox").glob("*/prefs.js")):
        chosen = _FIREFOX.findall(profile.read_text(errors="replace"))
        switches["Firefox"] = switches.get("Firefox", False) or chosen[-1:] == ["true"]
    for browser, asks in switches.items():
        where = (
            "about:config media.webrtc.camera.allow-pipewire"
            if browser == "Firefox"
            else ("chrome://flags/#enable-webrtc-pipewire-camera")
        )
        if asks and not running:
            found = f"{browser} is told to ask PipeWire for cameras, which does not run: it will list none"
            yield note(name, found, f"switch it off there: {where}")
        elif asks:
            yield ok(name, f"{browser} asks PipeWire for cameras")
        elif shows:
            yield note(
                name, f"{browser} looks for cameras in /dev alone and lists none of PipeWire's", f"switch {where} on"
            )
        else:
            yield ok(name, f"{browser} looks for cameras in /dev; for PipeWire's: {where}")


def _tray(machine: Machine) -> Check:
    """Who has a full desktop expects an icon; on GNOME it is silently invisible without an extension. A window manager
    without a tray is somebody's choice."""
    name = "tray host"
    desktop = machine.env.get("XDG_CURRENT_DESKTOP", "").upper()
    if not (machine.env.get("DISPLAY") or machine.env.get("WAYLAND_DISPLAY")):
        return note(name, "no desktop session: no tray icon, all else works")
    there = machine.bus_has(_WATCHER)
    if there:
        return ok(name, "the desktop shows tray icons")
    if there is None:
        return note(name, "the session bus cannot be asked", linux_packages.install("dbus-x11"))
    found = "nothing shows tray icons here: vbgcam's would be invisible"
    if "GNOME" in desktop:
        # Debian and Ubuntu ship the extension under a name of Ubuntu's.
        ubuntus = linux_packages.manager() == "apt"
        extension = "ubuntu-appindicators@ubuntu.com" if ubuntus else "appindicatorsupport@rgcjonas.gmail.com"
        package = linux_packages.install("gnome-shell-extension-appindicator")
        return wrong(name, found, f"{package}, log out and in, then gnome-extensions enable {extension}")
    if "KDE" in desktop:
        return wrong(name, found, "systemctl --user restart plasma-plasmashell.service")
    if "XFCE" in desktop:
        return wrong(name, found, "xfce4-panel --add=systray")
    return note(name, found, "start a bar with a tray, such as waybar or polybar, or snixembed")
