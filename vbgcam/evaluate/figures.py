"""The figures in words: what each one says, and the table on the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TextIO

from vbgcam.evaluate.base import Results
from vbgcam.report import tables
from vbgcam.report.tables import Table

# Lines of what was left out that are shown; all are in the JSON and on the page.
_LEFT_OUT: Final = 10


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure in words. `key`: in the results. `up`: more is better. `percent`: it is a fraction."""

    key: str
    title: str
    meaning: str
    up: bool = False
    percent: bool = False

    def text(self, value: float | None) -> str:
        """As people read it."""
        if self.percent or value is None:
            return percent(value)
        return f"{value:#.3g}"


MEASURES: Final = (
    Measure("iou", "IoU", "overlap of the mask with the true one", up=True, percent=True),
    Measure(
        "boundary_f", "boundary F", "of the outline, what lies within 2 pixels of the true one", up=True, percent=True
    ),
    Measure("leak", "leak", "of the room, what is shown", percent=True),
    Measure("loss", "loss", "of the person, what is hidden", percent=True),
    Measure("mad", "MAD", "mean difference of the alphas, 0 to 1"),
    Measure("mse", "MSE", "mean squared difference, 0 to 1"),
    Measure("grad", "Grad", "difference of the edges"),
    Measure("conn", "Conn", "parts that hang together with nothing"),
    Measure("dtssd", "dtSSD", "flicker: changes that the truth does not make"),
)


def percent(value: float | None) -> str:
    """Of a fraction."""
    return "-" if value is None else f"{100 * value:.1f} %"


def show(results: Results, stream: TextIO | None = None) -> None:
    """The table on the terminal; `stream`: None is stdout."""
    left_out = [f"left out: {item['why']}" for item in results["left_out"]]
    if len(left_out) > _LEFT_OUT:
        left_out[_LEFT_OUT:] = [f"left out: {len(left_out) - _LEFT_OUT} more"]
    title = f"{results['model']} on {' and '.join(results['data'])}"
    tables.show(title, about(results), [table(results)], left_out, stream)


def table(results: Results) -> Table:
    """All figures of the whole."""
    if results["kind"] == "coco":
        figures = [(f"{title} ↑", figure, meaning) for title, figure, meaning in coco_figures(results)]
        return Table("Measures", ("measure", "here", "what it says"), figures, words=(0, 2), key="here")
    papers = results["papers"] or {}
    rows = []
    for measure in MEASURES:
        value, scaled = results[measure.key], papers.get(measure.key)
        if value is not None:
            arrow = "↑" if measure.up else "↓"
            in_papers = "" if scaled is None else f"{scaled:.2f}"
            rows.append((f"{measure.title} {arrow}", measure.text(value), in_papers, measure.meaning))
    note = "Means over all that was scored. Papers on video matting print MAD and MSE times 1000."
    head = ("measure", "here", "in papers", "what it says")
    return Table("Measures", head, rows, note, words=(0, 3), key="here")


def coco_figures(results: Results) -> list[tuple[str, str, str]]:
    """Title, figure and meaning of each; more is better."""
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
    return [(title, percent(value), meaning) for title, value, meaning in figures]


def about(results: Results) -> list[str]:
    """What was measured, in words."""
    ran = [
        f"on {results['device']}" if results["device"] else "",
        f"in {results['precision']}" if results["precision"] else "",
        f"input {results['input']}" if results["input"] else "",
        "label mask" if results["hard"] else "",
    ]
    lines = [", ".join(filter(None, ran))] if any(ran) else []
    if results["kind"] != "clip":
        return [*lines, "1 picture" if results["images"] == 1 else f"{results['images']} pictures"]
    rate, without = results["mask_fps"], results["without_mask"]
    masks = f"{rate:g} masks a second, {without} frames before the first one" if rate else "a mask for each"
    lines.append(f"{results['frames']} frames of {results['size']} at {results['fps']:g} a second; {masks}")
    if results["covered"]:
        lines.append(
            f"{results['covered']} frames would have been covered: no mask yet, or one older than mask.max_age_ms"
        )
    return lines
