"""The figures as rows of text: what the terminal's tables and the page's show alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vbgcam.bench.base import Figures
from vbgcam.bench.masks import WAYS
from vbgcam.bench.stages import TITLES


@dataclass(frozen=True, slots=True)
class Table:
    """`head` and each row are of one length; the first `names` columns are words, the others figures. `note`: what
    stands below it, "" for nothing."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    names: int = 1


def tables(figures: Figures) -> Iterator[Table]:
    """In the order in which a person asks: whole frames and the live chain, then the steps, then the network."""
    if figures.get("frame"):
        yield _frame(figures["frame"])
    if figures.get("live"):
        yield _live(figures["live"])
    if figures.get("changes"):
        yield _changes(figures["changes"])
    for size, stages in figures.get("stages", {}).items():
        yield _stages(size, stages, figures.get("gil", {}).get(size))
    for size, masks in figures.get("masks", {}).items():
        yield _masks(size, masks)
    if figures.get("gil") and not figures.get("stages"):
        yield _gil(figures["gil"])
    if figures.get("inference"):
        yield _inference(figures["inference"])
    if figures.get("start"):
        yield _start(figures["start"])


def machine(figures: Figures) -> list[str]:
    """The machine in a few lines."""
    about = figures["machine"]
    sets = ", ".join(about["instruction_sets"]) or "no vector instructions known"
    memory = f", {about['memory_gb']:g} GB" if about["memory_gb"] else ""
    cores = f"{about['cores']} core{'s' if about['cores'] != 1 else ''}"
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if version)
    lines = [
        f"{about['cpu']}, {cores} ({sets}){memory}; GPU: {about['gpu'] or 'none'}",
        f"{about['os']}; Python {about['python']}",
        packages,
    ]
    if about["load"] is not None and about["load"] > about["cores"] / 2:
        lines.append(f"The machine was busy at the start: load {about['load']:g} on {cores}; compare ratios alone.")
    return lines


def ms(value: float | None) -> str:
    """Three digits: 0.35, 1.29, 14.6, 243."""
    if value is None:
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def words(model: str) -> str:
    """A model without the folder that it lies in."""
    kind, colon, path = model.partition(":")
    return f"{kind}{colon}{path.replace(chr(92), '/').rpartition('/')[2]}" if colon else model


def times(over: float | None, under: float | None) -> str:
    """`1.4x`, `33x`."""
    if not over or not under:
        return ""
    ratio = over / under
    return f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"


def _stages(size: str, stages: Figures, gil: Figures | None) -> Table:
    copy = next(iter(stages.values()))["memcpy_ms"]
    held = gil["stages"] if gil else {}
    rows = [
        (
            TITLES.get(name, name),
            ms(row["ms"]),
            ms(row["cpu_ms"]),
            times(row["ms"], row["memcpy_ms"]),
            ms(row["naive_ms"]),
            times(row["naive_ms"], row["ms"]),
            *([ms(held.get(name))] if gil else []),
        )
        for name, row in stages.items()
    ]
    notes = [f"A copy of one I420 frame: {ms(copy)} ms."]
    if {"frame_mjpg", "decode_mjpg"} <= stages.keys():
        ratio = stages["frame_mjpg"]["ms"] / stages["decode_mjpg"]["ms"]
        notes.append(f"The frame from MJPG is {ratio:.2f} x the bare decode.")
    return Table(
        f"Steps at {size}",
        ("step", "ms", "CPU ms", "x copy", "naive ms", "faster", *(["lock ms"] if gil else [])),
        rows,
        " ".join(notes),
    )


def _masks(size: str, masks: Figures) -> Table:
    rows = [
        (
            name,
            *(ms(row[way]["ms"]) for way in WAYS),
            *(ms(row[way]["added_ms"]) if name != "none" else "" for way in WAYS),
            times(row["own"]["added_ms"], row["own"]["memcpy_ms"]) if name != "none" else "",
        )
        for name, row in masks.items()
    ]
    return Table(
        f"What is done to the masks at {size}",
        ("steps", "own ms", "carried ms", "own adds", "carried adds", "x copy"),
        rows,
        "Own: each frame with the network's mask of itself. Carried: five masks a second, six frames late.",
    )


