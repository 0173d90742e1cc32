"""torchvision's six networks. Nobody fetches the published weights here: the checkpoints are made, in the real
architecture, so that the right answer is known.

The made fcn_resnet101 hands the red of a picture through the whole network: every residual branch is switched off, the
shortcuts and the head carry one channel, and class 15's logit is 20 * red - 10, all others 0.
"""

import argparse
import hashlib
import math
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms.functional import resize

from tests.support.server import Act, Server, serving
from tests.support.torch_networks import empty_network, random_network
from vbgcam.core.errors import ModelError
from vbgcam.core.frames import Planes, RawFrame, Size
from vbgcam.core.specs import TORCHVISION_MODELS, ModelSpec
from vbgcam.pixels.convert import from_rgb, small_rgb
from vbgcam.segment import Options, base, open_segmenter
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.engines.torch_eager import EagerEngine
from vbgcam.segment.family import TorchvisionSegmenter, input_size
from vbgcam.segment.torchvision import PERSON, Person, architecture, build, published_weights, read_checkpoint

FILE = "fcn_resnet101_coco-7ecb50ca.pth"
ON_CPU = "lraspp_mobilenet_v3_large"
RED_MEAN, RED_STD = 0.485, 0.229  # of the preset
StateDict = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two that wait for each other on a busy machine take ten times as long
    yield
    torch.set_num_threads(threads)


def plain(name: str, network: nn.Module, size: int, *, hard: bool = False) -> TorchvisionSegmenter:
    """A segmenter on torch itself."""
    engine = EagerEngine(Person(name, network, hard=hard), "cpu", 1)
    return TorchvisionSegmenter(name, engine, lambda: engine, size)


@pytest.fixture(scope="session")
def red_state() -> StateDict:
    state = empty_network("fcn_resnet101").to_empty(device="cpu").state_dict()
    for name, tensor in state.items():
        tensor.zero_()
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight") and "bn3" not in name):
            tensor.fill_(1)  # batch normalisation passes on; behind the last convolution of a branch it stays 0
    state["backbone.conv1.weight"][0, 0, 3, 3] = RED_STD
    state["backbone.bn1.bias"][0] = RED_MEAN
    for layer in range(1, 5):
        state[f"backbone.layer{layer}.0.downsample.0.weight"][0, 0] = 1
    state["classifier.0.weight"][0, 0, 1, 1] = 1
    state["classifier.4.weight"][PERSON, 0] = 20
    state["classifier.4.bias"][PERSON] = -10
    return state


@pytest.fixture(scope="session")
def red_network(red_state: StateDict) -> nn.Module:
    return build("fcn_resnet101", red_state, Path("made"))


