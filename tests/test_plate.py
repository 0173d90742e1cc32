"""segment.plate: the empty room subtracted, through noise, exposure, tint and shadow."""

from __future__ import annotations

import stat
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbgcam import pictures
from vbgcam.errors import ModelError
from vbgcam.films import Film
from vbgcam.frames import U8, Planes, RawFrame, Size
from vbgcam.mask import finish
from vbgcam.pixels import from_rgb
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


@pytest.mark.parametrize("gain", [0.7, 0.9, 1.1, 1.25])
def test_exposure_is_followed(plate: CleanPlate, gain: float) -> None:
    assert error(filmed(gain=gain), plate) < 0.03


@pytest.mark.parametrize("tint", [(8, 0, -8), (-6, 0, 10)])
def test_white_balance_is_followed(plate: CleanPlate, tint: tuple[int, int, int]) -> None:
    assert error(filmed(tint=tint), plate) < 0.02


def test_a_soft_shadow_on_the_wall_is_not_the_person(plate: CleanPlate) -> None:
    shaded = room().astype(np.float32)
    shaded[40:200, 20:80] *= 0.88
    frame = RawFrame(from_rgb(shaded.astype(np.uint8)).frozen(), 0.0)
    assert float(plate.probability(frame)[50:190, 30:70].mean()) < 0.1


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
    for shot, alpha in zip(Film(testdata / "clips" / "room_static.mp4"), true, strict=True):
        frame = RawFrame(shot.planes, float(shot.time))
        mask = finish(plate.probability(frame), frame).alpha
        errors.append(np.abs(mask.astype(float) - alpha).mean() / 255)
    assert float(np.mean(errors)) <= 0.012


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
    assert float(np.abs(pictures.read(path).rgb.astype(float) - room()).mean()) < 3
    assert error(filmed(), CleanPlate.load(path)) < 0.02


def test_somebody_in_the_picture_spoils_the_plate() -> None:
    with pytest.raises(ModelError, match=r"did not stand still.*vbgcam plate"):
        take(iter([from_rgb(room()), filmed().planes]), 2)


def test_too_few_frames_make_no_plate() -> None:
    with pytest.raises(ModelError, match="3 of the 10 frames"):
        take(iter([from_rgb(room())] * 3), 10)


def test_a_missing_or_broken_plate_says_how_to_take_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="vbgcam plate"):
        CleanPlate.load(tmp_path / "plate.png")
    (tmp_path / "plate.png").write_text("no picture")
    with pytest.raises(ModelError, match="cannot be used"):
        CleanPlate.load(tmp_path / "plate.png")


def test_a_plate_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        save(from_rgb(room()), tmp_path / "file" / "plate.png")
