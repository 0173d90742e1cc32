"""A network that nobody knows is first run by a process of its own: a file may crash the library that reads it, or make
it compute for ever, and no signal reaches a thread that does.

A file that has passed is not tried again: an empty file with its hash tells, beside the converted networks.
"""

import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from vbgcam.core.errors import ModelError
from vbgcam.segment.base import Options

# Seconds for reading, compiling and one picture: a hundred times what a network that can be used live takes.
LONGEST_S = 60.0


def passed(path: Path, sha256: str, options: Options, marks: Path) -> None:
    """Raises ModelError where the network cannot be used, or ends the process that runs it. `sha256`: the file's.
    `marks`: the folder of the marks of those that passed."""
    mark = marks / f"{sha256}-{options.device.replace(':', '')}.passed"
    if mark.exists():
        return
    command = [sys.executable, "-P", "-m", "vbgcam.segment.onnx"]
    given = json.dumps({"path": str(path), "options": {**asdict(options), "folder": str(options.folder)}})
    try:
        done = subprocess.run(
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ModelError(f"{path}: the network gave no answer in {LONGEST_S:.0f} s") from exc
    if done.returncode:
        why = f"it was ended by {signal.Signals(-done.returncode).name}" if done.returncode < 0 else "it failed"
        raise ModelError(f"{path}: the network cannot be used: the process that tried it crashed ({why})")
    error = json.loads(done.stdout)
    if error is not None:
        raise ModelError(error["message"], fix=error["fix"])
    with contextlib.suppress(OSError):  # a folder that cannot be written to costs a second at each start
        marks.mkdir(parents=True, exist_ok=True)
        mark.touch()
