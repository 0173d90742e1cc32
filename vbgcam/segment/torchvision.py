"""torchvision's six segmentation networks, from a checkpoint to the person's probability; fcn_resnet101 is the one of
this project.

torchvision upsamples 21 logits to the input's size and leaves the rest to the caller; the auxiliary head, which serves
training alone, is computed besides. Here the person's log-odds against the 20 other classes are taken at a grid three
times as fine as the head's own (which is an eighth of the input, DeepLab's on a MobileNet a sixteenth), and this one
channel is upsampled.

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
from torch.nn import functional

from vbgcam.core.errors import ModelError
from vbgcam.core.specs import TORCHVISION_MODELS
from vbgcam.segment.bounded import bounded
from vbgcam.segment.engines.base import one_line, quiet_torch

if TYPE_CHECKING:
    import openvino

StateDict = Mapping[str, torch.Tensor]

CLASSES: Final = 21

PERSON: Final = 15
"""Of Pascal VOC's classes."""

FINER: Final = 3
"""Times the head's grid, the grid of the log-odds. An odd multiple holds the head's own nodes, between which bilinear
upsampling is linear, and all of its nodes have exactly what torchvision's own upsampling has there. Between them the
answer is exact where two classes are in play, and nearer the finer the grid where there are more. The largest
difference from torchvision's probability, fcn_resnet101 with made weights at 256x256: 0.0220 at the head's grid, 0.0046
at 3 times, 0.0011 at 5, for 0.5 and 1.9 ms of OpenVINO's."""


def published_weights(name: str) -> torchvision.models.WeightsEnum:
    """torchvision's weights of one of the six, which know Pascal VOC's classes."""
    return torchvision.models.get_model_weights(name)["COCO_WITH_VOC_LABELS_V1"]


class Person(nn.Module):
    """`network`: one of torchvision's six. `hard`: the class with the largest logit decides, 0 or 1, after an
    upsampling of all 21: the classic label mask is that to the pixel.

    Log-odds are upsampled and not probabilities: where two classes are in play, as at most edges of a person, that is
    exactly torchvision's answer (it upsamples logits, and then takes the softmax), with edges as sharp. See `FINER`."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, name: str, network: nn.Module, *, hard: bool = False) -> None:
        super().__init__()
        preset = published_weights(name).transforms()
        self.backbone = network.get_submodule("backbone")
        self.classifier = network.get_submodule("classifier")
        self.hard: Final = hard
        # LRASPP's head takes both of the backbone's outputs.
        self.takes_all: Final = name.startswith("lraspp")
        mean, std = torch.tensor(preset.mean), torch.tensor(preset.std)
        self.register_buffer("scale", (1 / (255 * std)).view(1, 3, 1, 1))
        self.register_buffer("shift", (-mean / std).view(1, 3, 1, 1))

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """uint8 (1, height, width, 3) to (height, width)."""
        height, width = rgb.shape[1], rgb.shape[2]
        if self.hard:
            labels = _upsampled(self.logits(rgb), height, width).argmax(1)
            return (labels == PERSON).float()[0]
        return torch.sigmoid(_upsampled(self.odds(rgb), height, width))[0, 0]

    def odds(self, rgb: torch.Tensor) -> torch.Tensor:
        """The person's log-odds, (1, 1, rows, columns), `FINER` times the head's grid."""
        logits = self.logits(rgb)
        person = logits[:, PERSON : PERSON + 1]
        others = torch.cat([logits[:, :PERSON], logits[:, PERSON + 1 :]], 1) - person
        others = functional.interpolate(others, scale_factor=float(FINER), mode="bilinear", align_corners=False)
        return -others.logsumexp(1, keepdim=True)

    def logits(self, rgb: torch.Tensor) -> torch.Tensor:
        """Of the 21 classes, at the head's grid."""
        picture = rgb.permute(0, 3, 1, 2).float() * self.scale + self.shift
        features = self.backbone(picture)
        logits: torch.Tensor = self.classifier(features if self.takes_all else features["out"])
        return logits.float()


class Convertible(nn.Module):
    """What of a `Person` is converted: all of it where it is hard, else up to the log-odds. OpenVINO takes 1.9 ms to
    upsample them to 256x256 and to take the sigmoid, OpenCV and NumPy 0.4."""

    def __init__(self, person: Person) -> None:
        super().__init__()
        self.whole = person

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """(height, width), or (rows, columns)."""
        return self.whole(rgb) if self.whole.hard else self.whole.odds(rgb)[0, 0]


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
    names = _names(state)
    empty = ((name, _empty(name, state)) for name in TORCHVISION_MODELS)
    return next((name for name, network in empty if names == _names(network.state_dict())), None)


def build(name: str, state: StateDict, source: Path) -> nn.Module:
    """The network with those weights, in eval mode, without the auxiliary classifier, which serves training alone and
    takes 4.3 % of the work. `source`: for the messages. Raises ModelError where the weights are another network's."""
    network = _empty(name, state)
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


def _empty(name: str, state: StateDict) -> nn.Module:
    """The architecture without numbers: no time is spent on a random start (1.3 s for fcn_resnet101). With an auxiliary
    classifier where the state has one; LRASPP knows none."""
    auxiliary = any(key.startswith("aux_classifier.") for key in state) and not name.startswith("lraspp")
    with torch.device("meta"):
        return torchvision.models.get_model(
            name, weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=auxiliary
        )


def _names(state: StateDict) -> frozenset[str]:
    """The parameters' names. Batch normalisation's counters serve training alone; old checkpoints have none."""
    return frozenset(key for key in state if not key.endswith(".num_batches_tracked"))


def _upsampled(values: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return functional.interpolate(values, size=(height, width), mode="bilinear", align_corners=False)
