"""The pages: what the figures are and what they look like, and a small survey to rate them by eye."""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from vbgcam.core.frames import U8
from vbgcam.evaluate.base import Compare, Comparison, Results
from vbgcam.evaluate.figures import MEASURES, about, measures, table, tails
from vbgcam.report import pages as kit
from vbgcam.report.charts import lines
from vbgcam.report.tables import Table

# Of the measures, those that only people who compare papers ask for.
_NOT_FIRST: Final = ("mse", "grad", "conn")
# Pictures of each kind: three say more than one, and nine are as many as people look at.
_SHOWN: Final = 3
# Seconds between two frames of a clip that are shown: neighbours look alike.
_APART: Final = 0.5
# Scenes to rate: two pictures of each are 40 marks, one at a time.
_SCENES: Final = 20
_SCENE_WIDTH: Final = 720


def pages(results: Results, compare: Compare, target: Path) -> dict[Path, str]:
    """The page's text, and where there are pictures that of the one to rate them by eye, by their files. Raises
    MediaError."""
    beside = target.with_stem(f"{target.stem}-rating")
    made = {target: _html(results, compare, beside.name)}
    if _shown(results["items"]):
        made[beside] = _rating(results, compare)
    return made


def _html(results: Results, compare: Compare, rating_name: str) -> str:
    title = f"{Path(results['model']).name} on {' and '.join(Path(path).name for path in results['data'])}"
    items = results["items"]
    shown = [items[place] for place in _shown(items)]
    tiles = (
        (f"{measure.title}, {'more' if measure.up else 'less'} is better", measure.text(value), measure.meaning)
        for measure, value in measures(results)
        if measure.key not in _NOT_FIRST
    )
    parts = [kit.heading(title, about(results)), kit.tiles(tiles)]
    if shown:
        parts.append(_pictures(items, compare, rating_name))
    if results["kind"] == "clip":
        parts += [_over_time(shown)] if shown else []
    elif results["kind"] != "coco":
        compared = [measure for measure in MEASURES if measure.key != "dtssd"]
        head = ("picture", *(measure.title for measure in compared))
        rows = [(item["name"], *(measure.text(item[measure.key]) for measure in compared)) for item in items]
        parts.append(kit.table_section(Table(f"All {len(items)}", head, rows)))
    elif "class_iou" in results:
        by_class = results["class_iou"].items()
        rows = [(name, "-" if value is None else f"{100 * value:.1f} %") for name, value in by_class]
        parts.append(kit.table_section(Table("IoU of each class", ("class", "IoU"), rows)))
    parts += map(kit.table_section, filter(None, (table(results), tails(results))))
    if left_out := results["left_out"]:
        reasons = (f"<p>{escape(item['why'])}</p>" for item in left_out)
        parts.append(kit.section(f"Left out ({len(left_out)})", *reasons))
    parts.append(kit.section("The same again", f"<pre>{escape(results['command'])}</pre>"))
    return kit.document(f"vbgcam eval: {title}", "\n".join(parts))


def _rating(results: Results, compare: Compare) -> str:
    """The survey's text: pictures made with the model's masks and with the true ones, in random order, marked 1 to 5,
    and nobody is told which is which before the end. Its answers stay in the browser, under a key that belongs to these
    results."""
    shown = _shown(results["items"])
    scenes = min(_SCENES, len(shown))
    places = [shown[round(step * (len(shown) - 1) / max(1, scenes - 1))] for step in range(scenes)]
    key = hashlib.sha256(json.dumps(results, sort_keys=True).encode()).hexdigest()[:16]
    data = {
        "key": f"vbgcam-rating-{key}",
        "model": Path(results["model"]).name,
        "pictures": [
            [kit.data_uri(one.composite, _SCENE_WIDTH), kit.data_uri(one.true_composite, _SCENE_WIDTH)]
            for one in compare(places)
        ],
    }
    # "</" would end the script element, wherever it stands.
    text = json.dumps(data).replace("</", "<\\/")
    body = (
        f'<section class="ask" id="place"></section><p class="soft" id="trouble" role="alert"></p>'
        f'<script type="application/json" id="data">{text}</script>'
    )
    return kit.document("How natural does it look?", body, "rating.js")


