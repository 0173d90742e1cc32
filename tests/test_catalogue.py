"""The catalogue's networks, from a server to the picture. The server is a loopback one; the real files lie beside the
checkout where they are to be had, the others are made and their pins with them."""

import hashlib
import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from tests.support.server import Act, Server, closed_port, serving
from tests.support.torch_networks import random_network
from tests.support.users import User, wait
from vbgcam.camera.demo import frames
from vbgcam.cli.main import main
from vbgcam.core.errors import ConfigError, ModelError
from vbgcam.core.frames import Planes, RawFrame, Size
from vbgcam.core.specs import PORTRAIT_MODELS, TORCHVISION_MODELS, ModelSpec
from vbgcam.media import images
from vbgcam.pixels import convert
from vbgcam.segment import Options, auto, open_segmenter, weights
from vbgcam.segment.adding import add
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.download import Pin
from vbgcam.segment.engines import devices
from vbgcam.segment.engines.devices import Place
from vbgcam.settings.state import state_path

LRASPP = "lraspp_mobilenet_v3_large"
REAL = {"selfie": "selfie_segmentation_256.onnx", "meet": "meet_segmentation_144x256.onnx"}
CONTENT = bytes(range(256)) * 4000
GREY = RawFrame(Planes.filled(Size(64, 48), (120, 128, 128)).frozen(), 0.0)


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("vbgcam.segment.engines.devices.may_have_gpu", lambda: False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.content = CONTENT
        yield server


@pytest.fixture
def options(server: Server, tmp_path: Path) -> Options:
    return Options(device="cpu", threads=1, mirror=server.url, folder=tmp_path / "data")


def offline(options: Options) -> Options:
    return replace(options, mirror=f"http://127.0.0.1:{closed_port()}")


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pinned(monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, digits: int = 64) -> None:
    """From now on that content is the network's file."""
    pin = Pin(hashlib.sha256(content).hexdigest()[:digits])
    if CATALOGUE[name].pin.git:
        pin = Pin(git_blob(content), git=True)
    monkeypatch.setitem(CATALOGUE, name, replace(CATALOGUE[name], pin=pin, size=len(content)))


def here(name: str, options: Options, content: bytes) -> Path:
    path = weights.published_file(name, options).path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_every_entry_is_https_of_a_fixed_revision_and_has_a_name_that_the_specs_know() -> None:
    assert set(CATALOGUE) == {*TORCHVISION_MODELS, *PORTRAIT_MODELS}
    for name, entry in CATALOGUE.items():
        assert str(ModelSpec.parse(name)) == name
        assert entry.url.startswith("https://")
        assert entry.pin.whole or entry.url.endswith(f"-{entry.pin.digits}.pth")
        assert entry.url.startswith("https://download.pytorch.org/") or "/875ffda175fcb066380b31797c63" in entry.url
        assert entry.licence
        assert len(entry.about) < 80
    assert CATALOGUE["rvm"].licence == "GPL-3.0"
    assert len({entry.file for entry in CATALOGUE.values()}) == len(CATALOGUE)


@pytest.mark.parametrize("name", REAL)
def test_the_real_files_are_downloaded_resumed_checked_and_find_nobody_in_an_empty_picture(
    name: str, testdata: Path, server: Server, options: Options
) -> None:
    server.content = (testdata / "models" / REAL[name]).read_bytes()
    assert len(server.content) == CATALOGUE[name].size
    half = len(server.content) // 2
    server.script = [Act(stop_after=half)]
    hosts: set[str] = set()
    segmenter = open_segmenter(ModelSpec.parse(name), options, lambda _done, _total, host: hosts.add(host))
    assert server.asked == [(f"/{CATALOGUE[name].file}", None), (f"/{CATALOGUE[name].file}", f"bytes={half}-")]
    assert hosts == {server.url.removeprefix("http://")}
    assert (segmenter.name, segmenter.why) == (name, "")
    assert segmenter.probability(GREY).max() < 0.5
    segmenter.close()
    assert [row.state for row in weights.survey(offline(options), [name])] == ["right"]


@pytest.mark.parametrize("name", ["selfie", "rvm", "fcn_resnet50"])
@pytest.mark.parametrize(
    ("act", "words", "retry"),
    [
        (Act(wrong=True), "is another file: its .* begins with", False),
        (Act(status=404), "404 Not Found", False),
        (Act(status=503), "503", True),
        (Act(html=True), "web page", True),
    ],
    ids=["wrong", "404", "503", "login"],
)
def test_what_is_not_the_file_is_refused_and_nothing_is_kept(  # noqa: PLR0917  # fixtures
    name: str, act: Act, words: str, retry: bool, server: Server, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned(monkeypatch, name, CONTENT, 8)
    server.script = [act]
    with pytest.raises(ModelError, match=words) as caught:
        weights.ensure(name, options)
    assert caught.value.retry is retry
    assert not weights.published_file(name, options).path.exists()
    assert weights.ensure(name, options).read_bytes() == CONTENT


def test_a_redirect_is_followed_but_not_to_plain_http_of_another_machine_without_a_whole_hash(
    server: Server, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("selfie", "fcn_resnet50"):
        pinned(monkeypatch, name, CONTENT, 8)
        server.script = [Act(redirect=f"{server.url}/elsewhere")]
        weights.ensure(name, options).unlink()
        assert server.asked[-1] == ("/elsewhere", None)
    monkeypatch.setattr(weights, "own_folder", lambda options: options.folder / "another")  # nothing is known yet
    server.script = [Act(redirect="http://mirror.invalid/x.pth")]
    with pytest.raises(ModelError, match=r"http://mirror\.invalid/x\.pth is not asked: over plain http") as caught:
        weights.ensure("fcn_resnet50", options)
    assert not caught.value.retry


def test_a_mirror_over_plain_http_needs_a_whole_hash(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def unknown(host: object, *_: object, **__: object) -> NoReturn:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    plain = replace(options, mirror="http://mirror.invalid/models")
    with pytest.raises(ModelError, match="only the first 8 digits are published; use an https:// mirror"):
        weights.ensure("fcn_resnet50", plain)
    assert asked == []
    for name, whole in (("fcn_resnet50", replace(plain, sha256="0" * 64)), ("selfie", plain), ("rvm", plain)):
        with pytest.raises(ModelError, match=r"could not be fetched from mirror\.invalid"):
            weights.ensure(name, whole)
    assert asked == ["mirror.invalid"] * 3


def test_the_first_downloads_whole_hash_is_kept_and_no_other_file_is_taken_ever_after(
    server: Server, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, first = "fcn_resnet50", hashlib.sha256(CONTENT).hexdigest()
    pinned(monkeypatch, name, CONTENT, 2)
    path = weights.ensure(name, options)
    assert weights.published_file(name, options).pin == Pin(first)
    same = (b"another %d" % number for number in range(100_000))
    other = next(one for one in same if hashlib.sha256(one).hexdigest()[:2] == first[:2])
    path.write_bytes(other)
    assert [row.state for row in weights.survey(options, [name])] == ["wrong"]
    with pytest.raises(ModelError, match="is not the file it should be"):
        weights.ensure(name, options)
    path.unlink()
    server.content = other
    with pytest.raises(ModelError, match="is another file"):
        weights.ensure(name, options)
    server.content = CONTENT
    assert weights.ensure(name, options) == path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full, the disk that is always full, is Linux's")
def test_a_full_disk_is_one_line(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned(monkeypatch, "selfie", CONTENT)
    path = weights.published_file("selfie", options).path
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.part").symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"onnx\.part cannot be written: No space left on device; make room"):
        weights.ensure("selfie", options)
    assert not path.exists()


def test_of_two_at_once_one_is_told_to_wait(server: Server, options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned(monkeypatch, "meet", CONTENT)

    def progress(done: int, _total: int, _host: str) -> None:
        if done == len(CONTENT):
            with pytest.raises(ModelError, match="is being fetched by another program") as caught:
                weights.ensure("meet", options)
            assert caught.value.retry

    assert weights.ensure("meet", options, progress).read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_a_file_of_the_catalogue_that_is_added_goes_where_a_download_would_have_put_it(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "any name").write_bytes(CONTENT)
    for name in ("selfie", "rvm"):
        pinned(monkeypatch, name, CONTENT)
        added = add(tmp_path / "any name", options)
        assert added == weights.published_file(name, options)
        assert weights.ensure(name, offline(options)) == added.path
        pinned(monkeypatch, name, b"")


def test_what_is_removed_is_gone_and_ones_own_comes_first(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned(monkeypatch, LRASPP, CONTENT)
    published = here(LRASPP, options, CONTENT)
    own = weights.own_folder(options) / f"{LRASPP}-{hashlib.sha256(b'mine').hexdigest()}.pth"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    assert weights.remove(LRASPP, options) == [own]
    assert weights.ensure(LRASPP, offline(options)) == published
    assert weights.remove(LRASPP, options) == [published]
    with pytest.raises(ModelError, match=f"{LRASPP} is not downloaded"):
        weights.remove(LRASPP, options)
    with pytest.raises(ConfigError, match="did you mean 'selfie'"):
        weights.remove("selfi", options)


# What auto means


def test_with_everything_here_auto_is_selfie_and_on_a_cuda_gpu_fcn_resnet101(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CATALOGUE:
        pinned(monkeypatch, name, CONTENT)
        here(name, options, CONTENT)
    options = offline(options)
    assert auto.choose(options) == (
        "selfie",
        options,
        "the best outline for its work without a CUDA GPU",
    )
    options = replace(options, device="auto")
    monkeypatch.setattr(devices, "for_torchvision", lambda _asked: Place("torch", "cuda:0", "cuda:0"))
    assert auto.choose(options)[::2] == ("fcn_resnet101", "there is a CUDA GPU")
    monkeypatch.setattr(devices, "for_torchvision", lambda _asked: Place("torch", "mps", "mps"))
    assert auto.choose(options)[0] == "selfie"


def test_without_torch_auto_is_selfie_although_there_is_a_gpu(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned(monkeypatch, "selfie", CONTENT)
    here("selfie", options, CONTENT)
    monkeypatch.setattr("vbgcam.segment.engines.devices.may_have_gpu", lambda: True)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert auto.choose(replace(offline(options), device="auto"))[0] == "selfie"


def test_with_nothing_here_and_no_connection_auto_may_be_tried_again(options: Options) -> None:
    with pytest.raises(ModelError, match=r"selfie_segmentation\.onnx could not be fetched") as caught:
        auto.choose(offline(options))
    assert caught.value.retry


def test_without_a_connection_auto_is_the_lightest_that_is_here_and_right(
    options: Options, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("rvm", LRASPP, "fcn_resnet101"):
        pinned(monkeypatch, name, CONTENT)
        here(name, options, b"damaged" if name == "rvm" else CONTENT)
    mine = replace(offline(options), sha256="0" * 64)
    with caplog.at_level(logging.WARNING, "vbgcam"):
        name, used, why = auto.choose(mine)
    assert (name, used.sha256) == (LRASPP, "")
    assert why.startswith("selfie is not here (selfie_segmentation.onnx could not be fetched from 127.0.0.1:")
    assert [f"{LRASPP} is used instead" in record.getMessage() for record in caplog.records] == [True]


def test_with_only_lraspps_file_here_auto_runs_with_it_and_says_why(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(random_network(LRASPP).state_dict(), tmp_path / "made.pth")
    made = (tmp_path / "made.pth").read_bytes()
    pinned(monkeypatch, LRASPP, made, 8)
    here(LRASPP, options, made)
    segmenter = open_segmenter(ModelSpec("auto"), replace(offline(options), size=32))
    assert segmenter.name == LRASPP
    assert "selfie is not here" in segmenter.why
    assert np.isfinite(segmenter.probability(GREY)).all()
    segmenter.close()


# As a person has it


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def test_the_list_fits_and_says_what_each_network_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    [rvm] = [line.split() for line in lines if line.startswith("rvm")]
    assert rvm == ["rvm", "best", "15", "MB", "-", "-", "-", "GPL-3.0", "missing"]
    [selfie] = [line for line in lines if line.startswith("selfie")]
    assert "97.1/91.9  99.0/94.3" in selfie


def test_the_list_has_the_milliseconds_that_a_run_measured_here(
    own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del own_home
    state_path().parent.mkdir(parents=True)
    state_path().write_text('{"masks": {"meet": 5.8}}')
    assert main(["models", "list", "--json"]) == 0
    assert {row["name"]: row["mask_ms"] for row in json.loads(capsys.readouterr().out)}["meet"] == 5.8
    assert main(["models", "list"]) == 0
    [meet] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("meet")]
    assert " 5.8  Apache-2.0" in meet


def test_the_licence_is_said_before_the_download_and_ctrl_c_ends_it(user: User, server: Server) -> None:
    server.script = [Act(silent=True, stop_after=300_000)]
    command = [sys.executable, "-m", "vbgcam", "models", "fetch", "rvm", "--set", f"model.mirror={server.url}"]
    process = subprocess.Popen(command, env=user.env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    host = server.url.removeprefix("http://")
    assert process.stdout.readline() == f"rvm: asking {host} for 15 MB, licence GPL-3.0\n"
    part = user.folder / "data_home/vbgcam/downloads/rvm_mobilenetv3_fp32.onnx.part"
    wait(lambda: part.exists() and part.stat().st_size == 300_000, "what was sent")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    process.stdout.close()
    assert part.stat().st_size == 300_000


def test_the_demo_downloads_the_network_finds_the_presenter_and_loses_no_frame(
    testdata: Path, server: Server, own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del own_home
    server.content = (testdata / "models" / REAL["selfie"]).read_bytes()
    stats = tmp_path / "stats.json"
    small = ["--set", "camera.size=320x180", "--set", f"model.mirror={server.url}"]
    assert main(["demo", "-o", str(tmp_path / "film"), "--duration", "1", "--stats", str(stats), *small]) == 0
    assert "Without" not in capsys.readouterr().out
    told = json.loads(stats.read_text())
    assert (told["model"], told["frames"]["dropped"]) == ("selfie", 0)
    page = images.read(tmp_path / "film" / "vbgcam-demo.png").rgb
    margin = (page.shape[1] - 2 * 320) // 3
    before, after = (page[margin : margin + 180, start : start + 320] for start in (margin, 2 * margin + 320))
    same = np.abs(before.astype(int) - after).max(-1) < 40
    ((_, matte),) = frames(range(48, 49))
    person = convert.resize_alpha(matte, Size(320, 180)) > 128
    assert same[person].mean() > 0.9
    assert same[~person].mean() < 0.3


def problems(told: dict[str, Any]) -> list[str]:
    return [one["what"] for one in told["troubles"] if one["now"]]


def test_with_nothing_here_and_no_connection_others_see_the_background_and_one_problem_is_told(
    user: User, testdata: Path
) -> None:
    with user.running("--model", "auto", until="hidden; trying again"):
        wait(lambda: bool(problems(user.client.status())), "the problem")
        told = user.client.status()
        assert (told["state"], told["loading"], told["frames"]["sent"]) == ("covered", None, told["frames"]["covered"])
        [problem] = problems(told)
        assert problem.startswith("selfie_segmentation.onnx could not be fetched from raw.githubusercontent.com")
        assert told["model_problem"].startswith(problem)
        target = user.folder / "data_home/vbgcam/downloads/selfie_segmentation.onnx"
        shutil.copyfile(testdata / "models" / REAL["selfie"], target)
        user.says("model", "auto")
        wait(lambda: user.client.status()["state"] == "on air", "the picture")
        wait(lambda: not problems(user.client.status()), "the problem's end")
        told = user.client.status()
        assert (told["model"], told["model_problem"]) == ("selfie", "")
        assert "CUDA" in told["model_why"]


def test_a_download_is_cancelled_from_the_panel_and_goes_on_where_it_ended(
    user: User, testdata: Path, server: Server
) -> None:
    server.content = (testdata / "models" / REAL["selfie"]).read_bytes()
    server.script = [Act(silent=True, stop_after=200_000)]
    with user.running("--model", "auto", "--set", f"model.mirror={server.url}", until="downloading from 127.0.0.1"):
        wait(lambda: (user.client.status()["loading"] or {}).get("done") is not None, "the download")
        assert user.client.status()["loading"]["host"] == server.url.removeprefix("http://")
        wait(lambda: bool(list(user.folder.glob("data_home/vbgcam/downloads/*.part"))), "what was sent")
        assert "cancelled" in user.says("model", "cancel")
        wait(lambda: "was cancelled" in user.client.status()["model_problem"], "the end")
        assert user.client.status()["loading"] is None
        user.says("model", "auto")
        wait(lambda: user.client.status()["state"] == "on air", "the picture")
    assert server.asked[-1] == ("/selfie_segmentation.onnx", "bytes=200000-")
