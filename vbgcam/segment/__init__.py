"""Where person probabilities come from: torchvision's family, ONNX files, chroma key, clean plate, kept masks.

It knows frames and files, and neither cameras nor outputs. `mask`, the workers and the offline rooms use what stands
here; building a segmenter may take seconds (torch is imported, weights are fetched).
"""

from vbgcam.segment.base import FixedInput, Options, Probability, Progress, Segmenter
from vbgcam.segment.factory import open_segmenter

__all__ = ["FixedInput", "Options", "Probability", "Progress", "Segmenter", "open_segmenter"]
