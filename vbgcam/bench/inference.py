"""The network in each input size, by the engine that the live chain uses, beside torchvision's own in eager fp32."""

import contextlib
import importlib.util
import time
from functools import partial
from typing import Final

import numpy as np

from vbgcam.bench import scene
from vbgcam.bench.base import SIZES, Check, Figures, Work, interleaved
from vbgcam.core.frames import RawFrame, Size
from vbgcam.core.specs import ModelSpec
from vbgcam.pixels import convert
from vbgcam.segment import Options, Segmenter, open_segmenter
from vbgcam.segment.engines.devices import ONNXRUNTIME_CPU

SEEDED: Final = ("fcn_resnet101", "lraspp_mobilenet_v3_large")

_SEEN: Final = SIZES["720p"]
# Seconds that a library's threads go on spinning for more work: into the other side's time, where nobody waits.
_SPIN: Final = 0.03


def key(size: Size) -> str:
    """Height x width, as networks are spoken of."""
    return f"{size.height}x{size.width}"


def seeded(name: str, sizes: tuple[Size, ...], options: Options, seconds: float, check: Check) -> Figures:
    """`inference.NAME` of the figures; weights are made on the spot (see `segment.reference`), both sides run with as
    many threads, on the same device. `max_abs_diff`: of the person's probability to torchvision's eager fp32 answer,
    the largest of all pixels. Raises ModelError."""
    from vbgcam.segment import reference

    pictures = scene.frames(_SEEN)
    check()
    network = reference.seeded(name, [convert.small_rgb(planes, scene.NETWORK) for planes in pictures[:2]])
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
            works = {"ours": partial(engine.run, rgb), "eager": partial(eager.run, rgb)}
            took = interleaved(works, seconds, rested)
            # A GPU's convolutions in "fp32" are TF32: that is no measure of exactness.
            exact = eager if engine.device == "cpu" else reference.Eager(name, network)
            figures[key(size)] = {
                **took["ours"],
                "eager_fp32_ms": took["eager"]["ms"],
                "eager_fp32_cpu_ms": took["eager"]["cpu_ms"],
                "max_abs_diff": round(float(np.abs(engine.run(rgb) - exact.run(rgb)).max()), 6),
                "precision": engine.precision,
                "device": engine.device,
                "engine": type(engine).__name__,
                "threads": threads,
            }
    return figures


def given(model: ModelSpec, options: Options, seconds: float, check: Check) -> Figures:
    """`inference.MODEL` of the figures for a model that the person named: its input made, its network run, as the live
    chain does both for a 720p frame; an ONNX file's also by onnxruntime. Raises ModelError."""
    frame = RawFrame(scene.frames(_SEEN, 1)[0], 0.0)
    with contextlib.ExitStack() as opened:
        segmenter = opened.enter_context(contextlib.closing(open_segmenter(model, options)))
        works: dict[str, Work] = {"ours": lambda: segmenter.probability(frame)}
        other = _with_onnxruntime(model, options)
        if other is not None:
            works["onnxruntime"] = lambda: other.probability(frame)
        took = interleaved(works, seconds, check)
        row: Figures = {**took["ours"], "eager_fp32_ms": None, "max_abs_diff": None}
        if other is not None:
            theirs = took["onnxruntime"]
            row |= {"onnxruntime_ms": theirs["ms"], "onnxruntime_cpu_ms": theirs["cpu_ms"]}
            row["max_abs_diff"] = round(float(np.abs(segmenter.probability(frame) - other.probability(frame)).max()), 6)
        row |= {"precision": segmenter.precision, "device": segmenter.device}
        return {key(segmenter.input) if segmenter.input else "": row}


def _with_onnxruntime(model: ModelSpec, options: Options) -> Segmenter | None:
    """An ONNX network as onnxruntime runs it on the CPU, where that is installed."""
    if model.kind != "onnx" or model.path is None or importlib.util.find_spec("onnxruntime") is None:
        return None
    from vbgcam.segment.onnx import OnnxSegmenter

    return OnnxSegmenter.load(model.path, options, place=ONNXRUNTIME_CPU)


def seeded_segmenter(options: Options) -> Segmenter:
    """The small network with made weights, for whole frames where no model was named. Raises ModelError."""
    from vbgcam.segment import reference

    name = SEEDED[1]
    pictures = [convert.small_rgb(planes, scene.NETWORK) for planes in scene.frames(_SEEN, 2)]
    network = reference.seeded(name, pictures)
    reference.spread(name, network, pictures[0])
    return reference.MadeSegmenter(name, reference.engine(name, network, options), scene.NETWORK)
