"""Charts: bars, and values over time as SVG. Colours are the style's."""

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

_WIDTH: Final = 1000
_HEIGHT: Final = 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, _WIDTH - 8, 12, 22
_PLOT: Final = _HEIGHT - _TOP - _BOTTOM
# Points of a line: more than pixels are not to be seen, and an hour's clip has 100,000 frames.
_POINTS: Final = 900


def bars(rows: Sequence[tuple[str, float, float | None, str]]) -> str:
    """For each row its words, our milliseconds, those of what it is compared with (None where there is nothing), and
    what stands behind the bars; their lengths are logarithms."""
    values = [value for _, ours, other, _ in rows for value in (ours, other) if value]
    low = min(values) / 2

    def bar(kind: str, value: float | None) -> str:
        width = 100 * math.log(value / low) / math.log(max(values) / low) if value else 0.0
        return f'<i class="{kind}" style="width:{width:.1f}%"></i>'

    made = "".join(
        f"<span>{escape(words)}</span><div>{bar('ours', ours)}{bar('other', other)}</div><span>{escape(note)}</span>"
        for words, ours, other, note in rows
    )
    return f'<div class="bars">{made}</div>'


def lines(items: Sequence[Mapping[str, Any]], keys: Sequence[str], titles: Sequence[str]) -> str:
    """`items` with `frame`, `time` in seconds and the keys, None where there is no value. Of long clips each point is a
    mean. The value under the pointer is shown by the page's script."""
    step = max(1, math.ceil(len(items) / _POINTS))
    parts = [items[first : first + step] for first in range(0, len(items), step)]
    points = [
        [part[0]["frame"], round(part[0]["time"], 3), *(_mean([item[key] for item in part]) for key in keys)]
        for part in parts
    ]
    top = max((value for point in points for value in point[2:] if value is not None), default=0) or 1.0
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
        drawn += f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{_RIGHT}" y2="{y}"/>'
        drawn += f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{top * part:.3g}</text>'
    for x, anchor, point in ((_LEFT, "start", points[0]), (_RIGHT, "end", points[-1])):
        drawn += f'<text x="{x}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{point[1]:.1f} s</text>'
    drawn += f'<line class="hover" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
    values = json.dumps({"from": _LEFT, "to": _RIGHT, "points": points, "names": list(titles)})
    return (
        f'<div class="chart" data-values="{escape(values)}"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(" and ".join(titles))} over time" xmlns="http://www.w3.org/2000/svg">{drawn}</svg>'
        "<output></output></div>"
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None
