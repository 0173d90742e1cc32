"""What a network's speed and exactness are measured against: torchvision's own network in fp32, run eagerly, with
weights that need no download but behave like trained ones.

Random weights alone would not do: the batch normalisations would let activations grow or die out from layer to layer,
and the answer would be 0 or 1 (or one half) everywhere, where no difference shows. So the running statistics are taken
from pictures, as training does it, and the classifier is scaled until the person's log-odds over these pictures have
the spread of a trained network's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
import torchvision
from torch import nn

from vbgcam.frames import U8
from vbgcam.segment import Probability
from vbgcam.segment.torchvision import CLASSES, ON_CPU
from vbgcam.segment.weights import PUBLISHED

_SEED: Final = 20
_SPREAD: Final = 3.0
"""Standard deviation of the log-odds: from 0.003 to 0.997 at two of them, most of it on the slope between."""


def seeded(name: str, pictures: Sequence[U8]) -> nn.Module:
    """One of torchvision's six with its auxiliary head, where it has one; fp32, on the CPU, in eval mode. The same for
    the same pictures: uint8, RGB, (height, width, 3), of one size, at least two."""
    extra = {} if name == ON_CPU else {"aux_loss": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=CLASSES, **extra)
    _settle(network.eval(), _batch(name, pictures))
    return network


def spread(name: str, network: nn.Module, picture: U8) -> None:
    """Scales the classifier, all classes alike, and shifts the person's bias, so that the person's log-odds over this
    picture have the median 0 and the spread of a trained network's. To be called anew for each input size: what random
    filters answer depends on the scale of things."""
    person = _person(name)
    others = [index for index in range(CLASSES) if index != person]
    with torch.inference_mode():
        logits: torch.Tensor = network(_batch(name, [picture]))["out"][0]

        def odds(scale: float) -> torch.Tensor:
            scaled = logits * scale
            return scaled[person] - scaled[others].logsumexp(0)

        scale = 1.0
        for _ in range(4):  # the log-odds are not proportional to the logits, but nearly
            scale *= _SPREAD / float(odds(scale).std())
        shift = -float(odds(scale).median())
    layers = _last_layers(name, network)
    with torch.no_grad():
        for layer in layers:
            assert layer.bias is not None, "the classifiers of torchvision's networks have one"
            layer.weight.mul_(scale)
            layer.bias.mul_(scale)
        first = layers[0].bias
        assert first is not None
        first[person] += shift


class Eager:
    """torchvision's way: the preset's normalisation, all heads, 21 logits at the input's size, softmax."""

    def __init__(self, name: str, network: nn.Module) -> None:
        self._name, self._network, self._person = name, network, _person(name)

    def run(self, rgb: U8) -> Probability:
        """As `Engine.run`."""
        with torch.inference_mode():
            logits: torch.Tensor = self._network(_batch(self._name, [rgb]))["out"][0]
            return np.asarray(logits.softmax(0)[self._person].numpy(), np.float32)


def _batch(name: str, pictures: Sequence[U8]) -> torch.Tensor:
    preset = torchvision.models.get_weight(PUBLISHED[name].weights).transforms(resize_size=None)
    return torch.stack([preset(torch.from_numpy(picture).permute(2, 0, 1)) for picture in pictures])


def _person(name: str) -> int:
    categories: list[str] = torchvision.models.get_weight(PUBLISHED[name].weights).meta["categories"]
    return categories.index("person")


def _settle(network: nn.Module, batch: torch.Tensor) -> None:
    """The running statistics become the batch's own. (DeepLab's pooled branch sees one value for each picture: of a
    single picture there would be no variance.)"""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all passes
        norm.train()
    with torch.inference_mode():
        network(batch)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
        norm.eval()


def _last_layers(name: str, network: nn.Module) -> list[nn.Conv2d]:
    """Whose sum is the logits: LRASPP adds those of two depths."""
    head = network.get_submodule("classifier")
    if name == ON_CPU:
        layers = [head.get_submodule("low_classifier"), head.get_submodule("high_classifier")]
    else:
        layers = [[module for module in head.modules() if isinstance(module, nn.Conv2d)][-1]]
    return [layer for layer in layers if isinstance(layer, nn.Conv2d)]
