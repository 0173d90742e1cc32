"""How long a person waits: for the help, for the first cover on air, for the first mask. Measured from outside, on
whole processes, from their start to the line of the log that says so."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from vbgcam.bench.base import Check, Figures
from vbgcam.core.errors import ModelError
from vbgcam.core.specs import ModelSpec

_LONGEST: Final = 60.0
# What the log says, each only once its picture has been sent.
_COVERED: Final = "on the cover:"
_ON_AIR: Final = "on air"


def measure(model: ModelSpec, check: Check) -> Figures:
    """`start` of the figures, in milliseconds: `help_ms`, `first_cover_ms`, `first_mask_ms` with that model. A
    configuration file of the person's own plays no part. Raises ModelError where nobody comes on air."""
    helps = []
    for _ in range(5):
        check()
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "vbgcam", "--help"], stdout=subprocess.DEVNULL, check=True)
        helps.append(1000 * (time.monotonic() - begin))
    with tempfile.TemporaryDirectory(prefix="vbgcam-bench-") as folder:
        config = Path(folder) / "config.toml"
        config.touch()
        for _ in range(2):  # the first one warms the caches
            check()
            cover, mask = _start(model, config)
    return {
        "help_ms": round(statistics.median(helps), 1),
        "first_cover_ms": round(1000 * cover, 1),
        "first_mask_ms": round(1000 * mask, 1),
        "model": str(model),
    }


def _start(model: ModelSpec, config: Path) -> tuple[float, float]:
    """Seconds to the first cover and to the first frame with a mask."""
    chosen = {"--config": config, "--model": model, "--source": "demo", "--sink": "null", "--background": "#20304a"}
    command = [sys.executable, "-u", "-m", "vbgcam", "run", "--no-tray", "--duration", str(_LONGEST)]
    command += [str(part) for pair in chosen.items() for part in pair]
    # Beside a program that the person runs, and without what they chose in it.
    home = {f"XDG_{name}": str(config.parent) for name in ("RUNTIME_DIR", "STATE_HOME", "DATA_HOME")}
    cover, last = None, ""
    begin = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **home}) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                now, last = time.monotonic() - begin, line.strip()
                if cover is None and _COVERED in line:
                    cover = now
                elif line.strip().endswith(_ON_AIR):
                    return cover if cover is not None else now, now
        finally:
            process.kill()
    raise ModelError(f"a start with {model} brought nobody on air: {last}")
