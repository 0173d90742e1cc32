"""The network in each input size, by the engine that the live chain uses, beside torchvision's own in eager fp32."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from vbgcam.bench import scene
from vbgcam.bench.base import SIZES, Check, Figures
from vbgcam.bench.timing import interleaved
from vbgcam.core.frames import U8, RawFrame, Size
from vbgcam.core.specs import ModelSpec
from vbgcam.pixels import convert
from vbgcam.segment import Options, Probability, Segmenter, open_segmenter

SEEDED: Final = ("fcn_resnet101", "lraspp_mobilenet_v3_large")

_SETTLED_AT: Final = Size(256, 256)
_SEEN: Final = SIZES["720p"]
# Seconds that a library's threads go on spinning for more work: into the other side's time, where nobody waits.
_SPIN: Final = 0.03


def key(size: Size) -> str:
    """Height x width, as networks are spoken of."""
    return f"{size.height}x{size.width}"


def seeded(name: str, sizes: tuple[Size, ...], options: Options, seconds: float, check: Check) -> Figures:
    """`inference.NAME` of the figures; weights are made on the spot (see `segment.reference`), both sides run with as
    many threads, on the same device. Differences are of the person's probability, the largest of all pixels:
    `max_abs_diff` to torchvision's eager fp32 answer, all in all; `max_abs_diff_engine` to the same steps as the
    engine's in eager fp32, so what the engine's precision alone does. Raises ModelError."""
    from vbgcam.segment import reference

    pictures = scene.frames(_SEEN)
    check()
    network = reference.seeded(name, [convert.small_rgb(planes, _SETTLED_AT) for planes in pictures[:2]])
    threads = reference.threads(options)

    def rested() -> None:
        check()
        time.sleep(_SPIN)

    figures: Figures = {}
    for size in sizes:
        check()
        rgb = convert.small_rgb(pictures[-1], size)
        reference.spread(name, network, rgb)
        with contextlib.closing(reference.engine(name, network, options)) as engine:
            engine.prepare(size)
            check()
            eager = reference.Eager(name, network, engine.device, threads)
            took = interleaved({"ours": _run(engine.run, rgb), "eager": _run(eager.run, rgb)}, seconds, rested)
            ours = engine.run(rgb)
            # A GPU's convolutions in "fp32" are TF32: that is no measure of exactness.
            exact = eager if engine.device == "cpu" else reference.Eager(name, network)
            figures[key(size)] = {
                "ms": took["ours"].ms,
                "cpu_ms": took["ours"].cpu_ms,
                "eager_fp32_ms": took["eager"].ms,
                "eager_fp32_cpu_ms": took["eager"].cpu_ms,
                "max_abs_diff": _difference(ours, exact.run(rgb)),
                "max_abs_diff_engine": _difference(ours, reference.same_steps(name, network, rgb)),
                "precision": engine.precision,
                "device": engine.device,
                "engine": type(engine).__name__,
                "threads": threads,
                "runs": took["ours"].runs,
            }
    return figures


def given(model: ModelSpec, options: Options, seconds: float, check: Check) -> Figures:
    """`inference.MODEL` of the figures for a model that the person named: its input made, its network run, as the live
    chain does both for a 720p frame. Raises ModelError."""
    frame = RawFrame(scene.frames(_SEEN, 1)[0], 0.0)
    with contextlib.closing(open_segmenter(model, options)) as segmenter:
        took = interleaved({"ours": lambda: segmenter.probability(frame)}, seconds, check)["ours"]
        return {
            key(segmenter.input) if segmenter.input else "": {
                "ms": took.ms,
                "cpu_ms": took.cpu_ms,
                "eager_fp32_ms": None,
                "max_abs_diff": None,
                "precision": segmenter.precision,
                "device": segmenter.device,
                "runs": took.runs,
            }
        }


def seeded_segmenter(options: Options) -> Segmenter:
    """The small network with made weights, for whole frames where no model was named. Raises ModelError."""
    from vbgcam.segment import reference

    name = SEEDED[1]
    pictures = [convert.small_rgb(planes, _SETTLED_AT) for planes in scene.frames(_SEEN, 2)]
    network = reference.seeded(name, pictures)
    reference.spread(name, network, pictures[0])
    return reference.MadeSegmenter(name, reference.engine(name, network, options), _SETTLED_AT)


def _run(run: Callable[[U8], Probability], rgb: U8) -> Callable[[], Probability]:
    return lambda: run(rgb)


def _difference(one: Probability, other: Probability) -> float:
    return round(float(np.abs(one - other).max()), 6)
