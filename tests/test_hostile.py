"""Files from somebody who means harm: whatever their bytes, one of the program's own errors comes out, in memory that
is bounded, and nothing in them is ever run."""

import json
import os
import pickle
import re
import resource
import struct
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from tests.support.hostile import KINDS
from tests.support.networks import save
from vbgcam.core.errors import ConfigError, MediaError, ModelError
from vbgcam.media import images, toml_reader
from vbgcam.segment import Options, bounded
from vbgcam.segment.onnx import OnnxSegmenter
from vbgcam.settings import reading

# Of each kind: how many cases, and megabytes that they may take beyond what the program has after the first. A still
# picture may have 120 megapixels, an animation and a film 35; the longer run is `VBGCAM_FUZZ=20 pytest ...`.
CASES: dict[str, tuple[int, int]] = {
    "config": (150, 60),
    "card": (150, 60),
    "picture": (500, 600),
    "film": (120, 900),
    "checkpoint": (120, 400),
    "onnx": (40, 400),
    "journal": (150, 60),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_bytes_only_the_programs_own_errors_come_out_in_bounded_memory(kind: str, tmp_path: Path) -> None:
    count, most = CASES[kind]
    times = int(os.environ.get("VBGCAM_FUZZ", "1"))
    command = [sys.executable, "-m", "tests.support.hostile", kind, str(times), str(count * times), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280 * times, check=False)
    last = (tmp_path / "number").read_text() if (tmp_path / "number").exists() else "none"
    assert done.returncode == 0, f"case {last} of seed {times} ended the process:\n{done.stderr[-3000:]}"
    *cases, (_, grown) = (json.loads(line) for line in done.stdout.splitlines())
    assert len(cases) == count * times
    harms = [f"case {number}: {why}" for number, what, why in cases if what == "HARM"]
    assert not harms, "\n".join(harms[:5])
    for _, what, why in cases:
        lines = why.splitlines()
        assert what == "ConfigError" or len(lines) <= 1, why
        assert all(len(line) < 1500 for line in lines)
    assert grown <= most
    assert "Traceback" not in done.stderr
    seen = Counter(what for _, what, _ in cases)
    assert len(seen) > 1 or kind == "checkpoint", seen  # neither all good nor all bad: the harm is not too small


def grown(work: Callable[[], object]) -> int:
    """Megabytes that the process grew by, at most, meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is measured from here on (proc(5))
    before = memory("VmHWM")
    work()
    return memory("VmHWM") - before


def memory(name: str) -> int:
    """Megabytes of that line of the process's status."""
    return int(re.findall(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[0]) >> 10


def untouched() -> int:
    """Megabytes mapped but not used: the limit of `bounded` counts them already (200 after another module's tests)."""
    return memory("VmData") - memory("RssAnon")


linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded, and measured here, on Linux alone")


# Each of these was found by hand or by the cases above, and took all the memory there is, or showed a traceback.


@linux
@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 9000) + " = 1",
        "[" + '."b b"' * 9000 + "]",
        " . ".join(["'a'"] * 9000) + " = 1",
    ],
)
def test_a_key_of_thousands_of_parts_takes_no_memory(text: str) -> None:
    def read() -> None:
        with pytest.raises(ValueError, match="no TOML"):
            toml_reader.parse(text)

    assert grown(read) < 20


def test_a_long_text_is_looked_through_once() -> None:
    """In quadratic time this takes 46 seconds of the processor's."""
    started = time.process_time()
    toml_reader.parse('a = "' + "x" * 60_000 + '"\nb = "' + "x.y " * 7 + '"')
    assert time.process_time() - started < 10


def test_a_config_of_endless_size_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="too large: more than 64 KiB"):
        reading.load(Path("/dev/zero"))


def test_a_config_of_thousands_of_mistakes_is_some_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        "[camera]\n" + "".join(f"k{number} = 1\n" for number in range(4000)) + 'size = "' + "9" * 5000 + '"'
    )
    with pytest.raises(ConfigError) as caught:
        reading.load(path)
    assert len(caught.value.problems) == 50
    assert max(map(len, caught.value.problems)) < 700


@pytest.mark.parametrize("text", ["~nobody-of-that-name/a.png", "a\0b.png"])
def test_a_path_that_can_be_none_is_a_mistake(text: str) -> None:
    with pytest.raises(ConfigError, match=r"background\.show"):
        reading.load(None, {"background.show": text})


def test_json_without_end_on_the_command_line_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"camera\.fps"):
        reading.load(None, {"camera.fps": "[" * 200_000})


