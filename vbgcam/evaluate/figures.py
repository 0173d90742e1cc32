"""The figures in words: what each one says, and the table on the terminal."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vbgcam.evaluate.base import Results
from vbgcam.evaluate.metrics import ABOVE
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
        if value is None:
            return "-"
        return f"{100 * value:.1f} %" if self.percent else f"{value:#.3g}"


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
_COCO: Final = (
    Measure("person_iou", "person's IoU", "overlap of what is called a person with the truth", up=True, percent=True),
    Measure("person_accuracy", "person or not", "of all pixels, those that are right", up=True, percent=True),
    Measure("miou", "mIoU", "mean over 21 classes, as torchvision counts", up=True, percent=True),
    Measure("miou_present", "mIoU", "mean over the classes that occur; not all 21 do", up=True, percent=True),
    Measure("pixel_accuracy", "pixel accuracy", "of all pixels, those of the right class", up=True, percent=True),
)


def measures(results: Results) -> Iterator[tuple[Measure, float]]:
    """Those that these results have, with their values."""
    for measure in MEASURES if results["kind"] != "coco" else _COCO:
        value = results.get(measure.key)
        if value is not None and not (measure.key == "miou_present" and results["miou"] is not None):
            yield measure, value


def show(results: Results) -> None:
    """The table on the terminal."""
    left_out = [f"left out: {item['why']}" for item in results["left_out"]]
    if len(left_out) > _LEFT_OUT:
        left_out[_LEFT_OUT:] = [f"left out: {len(left_out) - _LEFT_OUT} more"]
    title = f"{results['model']} on {' and '.join(results['data'])}"
    tables.show(title, about(results), filter(None, (table(results), tails(results))), left_out)


def table(results: Results) -> Table:
    """All figures of the whole."""
    papers = results.get("papers")
    rows = []
    for measure, value in measures(results):
        scaled = papers.get(measure.key) if papers else None
        in_papers = ["" if scaled is None else f"{scaled:.2f}"] if papers else []
        arrow = "↑" if measure.up else "↓"
        rows.append((f"{measure.title} {arrow}", measure.text(value), *in_papers, measure.meaning))
    head = ("measure", "here", *(["in papers"] if papers else []), "what it says")
    note = "Means over all that was scored. Papers on video matting print MAD and MSE times 1000." if papers else ""
    return Table("Measures", head, rows, note, words=(0, len(head) - 1), key="here")


def tails(results: Results) -> Table | None:
    """How bad it gets; None where nothing was shown."""
    if results["tail"] is None:
        return None
    rows = []
    for measure in MEASURES:
        if (tail := results["tail"].get(measure.key)) is not None:
            figures = measure.text(tail["p99"]), measure.text(tail["worst"]), *map(str, tail["above"].values())
            rows.append((measure.title, *figures, tail["at"]))
    what = "frames" if results["kind"] == "clip" else "pictures"
    above = (f"above {float(text):.0%}".replace("%", " %") for text in ABOVE)
    note = f"p99: of 100 {what}, 99 are no worse. Above 1, 2 and 5 %: the number of {what}."
    return Table("The worst", ("measure", "p99", "worst", *above, "at"), rows, note, words=(0, 6), key="worst")


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
    thinned = f", thinned to {results['frame_fps']:g}" if results["frame_fps"] else ""
    masks = "a mask for each"
    if rate := results["mask_fps"]:
        masks = f"{rate:g} masks a second"
    elif results["net_ms"]:
        masks = "each mask takes {:g} to {:g} ms (seed {})".format(*results["net_ms"], results["seed"])
    lines.append(f"{results['frames']} frames of {results['size']} at {results['fps']:g} a second{thinned}; {masks}")
    if results["covered"]:
        before = f"{results['without_mask']} of them before the first mask"
        lines.append(f"{results['covered']} frames hidden, {before}; no figure counts them")
    return lines
