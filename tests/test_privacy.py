"""Nothing leaves the machine: libraries that report on their users by themselves are kept from it. And a crash leaves
nothing of the room on its disk."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.clips import film
from tests.support.networks import left_half
from tests.support.users import User
from vbgcam.background.gallery import SHIPPED
from vbgcam.control.instance import Instance
from vbgcam.media.video_reader import VideoReader

CONVERTS = """
from vbgcam.segment import converted as ours
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


@pytest.mark.skipif(sys.platform != "linux", reason="memory is looked through by Linux's /proc")
def test_a_crash_leaves_the_room_and_the_token_in_memory_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # Noise, which nothing else is like: 64 bytes of it are the room.
    noise = np.random.default_rng(4).integers(0, 256, (240, 320, 3), np.uint8)
    clip = film(tmp_path / "room.mkv", [av.VideoFrame.from_ndarray(noise)] * 30, codec="ffv1")
    with VideoReader(clip) as video:
        room = next(iter(video)).planes.y[120, 100:164].tobytes()
    user = User(home)
    monkeypatch.chdir(home)  # where Linux writes a core unless it is told another place
    temporary = home / "tmp"
    temporary.mkdir()
    elsewhere = {"HOME": str(home), "TMPDIR": str(temporary)}
    with cores_allowed(), user.running("--source", f"file:{clip}?loop=1", env=elsewhere) as daemon:
        pid = daemon.process.pid
        token = Instance(home / "runtime_dir/vbgcam").find().token.encode()
        held = memory(pid)
        assert room in held
        assert token in held
        os.kill(pid, signal.SIGSEGV)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        assert ended.si_code == os.CLD_KILLED, "a core was dumped"
    written = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert [path for path, held in written.items() if room in held] == []
    # A panel that is open goes on after a restart by what stays in this file.
    assert [path for path, held in written.items() if token in held] == [home / "runtime_dir/vbgcam/control.json"]


@contextmanager
def cores_allowed() -> Iterator[None]:
    """For the processes that are started meanwhile."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_CORE)
    most = resource.RLIM_INFINITY if os.geteuid() == 0 else before[1]
    if most == 0:
        pytest.skip("cores are forbidden here")
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (before[0], most))


def memory(pid: int) -> bytes:
    """What a process may write to: its heap, its stacks and the like."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as stream:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if rights.startswith("rw"):
                start, end = (int(word, 16) for word in span.split("-"))
                stream.seek(start)
                try:
                    found.append(stream.read(end - start))
                except OSError:  # such as a device's
                    continue
    return b"".join(found)
