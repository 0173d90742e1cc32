"""What the model `auto` means on this machine."""

import logging
from dataclasses import replace
from typing import Final

from vbgcam.core.errors import ModelError
from vbgcam.segment.base import Options, Progress
from vbgcam.segment.engines import devices
from vbgcam.segment.weights import ensure, lightest_here

log = logging.getLogger(__name__)

ON_CUDA: Final = "fcn_resnet101"
ELSEWHERE: Final = "selfie"
"""Of all that were measured the best outline, for 7 ms of one core; LRASPP takes four times that."""


def preferred(device: str) -> str:
    """The network for a device, as in `model.device`."""
    return ON_CUDA if device.startswith("cuda") else ELSEWHERE


def choose(options: Options, progress: Progress | None = None) -> tuple[str, Options, str]:
    """A name of the catalogue whose right file is here now, the options to load it with, and why it is this one: the
    preferred network, or the lightest one that is here where that cannot be downloaded. Raises ModelError where nothing
    is here."""
    device = options.device
    if device.startswith(("auto", "cuda")):
        try:
            device = devices.for_torchvision(device).name
        except ImportError:  # without torch nothing of torchvision's runs on a GPU
            device = "cpu"
    name = preferred(device)
    why = "there is a CUDA GPU" if name == ON_CUDA else "the best outline for its work without a CUDA GPU"
    log.info("model auto: %s (%s)", name, why)
    try:
        ensure(name, options, progress)
    except ModelError as exc:
        other = lightest_here(options)
        if other is None:
            raise
        why = f"{name} is not here ({exc.message})"
        log.warning("model auto: %s is used instead: %s", other, why)
        return other, replace(options, sha256=""), why
    return name, options, why
