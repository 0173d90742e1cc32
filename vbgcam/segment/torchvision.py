"""torchvision's six segmentation networks; fcn_resnet101 is the one of this project. The person is class 15 of Pascal
VOC's 21.

Checkpoints are read as numbers alone (`weights_only`): a pickle that wants to run something is refused. They are what
torchvision publishes, or a training of one's own in the same architecture: the bare state dict, or what torchvision's
training script writes (the state dict under "model").
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

# What torch's C++ side says on stderr (NNPACK on an old CPU, say) is for its makers; it looks once, at its import.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

import numpy as np
import torch
import torchvision
from torch import nn

from vbgcam.errors import ModelError
from vbgcam.frames import RawFrame, Size
from vbgcam.pixels import small_rgb
from vbgcam.segment import Options, Probability, Progress
from vbgcam.segment.weights import PUBLISHED, ensure
from vbgcam.specs import TORCHVISION_MODELS

log = logging.getLogger(__name__)

State = Mapping[str, torch.Tensor]

ON_GPU: Final = "fcn_resnet101"
ON_CPU: Final = "lraspp_mobilenet_v3_large"
CLASSES: Final = 21
LIVE_CPU_SIZE: Final = 256
LONGEST: Final = 4
"""Times the short side, the longest side that is given to a network: memory and work grow with it, and a picture may be
10,000 pixels wide and 10 high."""

_CORES: Final = torch.get_num_threads()  # before anyone sets it: the cores, or what OMP_NUM_THREADS says


class TorchvisionSegmenter:
    """One of the six. See `vbgcam.segment.Segmenter`."""

    name: str
    device: str

    def __init__(self, name: str, network: nn.Module, device: torch.device, size: int, *, hard: bool) -> None:
        """`network`: in eval mode, on `device`. `size`: the short side of its input."""
        weights = torchvision.models.get_weight(PUBLISHED[name].weights)
        self.name = name
        self.device = str(device)
        self._network: nn.Module | None = network
        self._device = device
        self._size = size
        self._hard = hard
        # The frame is resized from its planes, to the size that the preset asks for; what is left to the preset is to
        # convert and to normalise.
        self._preset = weights.transforms(resize_size=None)
        self._person: int = weights.meta["categories"].index("person")

    @classmethod
    def load(cls, name: str, options: Options, progress: Progress | None = None) -> Self:
        """`name`: one of the six, or "auto". Fetches the weights where they are not here yet (`weights.ensure`). Raises
        ModelError."""
        _quiet()
        device = _device(options.device)
        if name == "auto":
            name = ON_CPU if device.type == "cpu" else ON_GPU
            why = "without a GPU it is the one that is fast enough" if device.type == "cpu" else f"there is {device}"
            log.info("model auto: %s, because %s", name, why)
        threads = options.threads or (_CORES - 1 if _CORES > 2 else _CORES)
        torch.set_num_threads(threads)
        path = ensure(name, options, progress)
        network = build(name, read_checkpoint(path), path)
        try:
            network.to(device)
        except RuntimeError as exc:
            raise _failed(name, device, exc) from exc
        size = options.size
        if size is None and options.live and device.type == "cpu":
            size = LIVE_CPU_SIZE
        if size is None:
            [size] = torchvision.models.get_weight(PUBLISHED[name].weights).transforms().resize_size
        log.info("%s on %s: input %d, %d CPU threads", name, device, size, threads)
        return cls(name, network, device, size, hard=options.hard)

    def probability(self, frame: RawFrame) -> Probability:
        """Softmax over the classes, the person's; at the network's input size. With `hard` 1 where the person's class
        is the largest, else 0."""
        assert self._network is not None, "closed"
        rgb = small_rgb(frame.planes, input_size(frame.size, self._size))
        try:
            with torch.inference_mode():
                picture = self._preset(torch.from_numpy(rgb).permute(2, 0, 1).to(self._device))
                logits = self._network(picture[None])["out"][0]
                person = (logits.argmax(0) == self._person).float() if self._hard else logits.softmax(0)[self._person]
                return np.asarray(person.cpu().numpy(), np.float32)
        except RuntimeError as exc:
            raise _failed(self.name, self._device, exc) from exc

    def reset(self) -> None:
        """Each frame stands for itself."""

    def close(self) -> None:
        """Gives the memory back, on the GPU too."""
        self._network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def input_size(frame: Size, short: int) -> Size:
    """What torchvision's resize to `short` makes of a frame of that size: the short side is `short`, the long one
    int(short * long / short side). A picture longer than `LONGEST` times its width keeps its shape, with less on its
    short side."""
    low, high = sorted((frame.width, frame.height))
    long = int(short * high / low)
    if long > LONGEST * short:
        long = LONGEST * short
        short = max(1, round(long * low / high))
    return Size(long, short) if frame.width > frame.height else Size(short, long)


def read_checkpoint(path: Path) -> State:
    """Reads numbers, runs nothing. Raises ModelError for what is no checkpoint, or damaged, or holds code."""
    _quiet()
    try:
        with path.open("rb") as file:
            # Mapped into memory instead of read (0.1 s for 1.1 s, and half the memory), but only the zip format can
            # be: torchvision's four ResNet files are in the older one.
            mapped = file.read(4) == b"PK\x03\x04"
    except OSError as exc:
        raise ModelError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # the training script's arguments: plain values
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
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


def architecture(state: State) -> str | None:
    """Which of the six the parameters' names belong to."""
    names, auxiliary = _names(state), _has_auxiliary(state)
    return next((name for name in TORCHVISION_MODELS if names == _names_of(name, auxiliary)), None)


