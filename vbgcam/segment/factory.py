"""From a model spec to the segmenter that it names."""

from vbgcam.core.specs import ModelSpec
from vbgcam.segment.base import Options, Progress, Segmenter


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
        return GroundTruth.load(spec.path, hard=options.hard)
    if spec.kind == "onnx":
        from vbgcam.segment.onnx import OnnxSegmenter
        from vbgcam.segment.weights import added_onnx

        assert spec.path is not None
        return OnnxSegmenter.load(added_onnx(spec.path, options), options)
    from vbgcam.segment.family import TorchvisionSegmenter

    return TorchvisionSegmenter.load(spec.name or "auto", options, progress)
