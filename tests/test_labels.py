"""The class of each pixel, against torchvision's own forward and a network whose answer is known."""

import importlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.support.networks import left_half, save
from tests.support.torch_networks import random_network
from vbgcam.core.frames import U8
from vbgcam.core.specs import ModelSpec
from vbgcam.segment import Options
from vbgcam.segment.engines.torch_eager import Whole
from vbgcam.segment.labels import open_labeller
from vbgcam.segment.torchvision import build, published_weights, read_checkpoint

NAME = "lraspp_mobilenet_v3_large"


def noise(height: int, width: int) -> U8:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_torchvisions_labels_are_those_of_its_own_transforms_and_forward(tmp_path: Path) -> None:
    network = random_network(NAME)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    normalize = importlib.import_module("torchvision.transforms.functional").normalize
    rgb = noise(96, 161)
    preset = published_weights(NAME).transforms()
    with torch.inference_mode():
        batch = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
        batch = normalize(batch, preset.mean, preset.std)
        theirs = network(batch)["out"].argmax(1)[0].numpy()
    labeller = Whole(NAME, build(NAME, read_checkpoint(tmp_path / "weights.pth"), tmp_path), "cpu")
    ours = labeller.labels(rgb)
    assert ours.dtype == np.uint8
    assert np.array_equal(ours, theirs)
    assert len(np.unique(ours)) > 1
    labeller.close()


def of_classes(path: Path, count: int) -> Path:
    """NCHW, 4x4 and as many channels: class 15 (or the last) at the left, class 3 at the right, nothing else."""
    logits = np.zeros((1, count, 4, 4), np.float32)
    logits[:, min(15, count - 1), :, :2] = 8
    logits[:, 3, :, 2:] = 8
    save(
        path,
        [
            onnx.helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=1),
            onnx.helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            onnx.helper.make_node("Add", ["nothing", "logits"], ["classes"]),
        ],
        {"image": (1, 3, 4, 4)},
        {"classes": (1, count, 4, 4)},
        {"zero": 0.0, "logits": logits},
    )
    path.with_name(path.name + ".toml").write_text(
        f'name = "classes"\n[input]\nlayout = "NCHW"\n[output]\nlayout = "NCHW"\nchannel = {min(15, count - 1)}\n'
        'activation = "softmax"\n'
    )
    return path


def test_an_onnx_network_of_21_classes_labels_at_the_pictures_size(tmp_path: Path) -> None:
    labeller = open_labeller(ModelSpec.parse(f"onnx:{of_classes(tmp_path / 'net.onnx', 21)}"), Options())
    assert labeller is not None
    labels = labeller.labels(noise(30, 40))
    assert labels.shape == (30, 40)
    assert set(np.unique(labels[:, :16])) == {15}
    assert set(np.unique(labels[:, 24:])) == {3}
    labeller.close()


@pytest.mark.parametrize("spec", ["chroma", "onnx:left.onnx", "onnx:five.onnx"])
def test_what_knows_no_21_classes_is_no_labeller(tmp_path: Path, spec: str) -> None:
    left_half(tmp_path / "left.onnx")
    of_classes(tmp_path / "five.onnx", 5)
    kind, _, name = spec.partition(":")
    assert open_labeller(ModelSpec.parse(f"{kind}:{tmp_path / name}" if name else kind), Options()) is None
