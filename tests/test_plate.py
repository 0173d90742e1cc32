"""segment.plate: the empty room subtracted, through noise, exposure, tint and shadow."""

import stat
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Planes, RawFrame, Size
from vbgcam.mask import finish
from vbgcam.media import images
from vbgcam.media.video_reader import VideoReader
from vbgcam.pixels.convert import color_yuv, from_rgb, to_rgb
from vbgcam.segment.plate import CleanPlate, save, take

SIZE = Size(320, 240)


def room() -> U8:
    """A wall with shelves, pictures and a gradient, as RGB."""
    rng = np.random.default_rng(5)
    picture = np.full((240, 320, 3), (150, 160, 140), np.float32)
    picture += np.linspace(-40, 40, 320)[None, :, None]
    for _ in range(25):
        left, top = rng.integers(0, 300), rng.integers(0, 220)
        picture[top : top + 20, left : left + 30] = rng.integers(30, 220, 3)
    return cv2.GaussianBlur(np.clip(picture, 0, 255), (0, 0), 1).astype(np.uint8)


def person() -> tuple[U8, U8]:
    """RGB and alpha of a figure in a red shirt."""
    alpha = np.zeros((240, 320), np.uint8)
    cv2.circle(alpha, (160, 80), 35, 255, -1, cv2.LINE_AA)
    cv2.rectangle(alpha, (110, 125), (210, 239), 255, -1)
    picture = np.full((240, 320, 3), (200, 40, 60), np.uint8)
    picture[:115] = (230, 180, 150)
    return picture, alpha


def filmed(*, gain: float = 1.0, tint: tuple[int, int, int] = (0, 0, 0), noise: float = 2.0, seed: int = 0) -> RawFrame:
    picture, alpha = person()
    weight = alpha[..., None] / 255
    mixed = (weight * picture + (1 - weight) * room()) * gain + np.array(tint)
    mixed += np.random.default_rng(seed).normal(0, noise, mixed.shape)
    return RawFrame(from_rgb(np.clip(mixed, 0, 255).astype(np.uint8)).frozen(), 0.0)


def error(frame: RawFrame, plate: CleanPlate) -> float:
    alpha = finish(plate.probability(frame), frame).alpha
    return float(np.abs(alpha.astype(float) - person()[1]).mean() / 255)


@pytest.fixture
def plate() -> CleanPlate:
    return CleanPlate(from_rgb(room()))


@pytest.mark.parametrize("noise", [0.0, 2.0, 5.0])
def test_the_person_is_what_differs_through_noise(plate: CleanPlate, noise: float) -> None:
    assert error(filmed(noise=noise), plate) < 0.012


@pytest.mark.parametrize(
    ("gain", "most"), [(0.5, 0.012), (0.7, 0.012), (0.9, 0.012), (1.1, 0.012), (1.2, 0.012), (1.3, 0.03), (1.4, 0.03)]
)
def test_exposure_is_followed_even_into_highlights_that_clip(plate: CleanPlate, gain: float, most: float) -> None:
    assert error(filmed(gain=gain), plate) < most


def test_exposure_that_jumps_from_one_frame_to_the_next_is_followed_at_once(plate: CleanPlate) -> None:
    for gain in (1.0, 1.2, 0.7, 1.0):
        assert error(filmed(gain=gain), plate) < 0.012


@pytest.mark.parametrize("tint", [(8, 0, -8), (-6, 0, 10), (14, 14, 14)])
def test_white_balance_and_black_level_are_followed(plate: CleanPlate, tint: tuple[int, int, int]) -> None:
    assert error(filmed(tint=tint), plate) < 0.012


@pytest.mark.parametrize("light", [(1.1, 1.0, 0.85), (0.9, 1.0, 1.12)])
def test_a_white_balance_moves_bright_colours_more_than_dark_ones(
    plate: CleanPlate, light: tuple[float, float, float]
) -> None:
    rgb = np.clip(to_rgb(filmed().planes) * np.array(light), 0, 255).astype(np.uint8)
    assert error(RawFrame(from_rgb(rgb).frozen(), 0.0), plate) < 0.012


