"""Charts as SVG text: values over a clip's time, and how the values of a set are spread."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

_WIDTH: Final = 1000
_HEIGHT: Final = 170
_LEFT: Final = 44
_TOP: Final = 12
_BOTTOM: Final = 22
# Points of a line: more than pixels are not to be seen, and an hour's clip has 100,000 frames.
_POINTS: Final = 900
_BINS: Final = 20


def lines(items: Sequence[Mapping[str, Any]], keys: Sequence[str], titles: Sequence[str]) -> str:
    """`items` with `frame`, `time` and the keys, None where there is no value. Of long clips each point is a mean."""
    step = max(1, math.ceil(len(items) / _POINTS))
    points = []
    for first in range(0, len(items), step):
        part = items[first : first + step]
        values = []
        for key in keys:
            known = [item[key] for item in part if item[key] is not None]
            values.append(round(sum(known) / len(known), 4) if known else None)
        points.append([part[0]["frame"], round(part[0]["time"], 3), *values])
    known = [value for point in points for value in point[2:] if value is not None]
    top = _round_up(max(known, default=1.0))
    across = (_WIDTH - _LEFT - 8) / max(1, len(points) - 1)

    def place(index: int, value: float) -> str:
        return f"{_LEFT + index * across:.1f},{_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / top):.1f}"

    drawn = []
    for number in range(len(keys)):
        path, pen = [], "M"
        for index, point in enumerate(points):
            value = point[2 + number]
            if value is None:
                pen = "M"
            else:
                path.append(f"{pen}{place(index, value)}")
                pen = "L"
        drawn.append(f'<path class="line{" two" if number else ""}" d="{"".join(path)}"/>')
    grid = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * part:g}</text>'
        for part in (0, 0.5, 1)
        for y in (_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - part),)
    )
    ends = "".join(
        f'<text x="{x}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{point[1]:.1f} s</text>'
        for x, anchor, point in ((_LEFT, "start", points[0]), (_WIDTH - 8, "end", points[-1]))
    )
    data = escape(json.dumps({"from": _LEFT, "to": _WIDTH - 8, "points": points, "names": list(titles)}), quote=True)
    return (
        f'<div class="chart" data-values="{data}"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(" and ".join(titles))} over time">{grid}{ends}{"".join(drawn)}'
        f'<line class="hover" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/></svg><output></output></div>'
    )


def histogram(values: Sequence[float]) -> str:
    """Of fractions, in twenty steps from 0 to 1."""
    counts = [0] * _BINS
    for value in values:
        counts[min(_BINS - 1, int(value * _BINS))] += 1
    most, wide = max(1, *counts), (_WIDTH - _LEFT - 8) / _BINS
    bars = []
    for index, count in enumerate(counts):
        height = (_HEIGHT - _TOP - _BOTTOM) * count / most
        x, y = _LEFT + index * wide, _HEIGHT - _BOTTOM - height
        bars.append(f'<rect class="bar" x="{x + 2:.1f}" y="{y:.1f}" width="{wide - 4:.1f}" height="{height:.1f}"/>')
        if count:
            bars.append(f'<text x="{x + wide / 2:.1f}" y="{y - 3:.1f}" text-anchor="middle">{count}</text>')
    ends = "".join(
        f'<text x="{_LEFT + (_WIDTH - _LEFT - 8) * part:.0f}" y="{_HEIGHT - 6}" '
        f'text-anchor="{anchor}">{100 * part:.0f} %</text>'
        for part, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end"))
    )
    return (
        f'<div class="chart"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="how many pictures have which '
        f'value"><line class="grid" x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM}"/>'
        f"{''.join(bars)}{ends}</svg></div>"
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))
