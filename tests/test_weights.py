"""Which file holds a model's weights, and that it is the right one. The files here are small and hold no network."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support.server import Server, closed_port, serving
from vbgcam.core.errors import ModelError
from vbgcam.core.specs import TORCHVISION_MODELS
from vbgcam.segment import Options
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.download import Pin
from vbgcam.segment.torchvision import published_weights
from vbgcam.segment.weights import (
    WeightsFile,
    added_onnx,
    cache_folder,
    ensure,
    own_folder,
    weights_file,
)

NAME = "fcn_resnet101"
FILE = "fcn_resnet101_coco-7ecb50ca.pth"
CONTENT = b"not really a network" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.content = CONTENT
        yield server


@pytest.fixture
def offline(tmp_path: Path) -> Options:
    return Options(mirror=f"http://127.0.0.1:{closed_port()}", sha256=SHA256, folder=tmp_path / "data")


def options(server: Server, folder: Path) -> Options:
    return Options(mirror=server.url, sha256=SHA256, folder=folder / "data")


def own(offline: Options, content: bytes, name: str = NAME, suffix: str = ".pth") -> Path:
    path = own_folder(offline) / f"{name}-{hashlib.sha256(content).hexdigest()}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_table_is_what_torchvision_publishes() -> None:
    assert {name for name, entry in CATALOGUE.items() if entry.miou} == set(TORCHVISION_MODELS)
    for name in TORCHVISION_MODELS:
        published = CATALOGUE[name]
        enum = published_weights(name)
        metrics = enum.meta["_metrics"]["COCO-val2017-VOC-labels"]
        assert published.url == enum.url
        assert published.url.endswith(f"-{published.pin.digits}.pth")
        assert len(published.pin.digits) == 8
        assert (published.miou, published.pixel_accuracy) == (metrics["miou"], metrics["pixel_acc"])
        assert published.size / 2**20 == pytest.approx(enum.meta["_file_size"], abs=0.001)


@pytest.mark.parametrize(
    "variables",
    [{"TORCH_HOME": "/somewhere"}, {"TORCH_HOME": "~/torch"}, {"XDG_CACHE_HOME": "/caches"}, {}],
    ids=["TORCH_HOME", "tilde", "XDG", "neither"],
)
def test_the_cache_is_torch_hubs(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(torch.hub.get_dir()) / "checkpoints"


@pytest.mark.parametrize("place", ["", "/some/where/"])
def test_missing_weights_come_from_the_mirror_under_their_published_name(
    server: Server, tmp_path: Path, cache: Path, place: str
) -> None:
    options = Options(mirror=f"{server.url}{place}", sha256=SHA256, folder=tmp_path)
    for _ in range(2):  # once fetched, they need no network
        assert ensure(NAME, options) == cache / FILE
    assert (cache / FILE).read_bytes() == CONTENT
    assert server.asked == [(f"{place.rstrip('/')}/{FILE}", None)]


def test_without_a_network_one_line_names_all_three_ways_out(offline: Options, cache: Path) -> None:
    with pytest.raises(ModelError) as caught:
        ensure(NAME, offline)
    text = str(caught.value)
    assert caught.value.retry
    assert "\n" not in text
    assert f"`vbgcam models fetch {NAME}`" in text
    assert f"put the file into {cache}" in text
    assert "`vbgcam models add FILE`" in text
    assert list(cache.iterdir()) == []


def test_a_tampered_file_in_the_cache_is_refused_and_left_alone(offline: Options, cache: Path) -> None:
    (cache / FILE).write_bytes(CONTENT + b"!")
    with pytest.raises(ModelError) as caught:
        ensure(NAME, offline)
    text = str(caught.value)
    assert str(cache / FILE) in text
    assert SHA256[:16] in text
    assert hashlib.sha256(CONTENT + b"!").hexdigest()[:16] in text
    assert text.endswith(f"`vbgcam models fetch {NAME}` fetches it anew")
    assert (cache / FILE).read_bytes() == CONTENT + b"!"


def test_without_a_hash_of_ones_own_the_published_one_counts(cache: Path) -> None:
    (cache / FILE).write_bytes(CONTENT)
    with pytest.raises(ModelError, match="not with 7ecb50ca"):
        ensure(NAME, Options())


def test_a_file_that_was_right_is_checked_again_once_it_has_changed(offline: Options, cache: Path) -> None:
    file = cache / FILE
    file.write_bytes(CONTENT)
    ensure(NAME, offline)
    before = file.stat()
    file.write_bytes(CONTENT.replace(b"network", b"nothing"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert file.stat().st_size == before.st_size
    with pytest.raises(ModelError, match="not the file it should be"):
        ensure(NAME, offline)


def test_a_file_that_stays_as_it_was_is_read_once(
    offline: Options, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def counted(path: Path, _pin: Pin) -> str:
        reads.append(path)
        return SHA256

    monkeypatch.setattr("vbgcam.segment.weights.file_digest", counted)
    (cache / FILE).write_bytes(CONTENT)
    ensure(NAME, offline)
    ensure(NAME, offline)
    assert reads == [cache / FILE]


def test_ones_own_weights_win_over_the_cache_until_they_are_deleted(tmp_path: Path, cache: Path) -> None:
    mine = Options(folder=tmp_path / "data")
    path = own(mine, b"my own training")
    assert ensure(NAME, mine) == path
    assert weights_file("fcn_resnet50", mine).own is False
    path.unlink()
    kept = own_folder(mine) / f"{FILE}.sha256"
    assert weights_file(NAME, mine) == WeightsFile(NAME, cache / FILE, Pin("7ecb50ca"), keep=kept)


def test_of_several_own_files_the_newest_counts(tmp_path: Path) -> None:
    mine = Options(folder=tmp_path / "data")
    older, newer = own(mine, b"first training"), own(mine, b"second training")
    os.utime(older, ns=(1, 1))
    os.utime(newer, ns=(2, 2))
    assert ensure(NAME, mine) == newer
    os.utime(older, ns=(3, 3))
    assert ensure(NAME, mine) == older


def test_a_wanted_hash_passes_over_own_weights_of_another(offline: Options, cache: Path) -> None:
    own(offline, b"my own training")
    (cache / FILE).write_bytes(CONTENT)
    assert ensure(NAME, offline) == cache / FILE
    assert ensure(NAME, Options(sha256=SHA256, folder=offline.folder)) == cache / FILE
    assert ensure(NAME, Options(folder=offline.folder)).parent == own_folder(offline)


def test_own_weights_that_were_changed_are_refused(tmp_path: Path) -> None:
    mine = Options(folder=tmp_path / "data")
    path = own(mine, b"my own training")
    path.write_bytes(b"my own tr@ining")
    with pytest.raises(ModelError, match=r"not the file it should be.*; delete it, or give the right one"):
        ensure(NAME, mine)


def test_files_of_other_names_in_the_folder_are_no_weights(tmp_path: Path) -> None:
    mine = Options(folder=tmp_path / "data")
    own(mine, b"x", name="fcn_resnet10")
    (own_folder(mine) / "fcn_resnet101-abc.pth").write_bytes(b"x")
    (own_folder(mine) / f"fcn_resnet101-{SHA256}.txt").write_bytes(CONTENT)
    assert weights_file(NAME, mine).own is False


def test_an_added_onnx_file_is_found_by_its_stem(tmp_path: Path) -> None:
    mine = Options(folder=tmp_path / "data")
    kept = own(mine, b"a person network", name="selfie", suffix=".onnx")
    assert added_onnx(Path("selfie"), mine) == kept
    assert added_onnx(Path("selfie.onnx"), mine) == kept
    assert added_onnx(Path("other"), mine) == Path("other")
    kept.write_bytes(b"another network")
    with pytest.raises(ModelError, match="not the file it should be"):
        added_onnx(Path("selfie"), mine)


def test_a_file_that_exists_is_taken_before_an_added_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Options(folder=tmp_path / "data")
    own(mine, b"a person network", name="selfie", suffix=".onnx")
    monkeypatch.chdir(tmp_path)
    Path("selfie.onnx").write_bytes(b"here")
    assert added_onnx(Path("selfie.onnx"), mine) == Path("selfie.onnx")
