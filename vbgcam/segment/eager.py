"""torch itself as an engine, for Apple's GPUs and for CPUs that OpenVINO does not know, and as torchvision's own
evaluation uses it (see `labels`)."""

from pathlib import Path
from typing import Final

import numpy as np
import torch

from vbgcam.core.frames import U8, Size
from vbgcam.segment.base import Probability
from vbgcam.segment.engine import translated
from vbgcam.segment.person import Person, published_weights
from vbgcam.segment.torchvision import build, read_checkpoint


class EagerEngine:
    """See `vbgcam.segment.engine.Engine`; any size costs nothing to prepare."""

    precision = "fp32"
    lost = False

    def __init__(self, person: Person, device: torch.device, threads: int) -> None:
        """`person`: on the CPU. `threads`: of the CPU, for the whole process. Raises ModelError."""
        self.device: Final = str(device)
        self._device = device
        torch.set_num_threads(threads)
        with translated(self.device):
            self._person: Person | None = person.eval().to(device)

    def prepare(self, size: Size) -> None:
        """Nothing is compiled."""

    def run(self, rgb: U8) -> Probability:
        """See `Engine`."""
        assert self._person is not None, "closed"
        with translated(self.device), torch.inference_mode():
            picture = torch.from_numpy(np.array(rgb)).to(self._device)
            return np.asarray(self._person(picture[None]).cpu().numpy(), np.float32)

    def close(self) -> None:
        """Its memory goes with the network."""
        self._person = None


class TorchLabels:
    """See `vbgcam.segment.labels.Labeller`. fp32, the whole network, the largest of the 21 upsampled logits."""

    def __init__(self, name: str, path: Path, device: str) -> None:
        """`path`: the weights. Raises ModelError."""
        self.device = device
        self._network = build(name, read_checkpoint(path), path)
        self._transform = published_weights(name).transforms(resize_size=None)
        with translated(device):
            self._network.to(device)

    def labels(self, rgb: U8) -> U8:
        """See `Labeller`. Raises ModelError."""
        picture = self._transform(torch.from_numpy(np.array(rgb)).permute(2, 0, 1))
        with translated(self.device), torch.inference_mode():
            answer = self._network(picture[None].to(self.device))["out"].argmax(1)[0]
            return np.asarray(answer.to(torch.uint8).cpu().numpy())

    def close(self) -> None:
        """Its memory goes with it."""
        self._network.cpu()