def _gil(gil: Figures) -> Table:
    return Table(
        "Interpreter's lock held by one step",
        ("size", "step", "longest ms", "p99 ms"),
        [
            (size, TITLES.get(row["stage"], row["stage"]), ms(row["max_ms"]), ms(row["p99_ms"]))
            for size, row in gil.items()
        ],
        names=2,
    )


def _frame(frame: Figures) -> Table:
    rows = [
        (size, title, ms(row[name]["ms"]), ms(row[name]["cpu_ms"]))
        for size, row in frame.items()
        for name, title in (("image", "a picture"), ("blur", "the room blurred"), ("balanced", "a picture, all steps"))
        if name in row
    ]
    first = next(iter(frame.values()))
    network = words(first["model"]) + (f" at {first['input']}" if first["input"] else "")
    return Table(
        "A whole frame, network included",
        ("size", "behind it", "ms", "CPU ms"),
        rows,
        "From planes in memory to the written frame; masks as the network gives them, or with all that `balanced` does "
        f"to them. Network: {network}.",
        names=2,
    )


def _live(live: Figures) -> Table:
    rows = []
    for name, row in live.items():
        latency, age = row["added_latency_ms"], row["mask_age_ms"]
        rows.append(
            (
                name,
                f"{row['fps']:.1f}",
                f"{row['dropped']} of {row['dropped'] + row['sent']}",
                ms(latency["p50"]),
                ms(latency["p95"]),
                ms(latency["max"]),
                ms(age["p95"]),
                f"{row['cpu_percent']:.0f} %",
            )
        )
    first = next(iter(live.values()))
    return Table(
        "The live chain",
        ("live", "fps", "dropped", "added p50", "p95", "max ms", "mask age p95", "CPU"),
        rows,
        f"Added: a frame's arrival to the end of its write. CPU: 100 % is one core. Network: {words(first['model'])}.",
    )


def _changes(changes: Figures) -> Table:
    rows = [
        (
            name,
            f"{row['backgrounds']} + {row['cameras']}",
            ms(row["ms"]["p50"]),
            ms(row["ms"]["p95"]),
            ms(row["ms"]["max"]),
            f"{row['dropped']} of {row['dropped'] + row['sent']}",
            str(row["covers"]),
            str(row["raw"]),
        )
        for name, row in changes.items()
    ]
    return Table(
        "Changes while it runs",
        ("output", "changes", "ms p50", "p95", "max ms", "dropped", "covers", "raw"),
        rows,
        "Backgrounds and sizes of the camera, by the loopback server; from the command to the first picture with it. "
        "Raw: pictures whose corner shows none of the backgrounds.",
    )


def _inference(inference: Figures) -> Table:
    rows = [
        (
            words(model),
            size,
            ms(row["ms"]),
            ms(row["cpu_ms"]),
            ms(row.get("eager_fp32_ms")),
            times(row.get("eager_fp32_ms"), row["ms"]),
            "" if row.get("max_abs_diff") is None else f"{row['max_abs_diff']:.4f}",
            row.get("precision", ""),
        )
        for model, sizes in inference.items()
        for size, row in sizes.items()
    ]
    return Table(
        "The network",
        ("model", "HxW", "ms", "CPU ms", "eager ms", "faster", "max diff", "precision"),
        rows,
        "Eager: torchvision's own network in fp32, same weights, same run. Max diff: of the person's probability.",
        names=2,
    )


def _start(start: Figures) -> Table:
    return Table(
        "The start",
        ("from the start of the process to", "ms"),
        [
            ("vbgcam --help, done", ms(start["help_ms"])),
            ("the first cover on air", ms(start["first_cover_ms"])),
            (f"the first mask, {words(start['model'])}", ms(start["first_mask_ms"])),
        ],
        "With warm caches.",
    )
