"""The panel in a real browser, against the real server: what others see, and all that can be chosen there."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vbgcam.desktop
from tests.support.browser import chromium
from tests.support.control_fakes import Controlled, FakeControl, FakeGallery, controlled, until
from tests.support.panel_page import PanelPage
from vbgcam.background.gallery import Entry
from vbgcam.control import PreviewImage
from vbgcam.core.errors import ConfigError
from vbgcam.core.options import WEAKEST_BLUR

PANEL = Path(vbgcam.desktop.__file__).parent / "panel"
DESKTOP, PHONE = (1280, 900), (390, 844)

SPACE, TAB, DOWN, RIGHT, HOME, END, ENTER, ESCAPE, DELETE = (
    "\ue00d", "\ue004", "\ue015", "\ue014", "\ue011", "\ue010", "\ue007", "\ue00c", "\ue017",
)  # fmt: skip

MODPROBE = 'sudo modprobe v4l2loopback video_nr=10 card_label="VBG Camera" exclusive_caps=1'


class Presenter(FakeControl):
    """Its frames move: a bar goes over a picture whose colour is the background's. Its status is of the settings that
    the program really has."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.gallery = Gallery(self.folder)
        self.values["settings"]["mask"] = {
            **dict.fromkeys(("rest", "crop", "memory", "motion", "time", "edges", "colours"), "preset"),
            "preset": "balanced", "max_age_ms": 1500.0, "pairing": "auto",
        }  # fmt: skip
        self.values |= {"readers": ["zoom"], "troubles": []}
        self.began = time.monotonic()

    def preview(self, after: int, width: int, *, mask: bool = False) -> PreviewImage | None:
        number = int(12 * (time.monotonic() - self.began))
        if number <= after:
            return None
        height = width * 9 // 16
        red = sum(self.values["settings"]["background"]["show"].encode()) % 120
        image = np.full((height, width, 3), 255 if mask else (200, 120, red), np.uint8)
        left = number * 31 % (width - 40)
        image[height // 3 :, left : left + 40] = 0 if mask else 240
        return PreviewImage(number, cv2.imencode(".jpg", image)[1].tobytes())

    def _carry_out(self, command: Mapping[str, Any]) -> str:
        what, to = command["do"], command.get("to")
        if what == "preset":
            self.values["settings"]["mask"]["preset"] = to
        if what in {"camera", "model"}:
            for one in self.offers[f"{what}s"]:
                one["now"] = one["spec"] == to
        return super()._carry_out(command)

    def shows(self) -> str:
        return str(self.values["settings"]["background"]["show"])


class Gallery(FakeGallery):
    """A file that is called broken is a picture that cannot be read."""

    def entries(self) -> list[Entry]:
        return [
            replace(entry, broken="it ends in the middle" if "broken" in entry.name else "")
            for entry in super().entries()
        ]


class Page(PanelPage):
    """Of a program that is a fake."""

    def __init__(self, driver: Any, running: Controlled, api: Presenter) -> None:
        super().__init__(driver, running.client, f"127.0.0.1:{running.instance.port}/")
        self.running = running
        self.api = api

    def open(self) -> None:
        super().open()
        self.wait("document.querySelectorAll('#colours [role=radio]').length")

    def text(self, css: str) -> str:
        """What the first element of that selector says; in one step, for the page may change between two."""
        return str(self.script("return document.querySelector(arguments[0]).innerText.trim()", css))

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def checked(self, group: str) -> list[str]:
        """The values of a group that are chosen."""
        found = self.driver.find_elements("css selector", f"{group} [role=radio][aria-checked=true]")
        return [one.get_attribute("data-value") for one in found]

    def done(self, what: str) -> list[dict[str, Any]]:
        return [command for command in self.api.done if command["do"] == what]

    def said(self) -> str:
        """What is read out to who does not see the page."""
        return str(self.script("return document.getElementById('said').textContent"))

    def toasts(self) -> str:
        return self.text("#toasts")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One for all tests: each has a server, and so an origin, of its own."""
    with chromium(tmp_path_factory.mktemp("profile"), DESKTOP) as driver:
        yield driver


@contextmanager
def sized(driver: Any, size: tuple[int, int], **more: Any) -> Iterator[None]:
    told = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE, **more}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", told)
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@contextmanager
def panel(
    driver: Any, folder: Path, api: Presenter | None = None, *, opened: bool = True, noise: tuple[str, ...] = ()
) -> Iterator[Page]:
    """The panel, open; at its end everything that it asked for and said is looked at. `noise`: what Chromium itself
    writes into the console, for a request that was refused on purpose."""
    api = api or Presenter(folder / "gallery")
    with controlled(folder, api, PANEL) as running, sized(driver, DESKTOP):
        page = Page(driver, running, api)
        if opened:
            page.open()
        yield page
        # What a page asks for after this is none of the test's, and none of the next one's.
        lines = page.alone(*noise)
        assert all(any(word in line for line in lines) for word in noise)
        driver.get("about:blank")


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Page]:
    """The panel of a program without pictures, open."""
    with panel(browser, tmp_path) as opened:
        yield opened


def pictures(folder: Path, *names: str) -> Presenter:
    """A program with these in its gallery."""
    (folder / "gallery").mkdir()
    for name in names:
        (folder / "gallery" / name).write_bytes(b"a picture")
    return Presenter(folder / "gallery")


def test_a_code_lets_the_panel_in_and_leaves_the_address(page: Page) -> None:
    assert page.driver.current_url == f"http://127.0.0.1:{page.running.instance.port}/"
    assert page.text("#lamp-word") == "On air"
    assert page.driver.title == "On air \N{EN DASH} VBG Camera"
    page.driver.refresh()
    page.find("#main")
    page.moves()


def test_without_a_key_the_panel_says_how_it_is_opened(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, opened=False) as page:
        browser.get(f"http://127.0.0.1:{page.running.instance.port}/")
        assert "vbgcam panel" in page.find("#closed").text
        assert not browser.find_element("id", "main").is_displayed()
        assert page.api.called.get("status") is None


def test_a_code_that_was_used_opens_nothing(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, opened=False, noise=("401",)) as page:
        url = page.running.client.open()
        browser.get(url)
        page.find("#main")
        page.script("sessionStorage.clear()")
        browser.get("about:blank")
        browser.get(url)
        assert "was used before" in page.find("#closed").text
        assert "#" not in browser.current_url


def test_a_new_code_in_the_same_tab_opens_it_again(page: Page) -> None:
    page.script("sessionStorage.clear()")
    page.driver.get(page.running.client.open())  # only the part behind the # differs: no browser loads that anew
    until(lambda: page.script("return sessionStorage.length") == 1)
    page.find("#main")


def test_a_radio_moves_when_the_status_says_so_and_not_before(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, pictures(tmp_path, "beach.jpg", "forest.jpg")) as page:
        before = page.checked("#backgrounds")
        page.api.carry_out = lambda command: "will be done"
        gate = page.api.gates["do"] = threading.Event()
        page.click("#pictures [title='beach.jpg']")
        spec = str(tmp_path / "gallery" / "beach.jpg")
        until(lambda: page.api.called.get("do") == 1)
        assert page.find("#pictures [title='beach.jpg']").get_attribute("aria-busy") == "true"
        assert page.checked("#backgrounds") == before
        gate.set()
        until(lambda: page.done("background") == [{"do": "background", "to": spec}])
        page.wait("!document.querySelector('[aria-busy=true]')")
        assert page.checked("#backgrounds") == before
        page.api.values["settings"]["background"]["show"] = spec
        page.api.change()
        until(lambda: page.checked("#backgrounds") == [spec])


def test_a_file_that_was_chosen_is_added_and_shown(page: Page, tmp_path: Path) -> None:
    assert page.text("#pictures") == "Add a picture or a film"
    (tmp_path / "beach.jpg").write_bytes(b"a picture")
    page.driver.find_element("id", "files").send_keys(str(tmp_path / "beach.jpg"))
    spec = str(tmp_path / "gallery" / "beach.jpg")
    until(lambda: page.api.shows() == spec)
    until(lambda: page.checked("#backgrounds") == [spec])
    image = page.find("#pictures [title='beach.jpg'] img")
    assert image.get_attribute("src").startswith("blob:")
    assert image.get_property("naturalWidth") == 320


def test_several_files_that_were_dropped_are_added_and_none_is_shown(page: Page, tmp_path: Path) -> None:
    before = page.api.shows()
    page.script(
        """
        window.held = new DataTransfer();
        for (const name of ["one.jpg", "two.mp4"]) held.items.add(new File(["a picture"], name));
        window.drag = (kind) => document.body.dispatchEvent(
            new DragEvent(kind, {dataTransfer: held, bubbles: true, cancelable: true}));
        drag("dragenter");
        """
    )
    assert page.find("#drop").is_displayed()
    assert page.script("return drag('dragover')") is False  # else the browser would leave the page for the file
    assert page.script("return drag('drop')") is False
    assert not page.driver.find_element("id", "drop").is_displayed()
    until(lambda: page.text("#pictures").split() == ["one", "two", "Add"])
    assert page.api.shows() == before
    assert {path.name for path in (tmp_path / "gallery").iterdir()} == {"one.jpg", "two.mp4"}


def test_a_pasted_picture_is_added_under_a_name_of_its_time_and_shown(page: Page) -> None:
    page.script(
        """
        const held = new DataTransfer();
        held.items.add(new File(["a picture"], "image.png", {type: "image/png"}));
        document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData: held, bubbles: true}));
        """
    )
    until(lambda: "pasted 20" in page.api.shows())
    until(lambda: page.checked("#backgrounds") == [page.api.shows()])


def test_what_is_no_picture_is_refused_in_words(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, noise=("400",)) as page:
        (tmp_path / "letter.txt").write_bytes(b"broken")
        browser.find_element("id", "files").send_keys(str(tmp_path / "letter.txt"))
        until(lambda: "neither a picture nor a film" in page.toasts())
        assert page.driver.find_elements("css selector", ".adding") == []
        assert page.done("background") == []
        page.click(".toast button")
        assert page.toasts() == ""


def test_a_picture_that_cannot_be_read_says_why_and_is_not_chosen(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, pictures(tmp_path, "broken.jpg")) as page:
        page.click("#pictures [role=radio]")
        until(lambda: page.toasts() == "broken.jpg: it ends in the middle")
        assert page.done("background") == []


def test_names_of_files_are_text_whatever_they_say(browser: Any, tmp_path: Path) -> None:
    name = "<img src=x onerror=document.title='hit'>&amp;.jpg"
    with panel(browser, tmp_path, pictures(tmp_path, name)) as page:
        assert page.find("#pictures [role=radio] .name").text == Path(name).stem
        page.click("#pictures [role=radio]")
        until(lambda: page.api.shows().endswith(name))
        page.click("#pictures .remove")
        assert Path(name).stem in page.find("#confirm").text
        page.click("#confirm-no")
        page.api.change(
            readers=["<b>zoom</b>"], why=name, state="covered",
            troubles=[{"at": time.time(), "what": name, "fix": name, "now": True}],
            config={"path": name, "problems": [name]},
        )  # fmt: skip
        until(lambda: name in page.text("#troubles") and name in page.text("#notices") and name in page.text("#config"))
        assert page.text("#readers") == "<b>zoom</b>"
        assert page.driver.find_elements("css selector", "main img[src='x'], #readers b") == []
        assert browser.title == "Covered \N{EN DASH} VBG Camera"


def test_a_slider_sends_the_newest_value_and_one_at_a_time(page: Page) -> None:
    gate = page.api.gates["do"] = threading.Event()
    page.slide("#blur", 0.75)
    until(lambda: page.api.called.get("do") == 1)
    page.slide("#blur", 0.8, 0.85, 0.95, 0.9)
    page.api.change(readers=["meet"])
    until(lambda: page.text("#readers") == "meet")
    assert page.text("#blur-value") == "0.90"  # what the status says of it is older than what the finger does
    gate.set()
    until(lambda: page.api.shows() == "blur:0.9")
    assert page.done("blur") == [{"do": "blur", "to": 0.75}, {"do": "blur", "to": 0.9}]
    until(lambda: page.checked("#backgrounds") == ["blur:0.9"])
    assert page.find("#blurs [aria-checked=true]").text == "Own"
    red = sum(b"blur:0.9") % 120
    until(lambda: abs(int(page.picture()[2, 2, 2]) - red) < 6)


def test_the_blur_s_slider_begins_where_blur_does(page: Page) -> None:
    page.slide("#blur", 0)
    until(lambda: page.done("blur") == [{"do": "blur", "to": WEAKEST_BLUR}])


def test_a_slider_follows_what_somebody_else_sets(page: Page) -> None:
    page.running.client.do({"do": "blur", "to": 0.85})
    until(lambda: page.text("#blur-value") == "0.85")
    page.running.client.do({"do": "set", "settings": {"mask.max_age_ms": 4000.0}})
    until(lambda: page.text("#age-value") == "4 s")


def test_a_value_that_is_refused_goes_back_and_says_why(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, noise=("400",)) as page:

        def no(command: Mapping[str, Any]) -> str:
            raise ConfigError(["background.light_wrap: not today"])

        page.api.carry_out = no
        page.slide("#light", 0.8)
        until(lambda: "not today" in page.toasts())
        until(lambda: page.text("#light-value") == "0.30")
        choose(page, "#fit", "stretch")
        until(lambda: page.find("#fit").get_property("value") == "cover")
        page.api.carry_out = None
        page.slide("#light", 0.6)
        until(lambda: page.api.values["settings"]["background"]["light_wrap"] == 0.6)
        choose(page, "#fit", "stretch")
        until(lambda: page.toasts() == "")


def test_every_setting_goes_its_way(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, pictures(tmp_path, "beach.jpg")) as page:
        settings = page.api.values["settings"]
        page.click("#presets [data-value=fast]")
        until(lambda: page.checked("#presets") == ["fast"])
        page.slide("#age", 700)
        until(lambda: settings["mask"]["max_age_ms"] == 700)
        page.click("#mirror")
        until(lambda: page.find("#mirror").get_attribute("aria-checked") == "true")
        page.click("#mirror")
        until(lambda: settings["output"]["mirror"] is False)
        page.click("#models [data-value=fcn_resnet101]")
        until(lambda: page.checked("#models") == ["fcn_resnet101"])
        page.click("details:has(#mask-steps) summary")
        for selector, value in (
            ("#size", "640x480"),
            ("#fit", "contain"),
            ("#mask-steps label:nth-child(3) select", "off"),
        ):
            choose(page, selector, value)
        until(lambda: settings["camera"]["size"] == "640x480")
        until(lambda: settings["background"]["fit"] == "contain")
        until(lambda: settings["mask"]["memory"] == "off")
        page.click("#cameras [data-value=demo]")
        until(lambda: page.checked("#cameras") == ["demo"])


def choose(page: Page, selector: str, value: str) -> None:
    from selenium.webdriver.support.select import Select

    Select(page.find(selector)).select_by_value(value)


def test_a_colour_of_ones_own_becomes_a_choice(page: Page) -> None:
    page.script(
        """
        const input = document.getElementById("colour");
        for (const value of ["#111111", "#222222", "#aabbcc"]) {
          input.value = value; input.dispatchEvent(new Event("input", {bubbles: true}));
        }
        """
    )
    until(lambda: page.api.shows() == "#aabbcc")
    assert page.done("background") == [{"do": "background", "to": "#aabbcc"}]
    until(lambda: page.checked("#backgrounds") == ["#aabbcc"])
    page.click("#colours [aria-label=Slate]")
    until(lambda: page.checked("#backgrounds") == ["#3b4a57"])
    page.click("#colours [data-value='#aabbcc']")
    until(lambda: page.api.shows() == "#aabbcc")


def test_a_picture_from_elsewhere_is_among_the_choices(page: Page) -> None:
    page.running.client.do({"do": "background", "to": "/elsewhere/sea.jpg"})
    until(lambda: page.checked("#backgrounds") == ["/elsewhere/sea.jpg"])
    assert page.find("#pictures [aria-checked=true]").text == "sea.jpg"


def test_pause_and_go_on(page: Page) -> None:
    page.click("#pause")
    until(lambda: page.text("#lamp-word") == "Paused")
    assert page.find("#pause").text == "Go on"
    assert "background alone" in page.text("#sentence-note")
    page.click("#pause")
    until(lambda: page.text("#lamp-word") == "On air")
    assert [command["do"] for command in page.api.done] == ["pause", "resume"]
    until(lambda: "On air. Others see you" in page.said())


def test_the_mask_is_shown_for_as_long_as_it_is_held(page: Page) -> None:
    from selenium.webdriver import ActionChains

    def masked() -> bool:
        blue, _, red = (int(part) for part in page.picture()[2, 2])
        return blue > 250 and red > 250

    button = page.find("#mask")
    ActionChains(page.driver).click_and_hold(button).perform()
    until(masked)
    assert page.text("#caption").startswith("The mask")
    ActionChains(page.driver).move_by_offset(-300, -200).release().perform()
    until(lambda: not masked())
    page.script("arguments[0].focus()", button)
    ActionChains(page.driver).key_down(SPACE).perform()
    until(masked)
    ActionChains(page.driver).key_up(SPACE).perform()
    until(lambda: not masked())
    assert page.text("#caption") == "What others see"
    page.script("arguments[0].click()", button)  # as a screen reader does, which cannot hold
    until(masked)
    page.script("arguments[0].click()", button)
    until(lambda: not masked())


def test_show_me_is_taken_back_with_the_page_and_while_nobody_sees_it(page: Page) -> None:
    page.api.change(state="idle", readers=[], watched=False)
    until(lambda: page.text("#lamp-word") == "Camera off")
    page.click("#see")
    until(lambda: page.api.watchers == 1)
    assert page.find("#see").get_attribute("aria-checked") == "true"
    assert page.text("#readers") == "this page"
    hide = """
        Object.defineProperty(document, "hidden", {value: arguments[0], configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    """
    page.script(hide, True)
    until(lambda: page.api.watchers == 0)
    page.api.change(state="covered")  # a tab that nobody sees asks now and then
    until(lambda: page.text("#lamp-word") == "Covered")
    page.api.change(state="idle")
    page.script(hide, False)
    until(lambda: page.text("#lamp-word") == "Camera off")
    until(lambda: page.api.watchers == 1)
    told = [each["response"]["payloadData"] for each in page.network("webSocketFrameSent")]
    assert [each for each in told if "pause" in each] == ['{"pause":true}', '{"pause":false}']
    page.alone()
    page.driver.get("about:blank")
    until(lambda: page.api.watchers == 0)


def test_the_room_as_it_is_takes_two_steps_and_one_to_hide_it(page: Page) -> None:
    before = page.api.shows()
    values = page.script("return [...document.querySelectorAll('[role=radio]')].map((one) => one.dataset.value)")
    assert "none" not in values
    assert not page.driver.find_element("id", "show-room").is_displayed()
    page.click("#as-it-is summary")
    page.click("#show-room")
    until(lambda: page.api.shows() == "none")
    assert page.find("#plain").text.startswith("Your room is visible. Others see everything your camera sees.")
    assert page.text("#lamp-word") == "Your room is visible"
    assert page.driver.title == "Your room is visible \N{EN DASH} VBG Camera"
    first = "const one = document.getElementById('plain').getBoundingClientRect(); return one.bottom <= "
    assert page.script(first + "document.getElementById('stage').getBoundingClientRect().top")
    assert page.checked("#backgrounds") == []
    page.click("#hide-room")
    until(lambda: page.api.shows() == before)
    assert page.done("background")[-1] == {"do": "background", "to": "last"}
    until(lambda: not page.driver.find_element("id", "plain").is_displayed())


def test_the_room_that_will_be_visible_is_not_called_visible_yet(page: Page) -> None:
    page.api.values["settings"]["background"]["show"] = "none"
    page.api.change(state="idle")
    until(lambda: page.find("#plain").text.startswith("No background is chosen. Your room will be visible as soon as"))
    page.api.change(state="on air")
    until(lambda: page.find("#plain").text.startswith("Your room is visible."))
    page.api.change(state="paused", paused=True)
    until(lambda: page.text("#lamp-word") == "Paused")
    assert page.find("#plain").text.startswith("No background is chosen.")


def test_a_picture_is_removed_after_it_was_asked(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, pictures(tmp_path, "beach.jpg", "forest.jpg")) as page:
        page.script("document.querySelector(\"[title='beach.jpg']\").focus()")
        page.press(DELETE)
        assert "beach" in page.find("#confirm").text
        page.press(ESCAPE)
        until(lambda: not browser.find_element("id", "confirm").is_displayed())
        page.script("document.querySelector(\"[title='beach.jpg']\").focus()")
        page.press(TAB, ENTER)
        page.find("#confirm")
        page.press(ENTER)  # the focus is on the answer that does nothing
        until(lambda: not browser.find_element("id", "confirm").is_displayed())
        assert (tmp_path / "gallery" / "beach.jpg").exists()
        page.press(ENTER)
        page.find("#confirm")
        page.press(TAB, ENTER)
        until(lambda: not (tmp_path / "gallery" / "beach.jpg").exists())
        until(lambda: page.script("return document.activeElement.title") == "forest.jpg")
        assert page.text("#pictures").split() == ["forest", "Add"]


def test_a_background_is_chosen_with_keys_alone(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, pictures(tmp_path, "beach.jpg", "forest.jpg")) as page:
        page.running.client.do({"do": "background", "to": "blur:0.8"})
        until(lambda: page.checked("#backgrounds") == ["blur:0.8"])
        for _ in range(20):
            page.press(TAB)
            if page.script("return document.activeElement.getAttribute('role')") == "radio":
                break
        focused = "return document.activeElement.dataset.value"
        assert page.script(focused) == "blur:0.8"  # Tab comes to the one that is chosen
        page.press(RIGHT)
        assert page.script(focused) == "blur:1"
        page.press(DOWN)
        assert page.script("return document.activeElement.closest('#colours') !== null")
        page.press(END)
        assert page.script(focused) == str(tmp_path / "gallery" / "forest.jpg")
        page.press(HOME)
        assert page.script(focused) == "blur:0.8"
        page.press(END)
        assert page.done("background") == [{"do": "background", "to": "blur:0.8"}]  # moving chooses nothing
        outline = "return getComputedStyle(document.activeElement.querySelector('.thumb')).outlineStyle"
        assert page.script(outline) == "solid"
        page.press(SPACE)
        until(lambda: page.api.shows().endswith("forest.jpg"))
        until(lambda: page.checked("#backgrounds") == [page.api.shows()])
        assert page.script(focused) == page.api.shows()


def test_the_first_start_ticks_its_steps_off_and_ends(browser: Any, tmp_path: Path) -> None:
    api = Presenter(tmp_path / "gallery")
    cameras = api.offers["cameras"]
    api.offers |= {"cameras": [], "virtual": {"there": False, "name": "VBG Camera", "fix": MODPROBE}}
    api.offers["models"][0]["here"] = False
    api.values |= {
        "welcomed": False, "state": "covered", "why": "the model is loading",
        "loading": {"model": "lraspp_mobilenet_v3_large", "done": 1_000_000, "total": 13_100_000, "host": "a.host"},
    }  # fmt: skip

    def steps() -> list[str]:
        found = browser.find_elements("css selector", "#steps > li")
        return [one.get_attribute("class") for one in found]

    with panel(browser, tmp_path, api, opened=False) as page:
        browser.get(page.running.client.open())
        assert page.find("#welcome h2").text == "Welcome"
        until(lambda: steps() == ["missing", "missing", "busy"])
        assert not browser.find_element("id", "settings").is_displayed()
        assert MODPROBE in page.text("#step-virtual")
        assert "1.0 of 13 MB from a.host" in page.text("#step-model")
        assert page.find("#welcomed").text == "Go on without"
        api.change(
            loading={"model": "lraspp_mobilenet_v3_large", "done": 12_000_000, "total": 13_100_000, "host": "a.host"}
        )
        until(lambda: "12 of 13 MB" in page.text("#step-model"))
        assert page.find("#step-model progress").get_property("position") > 0.9
        api.offers["cameras"] = cameras  # plugged in: no revision tells of it
        until(lambda: steps()[0] == "done")
        api.offers["virtual"] = {"there": True, "name": "VBG Camera", "fix": ""}
        until(lambda: steps()[1] == "done")
        api.offers["models"][0]["here"] = True
        api.change(loading=None, state="idle", why="")
        until(lambda: steps() == ["done", "done", "done"])
        assert "Choose “VBG Camera” in your call" in page.text("#ending")
        assert page.find("#welcomed").text == "To the backgrounds"
        page.click("#welcomed")
        until(lambda: page.done("welcomed") != [])
        page.find("#settings")
        assert not browser.find_element("id", "welcome").is_displayed()
        assert page.script("return document.activeElement.id") == "h-background"
        browser.refresh()
        page.find("#settings")


def test_a_trouble_stands_beside_the_picture_and_its_fix_can_be_copied(page: Page) -> None:
    assert page.text("#troubles") == "Nothing went wrong."
    trouble = {"at": time.time(), "what": "there is no virtual camera", "fix": MODPROBE, "now": True}
    page.api.change(state="no output", why="there is no virtual camera", troubles=[trouble])
    until(lambda: "there is no virtual camera" in page.text("#notices"))
    assert page.text("#lamp-word") == "No output"
    copied = "return document.querySelector('#notices .copy').dataset.copied"
    page.script("document.addEventListener('copy', () => { window.kept = String(getSelection()) })")
    page.script("navigator.clipboard.writeText = async (text) => { window.kept = text }")
    page.click("#notices .copy")
    until(lambda: page.script("return window.kept") == MODPROBE)
    assert page.script(copied) == "yes"
    page.script("navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed'))")
    page.script("window.kept = ''")
    page.click("#troubles .copy")
    until(lambda: page.script("return window.kept") == MODPROBE)
    page.api.change(state="on air", why="", troubles=[trouble | {"now": False}])
    until(lambda: not page.driver.find_elements("css selector", "#notices > *"))
    assert MODPROBE in page.text("#troubles")


def test_something_lighter_that_was_taken_is_said_and_one_click_goes_back(page: Page) -> None:
    assert not page.driver.find_element("id", "helped").is_displayed()
    back = {"model.name": "fcn_resnet101", "model.size": "auto"}
    why = "FCN, ResNet-101 was too slow to follow you: LR-ASPP, MobileNetV3 is used instead"
    page.api.change(helped={"from": "FCN, ResNet-101", "to": "LR-ASPP, MobileNetV3", "why": why, "back": back})
    assert page.find("#helped-why").text == f"{why}."
    assert page.text("#go-back") == "Go back to FCN, ResNet-101"
    page.click("#go-back")
    until(lambda: page.done("set") == [{"do": "set", "settings": back}])
    page.api.change(helped=None)
    until(lambda: not page.driver.find_element("id", "helped").is_displayed())


def test_a_download_can_be_cancelled_and_one_that_failed_tried_again(page: Page) -> None:
    page.api.change(loading={"model": "selfie", "done": 0, "total": 450_000, "host": "a.host"})
    until(lambda: page.text("#loading-word") == "Asking a.host for selfie")
    page.click("#cancel-model")
    until(lambda: page.done("model") == [{"do": "model", "to": "cancel"}])
    page.api.values["settings"]["model"]["name"] = "auto"
    page.api.change(loading=None, model_problem="selfie could not be fetched")
    until(lambda: page.text("#no-model-why") == "selfie could not be fetched")
    assert not page.driver.find_element("id", "loading").is_displayed()
    page.click("#retry-model")
    until(lambda: page.done("model")[1:] == [{"do": "model", "to": "auto"}])
    page.api.change(model_problem="")
    until(lambda: not page.driver.find_element("id", "no-model").is_displayed())


def test_the_diagnosis_is_copied_and_the_picture_saved(page: Page) -> None:
    page.script("navigator.clipboard.writeText = async (text) => { window.kept = text }")
    page.click("#diagnosis")
    until(lambda: page.script("return window.kept") == page.api.text)
    page.script("HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, this.href] }")
    page.click("#snapshot")
    until(lambda: page.script("return window.saved") is not None)
    name, address = page.script("return window.saved")
    assert name == "vbgcam.png"
    assert address.startswith("blob:")
    assert page.api.called["snapshot"] == 1


def test_the_charts_and_the_readers_are_told_in_words_too(page: Page) -> None:
    page.api.values["live"] = {"fps": 24.6, "mask_age_ms": None, "added_latency_ms": 7.26}
    until(lambda: page.text("#figure-fps b") == "25" and page.text("#figure-latency b") == "7.3")
    assert page.text("#figure-age b") == "\N{EN DASH}"
    page.api.values["live"] = {"fps": 30.0, "mask_age_ms": 41.0, "added_latency_ms": 9.0}
    until(lambda: page.text("#figure-age b") == "41")
    spoken = page.script("return document.querySelector('#figure-latency .unseen').textContent")
    assert spoken.startswith("In the last minute from")
    until(lambda: page.script("return document.querySelector('#figure-fps .line').getAttribute('d')") != "")
    page.api.change(readers=["zoom", "firefox"])
    until(lambda: page.text("#readers").split() == ["zoom", "firefox"])
    assert page.text("#sentence-note") == "zoom and firefox read this picture."
    page.api.change(readers=[], watched=True)
    until(lambda: "cannot be named" in page.text("#readers"))
    page.api.change(watched=False)
    until(lambda: page.text("#readers") == "nobody")


def test_a_daemon_that_was_started_again_is_found_by_itself(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, noise=("net::ERR_",)) as page:
        page.click("#see")
        until(lambda: page.api.watchers == 1)
        page.script("document.getElementById('pause').focus()")
        page.running.server.stop()
        assert "vbgcam is not running" in page.find("#lost").text
        assert page.text("#lamp-word") == "Not running"
        page.wait("document.getElementById('settings').inert")
        assert page.toasts() == ""
        page.api.values |= {"pid": 4242, "version": "9.9"}
        page.api._revision = 0  # another program begins to count anew
        page.running.server.start()
        until(lambda: not browser.find_element("id", "lost").is_displayed())
        page.moves()
        assert page.text("#version") == "vbgcam 9.9"
        assert page.script("return document.activeElement.id") == "pause"
        assert page.api.watchers == 0  # the camera does not go on again by itself
        assert page.find("#see").get_attribute("aria-checked") == "false"
        page.click("#pause")
        until(lambda: page.text("#lamp-word") == "Paused")


def test_light_and_dark_are_the_systems_or_the_persons(browser: Any, tmp_path: Path) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"

    def system(scheme: str) -> None:
        told = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", told)

    with panel(browser, tmp_path) as page:
        system("light")
        light = page.script(paper)
        system("dark")
        dark = page.script(paper)
        assert light != dark
        page.click("#theme label:nth-of-type(2)")
        assert page.script(paper) == light
        browser.refresh()
        page.find("#main")
        assert page.script(paper) == light
        page.click("#theme label:nth-of-type(1)")
        assert page.script(paper) == dark
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_quitting_is_asked_for(page: Page) -> None:
    page.click("#quit")
    page.click("#confirm-no")
    assert page.done("quit") == []
    page.click("#quit")
    page.click("#confirm-yes")
    until(page.api.quit.is_set)


def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_picture_stays_in_sight(
    browser: Any, tmp_path: Path
) -> None:
    api = pictures(tmp_path, "a very long name of a picture, with words.jpg")
    with panel(browser, tmp_path, api) as page, sized(browser, PHONE):
        page.wait("innerWidth === 390")
        assert page.script("return document.scrollingElement.scrollWidth") <= 390
        page.script("document.getElementById('h-model').scrollIntoView()")
        top, bottom = page.script(
            "const r = document.getElementById('stage').getBoundingClientRect(); return [r.top, r.bottom]"
        )
        assert top == 0
        heading = page.script("return document.getElementById('h-model').getBoundingClientRect().top")
        assert bottom <= heading  # what is scrolled to is not under it
        page.api.values["settings"]["background"]["show"] = "none"
        page.api.change(troubles=[{"at": time.time(), "what": "x" * 200, "fix": "y" * 200, "now": True}])
        page.find("#notices .notice")
        assert page.script("return document.scrollingElement.scrollWidth") <= 390
        page.api.change(helped={"from": "a network with a long name" * 2, "to": "another", "why": "slow", "back": {}})
        page.find("#helped")
        assert page.script("return document.scrollingElement.scrollWidth") <= 390


NAMED = {
    "button", "radio", "slider", "switch", "checkbox", "combobox", "listbox", "textbox", "link", "progressbar", "image",
    "radiogroup", "ColorWell", "DisclosureTriangle", "alertdialog",
}  # fmt: skip
"""Roles, as Chromium calls them, that say nothing to anybody without a name."""


def nameless(driver: Any) -> tuple[int, list[str]]:
    """How many controls the page has for a screen reader, and those without a name."""
    nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    shown = [node for node in nodes if not node["ignored"] and node["role"]["value"] in NAMED]
    return len(shown), [node["role"]["value"] for node in shown if not node.get("name", {}).get("value")]


def test_every_control_has_a_name_for_who_does_not_see_it(browser: Any, tmp_path: Path) -> None:
    api = pictures(tmp_path, "beach.jpg", "broken.jpg")
    api.values["troubles"] = [{"at": time.time(), "what": "lost", "fix": MODPROBE, "now": True}]
    api.values["loading"] = {"model": "fcn_resnet101", "done": None, "total": None, "host": ""}
    api.values["config"]["problems"] = ["a mistake"]
    with panel(browser, tmp_path, api) as page:
        page.script("for (const one of document.querySelectorAll('details')) one.open = true")
        page.script("document.querySelector('#pictures .remove').click()")
        page.find("#confirm")
        count, without = nameless(browser)
        assert count > 40
        assert without == []
        page.press(ESCAPE)
        page.api.change(welcomed=False)
        page.find("#welcome")
        count, without = nameless(browser)
        assert count > 10
        assert without == []


def test_radios_say_their_state_and_only_one_of_a_group_is_a_stop_for_tab(browser: Any, tmp_path: Path) -> None:
    with panel(browser, tmp_path, pictures(tmp_path, "beach.jpg", "forest.jpg")) as page:
        for group in ("#backgrounds", "#presets", "#cameras", "#models"):
            radios = page.driver.find_elements("css selector", f"{group} [role=radio]")
            assert len(radios) > 1
            assert all(one.get_attribute("aria-checked") in {"true", "false"} for one in radios)
            assert [one.get_property("tabIndex") for one in radios].count(0) == 1


@pytest.mark.parametrize("state", ["starting", "on air", "covered", "idle", "paused", "no output", "stopped", "new"])
def test_every_state_is_said_in_a_sentence(browser: Any, tmp_path: Path, state: str) -> None:
    api = Presenter(tmp_path / "gallery")
    api.values |= {
        "state": state,
        "why": "the model is loading",
        "readers": [],
        "live": dict.fromkeys(api.values["live"]),
    }
    for figure in ("source_format", "source_size", "source_fps", "inference_ms", "mask_age_ms", "rss_mb"):
        api.values[figure] = None
    with panel(browser, tmp_path, api) as page:
        assert page.text("#lamp-word")
        assert page.text("#sentence").endswith(".")
        assert "undefined" not in page.text("body")
        assert "null" not in page.text("body")
