"""From a model spec to the segmenter that it names."""

import numpy as np

from vbgcam.core.frames import RawFrame
from vbgcam.core.specs import ModelSpec
from vbgcam.segment.base import FixedInput, Options, Probability, Progress, Segmenter


class PassThrough(FixedInput):
    """Background "none": the plain camera, which a person has asked for in words. Everything counts as the person, so
    that the picture takes the same way as every other, through `compose`."""

    name = "none"

    def probability(self, frame: RawFrame) -> Probability:
        """1 everywhere, float32, (1, 1)."""
        return np.ones((1, 1), np.float32)


def open_segmenter(spec: ModelSpec, options: Options, progress: Progress | None = None) -> Segmenter:
    """Builds what the spec names; raises ModelError."""
    if spec.kind == "chroma":
        from vbgcam.segment.chroma import ChromaKey

        return ChromaKey(spec.color, hard=options.hard)
    if spec.kind == "plate":
        from vbgcam.segment.plate import CleanPlate

        return CleanPlate.load(spec.path or options.folder / "plate.png", hard=options.hard)
    if spec.kind == "truth":
        from vbgcam.segment.ground_truth import GroundTruth

        assert spec.path is not None
        return GroundTruth(spec.path, hard=options.hard)
    if spec.kind == "onnx":
        from vbgcam.segment.onnx import OnnxSegmenter
        from vbgcam.segment.weights import added_onnx

        assert spec.path is not None
        return OnnxSegmenter.load(added_onnx(spec.path, options), options)
    if spec.kind == "portrait":
        from vbgcam.segment.onnx import OnnxSegmenter
        from vbgcam.segment.weights import ensure

        network = OnnxSegmenter.load(ensure(spec.name, options, progress), options)
        network.name = spec.name
        return network
    if spec.kind == "auto":
        from vbgcam.segment import auto

        name, options, why = auto.choose(options, progress)
        segmenter = open_segmenter(ModelSpec.parse(name), options, progress)
        segmenter.why = why
        return segmenter
    from vbgcam.segment.family import TorchvisionSegmenter

    return TorchvisionSegmenter.load(spec.name, options, progress)
