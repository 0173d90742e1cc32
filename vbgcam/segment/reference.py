"""What a network's speed and exactness are measured against: torchvision's own network in fp32, run eagerly, with
weights that need no download but behave like trained ones.

Random weights alone would not do: activations would grow or die out from layer to layer, and the answer would be 0 or 1
(or one half) everywhere, where no difference shows. So the running statistics of the batch normalisations are taken
from pictures, as training does it, and the classifier is scaled until the person's log-odds have a trained network's
spread.
"""

import contextlib
import copy
import os
from collections.abc import Sequence
from typing import Final

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # as `segment.torchvision` does it, and why

import numpy as np
import torch
import torchvision
from torch import nn
from torch.optim.swa_utils import update_bn
from torchvision.models.resnet import Bottleneck

from vbgcam.core.frames import U8, RawFrame, Size
from vbgcam.pixels.convert import small_rgb
from vbgcam.segment.base import FixedInput, Options, Probability
from vbgcam.segment.engines import devices
from vbgcam.segment.engines.base import Engine
from vbgcam.segment.engines.torch_eager import Whole
from vbgcam.segment.family import cpu_cores, torch_engine
from vbgcam.segment.torchvision import CLASSES, PERSON, Person, converted, published_weights

_SEED: Final = 20
_SPREAD: Final = 3.0
"""Standard deviation of the log-odds: from 0.003 to 0.997 at two of them, most of it on the slope between, where errors
show. (A trained DeepLab's on nine photos of people: 2.2 to 8.7, mostly beyond the slope.)"""
_TRAIL: Final = 10.0
"""How far below the larger of person and background the 19 other classes together lie, as a median: for the trained
one, 6.4 to 14.2. Where they are level, as random weights have them, the order of softmax and upsampling decides the
answer; where two classes are in play it does not matter."""
_CALM: Final = 0.25
"""Of the other classes' weights is kept. From one cell of the grid to the next, the random log-odds step by 2 to 3
where the trained one's step by 0.5 to 1.7: with all of it single cells of other classes would stand all over the
person."""


_BRANCH: Final = 0.1
"""The spread of what a residual block adds. Trained blocks add little to what they get; with random ones at 1 every
rounding grows from layer to layer, and bf16 changes the log-odds by 0.92 of their spread, at 0.1 by 0.04 (the trained
DeepLab's: 0.02 to 0.03)."""


def seeded(name: str, pictures: Sequence[U8]) -> nn.Module:
    """One of torchvision's six with its auxiliary head, where it has one; fp32, on the CPU, in eval mode. The same for
    the same pictures: uint8, RGB, (height, width, 3), of one size, at least two."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network: nn.Module = torchvision.models.get_model(
            name, weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=not name.startswith("lraspp")
        ).eval()
        for module in network.modules():
            if isinstance(module, Bottleneck):
                nn.init.constant_(module.bn3.weight, _BRANCH)
        # The running statistics become the pictures' own. (DeepLab's pooled branch sees one value for each picture: of
        # a single one there would be no variance.)
        preset = published_weights(name).transforms(resize_size=None)
        batch = torch.stack([preset(torch.from_numpy(np.array(rgb)).permute(2, 0, 1)) for rgb in pictures])
        update_bn([batch], network)
    return network


def spread(name: str, network: nn.Module, picture: U8) -> None:
    """Sets the classifier so that, on this picture, the person's log-odds against the background have the median 0 and
    `_SPREAD`, what speaks for the one speaks against the other, and the 19 other classes trail by `_TRAIL`. To be
    called anew for each input size: what random filters answer depends on the scale of things."""
    others = [index for index in range(1, CLASSES) if index != PERSON]
    layers = _last_layers(name, network)
    first = layers[0].bias
    assert first is not None, "the classifiers of torchvision's networks have one"
    with torch.no_grad():
        for numbers in (number for layer in layers for number in layer.parameters()):
            half = (numbers[PERSON] - numbers[0]) / 2
            numbers[PERSON], numbers[0] = half, -half
            numbers[others] *= _CALM
        logits = Whole(name, network, "cpu").logits(picture)
        odds = logits[PERSON] - logits[0]
        scale = _SPREAD / float(odds.std())
        for layer in layers:
            for numbers in layer.parameters():
                numbers.mul_(scale)
        up = -scale * float(odds.median()) / 2
        first[PERSON] += up
        first[0] -= up
        leads = (scale * logits[PERSON] + up).abs()
        first[others] -= float(((scale * logits[others]).logsumexp(0) - leads).median()) + _TRAIL


class Eager(Whole):
    """What the network itself answers: the person's share of the softmax."""

    def __init__(self, name: str, network: nn.Module, device: str = "cpu", threads: int = 0) -> None:
        """`device`: as torch names it. `threads`: of the CPU, for the whole process; 0 leaves them as they are."""
        if threads:
            torch.set_num_threads(threads)
        super().__init__(name, network if device == "cpu" else copy.deepcopy(network), device)

    def run(self, rgb: U8) -> Probability:
        """As `Engine.run`."""
        return np.asarray(self.logits(rgb).softmax(0)[PERSON].cpu().numpy(), np.float32)


def engine(name: str, network: nn.Module, options: Options) -> Engine:
    """The one that the live chain takes on this machine (`family.engine` builds them from files), with a network of
    its own. Raises ModelError."""
    place = devices.for_torchvision(options.device)
    person = Person(name, copy.deepcopy(network)).eval()
    if place.engine == "openvino":
        with contextlib.suppress(ImportError):  # said by `family.engine`, which a run meets
            from vbgcam.segment.converted import split_for_bf16
            from vbgcam.segment.engines.openvino import OpenVinoEngine

            return OpenVinoEngine(converted(person), threads(options), where=place.where, split=split_for_bf16)
    return torch_engine(person, place.where, threads(options))


def threads(options: Options) -> int:
    """Of the CPU, for both sides of a comparison: all cores, unless the options say otherwise."""
    return options.threads or cpu_cores()


class MadeSegmenter(FixedInput):
    """A segmenter with made weights: the work of a real one, and no use. See `vbgcam.segment.Segmenter`."""

    def __init__(self, name: str, engine: Engine, size: Size) -> None:
        self.name = f"{name} with made weights"
        self.device, self.precision, self.input = engine.device, engine.precision, size
        self._engine = engine
        self._size = size
        engine.prepare(size)

    def probability(self, frame: RawFrame) -> Probability:
        """At `size`."""
        return self._engine.run(small_rgb(frame.planes, self._size))

    def close(self) -> None:
        """Closes the engine."""
        self._engine.close()


def _last_layers(name: str, network: nn.Module) -> list[nn.Conv2d]:
    """Whose sum is the logits: LRASPP adds those of two depths."""
    head = network.get_submodule("classifier")
    if name.startswith("lraspp"):
        layers = [head.get_submodule("low_classifier"), head.get_submodule("high_classifier")]
    else:
        layers = [[module for module in head.modules() if isinstance(module, nn.Conv2d)][-1]]
    return [layer for layer in layers if isinstance(layer, nn.Conv2d)]
