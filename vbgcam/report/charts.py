"""Charts as SVG: bars on a logarithmic axis, and values over time. Colours are the style's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

_WIDTH: Final = 1000
_HEIGHT: Final = 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, _WIDTH - 8, 12, 22
_PLOT: Final = _HEIGHT - _TOP - _BOTTOM
# Points of a line: more than pixels are not to be seen, and an hour's clip has 100,000 frames.
_POINTS: Final = 900
# Of the bars: their row's height, and the room for words on both sides.
_ROW: Final = 34
_LABELS: Final = 230
_VALUES: Final = 220


class Bar(NamedTuple):
    """Milliseconds of a step and of what it is compared with, None where there is nothing. `note`: what stands behind
    the bars."""

    label: str
    ours: float
    other: float | None
    note: str


def bars(title: str, rows: Sequence[Bar], mark: tuple[str, float] | None = None) -> str:
    """Milliseconds on a logarithmic axis. `mark`: words and place of a line across all rows."""
    values = [value for row in rows for value in (row.ours, row.other) if value] + ([mark[1]] if mark else [])
    low, high = math.floor(math.log10(min(values) * 0.999)), math.ceil(math.log10(max(values) * 1.001))
    left, wide = _LABELS, _WIDTH - _LABELS - _VALUES
    height = 30 + _ROW * len(rows) + 28

    def x(value: float) -> float:
        return left + wide * max(0.0, math.log10(value) - low) / (high - low)

    parts = []
    for power in range(low, high + 1):
        place = x(10.0**power)
        parts += [_line(place, 26, place, height - 28), _text(f"{10.0**power:g} ms", place, height - 8, "middle")]
    for index, row in enumerate(rows):
        top = 30 + _ROW * index
        parts.append(_text(row.label, left - 12, top + 20, "end", "ink"))
        for kind, value, offset, thick in (("other", row.other, 19, 8), ("ours", row.ours, 6, 11)):
            if value is not None:
                box = f'x="{left}" y="{top + offset}" width="{x(value) - left:.1f}" height="{thick}" rx="2"'
                parts.append(f'<rect class="{kind}" {box}/>')
        parts.append(_text(row.note, x(max(row.ours, row.other or 0)) + 10, top + 20, "start", "ink"))
    if mark:
        place = x(mark[1])
        parts += [_line(place, 26, place, height - 28, "mark"), _text(mark[0], place, 20, "middle", "marked")]
    return _chart(title, height, "".join(parts))


def lines(items: Sequence[Mapping[str, Any]], keys: Sequence[str], titles: Sequence[str]) -> str:
    """`items` with `frame`, `time` in seconds and the keys, None where there is no value. Of long clips each point is a
    mean. The value under the pointer is shown by the page's script."""
    step = max(1, math.ceil(len(items) / _POINTS))
    parts = [items[first : first + step] for first in range(0, len(items), step)]
    points = [
        [part[0]["frame"], round(part[0]["time"], 3), *(_mean([item[key] for item in part]) for key in keys)]
        for part in parts
    ]
    top = _round_up(max((value for point in points for value in point[2:] if value is not None), default=1.0))
    across = (_RIGHT - _LEFT) / max(1, len(points) - 1)
    drawn = ""
    for number in range(len(keys)):
        path, pen = "", "M"
        for index, point in enumerate(points):
            value = point[2 + number]
            if value is not None:
                path += f"{pen}{_LEFT + index * across:.1f},{_TOP + _PLOT * (1 - value / top):.1f}"
            pen = "M" if value is None else "L"
        drawn += f'<path class="line{" two" if number else ""}" d="{path}"/>'
    for part in (0, 0.5, 1):
        y = _TOP + _PLOT * (1 - part)
        drawn += _line(_LEFT, y, _RIGHT, y) + _text(f"{top * part:g}", _LEFT - 6, y + 4, "end")
    drawn += _text(f"{points[0][1]:.1f} s", _LEFT, _HEIGHT - 6) + _text(
        f"{points[-1][1]:.1f} s", _RIGHT, _HEIGHT - 6, "end"
    )
    drawn += f'<line class="hover" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
    values = {"from": _LEFT, "to": _RIGHT, "points": points, "names": list(titles)}
    return _chart(f"{' and '.join(titles)} over time", _HEIGHT, drawn, values)


def _chart(title: str, height: int, content: str, values: object = None) -> str:
    data = "" if values is None else f' data-values="{escape(json.dumps(values))}"'
    return (
        f'<div class="chart"{data}><svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{content}</svg>{"" if values is None else "<output></output>"}</div>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(words: str, x: float, y: float, anchor: str = "start", kind: str = "soft") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))
