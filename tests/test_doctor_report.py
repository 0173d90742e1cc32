"""The report for an issue: all that helps, nothing that is private."""

import platform
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.machines import World, healthy
from vbgcam.doctor.report import log_lines, mask, text

SERIAL = "A1B2C3D4 E5"
LOG = """vbgcam: source: Webcam, 1280x720
vbgcam: warning: {home}/Pictures/Anna and me/on the beach.jpg: cannot be read
vbgcam: background /media/ann/USB STICK/secret place.png beside /srv/clips/talk.mp4
vbgcam: file:/data/private/film.mkv?loop=1 and holiday.jpg and "C:\\\\Users\\\\ann\\\\x.png"
vbgcam: camera usb-Logitech_BRIO_{serial}-video-index0 at /dev/video0 on {host}
vbgcam: ann@example.org asked 192.168.1.20 and 00:1a:2b:3c:4d:5e; /usr/lib/x.so is public
"""
PRIVATE = (
    "/ann",
    "anns",
    "ann@",
    "Anna",
    "beach",
    "USB STICK",
    "secret",
    "talk",
    "private",
    "film",
    "holiday",
    "example",
    "192.168",
    "4d:5e",
    "A1B2",
    "srv",
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = healthy(tmp_path, monkeypatch)
    monkeypatch.setattr(platform, "node", lambda: "anns-laptop")
    world.write("sys/bus/usb/devices/1-1/serial", SERIAL + "\n")
    return world


def test_the_newest_lines_of_the_log_are_in_it_and_nothing_private(world: World) -> None:
    log = LOG.format(home=world.machine.home, serial=SERIAL.replace(" ", "_"), host=platform.node())
    world.write("home/.local/state/vbgcam/vbgcam.log", "an old line\n" * 400 + log)
    world.settings('[background]\nshow = "/srv/ann/my holiday/beach.gif"\n')
    written = text(world.machine, world.examine())
    for word in PRIVATE:
        assert word not in written, next(line for line in written.splitlines() if word in line)
    assert str(world.folder) not in written
    for word in (
        "kernel module: v4l2loopback 0.13.1 is loaded",
        "exclusive_caps = Y,N,N",
        'show = "<path>.gif"',
        "~/<path>.jpg: cannot be read",
        "background <path>.png beside <path>.mp4",
        'file:<path>.jpg and "<path>.png"',
        "camera usb-Logitech_BRIO_<serial>-video-index0 at /dev/video0 on <host>",
        "<mail> asked <address> and <address>; /usr/lib/x.so is public",
        "~/.config/vbgcam/config.toml",
    ):
        assert word in written, written
    assert written.count("an old line") == 294


def test_what_is_not_private_stays(world: World) -> None:
    for public in (
        "opencv-python: 5.0.0.93",
        "sudo chgrp video /dev/video10 && sudo chmod 660 /dev/video10 && sudo usermod -aG video $USER",
        "os: Debian GNU/Linux 12 (bookworm), Linux 6.1.0",
        "https://mirrors.rpmfusion.org/free/fedora/x",
        "gnome-extensions enable ubuntu-appindicators@ubuntu.com",
        "mean 1/3 of 2/3, 4:2:0, and/or",
        "sudo mokutil --import /var/lib/dkms/mok.pub",
    ):
        assert mask(public, world.machine) == public


def test_users_and_hosts_that_say_nothing_are_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "debian")
    machine = replace(world.machine, user="root")
    assert mask("Debian, root", machine) == "Debian, root"


def test_without_a_log_there_are_no_lines_and_long_ones_are_cut(tmp_path: Path) -> None:
    assert log_lines(tmp_path / "vbgcam.log") == []
    (tmp_path / "vbgcam.log").write_bytes(b"\xff" * 5000 + b"\nlast\n")
    assert [len(line) for line in log_lines(tmp_path / "vbgcam.log")] == [1000, 4]


def test_a_report_of_a_machine_without_settings_can_be_written(world: World) -> None:
    world.settings("[camera\n")
    assert "they could not be read" in text(world.machine, world.examine())
