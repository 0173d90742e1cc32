"""The page: what the figures are, and what they look like. One file that asks nothing of anywhere, and beside it the
one to rate by eye (`rating`)."""

from __future__ import annotations

import itertools
import shlex
import statistics
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import U8
from vbgcam.evaluate.base import Results
from vbgcam.evaluate.report import MEASURES, Look, Measure, Shown
from vbgcam.evaluate.report.charts import histogram, lines
from vbgcam.evaluate.report.document import asset, data_uri, document
from vbgcam.evaluate.report.rating import rating
from vbgcam.evaluate.report.terminal import about, percent
from vbgcam.media.atomic import whole

_TILES: Final = ("iou", "boundary_f", "leak", "loss", "mad", "dtssd")
# Pictures of each kind: three say more than one, and nine are as many as people look at.
_SHOWN: Final = 3
_APART: Final = 0.5
_HEAT: Final = "rgb(15 124 116 / {:.2f})"
# What rounds to less than one percent is not written into its cell.
_LEAST: Final = 0.005


def write(results: Results, look: Look, target: Path) -> list[Path]:
    """Writes the page, and the one to rate by eye where there are pictures. Both whole or not at all. What was written.
    Raises OutputError, MediaError."""
    made = [(target, html(results, look, target.with_stem(f"{target.stem}-rating").name))]
    if results["items"]:
        made.append((target.with_stem(f"{target.stem}-rating"), rating(results, look)))
    for path, text in made:
        try:
            with whole(path) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as exc:
            fix = f"mkdir -p {shlex.quote(str(path.parent))}" if isinstance(exc, FileNotFoundError) else ""
            raise OutputError(f"{path}: the page could not be written: {exc.strerror}", fix=fix) from exc
    return [path for path, _ in made]


def html(results: Results, look: Look, rating_name: str) -> str:
    """The page's text. `rating_name`: the other page's file."""
    title = f"{Path(results['model']).name} on {' and '.join(Path(path).name for path in results['data'])}"
    parts = [f"<h1>{escape(title)}</h1>", *(f'<p class="soft">{escape(line)}</p>' for line in about(results))]
    if results["kind"] == "coco":
        parts += _coco(results)
    else:
        parts.append(_tiles(results))
    if results["items"]:
        parts += _pictures(results, look, rating_name)
    if results["kind"] != "coco":
        parts += _charts(results) if results["kind"] == "clip" else _list(results)
        parts.append(_measures(results))
    if results["left_out"]:
        rows = "".join(f"<p>{escape(item['why'])}</p>" for item in results["left_out"])
        parts.append(f"<section><h2>Left out ({len(results['left_out'])})</h2>{rows}</section>")
    parts.append(f"<section><h2>The same again</h2><pre>{escape(results['command'])}</pre></section>")
    return document(f"vbgcam eval: {title}", "\n".join(parts), asset("report.js"))


