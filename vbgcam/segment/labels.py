"""The class of each pixel, as torchvision's own evaluation asks for it: all 21, at the picture's size.

The live chain wants one class, fast, at a size of its choice; this is the plain way, in fp32, that published figures
were made with. Both have the same weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import cv2
import numpy as np

from vbgcam.core.frames import U8
from vbgcam.core.specs import ModelSpec
from vbgcam.segment.base import Options, Progress

if TYPE_CHECKING:
    from vbgcam.segment.onnx import OnnxSegmenter

_CLASSES: Final = 21


@runtime_checkable
class Labeller(Protocol):
    """`name`, `device`, `precision`: as a Segmenter's."""

    name: str
    device: str
    precision: str

    def labels(self, rgb: U8) -> U8:
        """uint8 (height, width, 3), RGB, to the classes' numbers, uint8, (height, width). Raises ModelError."""

    def close(self) -> None:
        """Releases its memory."""


def open_labeller(spec: ModelSpec, options: Options, progress: Progress | None = None) -> Labeller | None:
    """None where the model knows the person alone. Raises ModelError."""
    if spec.kind in ("torchvision", "auto"):
        from vbgcam.segment.family import choose
        from vbgcam.segment.weights import ensure

        name, device = choose(spec.name or "auto", options)
        path = ensure(name, options, progress)
        from vbgcam.segment.eager import TorchLabeller

        return TorchLabeller(name, path, device)
    if spec.kind == "onnx":
        from vbgcam.segment.onnx import OnnxSegmenter
        from vbgcam.segment.weights import added_onnx

        assert spec.path is not None
        network = OnnxSegmenter.load(added_onnx(spec.path, options), options)
        if network.classes == _CLASSES:
            return OnnxLabeller(network)
        network.close()
    return None


class OnnxLabeller:
    """A network in an ONNX file that gives a value for each class. Its logits are brought to the picture's size, as
    torchvision brings its own, before the largest is taken."""

    def __init__(self, network: OnnxSegmenter) -> None:
        self.name, self.device, self.precision = network.name, network.device, network.precision
        self._network = network

    def labels(self, rgb: U8) -> U8:
        """See `Labeller`."""
        height, width = rgb.shape[:2]
        self._network.reset()
        planes = [
            cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in self._network.logits(rgb)
        ]
        return np.asarray(np.argmax(planes, axis=0), np.uint8)

    def close(self) -> None:
        """Gives its memory back."""
        self._network.close()
