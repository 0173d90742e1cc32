"""`vbgcam models`: what there is, fetching, checking, adding one's own."""

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torchvision

from tests.support import networks
from tests.support.server import Server, closed_port, serving
from vbgcam.core.errors import ConfigError, ModelError
from vbgcam.core.frames import Planes, RawFrame, Size
from vbgcam.core.specs import TORCHVISION_MODELS, ModelSpec
from vbgcam.segment import Options, open_segmenter
from vbgcam.segment.adding import add
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.weights import download_published, needed, own_folder, survey

NAME = "lraspp_mobilenet_v3_large"
FRAME = RawFrame(Planes.filled(Size(8, 8), (120, 100, 140)).frozen(), 0.0)
CARD = 'name = "red"\n[input]\nsize = [8, 8]\nlayout = "NCHW"\nrange = [0, 1]\n[output]\nchannel = 0\n'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def options(cache: Path, tmp_path: Path) -> Options:
    """No network, and empty folders."""
    del cache
    return Options(
        device="cpu", size=32, threads=1, mirror=f"http://127.0.0.1:{closed_port()}", folder=tmp_path / "data"
    )


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.content = b"not really a network"
        yield server


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two trainings of one's own, as torchvision's training script leaves them."""
    files = []
    for epoch in (1, 2):
        torch.manual_seed(epoch)
        state = torchvision.models.get_model(NAME, weights=None, weights_backbone=None).state_dict()
        files.append(tmp_path_factory.mktemp("trained") / f"model_{epoch}.pt")
        torch.save({"model": state, "epoch": epoch, "args": argparse.Namespace(lr=0.1)}, files[-1])
    return files


def red_onnx(path: Path, *, beside: bool = False) -> Path:
    """A network whose first channel is half the picture's red; `beside` keeps its one weight in another file."""
    shape = (1, 3, 8, 8)
    node = onnx.helper.make_node("Mul", ["picture", "half"], ["person"])
    networks.save(path, [node], {"picture": shape}, {"person": shape}, {"half": np.full(shape, 0.5)})
    if beside:
        onnx.save(onnx.load(path), path, save_as_external_data=True, size_threshold=0, location="half.bin")
    return path


def kept(options: Options) -> list[str]:
    folder = own_folder(options)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_list_names_the_whole_catalogue(options: Options, cache: Path) -> None:
    rows = survey(options)
    assert tuple(row.name for row in rows) == tuple(CATALOGUE)
    for row in rows:
        assert row.state == "missing"
        assert not row.own
        entry = CATALOGUE[row.name]
        folder = cache if row.name in TORCHVISION_MODELS else options.folder / "downloads"
        assert (row.path, row.size, row.published) == (folder / entry.file, entry.size, entry)


def test_the_list_says_what_is_here_and_whether_it_is_right(options: Options, cache: Path) -> None:
    (cache / CATALOGUE["fcn_resnet50"].file).write_bytes(b"not really a network")
    (cache / CATALOGUE["fcn_resnet101"].file).write_bytes(b"another")
    right = replace(options, sha256=hashlib.sha256(b"another").hexdigest())
    [row] = survey(options, ["fcn_resnet50"])
    assert (row.state, row.size) == ("wrong", 20)
    [row] = survey(right, ["fcn_resnet101"])
    assert (row.state, row.size) == ("right", 7)


