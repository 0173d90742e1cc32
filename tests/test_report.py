"""report: charts, and an evaluation's pages as a browser shows them, and its table in the terminal."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.browser import chromium
from vbgcam.evaluate.base import Comparison, Results
from vbgcam.evaluate.coco import VOC_NAMES
from vbgcam.evaluate.figures import show
from vbgcam.evaluate.metrics import HIDDEN, Score
from vbgcam.evaluate.page import chosen, error, pages
from vbgcam.report.charts import bars


def tail_at(name: str) -> dict[str, Any]:
    above = {"0.01": 41, "0.02": 32, "0.05": 23}
    return {key: {"p99": 0.125, "worst": 0.375, "at": name, "above": above} for key in ("leak", "loss")}


def item(name: str, iou: float, **more: object) -> dict[str, Any]:
    return {"name": name, **dict.fromkeys(Score._fields, 0.25), "dtssd": None, **more, "iou": iou}


def of_pairs(count: int) -> Results:
    items = [item(f"picture <{number}>", number / count) for number in range(count)]
    means = dict.fromkeys(Score._fields, 0.25) | {"dtssd": None}
    papers = {"mad": 250.0, "mse": 250.0, "grad": 0.25, "conn": 0.25, "dtssd": None}
    return {
        "kind": "pairs", "data": ["a & b"], "model": "onnx:net.onnx", "device": "cpu", "precision": "fp32",
        "input": "256x256", "hard": False, "command": "vbgcam eval --pairs 'a & b' --model onnx:net.onnx",
        "images": count, **means, "papers": papers, "tail": tail_at("picture <0>"), "items": items,
        "left_out": [{"name": "x", "why": "x_mask.png is a mask without its <picture>"}],
    }  # fmt: skip


def of_a_clip(count: int) -> Results:
    items = [
        item(f"frame {number}", 0.5 + 0.4 * np.sin(number / 9), frame=number, time=number / 30, mask_age=0.2, dtssd=3.0)
        | {"hidden": False}
        for number in range(count)
    ]
    return {
        **of_pairs(1), "kind": "clip", "data": ["v.mp4", "a.mkv"], "mask_fps": 5.0, "net_ms": None, "frame_fps": None,
        "seed": 0, "size": "64x48", "fps": 30.0,
        "frames": count, "scored": count, "without_mask": 0, "covered": 2, "dtssd": 3.0, "left_out": [],
        "items": items, "tail": tail_at("frame 7"),
    }  # fmt: skip


def hide(results: Results, places: Sequence[int]) -> Results:
    """A clip's, with those of its frames hidden."""
    items = [one | HIDDEN | {"hidden": True} if at in places else one for at, one in enumerate(results["items"])]
    return {**results, "items": items, "covered": len(places), "scored": len(items) - len(places)}


def of_coco() -> Results:
    table = np.diag(np.arange(21)).tolist()
    table[15][0] = 5
    return {
        "kind": "coco", "data": ["coco"], "model": "fcn_resnet101", "device": "cpu", "precision": "fp32",
        "input": "520 on the short side", "hard": False, "command": "vbgcam eval --coco coco", "images": 7,
        "person_iou": 0.75, "person_accuracy": 0.9, "miou": None, "miou_present": 0.6, "pixel_accuracy": 0.8,
        "class_iou": {name: None if name == "bus" else 0.5 for name in VOC_NAMES}, "confusion": table, "left_out": [],
        "tail": tail_at("8.jpg"), "items": [item(f"{number}.jpg", number / 9) for number in range(9)],
    }  # fmt: skip


def compare(places: Sequence[int]) -> Iterator[Comparison]:
    """Pictures that differ: the model's composites are red, those with the true mask blue."""
    for place in places:
        rgb = np.full((48, 64, 3), 40 + place % 100, np.uint8)
        red, blue = rgb.copy(), rgb.copy()
        red[..., 0], blue[..., 2] = 255, 255
        alpha = np.zeros((48, 64), np.uint8)
        yield Comparison(f"picture {place}", rgb, alpha, 255 - alpha, red, blue)


def written(results: Results, target: Path) -> list[Path]:
    found = pages(results, compare, target)
    for path, text in found.items():
        path.write_text(text)
    return list(found)


def requests(driver: Any) -> list[str]:
    """What the pages asked of anywhere, but for themselves and the pictures that they hold; Chromium's own first page
    asks Chromium."""
    found = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return [url for url in found if not url.startswith(("file:", "data:", "blob:", "chrome:"))]


def troubles(driver: Any) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser")]


