"""What people see of an evaluation: a table in the terminal, a page with pictures and charts, a page to rate by eye."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vbgcam.core.frames import U8


@dataclass(frozen=True, slots=True)
class Shown:
    """One scored picture. `input`, `composite`, `true_composite` (with the true mask): RGB, uint8, (height, width, 3);
    `alpha`, `truth`: uint8, (height, width)."""

    name: str
    input: U8
    alpha: U8
    truth: U8
    composite: U8
    true_composite: U8


Look = Callable[[Sequence[int]], Iterator[Shown]]
"""The pictures behind items of the results (their places in `items`, ascending), one after the other."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure in words. `key`: in the results. `better`: "up" or "down" is good. `percent`: it is a fraction."""

    key: str
    title: str
    meaning: str
    better: str
    percent: bool = False

    def text(self, value: float | None) -> str:
        """As people read it."""
        if value is None:
            return "-"
        return f"{100 * value:.1f} %" if self.percent else f"{value:#.3g}"


MEASURES = (
    Measure("iou", "IoU", "overlap of the mask with the true one", "up", percent=True),
    Measure(
        "boundary_f", "boundary F", "of the outline, what lies within 2 pixels of the true one", "up", percent=True
    ),
    Measure("leak", "leak", "of the room, what is shown", "down", percent=True),
    Measure("loss", "loss", "of the person, what is hidden", "down", percent=True),
    Measure("mad", "MAD", "mean difference of the alphas, 0 to 1", "down"),
    Measure("mse", "MSE", "mean squared difference, 0 to 1", "down"),
    Measure("grad", "Grad", "difference of the edges", "down"),
    Measure("conn", "Conn", "parts that hang together with nothing", "down"),
    Measure("dtssd", "dtSSD", "flicker: changes that the truth does not make", "down"),
)
