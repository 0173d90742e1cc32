"""The table that a person reads in the terminal."""

from __future__ import annotations

import sys
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vbgcam.evaluate.base import Results
from vbgcam.evaluate.report import MEASURES

# Lines of what was left out that are shown; all are in the JSON and on the page.
_LEFT_OUT: Final = 10
_PLAIN_WIDTH: Final = 120  # wider than the table: nothing is folded in a file


def show(results: Results, stream: TextIO | None = None) -> None:
    """`stream`: None is stdout."""
    stream = stream or sys.stdout
    console = Console(file=stream, width=None if stream.isatty() else _PLAIN_WIDTH, highlight=False)
    console.print(Text(f"{results['model']} on {' and '.join(results['data'])}", "bold"), soft_wrap=True)
    for line in about(results):
        console.print(Text(line, "dim"))
    console.print()
    table = Table(box=None, pad_edge=False, header_style="dim")
    if results["kind"] == "coco":
        _classes(results, table)
    else:
        table.add_column("")
        table.add_column("", justify="right", style="bold")
        table.add_column("in papers", justify="right")
        table.add_column("", style="dim")
        papers = results["papers"] or {}
        for measure in MEASURES:
            value = results[measure.key]
            if value is None:
                continue
            scaled = papers.get(measure.key)
            arrow = "↑" if measure.better == "up" else "↓"
            table.add_row(
                f"{measure.title} {arrow}",
                measure.text(value),
                "" if scaled is None else f"{scaled:.2f}",
                measure.meaning,
            )
    console.print(table)
    for item in results["left_out"][:_LEFT_OUT]:
        console.print(Text(f"left out: {item['why']}"), soft_wrap=True)
    if len(results["left_out"]) > _LEFT_OUT:
        console.print(f"left out: {len(results['left_out']) - _LEFT_OUT} more")


def about(results: Results) -> list[str]:
    """What was measured, in words."""
    ran = ", ".join(
        text
        for text in (
            f"on {results['device']}" if results["device"] else "",
            f"in {results['precision']}" if results["precision"] else "",
            f"input {results['input']}" if results["input"] else "",
            "label mask" if results["hard"] else "",
        )
        if text
    )
    lines = [ran] if ran else []
    if results["kind"] == "clip":
        rate = results["mask_fps"]
        lines.append(
            f"{results['frames']} frames of {results['size']} at {results['fps']:g} a second; "
            + (
                f"{rate:g} masks a second, {results['without_mask']} frames before the first one"
                if rate
                else "a mask for each"
            )
        )
        if results["covered"]:
            lines.append(
                f"{results['covered']} frames would have been covered: no mask yet, or one older than mask.max_age_ms"
            )
    else:
        lines.append("1 picture" if results["images"] == 1 else f"{results['images']} pictures")
    return lines


def _classes(results: Results, table: Table) -> None:
    table.add_column("")
    table.add_column("", justify="right", style="bold")
    table.add_column("", style="dim")
    table.add_row("person's IoU ↑", percent(results["person_iou"]), "overlap of what is called a person with the truth")
    table.add_row("person or not ↑", percent(results["person_accuracy"]), "of all pixels, those that are right")
    if "miou" in results:
        note = "mean over 21 classes, as torchvision counts"
        if results["miou"] is None:
            note += "; some occur nowhere"
        table.add_row("mIoU ↑", percent(results["miou"]), note)
        if results["miou"] is None:
            table.add_row("mIoU ↑", percent(results["miou_present"]), "over the classes that occur")
        table.add_row("pixel accuracy ↑", percent(results["pixel_accuracy"]), "of all pixels, those of the right class")


def percent(value: float | None) -> str:
    """Of a fraction."""
    return "-" if value is None else f"{100 * value:.1f} %"
