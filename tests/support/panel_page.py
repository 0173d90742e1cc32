"""The panel in a real browser, as a person has it before them."""

import base64
import json
from typing import Any

import cv2
import numpy as np

from tests.support.control_fakes import until
from vbgcam.control.client import Client


class PanelPage:
    """`client`: of the program whose panel it is; `origin`: host and port of all that the page may ask."""

    def __init__(self, driver: Any, client: Client, origin: str = "127.0.0.1:") -> None:
        self.driver = driver
        self.client = client
        self._origin = origin
        self._messages: list[dict[str, Any]] = []
        driver.get("about:blank")
        for log in ("performance", "browser"):  # what came before is none of this page's
            driver.get_log(log)

    def open(self) -> None:
        self.driver.get(self.client.open())
        self.wait("!document.getElementById('main').hidden && document.getElementById('waiting').hidden")

    def find(self, css: str) -> Any:
        """The only element of that selector, once it is there and can be seen."""
        found: list[Any] = []

        def there() -> bool:
            found[:] = [one for one in self.driver.find_elements("css selector", css) if one.is_displayed()]
            return bool(found)

        until(there)
        assert len(found) == 1, f"{len(found)} of {css}"
        return found[0]

    def click(self, css: str) -> None:
        element = self.find(css)
        self.script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def script(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: Any) -> None:
        """Until the script's value is true."""
        until(lambda: bool(self.script(f"return {script}", *arguments)))

    def slide(self, css: str, *values: float) -> None:
        """As a finger does: one value after the other, in one go."""
        slider = self.find(css)
        for value in values:
            self.script(
                "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
                slider, value,
            )  # fmt: skip

    def picture(self) -> Any:
        """The preview as it is on the page, BGR."""
        address = self.script("return document.getElementById('picture').toDataURL('image/png')")
        data = base64.b64decode(address.partition(",")[2])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def moves(self) -> None:
        """Waits for another picture in the preview."""
        first = self.picture()
        until(lambda: not np.array_equal(first, self.picture()))

    def network(self, method: str) -> list[dict[str, Any]]:
        """What Chromium says of the page's requests, from its opening on."""
        self._messages += [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [each["params"] for each in self._messages if each["method"] == f"Network.{method}"]

    def alone(self, *expected: str) -> list[str]:
        """Nothing was asked of anything but the server, and the console is empty but for lines with `expected`, which
        are returned."""
        asked = [request["request"]["url"] for request in self.network("requestWillBeSent")]
        asked += [socket["url"] for socket in self.network("webSocketCreated")]
        own = tuple(f"{kind}{self._origin}" for kind in ("http://", "ws://", "blob:http://"))
        assert [url for url in asked if not url.startswith(own)] == []
        lines = [entry["message"] for entry in self.driver.get_log("browser")]
        assert [line for line in lines if not any(word in line for word in expected)] == []
        return lines
