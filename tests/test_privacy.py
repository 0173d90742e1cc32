"""Nothing leaves the machine: libraries that report on their users by themselves are kept from it."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.support.networks import left_half
from vbgcam.background.gallery import SHIPPED

CONVERTS = """
from vbgcam.segment import openvino as ours
import openvino, torch
core = openvino.Core()
model = openvino.convert_model(torch.nn.Conv2d(3, 1, 1), example_input=torch.zeros(1, 3, 8, 8))
core.compile_model(model, "CPU")
"""


def left_behind(home: Path, *command: str) -> list[str]:
    """The files that a program leaves in a home folder that was empty."""
    folder = home / "home"
    folder.mkdir()
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_", "CI"))}
    outside |= {"HOME": str(folder), "XDG_RUNTIME_DIR": str(home), "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, *command], cwd=home, env=outside, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def test_a_network_that_is_run_leaves_no_identifier(tmp_path: Path) -> None:
    network = left_half(tmp_path / "left.onnx")
    shutil.copy(SHIPPED / "Bright studio.jpg", tmp_path / "in.jpg")
    made = ["-m", "vbgcam", "image", "in.jpg", "-o", "out.png", "--model", f"onnx:{network}", "--background", "#204060"]
    assert [name for name in left_behind(tmp_path, *made) if "vbgcam" not in name] == []
    assert (tmp_path / "out.png").exists()


def test_a_network_that_is_converted_leaves_no_identifier(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    assert [name for name in left_behind(tmp_path, "-c", CONVERTS) if "intel" in name or "Microsoft" in name] == []


def test_the_libraries_would_leave_one(tmp_path: Path) -> None:
    """Else the tests above say nothing."""
    if not any(found.name == "openvino-telemetry" for found in distributions()):
        pytest.skip("openvino-telemetry is not installed")
    assert any("intel" in name for name in left_behind(tmp_path, "-c", "import openvino"))
