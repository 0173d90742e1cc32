"""Files are there whole or not at all: when the program is killed at any moment, and when the disk is full."""

import contextlib
import hashlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support.clips import film, rooms
from tests.support.disks import small_disk
from tests.support.networks import left_half
from tests.support.server import Server, serving
from vbgcam.cli.main import main
from vbgcam.core.frames import Size

SEED = 20261126
PART = re.compile(r"\.vbgcam-[0-9a-f]{12}(-lock|\..*)?")


pytestmark = pytest.mark.usefixtures("own_home")


@dataclass
class Work:
    """`arguments`: of one run of the program. `folder`: where its files go. `whole`: raises where one of them is not as
    it must be; called with those that are there."""

    arguments: list[str]
    folder: Path
    whole: Callable[[dict[str, Path]], None]
    kills: int
    program: list[str] = field(default_factory=lambda: ["-m", "vbgcam"])

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, *self.program, *self.arguments]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def found(self) -> dict[str, Path]:
        """The files under their final names."""
        parts = set(self.parts())
        paths = self.folder.iterdir() if self.folder.is_dir() else ()
        return {path.name: path for path in paths if path not in parts}

    def parts(self) -> list[Path]:
        """What is not whole yet, and does not say that it is."""
        paths = self.folder.iterdir() if self.folder.is_dir() else ()
        return [path for path in paths if PART.fullmatch(path.name) or path.suffix in (".part", ".lock")]


def film_work(folder: Path, _server: Server) -> Work:
    source, out = film(folder / "in.mp4", rooms(20, Size(320, 180)), sound="aac"), folder / "films"
    out.mkdir()

    def whole(files: dict[str, Path]) -> None:
        for path in files.values():
            with av.open(str(path)) as container:
                assert sum(1 for _ in container.decode(video=0)) == 20

    outputs = ["-o", str(out / "out.mp4"), "--mask-out", str(out / "masks.mkv")]
    return Work(["video", str(source), *outputs, "--model", "chroma", "--background", "#204060"], out, whole, kills=9)


def fetch_work(folder: Path, server: Server) -> Work:
    server.content = random.Random(SEED).randbytes(12_000_000)
    sha256 = hashlib.sha256(server.content).hexdigest()
    name = "lraspp_mobilenet_v3_large"
    settings = ["--set", f"model.mirror={server.url}", "--set", f"model.sha256={sha256}"]

    def whole(files: dict[str, Path]) -> None:
        for path in files.values():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256

    return Work(["models", "fetch", name, *settings], folder / "home" / "hub" / "checkpoints", whole, kills=9)


def add_work(folder: Path, _server: Server) -> Work:
    source = left_half(folder / "left.onnx", 1024)  # four megabytes
    card = source.with_name("left.onnx.toml").read_bytes()

    def whole(files: dict[str, Path]) -> None:
        for name, path in files.items():
            assert path.read_bytes() == (card if name.endswith(".toml") else source.read_bytes())
            assert not name.endswith(".onnx") or path.with_suffix(".toml").name in files  # never without its card

    return Work(["models", "add", str(source)], folder / "home" / "vbgcam" / "models", whole, kills=5)


def settings_work(folder: Path, _server: Server) -> Work:
    """A config file as everything that writes one will, again and again: most moments are in the middle of it."""
    out = folder / "config"
    out.mkdir()
    script = (
        "import itertools, sys\nfrom pathlib import Path\nfrom vbgcam.media.atomic import whole\n"
        "for number in range(int(sys.argv[2])):\n"
        "    with whole(Path(sys.argv[1])) as part:\n"
        "        part.write_text(f'[camera]\\nfps = {number}.0\\n' + f'# {number}\\n' * 20_000 + '# end\\n')\n"
    )

    def whole(files: dict[str, Path]) -> None:
        for path in files.values():
            lines = path.read_text().splitlines()
            assert len(lines) == 20_003
            assert lines[-1] == "# end"
            assert len(set(lines[2:-1])) == 1

    return Work([str(out / "config.toml"), "40"], out, whole, kills=16, program=["-c", script])