@pytest.mark.parametrize("results", [of_pairs(500), of_pairs(1), of_a_clip(2000), of_coco()], ids=lambda it: it["kind"])
def test_a_page_opens_without_a_request_to_anywhere(results: Results, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    files = written(results, target)
    assert files == [target, tmp_path / "report-rating.html"]
    assert max(path.stat().st_size for path in files) < 5_000_000
    with chromium(tmp_path / "profile") as driver:
        for path in files:
            driver.get(path.as_uri())
            assert requests(driver) == []
            assert troubles(driver) == []
        driver.get(target.as_uri())
        text = driver.find_element("tag name", "body").text
        assert results["command"] in text
        for left_out in results["left_out"]:
            assert left_out["why"] in text
        worst = f"12.5 % 37.5 % 41 32 23 {results['tail']['leak']['at']}"
        assert text.count(worst) == 2, "of leak and of loss"
        pictures = driver.find_elements("tag name", "img")
        assert all(driver.execute_script("return arguments[0].naturalWidth", one) == 64 for one in pictures)
        assert len(pictures) == 4 * min(9, len(results["items"]))


def test_a_list_is_sorted_by_a_click_and_a_chart_tells_the_value_under_the_pointer(tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains

    written(of_pairs(30), tmp_path / "pairs.html")
    written(of_a_clip(60), tmp_path / "clip.html")
    with chromium(tmp_path / "profile") as driver:
        driver.get((tmp_path / "pairs.html").as_uri())
        button = driver.find_elements("css selector", "table.sorted th button")[1]
        for first in ("picture <0>", "picture <29>"):
            button.click()
            assert driver.find_element("css selector", "table.sorted tbody td").text == first
        driver.get((tmp_path / "clip.html").as_uri())
        chart = driver.find_element("css selector", ".chart svg")
        ActionChains(driver).move_to_element(chart).perform()
        said = driver.find_element("css selector", ".chart output").text
        assert said.startswith("frame 28, 0.93 s: ")  # the middle of the whole, whose left is the scale's
        assert "IoU" in said


def press(driver: Any, keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(driver).send_keys(keys).perform()


def color(driver: Any, picture: Any) -> str:
    """Whether a picture of the rating is the model's (red) or the truth's (blue)."""
    script = """
        const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
        const context = canvas.getContext("2d"); context.drawImage(arguments[0], 0, 0, 1, 1);
        const [red, , blue] = context.getImageData(0, 0, 1, 1).data; return red > blue ? "model" : "truth";
    """
    return str(driver.execute_script(script, picture))


def reloaded(driver: Any) -> None:
    """Until the page goes on where it was: what it kept, Chromium hands to the next page when it has time."""
    end = time.monotonic() + 20
    driver.refresh()
    while not driver.find_elements("id", "count"):
        assert time.monotonic() < end, "the rating begins anew"
        driver.refresh()


@pytest.mark.parametrize("mode", ["singles", "pairs"])
def test_a_rating_goes_by_keys_is_kept_over_a_reload_and_ends_with_means_and_a_histogram(
    tmp_path: Path, mode: str
) -> None:
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.wait import WebDriverWait

    written(of_pairs(6), tmp_path / "r.html")
    address = (tmp_path / "r-rating.html").as_uri()
    with chromium(tmp_path / "profile") as driver:
        driver.get(address)
        driver.find_element("id", mode).click()
        seen = []
        for number in range(12):
            if number == 5:
                press(driver, "1")
                press(driver, "\ue003")  # Backspace: the answer is taken back
                reloaded(driver)
            assert driver.find_element("id", "count").text == f"{number + 1} of 12"
            pictures = driver.find_elements("css selector", "#place img")
            assert len(pictures) == (2 if mode == "pairs" else 1)
            kinds = [color(driver, picture) for picture in pictures]
            seen.append(kinds[number % 2 if mode == "pairs" else 0])
            if mode == "pairs":
                assert sorted(kinds) == ["model", "truth"]
            visible = driver.find_element("tag name", "body").text
            assert "model" not in visible
            assert "truth" not in visible
            press(driver, "2" if seen[-1] == "model" else "5")
        assert sorted(seen) == ["model"] * 6 + ["truth"] * 6
        assert "2.00 ± 0.00 (6 ratings)" in driver.find_element("id", "of-model").text
        assert "5.00 ± 0.00 (6 ratings)" in driver.find_element("id", "of-truth").text
        bars = [bar.text for bar in driver.find_elements("css selector", ".histogram span")]
        assert bars == ["0", "0", "6", "0", "0", "0", "0", "0", "0", "6"]
        other = tmp_path / "other.json"
        key = driver.execute_script("return Object.keys(localStorage)[0]")
        other.write_text(json.dumps({"key": key, "marks": [[0, 4], [1, 5]]}))
        driver.find_element("id", "others").send_keys(str(other))
        wait = WebDriverWait(driver, 60, ignored_exceptions=[StaleElementReferenceException])
        wait.until(lambda page: "(7 ratings)" in page.find_element("id", "of-model").text)
        other.write_text("{}")
        driver.find_element("id", "others").send_keys(str(other))
        wait.until(lambda page: "holds no ratings" in page.find_element("id", "trouble").text)
        driver.find_element("id", "again").click()
        assert driver.find_element("id", "singles").is_displayed()
        assert troubles(driver) == []
        assert requests(driver) == []


def test_the_order_is_random_and_another_evaluation_has_another_rating(tmp_path: Path) -> None:
    written(of_pairs(20), tmp_path / "a.html")
    written({**of_pairs(20), "iou": 0.3}, tmp_path / "b.html")
    with chromium(tmp_path / "profile") as driver:
        orders, known = [], set[str]()
        for name in ("a-rating.html", "b-rating.html"):
            driver.get((tmp_path / name).as_uri())
            driver.find_element("id", "singles").click()
            # What the page before has stored may come later: Chromium writes it when it has time.
            stored = driver.execute_script("return Object.fromEntries(Object.entries(localStorage))")
            [own] = stored.keys() - known
            known.add(own)
            orders.append(json.loads(stored[own])["tasks"])
        assert len(known) == 2
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == [[scene, kind] for scene in range(20) for kind in (0, 1)]


def test_the_shown_are_none_twice_and_of_a_clip_none_beside_another() -> None:
    few = [item(str(number), number / 2) for number in range(2)]
    assert chosen(few) == [("Best", [1]), ("Worst", [0])]
    clip = of_a_clip(600)["items"]
    groups = chosen(clip)
    places = [place for _, group in groups for place in group]
    assert [len(group) for _, group in groups] == [3, 3, 3]
    assert min(abs(one - other) for one in places for other in places if one != other) >= 15


def test_a_hidden_frame_is_on_no_picture_and_in_no_chart_and_nobody_rates_it(tmp_path: Path) -> None:
    drawn: list[int] = []

    def compare_shown(places: Sequence[int]) -> Iterator[Comparison]:
        assert list(places) == sorted(places)
        drawn.extend(places)
        yield from compare(places)

    hidden = [*range(10), 20, 59]
    target = tmp_path / "clip.html"
    made = pages(hide(of_a_clip(60), hidden), compare_shown, target)
    assert len(drawn) > 20, "the page and the rating both have pictures"
    assert not set(drawn) & set(hidden)
    charts = [json.loads(unescape(text)) for text in re.findall(r'data-values="([^"]*)"', made[target])]
    assert [[point[0] for point in chart["points"]] for chart in charts] == [
        [number for number in range(60) if number not in hidden]
    ] * 3
    assert "12 frames hidden" in made[target]
    everything = pages(hide(of_a_clip(3), range(3)), compare_shown, target)
    assert list(everything) == [target], "there is nothing to rate"


def test_what_is_shown_of_the_room_is_red_and_what_is_hidden_of_the_person_blue() -> None:
    alpha, truth = np.zeros((1, 3), np.uint8), np.zeros((1, 3), np.uint8)
    alpha[0, 0] = truth[0, 1] = 255
    rgb = np.full((1, 3, 3), 80, np.uint8)
    drawn = error(Comparison("x", rgb, alpha, truth, rgb, rgb))
    assert drawn[0, 0, 0] > 180 > drawn[0, 0, 2]
    assert drawn[0, 1, 2] > 180 > drawn[0, 1, 0]
    assert len(set(drawn[0, 2].tolist())) == 1


@pytest.mark.parametrize("results", [of_pairs(5), of_a_clip(9), of_coco()], ids=lambda it: it["kind"])
def test_the_table_in_the_terminal_says_each_figure_in_words(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    show(results)
    text = capsys.readouterr().out
    assert results["model"] in text
    words = ["person's IoU", "75.0 %"] if results["kind"] == "coco" else ["IoU", "25.0 %", "250.00", "of the room"]
    for word in (*words, *(left_out["why"] for left_out in results["left_out"])):
        assert word in text
    worst = ["12.5 %", "37.5 %", "41", "32", "23", results["tail"]["leak"]["at"]]
    rows = [line.split(None, 1) for line in text.splitlines()]
    assert [row[0] for row in rows if row and re.split(r" {2,}", row[-1].strip()) == worst] == ["leak", "loss"]
    assert all(len(line) <= 120 for line in text.splitlines())
    show({**results, "tail": None})
    assert "The worst" not in capsys.readouterr().out


def test_a_bars_length_is_its_logarithm() -> None:
    chart = bars([("a", 1.0, 10.0, ""), ("b", 100.0, None, "<")])
    one, ten, hundred, none = map(float, re.findall(r"width:([\d.]+)%", chart))
    assert (hundred, none) == (100, 0)
    assert hundred - one == pytest.approx(2 * (ten - one), abs=0.3)
