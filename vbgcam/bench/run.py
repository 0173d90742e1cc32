"""Runs the families of figures one after the other."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal

from vbgcam import __version__
from vbgcam.bench import changes, frame, gil, inference, live, masks, scene, sink, stages, start
from vbgcam.bench.base import FAMILIES, SIZES, Check, Figures, label, parse_size
from vbgcam.core.errors import ConfigError
from vbgcam.core.frames import Size
from vbgcam.core.specs import ModelSpec, nearest
from vbgcam.segment import Options, Segmenter, open_segmenter
from vbgcam.system import machine

Depth = Literal["quick", "usual", "full"]

Tell = Callable[[int, int, str], None]
"""Called before each step with its number from 1, how many there are, and what is measured."""


@dataclass(frozen=True, slots=True)
class Request:
    """`model`: for whole frames and the live chain; without one, frames take a network of the seeded kind and the live
    chain a stand-in of `mask_fps` masks a second. `sizes`, `only`: () is what belongs to the depth. `seconds`: of each
    live run; None likewise."""

    depth: Depth = "usual"
    sizes: tuple[Size, ...] = ()
    only: tuple[str, ...] = ()
    model: ModelSpec | None = None
    options: Options = field(default_factory=Options)
    mask_fps: float = 5.0
    seconds: float | None = None

    @classmethod
    def parse(
        cls,
        *,
        depth: Depth,
        sizes: str | None,
        only: str | None,
        model: str | None,
        options: Options,
        mask_fps: float,
        seconds: float | None,
    ) -> Request:
        """From the command line's words; lists are parted by commas. Raises ConfigError."""
        problems, wanted = [], []
        for text in sizes.split(",") if sizes else ():
            try:
                wanted.append(parse_size(text.strip()))
            except ValueError as exc:
                problems.append(f"--size {exc}")
                continue
            if wanted[-1] != wanted[-1].even:
                problems.append(f"--size {text.strip()}: a camera's picture has even sides")
        families = tuple(dict.fromkeys(part.strip() for part in only.split(","))) if only else ()
        problems += [
            f"--only {name!r} is none of {', '.join(FAMILIES)}{nearest(name, FAMILIES)}"
            for name in families
            if name not in FAMILIES
        ]
        if seconds is not None and seconds <= 0:
            problems.append("--seconds: a live run takes more than 0 seconds")
        if problems:
            raise ConfigError(problems)
        spec = ModelSpec.parse(model) if model else None
        return cls(depth, tuple(wanted), families, spec, options, mask_fps, seconds)


@dataclass(frozen=True, slots=True)
class _Depth:
    """Seconds for each size's stages and frames, and for each of a network's sizes; runs of a step under the probe."""

    families: tuple[str, ...]
    sizes: tuple[Size, ...]
    rates: tuple[tuple[Size, int], ...]
    networks: tuple[str, ...]
    inputs: tuple[Size, ...]
    stages: float
    frame: float
    inference: float
    live: float
    changes: float
    probed: int


_HD: Final = SIZES["1080p"]
_INPUTS: Final = (Size(256, 256), Size(256, 144), Size(512, 288))
_ALL: Final = tuple(SIZES.values())
_USUAL: Final = _Depth(
    FAMILIES,
    _ALL,
    live.RATES,
    inference.SEEDED,
    _INPUTS,
    stages=10.0,
    frame=3.0,
    inference=3.0,
    live=5.0,
    changes=15.0,
    probed=15,
)
_DEPTHS: Final = {
    "quick": _Depth(
        FAMILIES[:-1],
        (_HD,),
        ((_HD, 30),),
        inference.SEEDED[1:],
        _INPUTS[:1],
        stages=4.0,
        frame=1.0,
        inference=2.0,
        live=2.0,
        changes=6.0,
        probed=5,
    ),
    "usual": _USUAL,
    "full": replace(
        _USUAL,
        inputs=(*_INPUTS, Size(924, 520)),
        stages=30.0,
        frame=10.0,
        inference=12.0,
        live=20.0,
        changes=60.0,
        probed=30,
    ),
}


