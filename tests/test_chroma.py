"""segment.chroma: a green screen, unevenly lit, with noise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.errors import ModelError
from vbgcam.frames import U8, Planes, RawFrame, Size
from vbgcam.mask import finish
from vbgcam.pixels import color_yuv, from_rgb
from vbgcam.segment.chroma import ChromaKey
from vbgcam.specs import GREEN


def scene(key: tuple[int, int, int]) -> tuple[RawFrame, U8]:
    """Somebody in grey, black, skin and red before a screen that is lit from 50 to 110 %; the exact alpha."""
    alpha = np.zeros((240, 320), np.uint8)
    cv2.circle(alpha, (160, 120), 80, 255, -1, cv2.LINE_AA)
    person = np.zeros((240, 320, 3), np.float32)
    for index, color in enumerate([(128, 128, 128), (12, 12, 12), (224, 172, 105), (180, 30, 40)]):
        person[:, 80 + 40 * index : 120 + 40 * index] = color
    screen = np.array(key) * np.linspace(0.5, 1.1, 320)[None, :, None]
    weight = alpha[..., None] / 255
    mixed = weight * person + (1 - weight) * screen + np.random.default_rng(0).normal(0, 2, person.shape)
    return RawFrame(from_rgb(np.clip(mixed, 0, 255).astype(np.uint8)).frozen(), 0.0), alpha


@pytest.mark.parametrize("key", [GREEN, (0, 71, 187)])
def test_the_screen_goes_and_grey_black_skin_and_red_stay(key: tuple[int, int, int]) -> None:
    frame, alpha = scene(key)
    made = finish(ChromaKey(key).probability(frame), frame).alpha
    assert float(np.abs(made.astype(float) - alpha).mean() / 255) < 0.01
    inside, outside = cv2.erode(alpha, np.ones((7, 7))) == 255, cv2.dilate(alpha, np.ones((7, 7))) == 0
    assert int(made[outside].max()) < 26
    assert float(made[inside].mean()) > 250


def test_hard_is_0_or_1() -> None:
    frame, _ = scene(GREEN)
    assert set(np.unique(ChromaKey(GREEN, hard=True).probability(frame))) == {0.0, 1.0}


def test_another_hue_is_the_person() -> None:
    planes = Planes.filled(Size(8, 8), color_yuv((0, 71, 187))).frozen()
    assert (ChromaKey(GREEN).probability(RawFrame(planes, 0.0)) == 1).all()


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
