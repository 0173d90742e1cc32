"""torch itself as an engine: for Apple's GPUs, and for CPUs that OpenVINO does not know."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Size
from vbgcam.segment.base import Probability
from vbgcam.segment.engine import OutOfMemory, one_line
from vbgcam.segment.person import Person


class EagerEngine:
    """See `vbgcam.segment.engine.Engine`; any size costs nothing to prepare."""

    precision = "fp32"
    lost = False

    def __init__(self, person: Person, device: torch.device, threads: int) -> None:
        """`person`: on the CPU. `threads`: of the CPU, for the whole process. Raises ModelError."""
        self.device: Final = str(device)
        self._device = device
        torch.set_num_threads(threads)
        try:
            self._person: Person | None = person.eval().to(device)
        except RuntimeError as exc:
            raise failed(self.device, exc) from exc

    def prepare(self, size: Size) -> None:
        """Nothing is compiled."""

    def run(self, rgb: U8) -> Probability:
        assert self._person is not None, "closed"
        try:
            with torch.inference_mode():
                picture = torch.from_numpy(np.array(rgb)).to(self._device)
                return np.asarray(self._person(picture[None]).cpu().numpy(), np.float32)
        except RuntimeError as exc:
            raise failed(self.device, exc) from exc

    def close(self) -> None:
        self._person = None


def failed(device: str, exc: RuntimeError) -> ModelError:
    """What torch's error means."""
    if "alloc" in str(exc) or "out of memory" in str(exc):
        return OutOfMemory(
            f"the memory of {device} is too small for the network at this input size",
            fix="set model.size smaller, or choose another model",
        )
    return ModelError(f"the network failed on {device}: {one_line(exc)}")
