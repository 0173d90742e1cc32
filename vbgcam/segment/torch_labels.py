"""torchvision's networks asked as its own evaluation asks them: see `labels`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torchvision

from vbgcam.core.frames import U8
from vbgcam.segment.eager import failed
from vbgcam.segment.torchvision import build, read_checkpoint
from vbgcam.segment.weights import PUBLISHED


class TorchLabeller:
    """See `vbgcam.segment.labels.Labeller`. fp32, the whole network, the largest of the 21 upsampled logits."""

    precision = "fp32"

    def __init__(self, name: str, path: Path, device: str) -> None:
        """`path`: the weights. Raises ModelError."""
        self.name, self.device = name, device
        self._network = build(name, read_checkpoint(path), path)
        self._transform = torchvision.models.get_weight(PUBLISHED[name].weights).transforms()
        try:
            self._network.to(device)
        except RuntimeError as exc:
            raise failed(device, exc) from exc

    def labels(self, rgb: U8) -> U8:
        """See `Labeller`. Raises ModelError."""
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self._transform.mean, self._transform.std))
        picture = torch.from_numpy(np.array(rgb)).permute(2, 0, 1).float().div(255).sub(mean).div(std)
        try:
            with torch.inference_mode():
                answer = self._network(picture[None].to(self.device))["out"].argmax(1)[0]
                return np.asarray(answer.to(torch.uint8).cpu().numpy())
        except RuntimeError as exc:
            raise failed(self.device, exc) from exc

    def close(self) -> None:
        """Its memory goes with it."""
        self._network.cpu()
