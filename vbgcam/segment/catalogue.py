"""The networks that can be had by name: what each is good for, what it costs, where it is published and how its file is
known. They stand in the order of their work on a CPU, the least first, and whoever looks for a lighter one goes by it.

Every address is https and of a fixed revision. A file is known by its whole SHA-256, or by its git blob id where the
project that publishes it has nothing else; of torchvision's the first eight digits are published, and `weights` keeps
the whole hash of what came first.
"""

from dataclasses import dataclass
from typing import Final, Literal

from vbgcam.segment.download import Pin

Purpose = Literal["light", "balanced", "best", "offline"]
"""For a live picture on any CPU; on a strong CPU or small GPU; on a GPU; for images and videos, or a large GPU."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Percent, of a real clip after all steps of the mask: the overlap with the exact mask (IoU), and the share of the
    outline that is within two pixels of the exact one."""

    iou: float
    boundary_f: float


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """What is published of one network. `size`: bytes; for files known by their git blob id about. `card`: the name of
    the shipped card of an ONNX file, "" for torchvision's. `dancing`, `talking`: of a man who dances in his room and
    of one who talks at a desk, 640x360, `balanced`; None where it was not measured. `miou`, `pixel_accuracy`: percent,
    on COCO val2017 with the labels of Pascal VOC, as torchvision publishes them."""

    label: str
    purpose: Purpose
    about: str
    url: str
    size: int
    pin: Pin
    licence: str
    card: str = ""
    dancing: Quality | None = None
    talking: Quality | None = None
    miou: float | None = None
    pixel_accuracy: float | None = None

    @property
    def file(self) -> str:
        """The file's name, also below a mirror."""
        return self.url.rpartition("/")[2]


def _torchvision(
    label: str, purpose: Purpose, about: str, file: str, size: int, *, miou: float, accuracy: float
) -> CatalogueEntry:
    """The weights are the enum's `COCO_WITH_VOC_LABELS_V1`, and a test holds size and scores equal to the enum's."""
    pin = Pin(file.removesuffix(".pth").rpartition("-")[2])
    url = f"https://download.pytorch.org/models/{file}"
    return CatalogueEntry(label, purpose, about, url, size, pin, "BSD-3", miou=miou, pixel_accuracy=accuracy)


_OBS: Final = (
    "https://raw.githubusercontent.com/royshil/obs-backgroundremoval/"
    "875ffda175fcb066380b31797c63630c8b4a3c71/data/models/"
)
"""Where a well-known plugin for OBS publishes ONNX files of networks whose makers publish other formats."""

# Milliseconds of one core for a mask, OpenVINO in fp32 at 256x256 or the network's own input: 5.8, 7.2, 27 (by its
# makers' figures), 31, 37, 45, and from 100 on for those with a ResNet.
CATALOGUE: Final = {
    "meet": CatalogueEntry(
        "Google Meet",
        "light",
        "the least work; its outline is coarser than selfie's",
        _OBS + "mediapipe.onnx",
        781_150,
        Pin("7f785cf032261a07af7b845f891cab30da3f0757c7b362310e089e3aa8e8860a"),
        "Apache-2.0",
        "meet_segmentation",
        Quality(95.9, 87.9),
        Quality(99.0, 94.3),
    ),
    "selfie": CatalogueEntry(
        "MediaPipe selfie",
        "light",
        "what auto uses without a CUDA GPU",
        _OBS + "selfie_segmentation.onnx",
        447_596,
        Pin("1511ab5564cb0ae179cba9bcad6ad931003ccc71656f11fd270967023678c6a5"),
        "Apache-2.0",
        "selfie_segmentation",
        Quality(97.1, 91.9),
        Quality(99.0, 94.3),
    ),
    "rvm": CatalogueEntry(
        "Robust Video Matting",
        "best",
        "hair and fine edges, from frame to frame; for a GPU or a strong CPU",
        _OBS + "rvm_mobilenetv3_fp32.onnx",
        15_000_000,
        Pin("00279236c1234acc705a98581cdf80873ec6acd7", git=True),
        "GPL-3.0",
        "robust_video_matting",
    ),
    "lraspp_mobilenet_v3_large": _torchvision(
        "LR-ASPP, MobileNetV3",
        "balanced",
        "the lightest of torchvision's",
        "lraspp_mobilenet_v3_large-d234d4ea.pth",
        13_097_061,
        miou=57.9,
        accuracy=91.2,
    ),
    "pphumanseg": CatalogueEntry(
        "PP-HumanSeg",
        "balanced",
        "for people at some distance",
        _OBS + "pphumanseg_fp32.onnx",
        6_200_000,
        Pin("b1b077f2a239ab761d4858584ae5bc69a087294d", git=True),
        "Apache-2.0",
        "pphumanseg",
    ),
    # The size is from the enum's MiB: right to 600 bytes, as the next one is to the byte.
    "deeplabv3_mobilenet_v3_large": _torchvision(
        "DeepLabV3, MobileNetV3",
        "balanced",
        "for a strong CPU or a small GPU",
        "deeplabv3_mobilenet_v3_large-fc3c493d.pth",
        44_355_813,
        miou=60.3,
        accuracy=91.2,
    ),
    "fcn_resnet50": _torchvision(
        "FCN, ResNet-50",
        "offline",
        "two thirds of fcn_resnet101's work",
        "fcn_resnet50_coco-1167a1af.pth",
        141_567_418,
        miou=60.5,
        accuracy=91.4,
    ),
    "deeplabv3_resnet50": _torchvision(
        "DeepLabV3, ResNet-50",
        "offline",
        "better than fcn_resnet101 for less work",
        "deeplabv3_resnet50_coco-cd0a2569.pth",
        168_312_152,
        miou=66.4,
        accuracy=92.4,
    ),
    "fcn_resnet101": _torchvision(
        "FCN, ResNet-101",
        "best",
        "what auto uses on a CUDA GPU",
        "fcn_resnet101_coco-7ecb50ca.pth",
        217_800_805,
        miou=63.7,
        accuracy=91.9,
    ),
    "deeplabv3_resnet101": _torchvision(
        "DeepLabV3, ResNet-101",
        "offline",
        "the best of torchvision's, and the slowest",
        "deeplabv3_resnet101_coco-586e9e4e.pth",
        244_545_539,
        miou=67.4,
        accuracy=92.4,
    ),
}
"""By the name in the model spec."""
