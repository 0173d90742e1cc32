"""torchvision's six segmentation networks from their checkpoints; fcn_resnet101 is the one of this project. The person
is class 15 of Pascal VOC's 21.

Checkpoints are read as numbers alone (`weights_only`): a pickle that wants to run something is refused. They are what
torchvision publishes, or a training of one's own in the same architecture: the bare state dict, or what torchvision's
training script writes (the state dict under "model").
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

# What torch's C++ side says on stderr (NNPACK on an old CPU, say) is for its makers; it looks once, at its import.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

import torch
import torchvision
from torch import nn

from vbgcam.core.errors import ModelError
from vbgcam.core.specs import TORCHVISION_MODELS
from vbgcam.segment.bounded import bounded
from vbgcam.segment.engine import one_line, quiet_torch
from vbgcam.segment.person import Convertible, Person

if TYPE_CHECKING:
    import openvino

StateDict = Mapping[str, torch.Tensor]

CLASSES: Final = 21


def person(name: str, path: Path, *, hard: bool = False) -> Person:
    """The network with the weights of that file, on the CPU, in eval mode. Raises ModelError."""
    return Person(name, build(name, read_checkpoint(path), path), hard=hard).eval()


def converted(module: Person) -> openvino.Model:
    """For `OpenVinoEngine`: both sides of the input are open. Takes 3 to 4 s; OpenVINO's own tracing takes
    4 to 6, since it has torch check itself by tracing once more."""
    import openvino

    quiet_torch()
    example = torch.zeros(1, 64, 96, 3, dtype=torch.uint8)
    shape = openvino.PartialShape([1, -1, -1, 3])
    with torch.no_grad():
        traced = torch.jit.trace(Convertible(module).eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        return openvino.convert_model(traced, input=[(shape, openvino.Type.u8)])


def read_checkpoint(path: Path) -> StateDict:
    """Reads numbers, runs nothing. Raises ModelError for what is no checkpoint, or damaged, or holds code."""
    quiet_torch()
    try:
        with path.open("rb") as file:
            # Mapped into memory instead of read (0.1 s for 1.1 s, and half the memory), but only the zip format can
            # be: torchvision's four ResNet files are in the older one.
            mapped = file.read(4) == b"PK\x03\x04"
    except OSError as exc:
        raise ModelError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    try:
        # Namespace: the training script's arguments, plain values.
        with bounded(path), torch.serialization.safe_globals([argparse.Namespace]):
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except ModelError:
        raise
    except Exception as exc:  # a damaged file makes torch's reader raise anything: KeyError, EOFError, OSError
        code = re.search(r"GLOBAL (\S+)", str(exc)) if isinstance(exc, pickle.UnpicklingError) else None
        if code:
            raise ModelError(f"{path} holds more than numbers ({code[1]}); nothing of it was run") from exc
        raise ModelError(f"{path} is damaged, or no PyTorch checkpoint") from exc
    state = held.get("model", held) if isinstance(held, dict) else None
    if not (
        isinstance(state, dict)
        and state
        and all(isinstance(key, str) and isinstance(item, torch.Tensor) for key, item in state.items())
    ):
        raise ModelError(f"{path} is no checkpoint of a network: it holds no state dict")
    return state


def architecture(state: StateDict) -> str | None:
    """Which of the six the parameters' names belong to."""
    names, auxiliary = _names(state), _has_auxiliary(state)
    empty = ((name, _empty(name, auxiliary)) for name in TORCHVISION_MODELS)
    return next((name for name, network in empty if names == _names(network.state_dict())), None)


def build(name: str, state: StateDict, source: Path) -> nn.Module:
    """The network with those weights, in eval mode, without the auxiliary classifier, which serves training alone and
    takes 4.3 % of the work. `source`: for the messages. Raises ModelError where the weights are another network's."""
    network = _empty(name, _has_auxiliary(state))
    try:
        network.to_empty(device="cpu").load_state_dict(dict(state), strict=True)
    except RuntimeError as exc:  # other names or shapes, or a kind that cannot be copied: sparse, quantised
        other = architecture(state)
        if other != name:
            raise ModelError(f"{source} is no checkpoint of {name}" + (f" but of {other}" if other else "")) from exc
        why = one_line(str(exc).partition("\n")[2] or exc)
        raise ModelError(f"{source} does not fit {name}, which knows Pascal VOC's {CLASSES} classes: {why}") from exc
    if not name.startswith("lraspp"):
        network.register_module("aux_classifier", None)
    return network.eval()


def _empty(name: str, auxiliary: bool) -> nn.Module:
    """The architecture without numbers: no time is spent on a random start (1.3 s for fcn_resnet101)."""
    auxiliary = auxiliary and not name.startswith("lraspp")  # it has none
    with torch.device("meta"):
        return torchvision.models.get_model(
            name, weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=auxiliary
        )


def _has_auxiliary(state: StateDict) -> bool:
    return any(key.startswith("aux_classifier.") for key in state)


def _names(state: StateDict) -> frozenset[str]:
    """The parameters' names. Batch normalisation's counters serve training alone; old checkpoints have none."""
    return frozenset(key for key in state if not key.endswith(".num_batches_tracked"))
