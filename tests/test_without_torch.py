"""A machine without torch has a full program: the selfie network from a server, live, images, videos, the doctor."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, serving


@pytest.fixture
def server(testdata: Path) -> Iterator[Server]:
    with serving() as server:
        server.content = (testdata / "models" / "selfie_segmentation_256.onnx").read_bytes()
        yield server


def call(folder: Path, server: Server, *words: object) -> subprocess.CompletedProcess[str]:
    """The program in a process that cannot import torch."""
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = sys.modules['torchvision'] = None\n")
    homes = {f"XDG_{name}_HOME": str(folder / name) for name in ("DATA", "CONFIG", "STATE", "CACHE")}
    paths = {"PYTHONPATH": f"{folder}:{Path.cwd()}", "HOME": str(folder), "no_proxy": "127.0.0.1"}
    env = {**os.environ, **homes, **paths}
    command = [sys.executable, "-m", "vbgcam", *map(str, words)]
    if words[0] not in ("doctor", "models"):
        command += ["--set", f"model.mirror={server.url}"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_the_whole_program_runs_without_torch(testdata: Path, tmp_path: Path, server: Server) -> None:
    clip, stats = testdata / "clips" / "red_shirt.mp4", tmp_path / "stats.json"
    film = ["--source", f"file:{clip}?loop=1", "--sink", f"file:{tmp_path / 'live.mp4'}"]
    live = call(tmp_path, server, "run", "--no-tray", *film, "--duration", 4, "--stats", stats)
    assert live.returncode == 0, live.stderr
    said = json.loads(stats.read_text())
    assert (said["model"], said["device"]) == ("selfie", "cpu")
    assert said["frames"]["sent"] > said["frames"]["covered"]
    photo = next((testdata / "photos").glob("*.jpg"))
    image = call(tmp_path, server, "image", photo, "-o", tmp_path / "photo.jpg")
    video = call(tmp_path, server, "video", clip, "-o", tmp_path / "video.mp4")
    for done in (image, video):
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "photo.jpg").stat().st_size > 1000
    assert (tmp_path / "video.mp4").stat().st_size > 1000


def test_what_torch_would_add_is_said(tmp_path: Path, server: Server) -> None:
    doctor = call(tmp_path, server, "doctor", "--json")
    libraries = next(row for row in json.loads(doctor.stdout)["checks"] if row["name"] == "libraries")
    assert libraries["state"] in ("ok", "note"), libraries
    assert call(tmp_path, server, "models", "list").returncode == 0
    asked = len(server.asked)
    fcn = call(tmp_path, server, "run", "--no-tray", "--source", "demo", "--sink", "null", "--model", "fcn_resnet101")
    assert fcn.returncode == 1
    assert "fcn_resnet101 is made ready with torch, which is not installed; `vbgcam doctor` says how" in fcn.stderr
    assert len(server.asked) == asked, "200 MB would be fetched in vain"
    assert "Traceback" not in fcn.stderr
