"""Runs the families of figures one after the other."""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Literal

from vbgcam import __version__
from vbgcam.bench import inference, live, masks, stages, start
from vbgcam.bench.base import FAMILIES, SIZES, Check, Figures, label, parse_size
from vbgcam.core.errors import ConfigError
from vbgcam.core.frames import Size
from vbgcam.core.specs import ModelSpec, nearest
from vbgcam.segment import Options, open_segmenter
from vbgcam.system import machine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """`model`: for whole frames and the live chain; without one, frames take a network of the seeded kind and the live
    chain a stand-in of `mask_fps` masks a second. `sizes`, `only`: () is what belongs to the depth. `seconds`: of each
    live run; None likewise."""

    depth: Literal["quick", "usual", "full"] = "usual"
    sizes: tuple[Size, ...] = ()
    only: tuple[str, ...] = ()
    model: ModelSpec | None = None
    options: Options = field(default_factory=Options)
    mask_fps: float = 5.0
    seconds: float | None = None


def parse_lists(sizes: str | None, only: str | None) -> tuple[tuple[Size, ...], tuple[str, ...]]:
    """`sizes` and `only` of a request, parted by commas on the command line. Raises ConfigError with all that is wrong
    with them."""
    problems, wanted = [], []
    for text in sizes.split(",") if sizes else ():
        try:
            wanted.append(parse_size(text.strip()))
        except ValueError as exc:
            problems.append(f"--size {exc}")
    families = tuple(dict.fromkeys(part.strip() for part in only.split(","))) if only else ()
    problems += [
        f"--only {name!r} is none of {', '.join(FAMILIES)}{nearest(name, FAMILIES)}"
        for name in families
        if name not in FAMILIES
    ]
    if problems:
        raise ConfigError(problems)
    return tuple(wanted), families


# Of the steps at each size, of whole frames at each, of each input of a network, of each live run.
_SECONDS: Final = {"stages": 10.0, "frame": 3.0, "inference": 3.0, "live": 5.0}
_TIMES: Final = {"quick": 0.4, "usual": 1.0, "full": 3.0}
_INPUTS: Final = (Size(256, 256), Size(256, 144), Size(512, 288))
_LARGEST: Final = Size(924, 520)


def bench(request: Request, check: Check) -> Figures:
    """All figures that were asked for. Raises ModelError; what `check` raises goes through."""
    figures: Figures = {
        "version": __version__,
        "measured_at": round(time.time()),
        "machine": machine.describe(),
        "settings": {
            "depth": request.depth,
            "model": str(request.model or ""),
            "mask_fps": request.mask_fps if request.model is None else None,
        },
    }
    wanted = request.only or (FAMILIES[:-1] if request.depth == "quick" else FAMILIES)
    steps = [step for step in _steps(request) if step[0] in wanted]
    for number, (family, key, words, measure) in enumerate(steps, 1):
        check()
        # A line, no bar: a bar's thread, which draws it ten times a second, would be measured, too.
        log.info("measuring %s (%d of %d)", words, number, len(steps))
        found = measure(check)
        figures.setdefault(family, {}).update({key: found} if key else found)
    return figures


def _steps(request: Request) -> Iterator[tuple[str, str, str, Callable[[Check], Figures]]]:
    """In the order in which they are measured: a family, the key in it under which the figures stand ("" where they are
    the family's own), words for them, and what measures them."""
    quick, model, options = request.depth == "quick", request.model, replace(request.options, live=True)
    seconds = {family: _TIMES[request.depth] * value for family, value in _SECONDS.items()}
    rates: Iterable[tuple[Size, int]] = ((SIZES["1080p"], 30),) if quick else live.RATES
    if request.sizes:
        rates = itertools.product(request.sizes, (30,) if quick else (30, 60))
    wanted = request.sizes or ((SIZES["1080p"],) if quick else SIZES.values())
    sizes = [(label(size), size) for size in wanted]
    inputs = _INPUTS[:1] if quick else (*_INPUTS, _LARGEST) if request.depth == "full" else _INPUTS
    for name, size in sizes:
        yield "stages", name, f"steps at {name}", partial(stages.measure, size, seconds["stages"])
    for name, size in sizes:
        yield "masks", name, f"the mask's steps at {name}", partial(masks.measure, size, seconds["stages"])
    network = partial(open_segmenter, model, options) if model else partial(inference.seeded_segmenter, request.options)
    for name, size in sizes:
        yield "frame", name, f"whole frames at {name}", partial(stages.measure_whole, network, size, seconds["frame"])
    for name in inference.SEEDED[1:] if quick else inference.SEEDED:
        yield "inference", name, name, partial(inference.seeded, name, inputs, request.options, seconds["inference"])
    if model is not None:
        yield "inference", str(model), str(model), partial(inference.given, model, options, seconds["inference"])
    build = partial(open_segmenter, model, options) if model else lambda _progress: live.StandIn(request.mask_fps)
    for size, fps in rates:
        name = live.name(size, fps)
        run = partial(live.measure, size, fps, build, request.seconds or seconds["live"])
        yield "live", name, f"live at {name}", run
    # Without a model there are no weights to wait for.
    yield "start", "", "the start", partial(start.measure, model or ModelSpec("chroma"))