def gif_that_grows(path: Path, width: int, height: int) -> Path:
    """Its second picture says that it is of that size."""
    frames = [Image.new("P", (16, 12), color) for color in (1, 2, 3)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0, optimize=False)
    data = bytearray(path.read_bytes())
    first = data.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 16, 12))
    at = data.index(b"\x2c", first + 10)
    data[at + 1 : at + 9] = struct.pack("<HHHH", 0, 0, width, height)
    path.write_bytes(data)
    return path


@linux
def test_a_gif_that_grows_on_the_way_is_no_bomb(tmp_path: Path) -> None:
    animation = images.Animation(gif_that_grows(tmp_path / "a.gif", 9000, 9000))

    def play() -> None:
        assert animation.read() is not None
        assert animation.read() is None  # 81 megapixels: damaged from here on

    assert grown(play) < 150
    animation.close()


def test_a_gif_whose_picture_reaches_beyond_its_screen_is_cut_off_there(tmp_path: Path) -> None:
    animation = images.Animation(gif_that_grows(tmp_path / "a.gif", 16, 12))
    sizes = []
    while (shot := animation.read()) is not None:
        sizes.append(shot[0].size)
    animation.close()
    assert sizes == [animation.size] * 3


def test_an_animation_of_a_stills_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    data = bytearray(gif_that_grows(path, 16, 12).read_bytes())
    data[6:10] = struct.pack("<HH", 9000, 9000)
    path.write_bytes(data)
    with pytest.raises(MediaError, match="at most 35 megapixels"):
        images.Animation(path)


def zipped(path: Path, pieces: Iterable[bytes]) -> Path:
    """What `torch.save` would make of that pickle."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("archive/data.pkl", "w") as stream:
            stream.writelines(pieces)
        file.writestr("archive/version", "3\n")
        file.writestr("archive/byteorder", "little")
    return path


@pytest.fixture
def _small_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "ROOM", 100 << 20)


@linux
@pytest.mark.usefixtures("_small_room")
def test_a_small_checkpoint_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    from vbgcam.segment.torchvision import read_checkpoint

    size = 1_500_000_000
    made = b"\x80\x02}X\x01\x00\x00\x00ac__builtin__\nbytearray\n\x8a\x08" + struct.pack("<q", size) + b"\x85Rs."
    assert isinstance(pickle.loads(made.replace(struct.pack("<q", size), struct.pack("<q", 3)))["a"], bytearray)
    swollen = (b"\x80\x02]", *[b"(" * 1_000_000] * 300, b".")
    for path in (zipped(tmp_path / "made.pth", [made]), zipped(tmp_path / "swollen.pth", swollen)):
        assert path.stat().st_size < 2_000_000

        free = untouched()

        def read(path: Path = path) -> None:
            with pytest.raises(ModelError, match=r"wants far more memory|damaged"):
                read_checkpoint(path)

        assert grown(read) < 150 + free
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


@linux
@pytest.mark.usefixtures("_small_room")
@pytest.mark.parametrize("when", ["loaded", "run", "state"])
def test_a_small_network_that_wants_gigabytes_is_refused(when: str, tmp_path: Path) -> None:
    nodes: list[onnx.NodeProto] = [helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=1)]
    inputs: dict[str, Sequence[int | str]] = {"image": (1, 3, 16, 16)}
    weights: dict[str, object] = {"shape": np.array([1, 1, 400_000_000], np.int64)}
    if when == "run":
        nodes += [helper.make_node("Shape", ["image"], ["own"]), helper.make_node("Mul", ["own", "times"], ["shape"])]
        weights = {"times": np.array([1, 500_000, 1, 1], np.int64)}
    if when == "state":
        inputs["big"] = (1, 400_000_000)
        weights = {}
    else:
        nodes.append(helper.make_node("ConstantOfShape", ["shape"], ["big"]))
    nodes += [
        helper.make_node("ReduceMax", ["big"], ["most"], keepdims=0),
        helper.make_node("Add", ["mean", "most"], ["person"]),
    ]
    path = save(tmp_path / "bomb.onnx", nodes, inputs, {"person": (1, 1, 16, 16)}, weights)
    state = '[state]\nbig = "person"\n' if when == "state" else ""
    path.with_name("bomb.onnx.toml").write_text(f'name = "bomb"\n{state}')

    def load() -> None:
        with pytest.raises(ModelError):
            OnnxSegmenter.load(path, Options(folder=tmp_path))

    assert path.stat().st_size < 1000
    free = untouched()
    assert grown(load) < 150 + free
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY
