"""From a picture to the person's probability: torchvision's network between the two ends that this program needs.

torchvision upsamples 21 logits to the input's size and leaves the rest to the caller; the auxiliary head, which serves
training alone, is computed besides. Here the person's log-odds against the 20 other classes are taken at a grid three
times as fine as the head's own (which is an eighth of the input, DeepLab's on a MobileNet a sixteenth), and this one
channel is upsampled.
"""

from typing import Final

import torch
import torchvision
from torch import nn
from torch.nn import functional

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


def _upsampled(values: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return functional.interpolate(values, size=(height, width), mode="bilinear", align_corners=False)