def seen_by(rgb: NDArray[np.float32]) -> RawFrame:
    return RawFrame(from_rgb(np.clip(rgb, 0, 255).astype(np.uint8)).frozen(), 0.0)


@pytest.mark.parametrize("light", [0.88, 0.75])
def test_a_shadow_on_the_wall_is_not_the_person(plate: CleanPlate, light: float) -> None:
    shaded = room().astype(np.float32)
    shaded[40:200, 20:80] *= light
    assert float(plate.probability(seen_by(shaded))[50:190, 30:70].mean()) < 0.05


@pytest.mark.parametrize("light", [0.55, 1.3])
def test_where_the_rooms_own_texture_is_lit_otherwise_it_is_not_the_person(plate: CleanPlate, light: float) -> None:
    lit = room().astype(np.float32)
    rows, columns = slice(120, 200), slice(20, 60)
    lit[rows, columns] = np.arange(80)[:, None, None] % 16 * 4 + 90
    plate = CleanPlate(from_rgb(lit.astype(np.uint8)))
    lit[rows, columns] *= light
    assert float(plate.probability(seen_by(lit))[130:190, 30:50].mean()) < 0.05


def test_a_camera_that_was_moved_shows_nobody_and_says_so_once(
    plate: CleanPlate, caplog: pytest.LogCaptureFixture
) -> None:
    still = to_rgb(filmed().planes)
    assert plate.probability(filmed()).max() == 1
    assert not caplog.records
    for shift in (6, 6, 20):
        assert plate.probability(seen_by(np.roll(still, shift, 1).astype(np.float32))).max() == 0
    assert [record.getMessage() for record in caplog.records] == [
        "the clean plate does not fit any more: the camera was moved. Nobody is shown until it does; take a new one "
        "with `vbgcam plate`"
    ]
    assert plate.probability(filmed()).max() == 1, "it is back where it was"


def test_a_lamp_on_one_side_of_the_room_shows_nobody(plate: CleanPlate, caplog: pytest.LogCaptureFixture) -> None:
    lamp = np.linspace(0.7, 1.4, SIZE.width)[None, :, None]
    assert plate.probability(seen_by((to_rgb(filmed().planes) * lamp).astype(np.float32))).max() == 0
    assert "the light has changed" in caplog.text


@pytest.mark.parametrize("wall", [(190, 185, 175), (60, 90, 120)])
def test_a_person_before_a_plain_wall_is_not_taken_for_a_camera_that_moved(wall: tuple[int, int, int]) -> None:
    plain = CleanPlate(Planes.filled(SIZE, color_yuv(wall)))
    picture, alpha = person()
    for left in range(-60, 61, 12):
        weight = np.roll(alpha, left, 1)[..., None] / 255
        frame = seen_by((weight * np.roll(picture, left, 1) + (1 - weight) * np.array(wall)).astype(np.float32))
        assert float(np.abs(plain.probability(frame) - weight[..., 0]).mean()) < 0.012


def test_a_person_close_by_who_hides_most_of_the_room_stays(plate: CleanPlate) -> None:
    picture = np.full((240, 320, 3), (200, 40, 60), np.float32)
    picture[:, :40] = room()[:, :40]
    answer = plate.probability(seen_by(picture))
    assert float(answer[:, 60:].mean()) > 0.98
    assert float(answer[:, :30].max()) == 0


def test_an_empty_room_is_empty(plate: CleanPlate) -> None:
    frame = RawFrame(from_rgb(room()).frozen(), 0.0)
    assert float(plate.probability(frame).max()) == 0


def test_hard_is_0_or_1() -> None:
    answer = CleanPlate(from_rgb(room()), hard=True).probability(filmed())
    assert set(np.unique(answer)) == {0.0, 1.0}


