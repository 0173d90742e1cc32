"""The class of each pixel, as torchvision's own evaluation asks for it: all 21, at the picture's size.

The live chain wants one class, fast, at a size of its choice; this is the plain way, in fp32, that published figures
were made with. Both have the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from vbgcam.core.frames import U8
from vbgcam.core.specs import ModelSpec
from vbgcam.segment.base import Options, Progress

if TYPE_CHECKING:
    from vbgcam.segment.onnx import OnnxSegmenter

_CLASSES: Final = 21


@dataclass(frozen=True, slots=True)
class Labeller:
    """`name`, `device`, `precision`, `close`: as a Segmenter's. `labels`: from uint8 (height, width, 3), RGB, to the
    classes' numbers, uint8, (height, width); raises ModelError."""

    name: str
    device: str
    precision: str
    labels: Callable[[U8], U8]
    close: Callable[[], None]


def open_labeller(spec: ModelSpec, options: Options, progress: Progress | None = None) -> Labeller | None:
    """None where the model knows the person alone; `auto` is to be resolved before. Raises ModelError."""
    if spec.kind == "torchvision":
        from vbgcam.segment.engines import devices
        from vbgcam.segment.weights import ensure

        name, place = spec.name, devices.for_torchvision(options.device)
        device = place.where if place.engine == "torch" else "cpu"
        path = ensure(name, options, progress)
        from vbgcam.segment.engines.torch_eager import Whole
        from vbgcam.segment.torchvision import build, read_checkpoint

        network = Whole(name, build(name, read_checkpoint(path), path), device)
        return Labeller(name, device, "fp32", network.labels, network.close)
    if spec.kind == "onnx":
        from vbgcam.segment.onnx import OnnxSegmenter
        from vbgcam.segment.weights import added_onnx

        assert spec.path is not None
        onnx = OnnxSegmenter.load(added_onnx(spec.path, options), options)
        if len(onnx.logits(np.zeros((8, 8, 3), np.uint8))) == _CLASSES:
            return Labeller(onnx.name, onnx.device, onnx.precision, partial(_onnx_labels, onnx), onnx.close)
    return None


def _onnx_labels(network: OnnxSegmenter, rgb: U8) -> U8:
    """The largest of the logits, which are brought to the picture's size first, as torchvision brings its own."""
    network.reset()
    size = rgb.shape[1::-1]
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in network.logits(rgb)]
    return np.asarray(np.argmax(planes, axis=0), np.uint8)
