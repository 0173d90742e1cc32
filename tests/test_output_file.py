"""A film as the output: each picture at its own time, the house's colours, the whole file or none."""

import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clips import frame_times
from tests.support.frames import plain, safe
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import SafeFrame, Size
from vbgcam.media.video_reader import VideoReader
from vbgcam.output.file import FileOutput
from vbgcam.pixels.convert import from_rgb, to_rgb

SIZE = Size(64, 48)


def grey(number: int, size: Size = SIZE) -> SafeFrame:
    return plain(size, 30 + 10 * number)


def ffprobe(path: Path) -> dict[str, Any]:
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("ffprobe is not installed: what other programs read is not tested")
    command = [program, "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "OUT.MP4"])
def test_pictures_stand_in_the_film_at_the_times_they_were_sent(tmp_path: Path, name: str) -> None:
    output = FileOutput(tmp_path / name, SIZE, 30)
    output.open()
    times = [1000.0, 1000.02, 1000.05, 1000.5, 1002.0]
    for number, at in enumerate(times):
        output.send(grey(number), at)
    output.close()
    with VideoReader(tmp_path / name) as film:
        shots = list(film)
    assert [float(shot.time) for shot in shots] == pytest.approx([at - 1000 for at in times], abs=0.001)
    assert [int(shot.planes.y[20, 20]) for shot in shots] == pytest.approx([30, 40, 50, 60, 70], abs=2)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_given_clock_and_zero_keep_every_tick(tmp_path: Path) -> None:
    ticks = [0, 1, 7, 1001, 50_000, 50_001, 2_000_003]
    clock = Fraction(1, 12_345)
    output = FileOutput(tmp_path / "out.mp4", SIZE, 30, clock=clock, zero=0.0, effort="offline")
    output.open()
    for tick in ticks:
        output.send(grey(1), float(tick * clock), float(clock))
    output.close()
    assert frame_times(tmp_path / "out.mp4") == [tick * clock for tick in ticks]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].time_base == clock


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(["out.mp4", "out.mkv"]),
    steps=st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=12),
    start=st.floats(0, 1e6),
)
def test_times_in_the_film_only_grow_and_stay_near_those_sent(
    tmp_path_factory: pytest.TempPathFactory, name: str, steps: list[float], start: float
) -> None:
    path = tmp_path_factory.mktemp("times") / name
    output = FileOutput(path, Size(16, 16), 30)
    output.open()
    times = [start + sum(steps[:number]) for number in range(len(steps) + 1)]
    for at in times:
        output.send(grey(0, Size(16, 16)), at)
    output.close()
    found = frame_times(path)
    assert len(found) == len(times)
    if name == "out.mp4":  # MKV counts milliseconds
        assert found == sorted(set(found))
    wanted = [at - start for at in times]
    tolerance = (len(times) + 1) / 90_000 if name == "out.mp4" else 0.0011
    assert [float(time) for time in found] == pytest.approx(wanted, abs=tolerance)


def test_the_colours_come_back_and_the_film_says_which_matrix_they_are(tmp_path: Path) -> None:
    size = Size(64, 720)  # from 720 lines on, players take what says nothing for BT.709
    rgb = np.full((size.height, size.width, 3), (192, 64, 32), np.uint8)
    picture = safe(from_rgb(rgb))
    for name in ("out.mp4", "out.mkv"):
        output = FileOutput(tmp_path / name, size, 30)
        output.open()
        output.send(picture, 0.0)
        output.close()
        with VideoReader(tmp_path / name) as film:
            shot = film.read()
        assert shot is not None
        assert to_rgb(shot.planes)[300, 30].tolist() == pytest.approx([192, 64, 32], abs=3)
        with av.open(str(tmp_path / name)) as container:
            frame = next(container.decode(video=0)).reformat(format="rgb24")
        assert frame.to_ndarray()[300, 30].tolist() == pytest.approx([192, 64, 32], abs=6)


