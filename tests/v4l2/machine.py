"""The test bench's guest machine, seen from the host: whether it can be had here, and how a command runs in it.

`bench/setup` builds it, `bench/vm-run` boots it in a second; both say how at their top.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

BENCH = Path(__file__).parent / "bench"
ROOT = Path(__file__).resolve().parents[2]


class BenchError(Exception):
    """The bench could not be built. The text is the end of the builder's output."""


@dataclass(frozen=True, slots=True)
class Boot:
    """How the guest starts. `vivid`, `loopback`: parameters of the two modules, None for the bench's own, "" to leave
    the module out. `memory`: MiB. `seconds`: how long the command may take."""

    vivid: str | None = None
    loopback: str | None = None
    memory: int = 4096
    seconds: int = 1800


DEFAULT = Boot()


@dataclass(frozen=True, slots=True)
class Machine:
    """A guest that is ready to boot. `folder`: what `bench/setup` built. Any thread may run it, several at once."""

    folder: Path
    _running: set[subprocess.Popen[str]] = field(default_factory=set, compare=False)

    def run(
        self,
        command: Sequence[str | Path],
        boot: Boot = DEFAULT,
        *,
        share: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs the command in a guest of its own, from the top of the checkout, with this process's environment and
        `env`. Whatever it writes is lost, save under the folders in `share`. Status 124: out of time; 125: the guest
        failed. `log`: a file for the guest's kernel messages."""
        arguments: list[str | Path] = [BENCH / "vm-run", "--bench", self.folder]
        arguments += ["--time", str(boot.seconds), "--memory", str(boot.memory)]
        for option, value in (("--vivid", boot.vivid), ("--loopback", boot.loopback), ("--log", log)):
            arguments += [] if value is None else [option, value]
        for folder in share:
            arguments += ["--share", folder]
        # The camera room tells OpenCV by its environment not to wait for frames; programs in the guest are to wait.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
        process = subprocess.Popen(
            [*arguments, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=ROOT,
            env={**inherited, **(env or {})},
        )
        self._running.add(process)
        with process:
            try:
                out, err = process.communicate()
            finally:
                self._running.discard(process)
                process.terminate()  # where the wait was broken off; not kill: vm-run takes the guest with it
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def stop(self) -> None:
        """Ends what runs; any thread."""
        for process in list(self._running):
            process.terminate()


def why_not() -> str:
    """Why the bench cannot run on this machine; "" where it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "not Linux on x86_64"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if (release.get("ID"), release.get("VERSION_ID")) != ("debian", "12"):
        return "not Debian 12"
    if os.geteuid() != 0:
        return "not root"
    if shutil.which("apt-get") is None:
        return "no apt"
    return ""


def build() -> Machine:
    """The bench, built first where it is missing: four minutes, once. The compiled loops are in the checkout then, too:
    the guest's one CPU would take minutes for them on a busy machine. Raises BenchError."""
    subprocess.run([sys.executable, "-c", _LOOPS], stdin=subprocess.DEVNULL, cwd=ROOT, check=False)
    result = subprocess.run(
        [BENCH / "setup"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    if result.returncode != 0:
        raise BenchError("\n".join(result.stderr.splitlines()[-40:]))
    return Machine(Path(result.stdout.strip()))


_LOOPS = "import vbgcam.mask.kernels, vbgcam.pixels.kernels, vbgcam.segment.kernels"
