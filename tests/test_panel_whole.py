"""The panel and the whole program: the daemon in a process of its own, films the drawn presenter, and a real browser
changes what others see. What they see is asked of the daemon, not of the page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.browser import chromium
from tests.support.panel_page import PanelPage
from tests.support.users import User, wait
from vbgcam.media import images


class Panel(PanelPage):
    """Of that user's daemon."""

    def __init__(self, driver: Any, user: User) -> None:
        super().__init__(driver, user.client)
        self.user = user

    def corner(self, rgb: tuple[int, int, int]) -> None:
        """Waits for that colour behind the person."""
        wait(lambda: bool(np.abs(self.user.seen()[4:12, 4:12] - rgb).max() < 12), f"{rgb} behind")


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def flat(path: Path, rgb: tuple[int, int, int]) -> Path:
    images.write(path, np.full((180, 320, 3), rgb, np.uint8))
    return path


def test_a_call_from_its_first_picture_to_a_restart(user: User, tmp_path: Path) -> None:
    red, blue = (190, 40, 30), (30, 60, 190)
    flat(tmp_path / "data_home/vbgcam/backgrounds/red.png", red)
    upload = flat(tmp_path / "blue.png", blue)
    with chromium(tmp_path / "profile", (1280, 900)) as driver:
        panel = Panel(driver, user)
        with user.running() as daemon:
            panel.open()
            panel.click("#ending button")  # the first start's steps are over
            wait(lambda: panel.client.status()["welcomed"] is True, "welcomed")
            panel.moves()

            panel.click("#pictures [title='red.png']")
            panel.corner(red)
            wait(lambda: bool(np.abs(panel.picture()[8, 8].astype(int) - red[::-1]).max() < 16), "in the preview, too")

            driver.find_element("css selector", "#files").send_keys(str(upload))
            panel.corner(blue)
            assert (tmp_path / "data_home/vbgcam/backgrounds/blue.png").exists()

            panel.slide("#blur", 1.0)
            wait(lambda: panel.client.status()["settings"]["background"]["show"] == "blur:1", "blurred")
            soft = user.seen()
            panel.slide("#blur", 0.05)  # no slider goes below what it offers
            wait(lambda: panel.client.status()["settings"]["background"]["show"] == "blur:0.7", "less blurred")
            wait(lambda: contrast(user.seen()) > 1.1 * contrast(soft), "the room is sharper")

            panel.click("#pictures [title='red.png']")
            panel.corner(red)
            panel.click("#pause")
            wait(lambda: panel.client.status()["state"] == "paused", "paused")
            assert np.abs(user.seen() - red).max() < 12, "nobody is seen"
            panel.click("#pause")
            wait(lambda: panel.client.status()["state"] == "on air", "on air again")

            panel.alone()
            user.says("quit")
            assert daemon.ends() == 0
        with user.running():
            panel.wait("document.getElementById('lost').hidden && document.getElementById('waiting').hidden")
            wait(lambda: panel.client.status()["state"] == "on air", "the second daemon")
            panel.moves()  # by itself
            driver.refresh()
            panel.wait("!document.getElementById('main').hidden && document.getElementById('waiting').hidden")
            panel.moves()
            # While nobody was there to answer, Chromium itself says so.
            panel.alone("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "WebSocket")


def contrast(picture: Any) -> float:
    """Of the left edge, where only the room is."""
    return float(np.abs(np.diff(picture[:, :40].mean(axis=2), axis=0)).mean())