def build(name: str, state: State, source: Path) -> nn.Module:
    """The network with those weights, in eval mode, without the auxiliary classifier, which serves training alone and
    takes 4.3 % of the work. `source`: for the messages. Raises ModelError where the weights are another network's."""
    network = _empty(name, _has_auxiliary(state))
    wanted = network.state_dict()
    if _names(state) != _names(wanted):
        other = architecture(state)
        raise ModelError(f"{source} is no checkpoint of {name}" + (f" but of {other}" if other else ""))
    for key, tensor in state.items():
        if key in wanted and tensor.shape != wanted[key].shape:
            shape, right = list(tensor.shape), list(wanted[key].shape)
            why = f"; it must know Pascal VOC's {CLASSES} classes" if shape[1:] == right[1:] else ""
            raise ModelError(f"{source} does not fit {name}: {key} is {shape}, not {right}{why}")
    try:
        network.to_empty(device="cpu").load_state_dict(dict(state), strict=True)
    except RuntimeError as exc:  # a tensor of a kind that cannot be copied: sparse, quantised
        raise ModelError(f"{source} does not fit {name}: {_one_line(exc)}") from exc
    if name != ON_CPU:
        network.register_module("aux_classifier", None)
    return network.eval()


def _empty(name: str, auxiliary: bool) -> nn.Module:
    """The architecture without numbers: no time is spent on a random start (1.3 s for fcn_resnet101)."""
    extra = {} if name == ON_CPU else {"aux_loss": auxiliary}
    with torch.device("meta"):
        return torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=CLASSES, **extra)


@functools.cache
def _names_of(name: str, auxiliary: bool) -> frozenset[str]:
    return _names(_empty(name, auxiliary).state_dict())


def _has_auxiliary(state: State) -> bool:
    return any(key.startswith("aux_classifier.") for key in state)


def _names(state: State) -> frozenset[str]:
    """The parameters' names. Batch normalisation's counters serve training alone; old checkpoints have none."""
    return frozenset(key for key in state if not key.endswith(".num_batches_tracked"))


def _device(asked: str) -> torch.device:
    if asked in ("auto", "cuda") and torch.cuda.is_available():
        return torch.device("cuda:0")
    if asked in ("auto", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    if asked in ("auto", "cpu"):
        return torch.device("cpu")
    if asked == "cuda" and torch.version.cuda is None:
        why = "this torch was built without CUDA"
    else:
        why = "there is no such GPU, or its driver is missing or too old"
    raise ModelError(f"the network cannot run on {asked}: {why}", mend='set model.device to "auto" or "cpu"')


def _failed(name: str, device: torch.device, exc: RuntimeError) -> ModelError:
    short_of_memory = isinstance(exc, torch.cuda.OutOfMemoryError) or "alloc" in str(exc)
    if short_of_memory:
        return ModelError(
            f"the memory of {device} is too small for {name} at this input size",
            mend="set model.size smaller, or choose another model",
        )
    return ModelError(f"{name} failed on {device}: {_one_line(exc)}")


def _one_line(exc: Exception) -> str:
    """torch's messages run over many lines; the first ones say what happened."""
    return " ".join(str(exc).split())[:160]


def _quiet() -> None:
    """torch's warnings are for programmers. Filters stay until the process ends: taking them away again, as
    `warnings.catch_warnings` does, would disturb the other threads."""
    warnings.filterwarnings("ignore", module=r"(torch|torchvision|vbgcam\.segment\.torchvision)(\.|$)")
