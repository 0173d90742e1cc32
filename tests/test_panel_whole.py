"""The panel and the whole program: the daemon in a process of its own, films the drawn presenter, and a real browser
changes what others see. What they see is asked of the daemon, not of the page."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.browser import chromium
from tests.support.users import User, wait
from vbgcam.control.client import Client
from vbgcam.control.instance import Instance
from vbgcam.media import images


class Panel:
    """A browser before the panel of that user's daemon."""

    def __init__(self, driver: Any, user: User) -> None:
        self.driver = driver
        self.client = Client(Instance(user.folder / "runtime_dir" / "vbgcam"))
        driver.get("about:blank")
        for log in ("performance", "browser"):  # what the browser does when it starts is none of the panel's
            driver.get_log(log)

    def open(self) -> None:
        self.driver.get(self.client.open())
        self.until("!document.getElementById('main').hidden && document.getElementById('waiting').hidden")

    def until(self, script: str) -> None:
        wait(lambda: bool(self.driver.execute_script(f"return {script}")), script)

    def click(self, css: str) -> None:
        self.until(f"document.querySelector({json.dumps(css)})")
        element = self.driver.find_element("css selector", css)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def slide(self, css: str, value: float) -> None:
        element = self.driver.find_element("css selector", css)
        self.driver.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            element,
            value,
        )

    def preview(self) -> Any:
        address = self.driver.execute_script("return document.getElementById('picture').toDataURL('image/png')")
        return cv2.imdecode(np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)

    def seen(self) -> Any:
        """What others see, RGB."""
        bgr = cv2.imdecode(np.frombuffer(self.client.snapshot(), np.uint8), cv2.IMREAD_COLOR)
        assert bgr is not None
        return bgr[:, :, ::-1]

    def corner(self, rgb: tuple[int, int, int]) -> None:
        """Waits for that colour behind the person."""
        wait(lambda: bool(np.abs(self.seen()[4:12, 4:12].astype(int) - rgb).max() < 12), f"{rgb} behind")

    def alone(self, *expected: str) -> None:
        """No request off the machine, no line in the console but the expected ones."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            url = message["params"].get("request", {}).get("url") or message["params"].get("url", "")
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                assert url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "blob:http://127.0.0.1:")), url
        lines = [entry["message"] for entry in self.driver.get_log("browser")]
        assert [line for line in lines if not any(word in line for word in expected)] == []


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
            first = panel.preview()
            wait(lambda: not np.array_equal(first, panel.preview()), "the preview moves")

            panel.click("#pictures [title='red.png']")
            panel.corner(red)
            wait(lambda: bool(np.abs(panel.preview()[8, 8].astype(int) - red[::-1]).max() < 16), "in the preview, too")

            driver.find_element("css selector", "#files").send_keys(str(upload))
            panel.corner(blue)
            assert (tmp_path / "data_home/vbgcam/backgrounds/blue.png").exists()

            panel.slide("#blur", 1.0)
            wait(lambda: panel.client.status()["settings"]["background"]["show"] == "blur:1", "blurred")
            soft = panel.seen()
            panel.slide("#blur", 0.05)
            wait(lambda: panel.client.status()["settings"]["background"]["show"] == "blur:0.05", "less blurred")
            wait(lambda: contrast(panel.seen()) > 2 * contrast(soft), "the room is sharper")

            panel.click("#pictures [title='red.png']")
            panel.corner(red)
            panel.click("#pause")
            wait(lambda: panel.client.status()["state"] == "paused", "paused")
            assert np.abs(panel.seen().astype(int) - red).max() < 12, "nobody is seen"
            panel.click("#pause")
            wait(lambda: panel.client.status()["state"] == "on air", "on air again")

            panel.alone()
            user.says("quit")
            assert daemon.ends() == 0
        with user.running():
            panel.until("document.getElementById('lost').hidden && document.getElementById('waiting').hidden")
            wait(lambda: panel.client.status()["state"] == "on air", "the second daemon")
            again = panel.preview()
            wait(lambda: not np.array_equal(again, panel.preview()), "the preview goes on by itself")
            driver.refresh()
            panel.until("!document.getElementById('main').hidden && document.getElementById('waiting').hidden")
            after = panel.preview()
            wait(lambda: not np.array_equal(after, panel.preview()), "and after a reload")
            # While nobody was there to answer, Chromium itself says so.
            panel.alone("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "WebSocket")


def contrast(picture: Any) -> float:
    """Of the left edge, where only the room is."""
    return float(np.abs(np.diff(picture[:, :40].mean(axis=2), axis=0)).mean())
