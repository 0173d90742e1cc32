"""The figures for people: tables on the terminal, and a page with charts. Everything here reads the tree of figures
alone (see `vbgcam.bench.base`)."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vbgcam.bench.base import Figures
from vbgcam.bench.masks import WAYS
from vbgcam.bench.stages import TITLES
from vbgcam.report import pages, tables
from vbgcam.report.charts import bars
from vbgcam.report.tables import Table

_BEHIND: Final = {"image": "a picture", "blur": "the room blurred", "balanced": "a picture, all steps"}


def show(figures: Figures) -> None:
    """The tables on the terminal."""
    made = (table for table, _chart in _tables(figures))
    tables.show(f"vbgcam {figures['version']}, bench", _machine(figures), made)


def html(figures: Figures) -> str:
    """The tables as a page, with charts of steps and networks."""
    title = f"vbgcam {figures['version']}, bench"
    day = time.strftime("%Y-%m-%d", time.localtime(figures["measured_at"]))
    sections = [pages.table_section(table, chart) for table, chart in _tables(figures)]
    return pages.document(title, pages.heading(title, [day, *_machine(figures)]) + "\n".join(sections))


def _machine(figures: Figures) -> list[str]:
    """The machine in a few lines."""
    about = figures["machine"]
    sets = ", ".join(about["instruction_sets"]) or "no vector instructions known"
    memory = f", {about['memory_gb']:g} GB" if about["memory_gb"] else ""
    cores = f"{about['cores']} core{'s' if about['cores'] != 1 else ''}"
    lines = [
        f"{about['cpu']}, {cores} ({sets}){memory}; GPU: {about['gpu'] or 'none'}",
        f"{about['os']}; Python {about['python']}",
        ", ".join(f"{name} {version}" for name, version in about["packages"].items() if version),
    ]
    if about["load"] is not None and about["load"] > about["cores"] / 2:
        lines.append(f"The machine was busy at the start: load {about['load']:g} on {cores}; compare ratios alone.")
    return lines


def _tables(figures: Figures) -> Iterator[tuple[Table, str]]:
    """Each with its chart, "" where there is none, in the order in which a person asks: whole frames, the live chain,
    the steps, the network."""
    if frame := figures.get("frame"):
        yield _frame(frame), ""
    if live := figures.get("live"):
        yield _live(live), ""
    for size, stages in figures.get("stages", {}).items():
        yield _stages(size, stages)
    for size, masks in figures.get("masks", {}).items():
        rows = [(name, *(_ms(row[way]["ms"]) for way in WAYS)) for name, row in masks.items()]
        note = "Own: each frame with the network's mask of itself. Carried: five masks a second, six frames late."
        yield Table(f"What is done to the masks at {size}", ("steps", "own ms", "carried ms"), rows, note), ""
    if inference := figures.get("inference"):
        yield _inference(inference)
    if start := figures.get("start"):
        waits = [
            ("vbgcam --help, done", _ms(start["help_ms"])),
            ("the first cover on air", _ms(start["first_cover_ms"])),
            (f"the first mask, {_short(start['model'])}", _ms(start["first_mask_ms"])),
        ]
        yield Table("The start", ("from the start of the process to", "ms"), waits, "With warm caches."), ""


def _frame(frame: Figures) -> Table:
    rows = [
        (size, title, _ms(row[name]["ms"]), _ms(row[name]["cpu_ms"]))
        for size, row in frame.items()
        for name, title in _BEHIND.items()
    ]
    first = next(iter(frame.values()))
    network = _short(first["model"]) + (f" at {first['input']}" if first["input"] else "")
    note = (
        "From planes in memory to the written frame; masks as the network gives them, or with all that `balanced` does "
        f"to them. Network: {network}."
    )
    return Table("A whole frame, network included", ("size", "behind it", "ms", "CPU ms"), rows, note, words=(0, 1))


def _live(live: Figures) -> Table:
    rows = [
        (
            name,
            f"{row['fps']:.1f}",
            f"{row['dropped']} of {row['dropped'] + row['sent']}",
            *(_ms(row["added_latency_ms"][point]) for point in ("p50", "p95", "max")),
            _ms(row["mask_age_ms"]["p95"]),
            f"{row['cpu_percent']:.0f} %",
        )
        for name, row in live.items()
    ]
    network = _short(next(iter(live.values()))["model"])
    note = f"Added: a frame's arrival to the end of its write. CPU: 100 % is one core. Network: {network}."
    head = ("live", "fps", "dropped", "added p50", "p95", "max ms", "mask age p95", "CPU")
    return Table("The live chain", head, rows, note)


def _stages(size: str, stages: Figures) -> tuple[Table, str]:
    copy = next(iter(stages.values()))["memcpy_ms"]
    table = Table(
        f"Steps at {size}",
        ("step", "ms", "CPU ms", "naive ms", "faster"),
        [(TITLES[name], *_compared(row, "naive_ms")) for name, row in stages.items()],
        f"Naive: BGR and floats. A copy of one I420 frame: {_ms(copy)} ms.",
    )
    chart = [_bar(TITLES[name], row["ms"], row["naive_ms"]) for name, row in stages.items()]
    chart.append(_bar("a copy", copy, None))
    return table, _legend("the naive way") + bars(chart)


def _inference(inference: Figures) -> tuple[Table, str]:
    found = [(_short(model), size, row) for model, sizes in inference.items() for size, row in sizes.items()]
    table = Table(
        "The network",
        ("model", "HxW", "ms", "CPU ms", "other's ms", "CPU ms", "faster", "precision"),
        [(name, size, *_beside(row), row["precision"]) for name, size, row in found],
        "The other: torchvision's own network in eager fp32, onnxruntime for an ONNX file; same weights, same run.",
        words=(0, 1),
    )
    chart = [
        _bar(f"{name.removesuffix('.onnx').split('_mobilenet')[0]} {size}", row["ms"], _other(row)[0])
        for name, size, row in found
    ]
    return table, _legend("the other") + bars(chart)


def _other(row: Figures) -> tuple[float | None, float | None]:
    """Wall and CPU time of what the network is measured against."""
    name = "onnxruntime" if "onnxruntime_ms" in row else "eager_fp32"
    return row[f"{name}_ms"], row.get(f"{name}_cpu_ms")


def _beside(row: Figures) -> tuple[str, ...]:
    other, cpu = _other(row)
    return _ms(row["ms"]), _ms(row["cpu_ms"]), _ms(other), _ms(cpu), _times(other, row["ms"])


def _compared(row: Figures, other: str) -> tuple[str, ...]:
    """Our wall and CPU time, the other way's, and how many times faster ours is."""
    return _ms(row["ms"]), _ms(row["cpu_ms"]), _ms(row[other]), _times(row[other], row["ms"])


def _bar(words: str, ours: float, other: float | None) -> tuple[str, float, float | None, str]:
    return words, ours, other, f"{_ms(ours)} ms" + (f" vs {_ms(other)}, {_times(other, ours)}" if other else "")


def _legend(other: str) -> str:
    return f'<p class="soft key">{pages.legend(("ours", "vbgcam"), ("pale", other))}</p>'


def _ms(value: float | None) -> str:
    """Three digits: 0.35, 1.29, 14.6, 243."""
    if value is None:
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _times(over: float | None, under: float) -> str:
    """`1.4x`, `33x`."""
    if not over or not under:
        return ""
    ratio = over / under
    return f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"


def _short(model: str) -> str:
    """A model without the folder that it lies in."""
    kind, colon, path = model.partition(":")
    return f"{kind}{colon}{Path(path).name}" if colon else model