def test_other_programs_read_it_as_h264_in_bt601_with_the_index_in_front(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    output = FileOutput(path, SIZE, 29.97)
    output.open()
    for number in range(15):
        output.send(grey(number), number * 1001 / 30_000)
    output.close()
    found = ffprobe(path)
    stream = found["streams"][0]
    assert (stream["codec_name"], stream["pix_fmt"], stream["color_range"]) == ("h264", "yuv420p", "tv")
    assert stream["color_space"] in ("bt470bg", "smpte170m")
    assert (stream["nb_frames"], stream["avg_frame_rate"]) == ("15", "30000/1001")
    assert float(found["format"]["duration"]) == pytest.approx(15 * 1001 / 30_000, abs=0.001)
    assert "tags" not in stream or "rotate" not in stream["tags"]
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_a_film_that_was_never_sent_a_frame_is_not_left_behind(tmp_path: Path) -> None:
    output = FileOutput(tmp_path / "out.mp4", SIZE, 30)
    output.close()
    output.open()
    output.close()
    output.close()
    assert not list(tmp_path.iterdir())


def test_until_it_is_closed_nothing_stands_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("what was there before")
    output = FileOutput(path, SIZE, 30)
    output.open()
    output.send(grey(0), 0.0)
    output.finish()
    assert path.read_text() == "what was there before"
    output.close()
    assert frame_times(path) == [0]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_discarded_film_leaves_nothing_and_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("what was there before")
    output = FileOutput(path, SIZE, 30)
    output.open()
    for number in range(20):
        output.send(grey(number % 10), number / 30)
    output.discard()
    output.close()
    output.discard()
    with pytest.raises(OutputError, match="not open"):
        output.send(grey(0), 1.0)
    assert path.read_text() == "what was there before"
    assert len(list(tmp_path.iterdir())) == 1


def test_it_may_be_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    output = FileOutput(tmp_path / "out.mkv", SIZE, 30)
    for count in (2, 3):
        output.open()
        for number in range(count):
            output.send(grey(number), 100.0 * count + number)
        output.close()
        assert frame_times(tmp_path / "out.mkv") == list(range(count))


def test_places_that_cannot_be_written_to_are_refused_when_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    for target, says in (
        (tmp_path / "none" / "out.mp4", f"does not exist; mkdir -p {tmp_path}/none"),
        (tmp_path / "folder.mp4", "is a folder"),
        (tmp_path / "file" / "out.mp4", "cannot be written"),
    ):
        with pytest.raises(OutputError) as error:
            FileOutput(target, SIZE, 30).open()
        assert says in str(error.value)
        assert "\n" not in str(error.value)


_FULL = """
import resource, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, {root!r})
from tests.support.frames import safe
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Planes, Size
from vbgcam.output.file import FileOutput

size = Size(320, 240)
random = np.random.default_rng(0)
frames = [safe(Planes(size, random.integers(16, 236, size.i420_bytes).astype(np.uint8))) for _ in range(3)]
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
for name in ("out.mp4", "out.mkv"):
    for limit in (50_000, 1_000_000):
        output = FileOutput(Path({folder!r}) / name, size, 30)
        output.open()
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
        try:
            for number in range(60):
                output.send(frames[number % 3], number / 30)
            output.close()
        except OutputError as exc:
            output.close()
            print(exc)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a file's size can be limited on Unix only")
def test_where_the_disk_takes_no_more_the_film_fails_and_nothing_is_left(tmp_path: Path) -> None:
    targets = [tmp_path / "out.mp4", tmp_path / "out.mkv"]
    for target in targets:
        target.write_text("what was there before")
    script = _FULL.format(root=str(Path(__file__).resolve().parents[1]), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    says = [f"{target} cannot be written: File too large" for target in targets for _ in range(2)]
    assert done.stdout.splitlines() == says
    assert [target.read_text() for target in targets] == ["what was there before"] * 2
    assert sorted(tmp_path.iterdir()) == sorted(targets)