def bench(request: Request, check: Check, tell: Tell) -> Figures:
    """All figures that were asked for. Raises ModelError; what `check` raises goes through."""
    depth = _DEPTHS[request.depth]
    if request.sizes:
        rates = itertools.product(request.sizes, (30,) if request.depth == "quick" else (30, 60))
        depth = replace(depth, sizes=request.sizes, rates=tuple(rates))
    if request.seconds is not None:
        depth = replace(depth, live=request.seconds, changes=request.seconds)
    figures: Figures = {
        "version": __version__,
        "measured_at": round(time.time()),
        "machine": machine.describe(),
        "settings": {
            "depth": request.depth,
            "model": str(request.model or ""),
            "mask_fps": request.mask_fps if request.model is None else None,
            "write": sink.NAME,
        },
    }
    wanted = request.only or depth.families
    steps = [step for family in FAMILIES if family in wanted for step in _STEPS[family](request, depth)]
    for number, step in enumerate(steps, 1):
        check()
        tell(number, len(steps), step.words)
        family = figures.setdefault(step.family, {})
        found = step.work(check)
        family.update({step.key: found} if step.key else found)
    return figures


@dataclass(frozen=True, slots=True)
class _Step:
    """`work`: gives what stands under `family.key`, or under `family` itself where `key` is ""."""

    family: str
    key: str
    words: str
    work: Callable[[Check], Figures]


def _stages(_request: Request, depth: _Depth) -> Iterator[_Step]:
    def steps(size: Size, check: Check) -> Figures:
        return stages.measure(scene.scene(size), depth.stages, check)

    for size in depth.sizes:
        yield _Step(
            "stages",
            label(size),
            f"steps at {label(size)}",
            partial(steps, size),
        )


def _masks(_request: Request, depth: _Depth) -> Iterator[_Step]:
    for size in depth.sizes:
        yield _Step(
            "masks", label(size), f"the mask's steps at {label(size)}", partial(masks.measure, size, depth.stages)
        )


def _gil(_request: Request, depth: _Depth) -> Iterator[_Step]:
    def probed(size: Size, check: Check) -> Figures:
        with stages.stages(scene.scene(size)) as all_stages:
            return gil.measure({name: stage.ours for name, stage in all_stages.items()}, check, depth.probed)

    for size in depth.sizes:
        yield _Step("gil", label(size), f"the interpreter's lock at {label(size)}", partial(probed, size))


def _frame(request: Request, depth: _Depth) -> Iterator[_Step]:
    def whole(size: Size, check: Check) -> Figures:
        with _segmenter(request) as segmenter:
            return frame.measure(scene.scene(size), segmenter, depth.frame, check)

    for size in depth.sizes:
        yield _Step("frame", label(size), f"whole frames at {label(size)}", partial(whole, size))


def _inference(request: Request, depth: _Depth) -> Iterator[_Step]:
    for model in depth.networks:
        yield _Step(
            "inference",
            model,
            model,
            partial(inference.seeded, model, depth.inputs, request.options, depth.inference),
        )
    if request.model is not None:
        yield _Step(
            "inference",
            str(request.model),
            str(request.model),
            partial(inference.given, request.model, request.options, depth.inference),
        )


def _live(request: Request, depth: _Depth) -> Iterator[_Step]:
    model, build = request.model, live.stand_in(request.mask_fps)
    if model is not None:
        build = partial(open_segmenter, model, replace(request.options, live=True))
    for size, fps in depth.rates:
        key = live.name(size, fps)
        yield _Step("live", key, f"live at {key}", partial(live.measure, size, fps, build, depth.live))


def _changes(_request: Request, depth: _Depth) -> Iterator[_Step]:
    for size in depth.sizes:
        yield _Step("changes", label(size), f"changes at {label(size)}", partial(changes.measure, size, depth.changes))


def _start(request: Request, _depth: _Depth) -> Iterator[_Step]:
    model = request.model or ModelSpec("chroma")  # no weights are needed, and there is no network to wait for
    yield _Step("start", "", "the start", partial(start.measure, model))


_STEPS: Final[dict[str, Callable[[Request, _Depth], Iterator[_Step]]]] = {
    "stages": _stages,
    "masks": _masks,
    "gil": _gil,
    "frame": _frame,
    "inference": _inference,
    "live": _live,
    "changes": _changes,
    "start": _start,
}


@contextmanager
def _segmenter(request: Request) -> Iterator[Segmenter]:
    if request.model is None:
        segmenter = inference.seeded_segmenter(request.options)
    else:
        segmenter = open_segmenter(request.model, replace(request.options, live=True))
    try:
        yield segmenter
    finally:
        segmenter.close()
