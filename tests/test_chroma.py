"""segment.chroma: a green screen, unevenly lit, with noise."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Backdrop, Planes, RawFrame, Size
from vbgcam.core.options import RenderOptions
from vbgcam.core.specs import GREEN
from vbgcam.mask import finish
from vbgcam.media.video_reader import VideoReader
from vbgcam.pixels.convert import color_yuv, from_rgb, to_rgb
from vbgcam.render.composer import Composer
from vbgcam.segment.chroma import ChromaKey


def scene(key: tuple[int, int, int], lit: tuple[float, float] = (0.5, 1.1)) -> tuple[RawFrame, U8]:
    """Somebody in grey, black, skin and red before a screen that is lit from left to right by so much; the alpha."""
    alpha = np.zeros((240, 320), np.uint8)
    cv2.circle(alpha, (160, 120), 80, 255, -1, cv2.LINE_AA)
    person = np.zeros((240, 320, 3), np.float32)
    for index, color in enumerate([(128, 128, 128), (12, 12, 12), (224, 172, 105), (180, 30, 40)]):
        person[:, 80 + 40 * index : 120 + 40 * index] = color
    screen = np.array(key) * np.linspace(*lit, 320)[None, :, None]
    weight = alpha[..., None] / 255
    mixed = weight * person + (1 - weight) * screen + np.random.default_rng(0).normal(0, 2, person.shape)
    return RawFrame(from_rgb(np.clip(mixed, 0, 255).astype(np.uint8)).frozen(), 0.0), alpha


@pytest.mark.parametrize("lit", [(0.5, 1.1), (0.3, 0.6), (1.3, 0.4)])
@pytest.mark.parametrize("key", [GREEN, (0, 71, 187)])
def test_the_screen_goes_and_grey_black_skin_and_red_stay(key: tuple[int, int, int], lit: tuple[float, float]) -> None:
    frame, alpha = scene(key, lit)
    made = finish(ChromaKey(key).probability(frame), frame).alpha
    assert float(np.abs(made.astype(float) - alpha).mean() / 255) < 0.01
    inside, outside = cv2.erode(alpha, np.ones((7, 7))) == 255, cv2.dilate(alpha, np.ones((7, 7))) == 0
    assert int(made[outside].max()) < 26
    assert float(made[inside].mean()) > 250


def test_a_real_person_before_a_screen_in_uneven_light_with_noise_and_spill(testdata: Path) -> None:
    """The true alpha is exact; the screen is lit from 55 to 110 % of the key and lights the person's rim."""
    with av.open(str(testdata / "clips" / "room_static_alpha.mkv")) as film:
        alphas = [picture.to_ndarray(format="gray") for picture in film.decode(video=0)]
    rng, errors = np.random.default_rng(0), []
    for number, shot in enumerate(VideoReader(testdata / "clips" / "room_static.mp4")):
        if number % 15:
            continue
        alpha = alphas[number].astype(np.float32)[..., None] / 255
        rows, columns = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
        light = 0.55 + 0.55 * np.exp(-((columns - 420) ** 2) / 135_000 - (rows - 120) ** 2 / 65_000)
        spill = 0.12 * cv2.GaussianBlur(1 - alpha, (0, 0), 12)[..., None]
        person = to_rgb(shot.planes) * (1 - spill) + np.array(GREEN) * spill
        mixed = alpha * person + (1 - alpha) * np.array(GREEN) * light[..., None] + rng.normal(0, 3, person.shape)
        frame = RawFrame(from_rgb(np.clip(mixed, 0, 255).astype(np.uint8)).frozen(), 0.0)
        made = finish(ChromaKey(GREEN).probability(frame), frame).alpha
        errors.append(np.abs(made.astype(float) - alphas[number]).mean() / 255)
    assert float(np.mean(errors)) <= 0.005


def test_hard_is_0_or_1() -> None:
    frame, _ = scene(GREEN)
    assert set(np.unique(ChromaKey(GREEN, hard=True).probability(frame))) == {0.0, 1.0}


def shown(color: tuple[int, int, int]) -> float:
    frame = RawFrame(Planes.filled(Size(16, 16), color_yuv(color)).frozen(), 0.0)
    return float(ChromaKey(GREEN).probability(frame)[4, 4])


@pytest.mark.parametrize("share", [0.25, 0.4, 0.7, 1.0])
def test_the_screen_in_the_shade_is_still_the_screen(share: float) -> None:
    red, green, blue = (round(part * share) for part in GREEN)
    assert shown((red, green, blue)) == 0


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_what_is_nearly_black_is_the_person_whatever_its_hue(share: float) -> None:
    red, green, blue = (round(part * share) for part in GREEN)
    assert shown((red, green, blue)) == 1


@pytest.mark.parametrize(
    "color", [(0, 71, 187), (60, 80, 130), (90, 95, 40), (230, 200, 40), (190, 180, 105), (255, 255, 255)]
)
def test_clothes_of_many_colours_stay(color: tuple[int, int, int]) -> None:
    assert shown(color) == 1


@pytest.mark.parametrize("behind", [(245, 245, 240), (20, 20, 25)])
def test_no_green_rim_remains_before_a_light_or_a_dark_background(behind: tuple[int, int, int]) -> None:
    frame, alpha = scene(GREEN)
    back = Backdrop(Planes.filled(frame.size, color_yuv(behind)).frozen())
    u, v = color_yuv(GREEN)[1:]
    mask = finish(ChromaKey(GREEN).probability(frame), frame)
    made = to_rgb(Composer(frame.size, RenderOptions(key=(u, v))).compose(frame, mask, back).planes).astype(int)
    rim = (cv2.dilate(alpha, np.ones((5, 5))) > 0) & (cv2.erode(alpha, np.ones((5, 5))) < 255)
    greenness = made[..., 1] - made[..., [0, 2]].max(-1)
    assert float(np.percentile(greenness[rim], 99)) < 20


def test_a_grey_key_is_refused() -> None:
    with pytest.raises(ModelError, match="too grey"):
        ChromaKey((120, 124, 122))


@given(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)), st.integers(0, 99))
def test_any_picture_gives_a_probability(rgb: tuple[int, int, int], seed: int) -> None:
    size = Size(9, 7)
    data = np.random.default_rng(seed).integers(0, 256, size.i420_bytes, np.uint8)
    try:
        key = ChromaKey(rgb)
    except ModelError:
        return
    answer = key.probability(RawFrame(Planes(size, data).frozen(), 0.0))
    assert answer.dtype == np.float32
    assert answer.shape == (4, 5)
    assert 0 <= answer.min() <= answer.max() <= 1