def test_the_list_needs_no_torch() -> None:
    code = (
        "import sys; from vbgcam.segment.weights import survey; from vbgcam.segment import Options; survey(Options())\n"
        "assert not {'torch', 'torchvision', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_a_wrong_command_with_the_nearest_right_one(options: Options) -> None:
    for call in (lambda: survey(options, ["fcn_resnet10"]), lambda: needed("fcn_resnet10", options)):
        with pytest.raises(
            ConfigError, match=r"unknown model 'fcn_resnet10'; choose one of .*; did you mean 'fcn_resnet101'\?"
        ):
            call()


def test_weights_are_fetched_once(server: Server, options: Options, cache: Path) -> None:
    sha256 = hashlib.sha256(server.content).hexdigest()
    online = replace(options, mirror=server.url, sha256=sha256)
    (cache / CATALOGUE[NAME].file).write_bytes(b"wrong, and replaced")
    seen: list[int] = []
    file = needed(NAME, online)
    assert file is not None
    download_published(file, online, lambda done, _total, _host: seen.append(done))
    assert seen[-1] == len(server.content)
    assert needed(NAME, online) is None
    assert [path.name for path in cache.iterdir()] == [CATALOGUE[NAME].file]


def test_ones_own_training_is_kept_and_found_by_the_architectures_name(options: Options, trained: list[Path]) -> None:
    added = add(trained[0], options)
    sha256 = hashlib.sha256(trained[0].read_bytes()).hexdigest()
    assert (added.name, added.pin.digits) == (NAME, sha256)
    assert kept(options) == [f"{NAME}-{sha256}.pth"]
    segmenter = open_segmenter(ModelSpec.parse(NAME), options)
    assert np.isfinite(segmenter.probability(FRAME)).all()
    [row] = survey(options, [NAME])
    assert (row.own, row.state, row.path, row.published) == (True, "right", added.path, None)


def test_a_later_training_takes_the_place_of_an_earlier_one(options: Options, trained: list[Path]) -> None:
    for file in (trained[0], trained[1], trained[1]):
        added = add(file, options)
        assert kept(options) == [added.path.name]
        assert added.path.read_bytes() == file.read_bytes()


def test_what_is_no_checkpoint_of_the_six_is_refused_and_not_kept(options: Options, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "net.onnx").write_text("hello")
    for name, words in (
        ("other.pth", r"other\.pth is a checkpoint of none of fcn_resnet50, "),
        ("text.pth", r"text\.pth is damaged, or no PyTorch checkpoint"),
        ("net.onnx", r"net\.onnx"),
        ("gone.pth", r"gone\.pth does not exist"),
        (".", "is no file"),
    ):
        with pytest.raises(ModelError, match=words) as caught:
            add(tmp_path / name, options)
        assert "\n" not in str(caught.value)
    assert kept(options) == []


def test_a_folder_that_cannot_be_written_is_one_line(options: Options, trained: list[Path], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"model_1\.pt could not be copied into .*models: "):
        add(trained[0], options)


@pytest.mark.parametrize("card_name", ["red.toml", "red.onnx.toml"])
def test_an_onnx_network_is_kept_with_its_card_and_found_by_its_name(
    options: Options, tmp_path: Path, card_name: str
) -> None:
    pytest.importorskip("onnxruntime")
    file = red_onnx(tmp_path / "red.onnx")
    (tmp_path / card_name).write_text(CARD)
    added = add(file, options)
    assert added.name == "onnx:red"
    assert kept(options) == [f"red-{added.pin.digits}.onnx", f"red-{added.pin.digits}.toml"]
    segmenter = open_segmenter(ModelSpec.parse("onnx:red"), options)
    red = segmenter.probability(FRAME)[4, 4]
    assert 0.2 < red < 0.35  # red is 139 of 255 in this frame
    [row] = survey(options, ["onnx:red"])
    assert (row.own, row.state, row.published) == (True, "right", None)

    (tmp_path / card_name).write_text(CARD + "# and a remark\n")
    changed = onnx.load(file)
    changed.doc_string = "the next version"
    onnx.save(changed, file)
    again = add(file, options)
    assert kept(options) == [f"red-{again.pin.digits}.onnx", f"red-{again.pin.digits}.toml"]


def test_an_onnx_network_without_a_card_is_refused(options: Options, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(ModelError, match=r"red\.onnx"):
        add(red_onnx(tmp_path / "red.onnx"), options)
    assert kept(options) == []


def test_an_onnx_network_that_needs_a_file_beside_it_is_refused(options: Options, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    file = red_onnx(tmp_path / "red.onnx", beside=True)
    (tmp_path / "red.toml").write_text(CARD)
    with pytest.raises(ModelError, match=r"red\.onnx cannot be kept: .*another file beside it\?"):
        add(file, options)
    assert kept(options) == []


def test_a_name_that_no_file_system_takes_is_one_line(options: Options) -> None:
    with pytest.raises(ModelError) as caught:
        open_segmenter(ModelSpec.parse(f"onnx:{'a' * 5000}"), options)
    assert len(str(caught.value).splitlines()) == 1