def killed(work: Work, chance: random.Random) -> tuple[int, int]:
    """Kills the program at random moments of its run, `work.kills` times, and looks at what is there each time; then it
    must work. How many runs that took, some being over a moment before, and how many kills left a part behind."""
    began = time.monotonic()
    assert work.start().wait(200) == 0
    took = time.monotonic() - began
    names = set(work.found())
    assert names
    work.whole(work.found())
    kills = left = number = 0
    while kills < work.kills:
        number += 1
        assert number < 5 * work.kills
        if number % 2:  # every other time nothing is there before, else a result that must stay whole
            shutil.rmtree(work.folder)
            work.folder.mkdir()
        before = set(work.parts())
        process = work.start()
        if number % 3:  # soon after it has begun to write, which may be a small part of its time
            while process.poll() is None and before.issuperset(work.parts()):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.002)
            seconds = 0.3 * took * chance.random() ** 4
        else:  # before a third of its time it is still being loaded
            seconds = took * chance.uniform(0.3, 1.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        work.whole(work.found())
        left += not before.issuperset(work.parts())
    assert work.start().wait(200) == 0
    work.whole(work.found())
    assert set(work.found()) == names
    assert not work.parts()
    return number, left


WORKS: dict[str, Callable[[Path, Server], Work]] = {
    "video": film_work,
    "models fetch": fetch_work,
    "models add": add_work,
    "settings": settings_work,
}


@pytest.mark.parametrize("name", WORKS)
def test_killed_at_random_moments_no_file_is_ever_damaged_and_the_next_run_works(tmp_path: Path, name: str) -> None:
    """Forty in all; pictures and figures are written as settings are."""
    with serving() as server:
        work = WORKS[name](tmp_path, server)
        runs, left = killed(work, random.Random(f"{SEED} {name}"))
    print(f"{runs} runs for {work.kills} kills, of which {left} left a part")  # noqa: T201  # to be seen with -s
    assert left or work.kills < 8  # else the moments would be no test


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, "300k"):
        yield folder


def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, clip = tmp_path / "in.png", film(tmp_path / "in.mp4", rooms(40, Size(640, 360)), sound="aac")
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (700, 900, 3), np.uint8)).save(photo)
    network = left_half(tmp_path / "left.onnx", 512)
    before = {}
    for name in ("old.png", "old.mp4", "old.mkv", "stats.json", "plate.png"):
        (disk / name).write_text(f"old {name}")
        before[name] = f"old {name}".encode()
    filler = disk / "filler"
    chain = ["--model", "chroma", "--background", "#204060"]
    demo = ["--source", "demo", "--set", "camera.size=320x180"]
    nothing = [*demo, "--background", "none", "--duration", "0.3"]
    monkeypatch.setenv("XDG_DATA_HOME", str(disk))
    (disk / "vbgcam/backgrounds").mkdir(parents=True)  # else `run` would draw some, when it has the time
    monkeypatch.setenv("XDG_STATE_HOME", str(disk))
    for arguments, room in (
        (["image", str(photo), "-o", str(disk / "old.png"), *chain], 100_000),
        (["image", str(photo), "-o", str(disk / "new.jpg"), *chain], 0),
        (["video", str(clip), "-o", str(disk / "old.mp4"), *chain], 20_000),
        (["video", str(clip), "--mask-out", str(disk / "old.mkv"), *chain], 0),
        (["models", "add", str(network)], 150_000),
        (["run", "--sink", "null", *nothing, "--stats", str(disk / "stats.json")], 0),
        (["run", "--sink", f"file:{disk / 'old.mp4'}", *nothing], 0),
        (["plate", "--source", f"file:{still(tmp_path)}", "--delay", "0", "-o", str(disk / "plate.png")], 0),
    ):
        fill(filler, room)
        assert main(arguments) == 1, arguments
        lines = [line for line in capsys.readouterr().err.splitlines() if re.search(r"disk|space|written|copied", line)]
        assert 1 <= len(lines) <= 2, lines  # the log's own may be the second
        filler.unlink()
        there = {path.name: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
        there = {name: data for name, data in there.items() if not name.startswith("vbgcam.log")}
        assert there == before, arguments


def still(folder: Path) -> Path:
    """A film of an empty room."""
    return film(folder / "room.mp4", [rooms(1, Size(640, 360))[0]] * 40)


def fill(filler: Path, room: int) -> None:
    """Until that many bytes are left."""
    free = shutil.disk_usage(filler.parent).free
    with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        stream.write(bytes(max(0, free - room)))
        while not room:
            stream.write(bytes(4096))
