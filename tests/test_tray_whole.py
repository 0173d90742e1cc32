"""The tray icon and the whole program: the daemon in a process of its own starts its icon, a tray's host on the session
bus shows it, and what is clicked there changes what others see."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.desktop import Desktop, skip_without
from tests.support.users import User, wait
from vbgcam.media import images

if sys.platform != "linux":
    pytest.skip("what is tested here is Linux's", allow_module_level=True)

RED = (190, 40, 30)
_OF_THE_DESKTOP = ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "NO_AT_BRIDGE", "GSETTINGS_BACKEND")


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    skip_without(gtk=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vbg-")))
        yield stack.enter_context(Desktop(folder))


@pytest.fixture
def user(tmp_path: Path, desktop: Desktop) -> User:
    user = User(tmp_path)
    images.write(tmp_path / "data_home/vbgcam/backgrounds/red.png", np.full((180, 320, 3), RED, np.uint8))
    # Who was here before: no panel opens by itself.
    (tmp_path / "state_home/vbgcam").mkdir()
    (tmp_path / "state_home/vbgcam/state.json").write_text('{"welcomed": true}')
    user.env |= {name: desktop.environment[name] for name in _OF_THE_DESKTOP}
    return user


def test_a_day_with_the_icon(user: User, desktop: Desktop) -> None:
    client = user.client
    with user.running() as daemon:
        with desktop.host() as host:
            wait(lambda: "Quit" in host.labels(), "the icon")
            wait(lambda: host.labels()[0].startswith("On air"), "on air")
            assert "red" in host.labels("Background")

            host.click("Background", "red")
            wait(lambda: bool(np.abs(user.seen()[:8, :8] - RED).max() < 12), "red behind the person")
            wait(lambda: host.marked("Background") == ["red"], "its mark")
            assert np.abs(user.seen() - RED).max() > 60, "somebody is there"

            user.says("background", "none")
            wait(lambda: host.labels()[0] == "Your room is visible: hide it", "the room is visible")
            host.click("Your room is visible: hide it")
            wait(lambda: host.marked("Background") == ["red"], "the background before")
            wait(lambda: host.labels()[0].startswith("On air"), "hidden")
            wait(lambda: bool(np.abs(user.seen()[:8, :8] - RED).max() < 12), "red behind the person again")

            host.click("Pause")
            wait(lambda: host.labels()[0].startswith("Paused"), "paused")
            assert np.abs(user.seen() - RED).max() < 12, "the background alone"
            host.click("Pause")
            wait(lambda: host.labels()[0].startswith("On air"), "on air again")
            host.kill()
        # The panel that showed the icons is gone, and comes back.
        assert daemon.process.poll() is None
        with desktop.host() as host:
            wait(lambda: "Quit" in host.labels(), "the icon is there again")
            host.click("Background", "Blur")
            wait(lambda: client.status()["settings"]["background"]["show"] == "blur:0.7", "blurred")
            host.click("Quit")
            assert daemon.ends() == 0
            wait(lambda: not host.icons, "the icon goes, too")


def test_the_picture_goes_on_when_the_display_goes_away(user: User, desktop: Desktop) -> None:
    client = user.client
    with user.running() as daemon, desktop.host() as host:
        wait(lambda: "Quit" in host.labels(), "the icon")
        desktop.screen_off()
        wait(lambda: not host.icons, "the icon went with it")
        sent = client.status()["frames"]["sent"]
        wait(lambda: client.status()["frames"]["sent"] > sent + 10, "pictures go on")
        wait(lambda: client.status()["state"] == "on air", "on air")
        user.says("quit")
        assert daemon.ends() == 0
