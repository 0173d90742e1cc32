"""The daemon's end: a service manager's SIGTERM at any moment, and nothing is left running."""

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.networks import left_half

if sys.platform == "win32":
    pytest.skip("there is no SIGTERM", allow_module_level=True)

MOMENTS = 8


def test_sigterm_at_any_moment_ends_it(tmp_path: Path) -> None:
    network = left_half(tmp_path / "left.onnx")
    command = [
        sys.executable,
        "-m",
        "vbgcam",
        "run",
        "--source",
        "demo",
        "--sink",
        "null",
        "--model",
        f"onnx:{network}",
    ]
    chance = random.Random(5)
    for _ in range(MOMENTS):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            lines = threading.Thread(target=process.stderr.read)
            lines.start()
            # The moment is what is random here, from Python's own start to the first pictures.
            threading.Event().wait(chance.uniform(0.0, 2.5))
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)  # a hang's bound: the promise is two seconds
            lines.join()
        assert code in (0, -signal.SIGTERM)  # before anything was begun, Python itself ends
