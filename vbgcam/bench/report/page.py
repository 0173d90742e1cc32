"""One page with charts and tables; nothing in it comes from elsewhere, so that it can be kept and sent as a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import escape
from typing import Final

from vbgcam.bench.base import Figures
from vbgcam.bench.report.chart import Bar, Mark, bars
from vbgcam.bench.report.rows import Table, machine, ms, tables, times, words
from vbgcam.bench.stages import TITLES

_STYLE: Final = """
:root { --paper: #fbfaf7; --card: #ffffff; --ink: #23262d; --soft: #767b86; --line: #e4e1da; --ours: #0f7c74;
  --other: #c3c1ba; --mark: #c2562d; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181d; --card: #1e2127; --ink: #e6e7ea; --soft: #949aa6;
  --line: #31353d; --ours: #3fb8a9; --other: #565c67; --mark: #e88a5f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 40px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 0 0 2px; color: var(--soft); font-size: 13px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 24px 0; }
.tile { flex: 1 1 170px; padding: 12px 16px; }
.tile, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile b { display: block; font-size: 24px; letter-spacing: -.02em; }
.tile span { font-size: 13px; color: var(--soft); }
section { padding: 18px 20px; margin: 0 0 18px; overflow-x: auto; }
svg { width: 100%; min-width: 640px; height: auto; display: block; margin-top: 8px; }
svg text { fill: var(--ink); }
svg .soft { fill: var(--soft); }
svg .strong { font-weight: 600; }
svg .gain { fill: var(--ours); font-weight: 600; }
svg .ours { fill: var(--ours); }
svg .other { fill: var(--other); }
svg .grid { stroke: var(--line); }
svg .mark { stroke: var(--mark); stroke-width: 1.5; stroke-dasharray: 4 3; }
svg .marked { fill: var(--mark); font-size: 12px; }
.legend { margin-top: 8px; }
.legend i { display: inline-block; width: 22px; height: 9px; border-radius: 2px; margin: 0 6px 0 14px; }
.legend i:first-child { margin-left: 0; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; margin: 8px 0; }
th { font-weight: 600; color: var(--soft); }
th, td { padding: 3px 8px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
.word { text-align: left; }
td.key { font-weight: 600; }
summary { cursor: pointer; font-size: 13px; color: var(--soft); margin-top: 6px; }
"""


def html(figures: Figures) -> str:
    """The whole page."""
    title = f"vbgcam {figures['version']}, bench"
    about = "\n".join(f"<p>{escape(line)}</p>" for line in machine(figures))
    day = time.strftime("%Y-%m-%d", time.localtime(figures["measured_at"]))
    tiles = "".join(
        f'<div class="tile"><b>{escape(figure)}</b><span>{escape(meaning)}</span></div>'
        for figure, meaning in _tiles(figures)
    )
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(title)}</h1><p>{day}</p>{about}",
        f'<div class="tiles">{tiles}</div>' if tiles else "",
    ]
    for table in tables(figures):
        chart = _chart(table.title, figures)
        content = f"{chart}<details><summary>figures</summary>{_table(table)}</details>" if chart else _table(table)
        note = f"<p>{escape(table.note)}</p>" if table.note else ""
        parts.append(f"<section><h2>{escape(table.title)}</h2>{note}{content}</section>")
    return "\n".join([*parts, "</main></body></html>", ""])


def _tiles(figures: Figures) -> Iterator[tuple[str, str]]:
    """The figures that one asks for first, at 1080p, or at the only size that there is."""
    frame, stages, live = (_at_hd(figures.get(family, {})) for family in ("frame", "stages", "live"))
    if frame:
        size, row = frame
        yield f"{ms(row['image']['ms'])} ms", f"a whole {size} frame, network included"
    if stages:
        size, row = stages
        blend = row["blend"]
        yield times(blend["naive_ms"], blend["ms"]), f"faster than the naive blend at {size}"
        yield times(blend["ms"], blend["memcpy_ms"]), f"a copy of the frame: what its blend takes at {size}"
    if live:
        name, row = live
        yield f"{ms(row['added_latency_ms']['p95'])} ms", f"added latency live at {name}, 95 of 100 frames"
    best = [
        (row["eager_fp32_ms"] / row["ms"], model, size)
        for model, sizes in figures.get("inference", {}).items()
        for size, row in sizes.items()
        if row.get("eager_fp32_ms")
    ]
    if best:
        ratio, model, size = max(best)
        yield times(ratio, 1.0), f"faster than eager fp32: {words(model)} at {size}"


def _at_hd(family: Figures) -> tuple[str, Figures] | None:
    wanted = [name for name in family if name.startswith("1080p")] or list(family)
    return (wanted[0], family[wanted[0]]) if wanted else None


def _chart(title: str, figures: Figures) -> str:
    """ "" where the table says it better."""
    size = title.removeprefix("Steps at ")
    if size in figures.get("stages", {}):
        stages = figures["stages"][size]
        rows = [
            Bar(TITLES.get(name, name), row["ms"], row["naive_ms"], strong=name.startswith("frame"))
            for name, row in stages.items()
        ]
        copy = next(iter(stages.values()))["memcpy_ms"]
        return _legend("the naive way: BGR and floats") + bars(title, rows, Mark(f"a copy, {ms(copy)} ms", copy))
    if title == "The network":
        rows = [
            Bar(f"{_short(model)} {size}", row["ms"], row.get("eager_fp32_ms"))
            for model, sizes in figures["inference"].items()
            for size, row in sizes.items()
        ]
        return _legend("eager fp32") + bars(title, rows)
    return ""


def _short(model: str) -> str:
    return words(model).removeprefix("onnx:").removesuffix(".onnx").split("_mobilenet")[0]


def _legend(other: str) -> str:
    return (
        '<p class="legend"><i style="background:var(--ours)"></i>vbgcam'
        f'<i style="background:var(--other)"></i>{escape(other)}</p>'
    )


def _table(table: Table) -> str:
    def cells(row: tuple[str, ...], tag: str) -> str:
        made = []
        for index, cell in enumerate(row):
            kind = "word" if index < table.names else "key" if table.head[index] == "ms" else ""
            made.append(f'<{tag} class="{kind}">{escape(cell)}</{tag}>')
        return f"<tr>{''.join(made)}</tr>"

    body = "\n".join(cells(row, "td") for row in table.rows)
    return f"<table><thead>{cells(table.head, 'th')}</thead><tbody>{body}</tbody></table>"
