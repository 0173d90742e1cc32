"""The verbs on real files: what they make, what they say, and what bad input gets."""

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support.clips import film, sound_only
from tests.support.networks import left_half
from vbgcam.cli.main import main

BLUE = (30, 60, 210)


pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def network(tmp_path: Path) -> str:
    return f"onnx:{left_half(tmp_path / 'left.onnx')}"


def flat(*colours: tuple[int, int, int]) -> list[av.VideoFrame]:
    return [av.VideoFrame.from_ndarray(np.full((48, 64, 3), colour, np.uint8), format="rgb24") for colour in colours]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return film(tmp_path / "film.mp4", flat(*((200, 10 * number, 40) for number in range(20))), rate=25)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (97, 61), (200, 120, 40)).save(path, quality=95)
    return path


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stderr but for the news."""
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if "model:" not in line and "%" not in line]


def test_a_photo_gets_a_result_a_mask_and_a_cutout(photo: Path, network: str, tmp_path: Path) -> None:
    result, mask, cutout = tmp_path / "out.png", tmp_path / "mask.png", tmp_path / "cut.png"
    outputs = ["-o", str(result), "--mask-out", str(mask), "--cutout", str(cutout)]
    assert main(["image", str(photo), *outputs, "--model", network, "--background", "#1e3cd2", "--hard"]) == 0
    with Image.open(result) as made:
        assert made.size == (97, 61)
        assert np.abs(np.array(made.getpixel((80, 30))) - BLUE).max() <= 3
        assert np.abs(np.array(made.getpixel((10, 30))) - (200, 120, 40)).max() <= 4
    with Image.open(mask) as made:
        assert (made.mode, made.getpixel((10, 30)), made.getpixel((80, 30))) == ("L", 255, 0)
    with Image.open(cutout) as made:
        assert made.mode == "RGBA"
        assert made.getpixel((80, 30)) == (0, 0, 0, 0)


def test_many_photos_go_into_a_folder_and_a_bad_one_costs_itself_alone(
    photo: Path, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, folder = tmp_path / "bad.jpg", tmp_path / "out"
    bad.write_text("a poem")
    assert main(["image", str(photo), str(bad), "-o", str(folder), "--model", network]) == 1
    assert [path.name for path in folder.iterdir()] == ["photo.jpg"]
    assert [str(bad) in line for line in said(capsys)] == [True]


def test_a_film_gets_a_result_and_masks(video: Path, network: str, tmp_path: Path) -> None:
    result, masks = tmp_path / "out.mp4", tmp_path / "masks.mkv"
    outputs = ["-o", str(result), "--mask-out", str(masks)]
    # This network says the same of a part as of the whole: no crop.
    model = ["--model", network, "--set", "mask.preset=none"]
    assert main(["video", str(video), *outputs, *model, "--background", "#1e3cd2"]) == 0
    with av.open(str(masks)) as made:
        assert made.streams.video[0].codec_context.name == "ffv1"
        alphas = [frame.to_ndarray(format="gray") for frame in made.decode(video=0)]
    with av.open(str(result)) as made:
        pictures = [frame.to_ndarray(format="rgb24") for frame in made.decode(video=0)]
    assert len(alphas) == len(pictures) == 20
    assert (alphas[3][24, 10], alphas[3][24, 60]) == (255, 0)
    assert np.abs(pictures[3][24, 60].astype(int) - BLUE).max() <= 12


BAD: dict[str, Callable[[Path], object]] = {
    "empty.mp4": lambda path: path.write_bytes(b""),
    "poem.mp4": lambda path: path.write_text("a poem"),
    "sound.mp4": sound_only,
    "empty.jpg": lambda path: path.write_bytes(b""),
    "poem.jpg": lambda path: path.write_text("a poem"),
    "none.jpg": lambda path: None,
    "none.mp4": lambda path: None,
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_1_and_leaves_the_old_result_alone(
    name: str, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, verb = tmp_path / name, "video" if name.endswith("mp4") else "image"
    BAD[name](source)
    target = tmp_path / "out" / ("old.mp4" if verb == "video" else "old.jpg")
    target.parent.mkdir()
    target.write_text("old")
    assert main([verb, str(source), "-o", str(target), "--model", network]) == 1
    lines = said(capsys)
    assert len(lines) == 1
    assert str(source) in lines[0]
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_the_demo_makes_a_film_and_a_picture_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, stats = tmp_path / "demo", tmp_path / "stats.json"
    sizes = ["--set", "camera.size=320x180", "--set", "camera.fps=15"]
    assert main(["demo", "-o", str(folder), "--duration", "1", "--stats", str(stats), *sizes]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["vbgcam-demo.mp4", "vbgcam-demo.png"]
    output = capsys.readouterr().out
    without, *lines = output.splitlines()
    assert without.startswith(
        "Without a network, by a picture of the presenter's empty room: selfie_segmentation.onnx "
    )
    assert len(lines) == 3
    assert json.loads(stats.read_text())["frames"]["dropped"] == 0
    assert " run --background" in output
    with av.open(str(folder / "vbgcam-demo.mp4")) as made:
        stream = made.streams.video[0]
        assert (stream.width, stream.height) == (320, 180)
        assert sum(1 for _ in made.decode(video=0)) == json.loads(stats.read_text())["frames"]["sent"]


def test_nothing_to_make_is_wrong_usage(photo: Path, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", str(photo)]) == 2
    assert main(["video", str(video)]) == 2
    assert all("nothing to make" in line for line in said(capsys))


def test_the_models_are_listed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert "fcn_resnet101" in capsys.readouterr().out
    assert main(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["fcn_resnet101"]["state"] == "missing"
    assert (rows["fcn_resnet101"]["miou"], rows["fcn_resnet101"]["pixel_accuracy"]) == (63.7, 91.9)
    assert main(["models", "verify"]) == 0
    assert "fetch" in capsys.readouterr().out


def test_devices_are_listed_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    assert "ameras" in capsys.readouterr().out
    assert main(["devices", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"cameras", "virtual_cameras", "processors"}
    assert found["processors"][0]["name"] == "cpu"


def test_a_plate_of_a_moving_presenter_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "plate.png"
    size = ["--set", "camera.size=320x180", "--set", "camera.fps=60"]
    assert main(["plate", "--source", "demo", "--delay", "0", "-o", str(target), *size]) == 1
    assert "did not stand still" in said(capsys)[-1]
    assert not target.exists()


def test_a_plate_of_an_empty_room_takes_the_presenter_out(tmp_path: Path, photo: Path) -> None:
    """A film of nothing but a still picture stands for the empty room."""
    room = film(tmp_path / "room.mp4", flat((90, 120, 150)) * 40, rate=60)
    target = tmp_path / "home" / "plate.png"
    assert main(["plate", "--source", f"file:{room}", "--delay", "0", "-o", str(target)]) == 0
    with Image.open(target) as made:
        assert made.size == (64, 48)
        assert np.abs(np.array(made.getpixel((30, 20))) - (90, 120, 150)).max() <= 4
