"""Which Linux distribution this is, and its own commands for what a person has to install.

Known by /etc/os-release, by ID or else by ID_LIKE (Ubuntu, Mint and Raspberry Pi OS are like Debian, Rocky like Fedora,
Manjaro like Arch). Elsewhere a plain sentence stands in place of a command.
"""

import platform
from collections.abc import Mapping
from typing import Final, Literal

Manager = Literal["apt", "dnf", "pacman", "zypper", ""]

_MANAGERS: Final[dict[str, Manager]] = {
    "debian": "apt",
    "ubuntu": "apt",
    "fedora": "dnf",
    "rhel": "dnf",
    "arch": "pacman",
    "suse": "zypper",
    "opensuse": "zypper",
}
_INSTALL: Final[dict[Manager, str]] = {
    "apt": "sudo apt install",
    "dnf": "sudo dnf install",
    "pacman": "sudo pacman -S --needed",
    "zypper": "sudo zypper install",
}
# Fedora has no kernel modules of others; RPM Fusion builds them.
_RPM_FUSION: Final = "https://mirrors.rpmfusion.org/free/fedora/rpmfusion-free-release-$(rpm -E %fedora).noarch.rpm"
_LOOPBACK: Final[dict[Manager, str]] = {
    "apt": "sudo apt install v4l2loopback-dkms",
    "dnf": f"sudo dnf install {_RPM_FUSION} && sudo dnf install akmod-v4l2loopback && sudo akmods --force",
    "pacman": "sudo pacman -S --needed v4l2loopback-dkms linux-headers",
    "zypper": "sudo zypper install v4l2loopback-kmp-default",
}
_REBUILD: Final[dict[Manager, str]] = {
    "apt": "sudo apt install linux-headers-$(uname -r) && sudo dkms autoinstall",
    "dnf": "sudo dnf install kernel-devel-$(uname -r) && sudo akmods --force",
    "pacman": "sudo pacman -S --needed linux-headers && sudo dkms autoinstall",
    "zypper": "sudo zypper install --force v4l2loopback-kmp-default",
}
_NVIDIA: Final[dict[Manager, str]] = {
    "apt": "sudo apt install nvidia-driver && sudo reboot",
    "dnf": "sudo dnf install akmod-nvidia && sudo akmods --force && sudo reboot",
    "pacman": "sudo pacman -S --needed nvidia && sudo reboot",
}
START_PIPEWIRE: Final = "systemctl --user enable --now pipewire.socket wireplumber.service"
"""The same in every distribution that has systemd."""
# What opencv-python needs of the system and its wheel does not bring.
OPENCV: Final[dict[Manager, str]] = {
    "apt": "libgl1 libglib2.0-0",
    "dnf": "mesa-libGL glib2",
    "pacman": "libglvnd glib2",
    "zypper": "Mesa-libGL1 libglib-2_0-0",
    "": "libGL and glib",
}
# GTK for Python and what puts an icon with a menu into a panel; the last one brings pictures into that menu.
TRAY: Final[dict[Manager, str]] = {
    "apt": "python3-gi gir1.2-gtk-3.0 gir1.2-ayatanaappindicator3-0.1 gir1.2-dbusmenu-gtk3-0.4",
    "dnf": "python3-gobject gtk3 libayatana-appindicator-gtk3 libdbusmenu-gtk3",
    "pacman": "python-gobject gtk3 libayatana-appindicator libdbusmenu-gtk3",
    "zypper": "python3-gobject typelib-1_0-Gtk-3_0 typelib-1_0-AyatanaAppIndicator3-0_1 typelib-1_0-DbusmenuGtk3-0_4",
    "": "PyGObject, GTK 3 and libayatana-appindicator",
}


def names() -> list[str]:
    """ID, then what ID_LIKE names; [] where no file says it."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return []
    return [*release["ID"].split(), *release.get("ID_LIKE", "").split()]


def manager() -> Manager:
    """The program that installs packages; "" on an unknown distribution."""
    return next((_MANAGERS[name] for name in names() if name in _MANAGERS), "")


def install(packages: str | Mapping[Manager, str]) -> str:
    """The command that installs packages: a text where they have the same names in every distribution."""
    by = manager()
    names = packages if isinstance(packages, str) else packages[by]
    return f"{_INSTALL[by]} {names}" if by else f"install {names} with your distribution's package manager"


def install_loopback() -> str:
    """Installs and builds the kernel module v4l2loopback."""
    return _LOOPBACK.get(manager(), "install v4l2loopback with your distribution's package manager")


def rebuild_loopback() -> str:
    """Builds the installed module for the kernel that runs."""
    return _REBUILD.get(manager(), "install the headers of the running kernel and run sudo dkms autoinstall")


def install_nvidia() -> str:
    """Installs the driver of NVIDIA's GPUs."""
    if "ubuntu" in names():
        return "sudo ubuntu-drivers install && sudo reboot"
    return _NVIDIA.get(manager(), "install NVIDIA's driver as your distribution describes it")
