"""Bars on a logarithmic axis, as SVG: this project's way above the one it is compared with, a line for the copy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from vbgcam.bench.report.rows import ms, times

WIDTH: Final = 920
_LABELS: Final = 210
_VALUES: Final = 190
_ROW: Final = 34
_TOP: Final = 30
_BOTTOM: Final = 28
_PLOT: Final = WIDTH - _LABELS - _VALUES

Scale = Callable[[float], float]
"""From milliseconds to a place across the picture."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Milliseconds. `other`: what it is compared with, None where there is nothing. `strong`: a row that sums up."""

    label: str
    ours: float
    other: float | None
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across all rows."""

    label: str
    at: float


def bars(title: str, rows: Sequence[Bar], mark: Mark | None = None) -> str:
    """One SVG element. Its colours are the page's (classes `ours`, `other`, `mark`, `grid`, `strong`, `soft`)."""
    values = [value for row in rows for value in (row.ours, row.other) if value] + ([mark.at] if mark else [])
    low = 10 ** math.floor(math.log10(min(values) * 0.999))
    high = 10 ** math.ceil(math.log10(max(values) * 1.001))

    def x(value: float) -> float:
        return _LABELS + _PLOT * math.log(max(value, low) / low) / math.log(high / low)

    height = _TOP + _ROW * len(rows) + _BOTTOM
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg" font-size="13">',
        *_grid(low, high, x, height),
    ]
    for index, row in enumerate(rows):
        parts += _row(row, _TOP + _ROW * index, x)
    if mark:
        place = x(mark.at)
        parts.append(
            f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP - 4}" y2="{height - _BOTTOM}"/>'
            f'<text class="marked" x="{place:.1f}" y="{_TOP - 10}" text-anchor="middle">{escape(mark.label)}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def _grid(low: float, high: float, x: Scale, height: int) -> Iterator[str]:
    steps = round(math.log10(high / low))
    for step in range(steps + 1):
        value = low * 10**step
        place = x(value)
        yield (
            f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP - 4}" y2="{height - _BOTTOM}"/>'
            f'<text class="soft" x="{place:.1f}" y="{height - 8}" text-anchor="middle">{value:g} ms</text>'
        )


def _row(row: Bar, top: int, x: Scale) -> Iterator[str]:
    start, weight = x(0), ' class="strong"' if row.strong else ""
    yield f'<text{weight} x="{_LABELS - 12}" y="{top + 20}" text-anchor="end">{escape(row.label)}</text>'
    for kind, value, offset, thick in (("other", row.other, 19, 8), ("ours", row.ours, 6, 11)):
        if value is not None:
            box = f'x="{start:.1f}" y="{top + offset}" width="{x(value) - start:.1f}" height="{thick}" rx="2"'
            yield f'<rect class="{kind}" {box}/>'
    end = x(max(row.ours, row.other or 0)) + 10
    faster = times(row.other, row.ours)
    note = f'<tspan class="soft"> vs {ms(row.other)}</tspan>' if row.other is not None else ""
    gain = f'<tspan class="gain" dx="6">{faster}</tspan>' if faster else ""
    yield f'<text x="{end:.1f}" y="{top + 20}"><tspan class="strong">{ms(row.ours)}</tspan> ms{note}{gain}</text>'