def test_small_holes_are_filled_and_specks_removed(plate: CleanPlate) -> None:
    frame = filmed(noise=0.0)
    planes = Planes(frame.size, frame.planes.data.copy())
    empty = from_rgb(room())
    for top, left, source in ((160, 150, empty), (30, 20, Planes.filled(SIZE, (235, 128, 128)))):
        planes.y[top : top + 5, left : left + 5] = source.y[top : top + 5, left : left + 5]
        at = np.s_[top // 2 : top // 2 + 3, left // 2 : left // 2 + 3]
        planes.u[at], planes.v[at] = source.u[at], source.v[at]
    answer = plate.probability(RawFrame(planes.frozen(), 0.0))
    assert answer[162, 152] == 1
    assert answer[32, 22] == 0


def test_a_plate_of_another_size_is_fitted() -> None:
    large = cv2.resize(room(), (640, 480), interpolation=cv2.INTER_LINEAR)
    assert error(filmed(), CleanPlate(from_rgb(np.asarray(large, np.uint8)))) < 0.02


@settings(deadline=None, max_examples=40)
@given(size=st.builds(Size, st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 999))
def test_any_picture_against_any_plate_gives_a_probability(size: Size, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plate = CleanPlate(Planes(Size(20, 14), rng.integers(0, 256, Size(20, 14).i420_bytes, np.uint8)))
    for _ in range(2):
        frame = RawFrame(Planes(size, rng.integers(0, 256, size.i420_bytes, np.uint8)).frozen(), 0.0)
        answer = plate.probability(frame)
        assert answer.dtype == np.float32
        assert answer.shape == (size.height, size.width)
        assert 0 <= answer.min() <= answer.max() <= 1


def test_a_real_room_with_its_true_plate(testdata: Path) -> None:
    plate = CleanPlate.load(testdata / "clips" / "room_static_plate.png")
    errors = []
    with av.open(str(testdata / "clips" / "room_static_alpha.mkv")) as film:
        true = [picture.to_ndarray(format="gray") for picture in film.decode(video=0)]
    for shot, alpha in zip(VideoReader(testdata / "clips" / "room_static.mp4"), true, strict=True):
        frame = RawFrame(shot.planes, float(shot.time))
        mask = finish(plate.probability(frame), frame).alpha
        errors.append(np.abs(mask.astype(float) - alpha).mean() / 255)
    assert float(np.mean(errors)) <= 0.006


def test_a_plate_is_the_mean_of_its_frames_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    empty = from_rgb(room())
    noisy = [
        Planes(SIZE, np.clip(empty.data + rng.normal(0, 4, empty.data.shape), 0, 255).astype(np.uint8))
        for _ in range(30)
    ]
    made = take(iter(noisy), 30)
    assert float(np.abs(made.y.astype(float) - empty.y).mean()) < 1
    path = tmp_path / "new" / "plate.png"
    save(made, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert float(np.abs(images.read(path).rgb.astype(float) - room()).mean()) < 3
    assert error(filmed(), CleanPlate.load(path)) < 0.02


def test_somebody_in_the_picture_spoils_the_plate() -> None:
    with pytest.raises(ModelError, match=r"did not stand still.*vbgcam plate"):
        take(iter([from_rgb(room()), filmed().planes]), 2)
    with pytest.raises(ModelError, match="did not stand still"):
        take(iter([from_rgb(room()), Planes.filled(Size(160, 120), (16, 128, 128))]), 2)


def test_too_few_frames_make_no_plate() -> None:
    with pytest.raises(ModelError, match="3 of the 10 frames"):
        take(iter([from_rgb(room())] * 3), 10)


def test_a_missing_or_broken_plate_says_how_to_take_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="vbgcam plate"):
        CleanPlate.load(tmp_path / "plate.png")
    (tmp_path / "plate.png").write_text("no picture")
    for path in (tmp_path / "plate.png", tmp_path, tmp_path / ("a" * 300)):
        with pytest.raises(ModelError, match=r"^the clean plate cannot be used: .*vbgcam plate`$"):
            CleanPlate.load(path)


def test_a_plate_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        save(from_rgb(room()), tmp_path / "file" / "plate.png")