@pytest.fixture(scope="session")
def red_file(red_state: StateDict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In the older format, as the published file is: the same size, but for the storages' keys, which are addresses."""
    path = tmp_path_factory.mktemp("served") / FILE
    torch.save(red_state, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="session")
def red_sha256(red_file: Path) -> str:
    return hashlib.sha256(red_file.read_bytes()).hexdigest()


@pytest.fixture
def server(red_file: Path) -> Iterator[Server]:
    with serving() as server:
        server.content = red_file.read_bytes()
        yield server


@pytest.fixture(scope="session")
def lraspp_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made checkpoint of the smallest network, in the newer format."""
    path = tmp_path_factory.mktemp("made") / "lraspp.pth"
    torch.save(random_network(ON_CPU).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def first_start(lraspp_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a process says that uses that checkpoint first. The network that it has converted is the session's."""
    home = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home / "torch"))
        options = by_hash(lraspp_file, Options())
        code = (
            "import sys; from pathlib import Path\n"
            "from vbgcam.core.frames import Planes, RawFrame, Size; from vbgcam.segment import Options, base, family\n"
            "base.networks_folder = lambda: Path(sys.argv[4])\n"
            "options = Options(device='cpu', threads=1, folder=Path(sys.argv[1]), size=32, sha256=sys.argv[2])\n"
            "segmenter = family.TorchvisionSegmenter.load(sys.argv[3], options)\n"
            "frame = RawFrame(Planes.filled(Size(64, 64), (90, 100, 200)).frozen(), 0.0)\n"
            "print(segmenter.probability(frame).shape, 'torch' in sys.modules)\n"
        )
        folder = base.networks_folder()
        assert not list(folder.glob(f"*{options.sha256}*")), "it would not be converted"
        command = [sys.executable, "-c", code, str(home), options.sha256, ON_CPU, str(folder)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def by_hash(file: Path, options: Options) -> Options:
    """The file put into the cache of lraspp_mobilenet_v3_large, whose hash is known."""
    target = Path(os.environ["TORCH_HOME"]) / "hub" / "checkpoints" / CATALOGUE[ON_CPU].file
    target.parent.mkdir(parents=True)
    os.link(file, target)
    return replace(options, sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def painted(size: Size, left: tuple[int, int, int], right: tuple[int, int, int]) -> RawFrame:
    rgb = np.empty((size.height, size.width, 3), np.uint8)
    rgb[:, : size.width // 2] = left
    rgb[:, size.width // 2 :] = right
    return RawFrame(from_rgb(rgb).frozen(), 0.0)


def noise(size: Size, seed: int = 2) -> RawFrame:
    rgb = np.random.default_rng(seed).integers(0, 256, (size.height, size.width, 3), np.uint8)
    return RawFrame(from_rgb(rgb).frozen(), 0.0)


def expected(red: float) -> float:
    """The made network's probability for a picture of that red, 0 to 1: softmax against twenty logits of 0."""
    logit = math.exp(20 * red - 10)
    return logit / (logit + 20)


def seen_red(frame: RawFrame) -> float:
    return float(small_rgb(frame.planes, Size(4, 4))[2, 2, 0]) / 255


# fcn_resnet101 from the server to the mask


def test_fcn_resnet101_is_fetched_checked_and_finds_the_person(server: Server, red_sha256: str, tmp_path: Path) -> None:
    options = Options(device="cpu", size=64, threads=1, mirror=server.url, sha256=red_sha256, folder=tmp_path / "data")
    server.script = [Act(stop_after=100_000_000)]
    seen: list[tuple[int, int]] = []
    segmenter = open_segmenter(
        ModelSpec.parse("fcn_resnet101"), options, lambda done, total, _host: seen.append((done, total))
    )
    assert (segmenter.name, segmenter.device) == ("fcn_resnet101", "cpu")
    counts = [done for done, _ in seen]
    assert counts == sorted(counts)
    assert seen[-1] == (len(server.content), len(server.content))
    assert server.asked == [(f"/{FILE}", None), (f"/{FILE}", "bytes=100000000-")]
    frame = painted(Size(128, 64), (230, 20, 20), (20, 20, 230))
    probability = segmenter.probability(frame)
    assert probability.dtype == np.float32
    assert probability.shape == (64, 128)
    assert probability[:, :40].min() > 0.98
    assert probability[:, 88:].max() < 0.001
    segmenter.reset()
    np.testing.assert_array_equal(segmenter.probability(frame), probability)
    segmenter.close()
    segmenter.close()


def test_the_probability_is_the_softmax_of_the_normalised_picture(red_network: nn.Module) -> None:
    segmenter = plain("fcn_resnet101", red_network, 48)
    for red in (90, 150, 220):
        frame = painted(Size(48, 48), (red, 60, 200), (red, 60, 200))
        probability = segmenter.probability(frame)
        # Away from the border, where the zeros of the padding are seen.
        np.testing.assert_allclose(probability[16:32, 16:32], expected(seen_red(frame)), atol=2e-3)


def test_hard_is_where_class_15_is_the_largest(red_network: nn.Module) -> None:
    segmenter = plain("fcn_resnet101", red_network, 48, hard=True)
    # Logits near 1.8 and -1.4: the probabilities are 0.23 and 0.01, none above one half.
    mask = segmenter.probability(painted(Size(128, 64), (150, 20, 20), (110, 20, 20)))
    assert mask.dtype == np.float32
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert mask[:, :32].all()
    assert not mask[:, 64:].any()


# all six


@pytest.mark.parametrize("name", TORCHVISION_MODELS)
def test_each_network_answers_as_torchvisions_own_and_hard_to_the_pixel(name: str) -> None:
    reference = random_network(name)
    network = build(name, reference.state_dict(), Path("made"))
    frame = noise(Size(48, 32))
    weights = published_weights(name)
    rgb = small_rgb(frame.planes, frame.size)
    picture = weights.transforms(resize_size=32)(torch.from_numpy(rgb).permute(2, 0, 1))
    assert picture.shape == (3, 32, 48)
    with torch.inference_mode():
        logits = reference(picture[None])["out"][0]
    soft = plain(name, network, 32).probability(frame)
    hard = plain(name, network, 32, hard=True).probability(frame)
    np.testing.assert_allclose(soft, logits.softmax(0)[PERSON], rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(hard, (logits.argmax(0) == PERSON).numpy())
    assert weights.meta["categories"][PERSON] == "person"


class Eighth(nn.Module):
    """Stands for a network: logits of an eighth of the picture's size, without any order in space. Classes but those
    are out of play."""

    def __init__(self, *classes: int) -> None:
        super().__init__()
        self.backbone = nn.AvgPool2d(8, ceil_mode=True)
        self.backbone.register_forward_hook(lambda module, given, features: {"out": features})
        self.classifier = nn.Conv2d(3, 21, 1)
        out = torch.tensor([0.0 if index in classes else -100.0 for index in range(21)])
        weight = torch.randn(21, 3, 1, 1, generator=torch.Generator().manual_seed(4)) * 10
        self.classifier.load_state_dict({"weight": weight, "bias": out})


def with_softmax_at_the_inputs_size(logits: torch.Tensor, size: Size) -> torch.Tensor:
    """torchvision's way."""
    return upsampled(logits, size).softmax(1)[0, PERSON]


def with_log_odds_at_the_heads_grid(logits: torch.Tensor, size: Size) -> torch.Tensor:
    return upsampled(logits.softmax(1)[:, PERSON : PERSON + 1].double().logit(), size).sigmoid()[0, 0]


def upsampled(grid: torch.Tensor, size: Size) -> torch.Tensor:
    return nn.functional.interpolate(grid, size=(size.height, size.width), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("size", [Size(64, 48), Size(93, 61), Size(16, 200), Size(12, 9)])
def test_between_two_classes_the_answer_is_torchvisions_to_the_pixel_and_among_many_it_is_near(size: Size) -> None:
    rgb = torch.randint(0, 256, (1, size.height, size.width, 3), generator=torch.Generator().manual_seed(5)).byte()
    with torch.inference_mode():
        two = Person("fcn_resnet101", Eighth(0, PERSON))
        theirs = with_softmax_at_the_inputs_size(two.logits(rgb), size)
        assert theirs.max() - theirs.min() > 0.3
        torch.testing.assert_close(two(rgb), theirs, rtol=0, atol=1e-5)
        many = Person("fcn_resnet101", Eighth(*range(21)))
        theirs = with_softmax_at_the_inputs_size(many.logits(rgb), size)
        error = (many(rgb) - theirs).abs().max()
        assert 0 < error < (with_log_odds_at_the_heads_grid(many.logits(rgb), size) - theirs).abs().max() / 3


@pytest.mark.parametrize("name", TORCHVISION_MODELS)
def test_the_architecture_is_known_from_the_state_dict(name: str) -> None:
    state = empty_network(name).state_dict()
    assert architecture(state) == name
    without = {key: tensor for key, tensor in state.items() if not key.startswith("aux_classifier.")}
    assert architecture(without) == name
    assert architecture({**state, "more": torch.zeros(1)}) is None


def test_the_auxiliary_classifier_is_loaded_and_dropped(red_state: StateDict, red_network: nn.Module) -> None:
    assert any(key.startswith("aux_classifier.") for key in red_state)
    assert [child for child, _ in red_network.named_children()] == ["backbone", "classifier"]
    assert not red_network.training
    with torch.inference_mode():
        assert list(red_network(torch.zeros(1, 3, 32, 32))) == ["out"]


def test_a_checkpoint_without_the_training_counters_is_taken() -> None:
    state = random_network(ON_CPU).state_dict()
    old = {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    network = build(ON_CPU, old, Path("made"))
    assert torch.equal(network.state_dict()["backbone.0.0.weight"], state["backbone.0.0.weight"])


# what is chosen


def test_a_gpu_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"cannot run on cuda: .*; use `--set model\.device=auto`") as caught:
        TorchvisionSegmenter.load(ON_CPU, Options(device="cuda"))
    assert not caught.value.retry


@pytest.mark.usefixtures("first_start")
@pytest.mark.parametrize(
    ("size", "live", "shape"), [(None, False, (520, 520)), (None, True, (128, 128)), (48, True, (48, 48))]
)
def test_the_input_is_the_presets_but_small_in_a_live_picture(
    size: int | None, live: bool, shape: tuple[int, int], lraspp_file: Path, tmp_path: Path
) -> None:
    options = by_hash(lraspp_file, Options(device="cpu", threads=1, folder=tmp_path, size=size, live=live))
    assert TorchvisionSegmenter.load(ON_CPU, options).probability(noise(Size(64, 64))).shape == shape


@given(width=st.integers(1, 4096), height=st.integers(1, 4096), short=st.integers(1, 520))
@settings(max_examples=200, deadline=None)
def test_the_input_has_the_size_that_the_preset_would_make(width: int, height: int, short: int) -> None:
    size = input_size(Size(width, height), short)
    if max(width, height) / min(width, height) < 4:
        picture = torch.empty(1, height, width, device="meta")
        assert resize(picture, [short]).shape == (1, size.height, size.width)
    else:
        assert max(size.width, size.height) <= 4 * short
        assert min(size.width, size.height) <= short


@pytest.mark.usefixtures("first_start")
def test_a_picture_of_any_shape_is_answered(lraspp_file: Path, tmp_path: Path) -> None:
    segmenter = TorchvisionSegmenter.load(
        ON_CPU, by_hash(lraspp_file, Options(device="cpu", threads=1, folder=tmp_path, size=32))
    )
    for size in (Size(1, 1), Size(2, 500), Size(3001, 3), Size(33, 31)):
        probability = segmenter.probability(RawFrame(Planes.filled(size, (90, 100, 200)).frozen(), 0.0))
        assert np.isfinite(probability).all()
        assert 0 <= probability.min() <= probability.max() <= 1


def test_a_cpu_never_needs_torch_in_the_running_process(first_start: str) -> None:
    assert first_start == "(32, 32) False"


# what goes wrong


class Failing(nn.Module):
    """Stands for a network's two parts."""

    def __init__(self, error: RuntimeError) -> None:
        super().__init__()
        self.error = error
        self.backbone = self.classifier = nn.Identity()
        self.backbone.register_forward_pre_hook(self._fail)

    def _fail(self, *_: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to"), "memory of cpu is too small.*; set model.size"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory of cpu is too small"),
        (RuntimeError("CUDA error: an illegal memory access\nCUDA kernel errors"), "network failed on cpu: CUDA"),
    ],
)
def test_a_network_that_fails_is_one_line(error: RuntimeError, words: str) -> None:
    segmenter = plain("fcn_resnet101", Failing(error), 32)
    with pytest.raises(ModelError, match=words) as caught:
        segmenter.probability(noise(Size(32, 32)))
    assert "\n" not in str(caught.value)


def test_torchs_warnings_stay_with_torch(lraspp_file: Path) -> None:
    read_checkpoint(lraspp_file)
    for module in ("torch", "torch.cuda", "torchvision.ops", "vbgcam.segment.torchvision"):
        warnings.warn_explicit("The NVIDIA driver on your system is too old", UserWarning, "file.py", 1, module)
    with pytest.raises(UserWarning, match="others"):
        warnings.warn_explicit("others are heard", UserWarning, "file.py", 1, "vbgcam.live")


class Creates:
    """A pickle that makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["torch", "older torch", "pickle 2", "pickle 4"])
def test_a_checkpoint_with_code_is_refused_and_nothing_is_run(kind: str, tmp_path: Path) -> None:
    file, trace = tmp_path / "evil.pth", tmp_path / "trace"
    held = {"model": {"weight": Creates(trace)}}
    if "torch" in kind:
        torch.save(held, file, _use_new_zipfile_serialization=kind == "torch")
    else:
        file.write_bytes(pickle.dumps(held, protocol=int(kind[-1])))
    with pytest.raises(ModelError) as caught:
        read_checkpoint(file)
    assert not trace.exists()
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    if "torch" in kind:
        assert "holds more than numbers" in str(caught.value)
        assert "mkdir" in str(caught.value)
    with file.open("rb") as stream:  # the trap is a real one
        if "pickle" in kind:
            pickle.load(stream)
            assert trace.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"<html>404</html>", bytes(range(256)) * 40, b"\x80\x02}q\x00.", b"PK\x03\x04" + b"\0" * 5000],
    ids=["empty", "zip's first bytes", "html", "garbage", "pickled dict", "zip of zeros"],
)
def test_a_file_that_is_no_checkpoint_is_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file.pth"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"file\.pth is damaged, or no PyTorch checkpoint$"):
        read_checkpoint(file)


@pytest.mark.parametrize("held", [[1, 2], {}, {"a": 1}, {1: torch.zeros(1)}, torch.zeros(3), {"model": 5}])
def test_a_file_that_holds_something_else_than_a_state_dict_is_one_line(held: object, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "file.pth")
    with pytest.raises(ModelError, match="holds no state dict"):
        read_checkpoint(tmp_path / "file.pth")


def test_what_torchvisions_training_script_writes_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "model_29.pth"
    arguments = argparse.Namespace(model="lraspp", lr=0.01, aux_loss=False)
    torch.save({"model": {"weight": torch.ones(2)}, "epoch": 29, "args": arguments}, file)
    assert torch.equal(read_checkpoint(file)["weight"], torch.ones(2))


def test_a_checkpoint_of_another_network_says_which(lraspp_file: Path) -> None:
    with pytest.raises(ModelError, match=f"is no checkpoint of fcn_resnet50 but of {ON_CPU}$"):
        build("fcn_resnet50", read_checkpoint(lraspp_file), lraspp_file)
    with pytest.raises(ModelError, match=r"x\.pth is no checkpoint of fcn_resnet50$"):
        build("fcn_resnet50", {"weight": torch.zeros(1)}, Path("x.pth"))


def test_a_training_for_other_classes_says_so() -> None:
    state = random_network(ON_CPU, classes=2).state_dict()
    assert architecture(state) == ON_CPU
    with pytest.raises(ModelError, match="21 classes: size mismatch for classifier"):
        build(ON_CPU, state, Path("made"))


def test_tensors_that_cannot_be_copied_are_one_line() -> None:
    state = random_network(ON_CPU).state_dict()
    key = "classifier.high_classifier.bias"
    state[key] = state[key].to_sparse()
    with pytest.raises(ModelError, match=f"made does not fit {ON_CPU}") as caught:
        build(ON_CPU, state, Path("made"))
    assert "\n" not in str(caught.value)