def _shown(items: Sequence[Mapping[str, Any]]) -> list[int]:
    """Places of those of which there is a picture: a hidden frame has none."""
    return [place for place, item in enumerate(items) if item["iou"] is not None]


def chosen(items: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[int]]]:
    """Places of the best, the worst and those in the middle by IoU; none twice, of a clip none within half a second of
    another, and none that is hidden."""
    order = sorted(_shown(items), key=lambda place: (-items[place]["iou"], place))
    middle = [order[rank] for rank in sorted(range(len(order)), key=lambda rank: abs(rank - len(order) // 2))]
    count = min(_SHOWN, max(1, len(order) // 3))
    found: dict[str, list[int]] = {"Best": [], "Median": [], "Worst": []}
    for name, places in (("Best", order), ("Worst", order[::-1]), ("Median", middle)):
        for place in places:
            taken = itertools.chain(*found.values())
            if len(found[name]) < count and all(_apart(items[place], items[other]) for other in taken):
                found[name].append(place)
    return [(name, group) for name, group in found.items() if group]


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if "time" in one:
        return abs(float(one["time"]) - float(other["time"])) >= _APART
    return one is not other


def error(one: Comparison) -> U8:
    """RGB: the picture in pale grey; red where the room is shown, blue where the person is hidden."""
    grey = np.asarray(cv2.cvtColor(one.input, cv2.COLOR_RGB2GRAY), np.float32)
    out = np.repeat((120 + grey * 0.5)[..., None], 3, 2)
    difference = one.alpha.astype(np.float32) - one.truth
    for part, color in ((difference, (216, 57, 43)), (-difference, (43, 111, 216))):
        weight = np.clip(part / 255, 0, 1)[..., None]
        out = out * (1 - weight) + np.array(color, np.float32) * weight
    return np.asarray(np.rint(np.clip(out, 0, 255)), np.uint8)


def _pictures(items: Sequence[Mapping[str, Any]], compare: Compare, rating_name: str) -> str:
    groups = chosen(items)
    places = sorted(place for _, group in groups for place in group)
    drawn = {place: _four(one) for place, one in zip(places, compare(places), strict=True)}
    colors = kit.legend(("red", "the room is shown"), ("blue", "the person is hidden"))
    content = [
        f'<p class="soft key">By IoU. In the last picture: {colors}. '
        f'<a href="{escape(rating_name)}">Rate the pictures by eye, blindly</a></p>'
    ]
    for name, group in groups:
        for place in group:
            item = items[place]
            figures = ", ".join(f"{measure.title} {measure.text(item[measure.key])}" for measure in MEASURES[:3])
            content.append(f"<h3>{name}: {escape(item['name'])} <span>{figures}</span></h3>{drawn[place]}")
    return kit.section("Best, median, worst", *content)


def _four(one: Comparison) -> str:
    columns = {"input": one.input, "mask": one.alpha, "composite": one.composite, "error": error(one)}
    figures = (
        f'<figure><img src="{kit.data_uri(pixels)}" alt="{title} of {escape(one.name)}">'
        f"<figcaption>{title}</figcaption></figure>"
        for title, pixels in columns.items()
    )
    return f'<div class="four">{"".join(figures)}</div>'


def _over_time(items: Sequence[Mapping[str, Any]]) -> str:
    content = []
    for keys in (("iou", "boundary_f"), ("leak", "loss"), ("dtssd",)):
        titles = [measure.title for measure in MEASURES if measure.key in keys]
        colors = kit.legend(*zip(("ours", "bad"), titles, strict=False))
        content.append(f'<p class="key">{colors}</p>{lines(items, keys, titles)}')
    return kit.section("Over time", *content)