def chosen(items: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[int]]]:
    """Places of the best, the worst and those in the middle by IoU; none twice, and of a clip none within half a second
    of another, since neighbours look alike."""
    order = sorted(range(len(items)), key=lambda place: (-items[place]["iou"], place))
    half = len(order) // 2
    outwards = [place for pair in itertools.zip_longest(order[half:], order[:half][::-1]) for place in pair]
    count = min(_SHOWN, max(1, len(order) // 3))
    seen: list[int] = []
    found: dict[str, list[int]] = {}
    for name, places in (("Best", order), ("Worst", order[::-1]), ("Median", outwards)):
        mine = found.setdefault(name, [])
        for place in places:
            if len(mine) == count:
                break
            if place is not None and all(_apart(items[place], items[other]) for other in seen):
                mine.append(place)
                seen.append(place)
    return [(name, found[name]) for name in ("Best", "Median", "Worst") if found[name]]


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if "time" in one:
        return abs(float(one["time"]) - float(other["time"])) >= _APART
    return one is not other


def _tiles(results: Results) -> str:
    tiles = [
        f'<div class="tile"><span class="soft">{escape(measure.title)}, {_better(measure)}</span>'
        f'<b>{measure.text(results[measure.key])}</b><span class="soft">{escape(measure.meaning)}</span></div>'
        for measure in MEASURES
        if measure.key in _TILES and results[measure.key] is not None
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _better(measure: Measure) -> str:
    return "more is better" if measure.better == "up" else "less is better"


def _pictures(results: Results, look: Look, rating_name: str) -> Iterator[str]:
    items = results["items"]
    groups = chosen(items)
    places_drawn = sorted(place for _, places in groups for place in places)
    drawn = {place: _four(shown) for place, shown in zip(places_drawn, look(places_drawn), strict=True)}
    yield (
        "<section><h2>Best, median, worst</h2>"
        '<p class="soft key">By IoU. In the last picture: <i class="red"></i>the room is shown '
        '<i class="blue"></i>the person is hidden. '
        f'<a href="{escape(rating_name)}">Rate the pictures by eye, blindly</a></p>'
    )
    for name, places in groups:
        for place in places:
            item = items[place]
            yield (
                f"<h3>{name}: {escape(item['name'])} <span>IoU {100 * item['iou']:.1f} %, boundary F "
                f"{100 * item['boundary_f']:.1f} %, leak {100 * item['leak']:.1f} %</span></h3>{drawn[place]}"
            )
    yield "</section>"


def _four(shown: Shown) -> str:
    columns = (
        ("input", shown.input),
        ("mask", shown.alpha),
        ("composite", shown.composite),
        ("error", error(shown)),
    )
    figures = "".join(
        f'<figure><img src="{data_uri(pixels)}" alt="{title} of {escape(shown.name)}">'
        f"<figcaption>{title}</figcaption></figure>"
        for title, pixels in columns
    )
    return f'<div class="four">{figures}</div>'


def error(shown: Shown) -> U8:
    """RGB: the picture in pale grey; red where the room is shown, blue where the person is hidden."""
    grey = np.asarray(cv2.cvtColor(shown.input, cv2.COLOR_RGB2GRAY), np.float32)
    out = np.repeat((120 + grey * 0.5)[..., None], 3, 2)
    difference = shown.alpha.astype(np.float32) - shown.truth
    for part, color in ((difference, (216, 57, 43)), (-difference, (43, 111, 216))):
        weight = np.clip(part / 255, 0, 1)[..., None]
        out = out * (1 - weight) + np.array(color, np.float32) * weight
    return np.asarray(np.rint(np.clip(out, 0, 255)), np.uint8)


def _charts(results: Results) -> Iterator[str]:
    items = results["items"]
    if not items:
        return
    yield "<section><h2>Over time</h2>"
    for keys in (("iou", "boundary_f"), ("leak", "loss"), ("dtssd",)):
        titles = [measure.title for measure in MEASURES if measure.key in keys]
        key = "".join(f'<i class="{"bad" if n else "ours"}"></i>{escape(title)}' for n, title in enumerate(titles))
        yield f'<p class="key">{key}</p>{lines(items, keys, titles)}'
    if results["mask_fps"]:
        ages = [item["mask_age"] for item in items]
        yield (
            f'<p class="soft">Masks are {1000 * min(ages):.0f} to {1000 * max(ages):.0f} ms older than their frames, '
            f"{1000 * statistics.median(ages):.0f} ms in the middle.</p>"
        )
    yield "</section>"


def _list(results: Results) -> Iterator[str]:
    items = results["items"]
    spread = histogram([item["iou"] for item in items])
    yield f"<section><h2>How the pictures are spread</h2><h3>IoU</h3>{spread}</section>"
    keys = [measure for measure in MEASURES if measure.key != "dtssd"]
    head = "".join(
        f'<th scope="col"><button type="button">{escape(title)}</button></th>'
        for title in ("picture", *(measure.title for measure in keys))
    )
    rows = "".join(
        f"<tr><td>{escape(item['name'])}</td>"
        + "".join(f'<td data-value="{item[m.key]:.6g}">{m.text(item[m.key])}</td>' for m in keys)
        + "</tr>"
        for item in items
    )
    yield (
        f'<section><h2>All {len(items)}</h2><div class="long"><table class="sorted"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _measures(results: Results) -> str:
    papers = results["papers"] or {}
    rows = "".join(
        f"<tr><td>{escape(measure.title)}</td><td>{measure.text(results[measure.key])}</td>"
        f"<td>{'' if papers.get(measure.key) is None else format(papers[measure.key], '.2f')}</td>"
        f'<td class="word">{escape(measure.meaning)}; {_better(measure)}</td></tr>'
        for measure in MEASURES
    )
    return (
        "<section><h2>All measures</h2><table><thead><tr><th>measure</th><th>here</th><th>in papers</th>"
        f'<th class="word">what it says</th></tr></thead><tbody>{rows}</tbody></table>'
        '<p class="soft">Means over all that was scored. Papers on video matting print MAD and MSE times 1000.</p>'
        "</section>"
    )


def _coco(results: Results) -> Iterator[str]:
    figures = [
        ("person's IoU", results["person_iou"], "overlap of what is called a person with the truth"),
        ("person or not", results["person_accuracy"], "of all pixels, those that are right"),
    ]
    if "miou" in results:
        whole_set = results["miou"] is not None
        meaning = "21 classes, as torchvision counts" if whole_set else "the classes that occur; not all 21 do"
        figures += [
            ("mIoU", results["miou" if whole_set else "miou_present"], f"mean over {meaning}"),
            ("pixel accuracy", results["pixel_accuracy"], "of all pixels, those of the right class"),
        ]
    tiles = "".join(
        f'<div class="tile"><span class="soft">{title}</span><b>{percent(value)}</b>'
        f'<span class="soft">{meaning}</span></div>'
        for title, value, meaning in figures
    )
    yield f'<div class="tiles">{tiles}</div>'
    if "class_iou" in results:
        by_class = sorted(results["class_iou"].items(), key=lambda pair: (pair[0] != "person", -(pair[1] or 0)))
        rows = "".join(
            f'<span>{name}</span><div class="{"person" if name == "person" else ""}">'
            f'<i style="width:{100 * (value or 0):.1f}%"></i></div><span>{percent(value)}</span>'
            for name, value in by_class
        )
        yield f'<section><h2>IoU of each class</h2><div class="rows">{rows}</div></section>'
        yield _heat(results["confusion"], list(results["class_iou"]))


def _heat(table: list[list[int]], names: list[str]) -> str:
    """Rows: the truth."""
    head = "".join(f'<th scope="col" title="{name}">{name[:3]}</th>' for name in names)
    rows = []
    for name, row in zip(names, table, strict=True):
        total = sum(row)
        cells = []
        for other, count in zip(names, row, strict=True):
            part = count / total if total else 0.0
            cells.append(
                f'<td style="background:{_HEAT.format(part)}" title="{name} taken for {other}: {count}">'
                f"{f'{100 * part:.0f}' if part >= _LEAST else ''}</td>"
            )
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return (
        '<section><h2>What is taken for what</h2><p class="soft">Rows are the truth, columns the answer; percent of '
        f'the row.</p><table class="heat"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        "</section>"
    )
