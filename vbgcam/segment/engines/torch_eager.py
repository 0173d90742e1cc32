"""torch itself as an engine, for Apple's GPUs and for CPUs that OpenVINO does not know, and as torchvision's own
evaluation uses it (see `labels`)."""

from typing import Final

import numpy as np
import torch
from torch import nn

from vbgcam.core.frames import U8, Size
from vbgcam.segment.base import Probability
from vbgcam.segment.engines.base import translated
from vbgcam.segment.torchvision import Person, published_weights


class EagerEngine:
    """See `vbgcam.segment.engines.base.Engine`; any size costs nothing to prepare."""

    precision = "fp32"
    lost = False

    def __init__(self, person: Person, device: str, threads: int) -> None:
        """`person`: on the CPU. `threads`: of the CPU, for the whole process. Raises ModelError."""
        self.device: Final = device
        torch.set_num_threads(threads)
        with translated(self.device):
            self._person: Person | None = person.eval().to(device)

    def prepare(self, size: Size) -> None:
        """Nothing is compiled."""

    def run(self, rgb: U8) -> Probability:
        """See `Engine`."""
        assert self._person is not None, "closed"
        with translated(self.device), torch.inference_mode():
            picture = torch.from_numpy(np.array(rgb)).to(self.device)
            return np.asarray(self._person(picture[None]).cpu().numpy(), np.float32)

    def close(self) -> None:
        """Its memory goes with the network."""
        self._person = None


class Whole:
    """torchvision's own way: the preset's normalisation, all heads, 21 logits at the input's size; fp32."""

    def __init__(self, name: str, network: nn.Module, device: str) -> None:
        """`network`: in eval mode; it is moved to the device. Raises ModelError."""
        self._device = device
        self._transform = published_weights(name).transforms(resize_size=None)
        with translated(device):
            self._network = network.to(device)

    def logits(self, rgb: U8) -> torch.Tensor:
        """Of uint8 (height, width, 3), RGB: (21, height, width), on the device. Raises ModelError."""
        picture = self._transform(torch.from_numpy(np.array(rgb)).permute(2, 0, 1))
        with translated(self._device), torch.inference_mode():
            logits: torch.Tensor = self._network(picture[None].to(self._device))["out"][0]
            return logits

    def labels(self, rgb: U8) -> U8:
        """See `vbgcam.segment.labels.Labeller`."""
        with translated(self._device):
            return np.asarray(self.logits(rgb).argmax(0).to(torch.uint8).cpu().numpy())

    def close(self) -> None:
        """Gives the device's memory back."""
        self._network.cpu()
