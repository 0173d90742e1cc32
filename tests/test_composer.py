"""compose: the blend to the last digit, the cover, mirror, blur and spill."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import BEHIND, SECRET, room_with_person, true_alpha
from vbgcam.core.frames import U8, Backdrop, Fringe, Mask, Planes, RawFrame, Size
from vbgcam.core.options import WEAKEST_BLUR, Blur, RenderOptions
from vbgcam.pixels.convert import color_yuv
from vbgcam.render.composer import Composer


def random_planes(rng: np.random.Generator, size: Size) -> Planes:
    return Planes(size, rng.integers(0, 256, size.i420_bytes, np.uint8)).frozen()


def mean_of_four(alpha: U8) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Each chroma pixel's alpha: the rounded mean of the luma pixels that it covers, edges repeated."""
    height, width = alpha.shape
    padded = np.pad(alpha.astype(float), ((0, height % 2), (0, width % 2)), mode="edge")
    total = padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
    mean: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.floor(total / 4 + 0.5)
    return mean


@settings(max_examples=60, deadline=None)
@given(size=st.builds(Size, st.integers(1, 33), st.integers(1, 33)), seed=st.integers(0, 2**32 - 1))
def test_the_blend_is_the_rounded_sum_on_every_plane(size: Size, seed: int) -> None:
    rng = np.random.default_rng(seed)
    front, back = random_planes(rng, size), random_planes(rng, size)
    alpha = rng.choice(np.array([0, 1, 127, 128, 254, 255], np.uint8), (size.height, size.width))
    # Whole lines of one side: those are copied.
    alone = rng.choice(np.array([-1, 0, 255]), size.height // 4 + 1).repeat(4)[: size.height]
    alpha = np.where(alone[:, None] < 0, alpha, alone[:, None]).astype(np.uint8)
    out = Composer(size).compose(RawFrame(front, 1.0), Mask(alpha, 1.0), Backdrop(back)).planes
    quarter = mean_of_four(alpha)
    for got, person, room, weight in (
        (out.y, front.y, back.y, alpha.astype(float)),
        (out.u, front.u, back.u, quarter),
        (out.v, front.v, back.v, quarter),
    ):
        exact = (person * weight + room * (255 - weight)) / 255
        assert np.abs(got - exact).max() <= 0.5 + 1e-9


def fringe(size: Size, apart: tuple[float, float, float]) -> Fringe:
    cells = np.zeros((size.height // 4, size.width // 4, 3), np.float32)
    cells[:, : size.width // 8] = apart
    edges = [np.arange(0, side + 1, 4, dtype=np.int32) for side in (size.height, size.width)]
    for array in (cells, *edges):
        array.flags.writeable = False
    return Fringe(cells, *edges)


@pytest.mark.parametrize("apart", [None, (200.0, -90.0, 90.0)])
def test_alpha_0_is_the_backdrop_and_alpha_255_the_person_bit_by_bit_whatever_the_fringe(
    apart: tuple[float, float, float] | None,
) -> None:
    size = Size(48, 32)
    rng = np.random.default_rng(1)
    front, back = random_planes(rng, size), random_planes(rng, size)
    composer = Composer(size)
    for value, expected in ((0, back), (255, front)):
        alpha = np.full((size.height, size.width), value, np.uint8)
        mask = Mask(alpha, 1.0, fringe=apart and fringe(size, apart))
        assert np.array_equal(composer.compose(RawFrame(front, 1.0), mask, Backdrop(back)).planes.data, expected.data)


def test_a_true_fringe_gives_the_persons_own_colour_back() -> None:
    """A person and a room of one colour each: half of the old room in a pixel becomes half of the new one."""
    size = Size(48, 32)
    person, room, behind = (150, 110, 160), (60, 140, 120), (90, 150, 90)
    mixed = tuple((one + other) // 2 for one, other in zip(person, room, strict=True))
    wanted = [(one + other) / 2 for one, other in zip(person, behind, strict=True)]
    alpha = np.full((size.height, size.width), 128, np.uint8)
    apart = tuple(float(one - other) for one, other in zip(person, room, strict=True))
    for mirror in (False, True):
        composer = Composer(size, RenderOptions(mirror=mirror))
        mask = Mask(alpha, 1.0, fringe=fringe(size, (apart[0], apart[1], apart[2])))
        frame = RawFrame(Planes.filled(size, (mixed[0], mixed[1], mixed[2])).frozen(), 1.0)
        out = composer.compose(frame, mask, Backdrop(Planes.filled(size, behind).frozen())).planes
        fixed, as_it_was = (slice(24, 48), slice(0, 24)) if mirror else (slice(0, 24), slice(24, 48))
        halves = slice(fixed.start // 2, fixed.stop // 2)
        assert np.abs(out.y[:, fixed] - wanted[0]).max() <= 1
        assert np.abs(out.u[:, halves] - wanted[1]).max() <= 1
        assert np.abs(out.v[:, halves] - wanted[2]).max() <= 1
        assert np.abs(out.y[:, as_it_was] - wanted[0]).min() >= 20


def test_the_backgrounds_light_falls_on_the_outline_and_nowhere_else() -> None:
    size = Size(320, 192)
    alpha = np.zeros((size.height, size.width), np.uint8)
    alpha[48:, 80:240] = 255
    frame = RawFrame(Planes.filled(size, (60, 120, 130)).frozen(), 1.0)
    mask, behind = Mask(alpha, 1.0), Backdrop(Planes.filled(size, (200, 140, 120)).frozen())
    plain, lit, more = (
        Composer(size, RenderOptions(light_wrap=light)).compose(frame, mask, behind).planes.y.astype(int)
        for light in (0.0, 0.5, 1.0)
    )
    assert np.array_equal(lit[alpha == 0], plain[alpha == 0])  # of one colour, and the old room is in none of it
    assert np.array_equal(lit[140:, 140:180], plain[140:, 140:180])
    assert lit[120, 81] > plain[120, 81] + 15
    assert more[120, 81] > lit[120, 81] + 15
    assert more.max() <= 200


def test_a_moving_backgrounds_light_is_that_of_its_moment() -> None:
    size = Size(320, 192)
    alpha = np.zeros((size.height, size.width), np.uint8)
    alpha[48:, 80:240] = 255
    frame, mask = RawFrame(Planes.filled(size, (60, 120, 130)).frozen(), 1.0), Mask(alpha, 1.0)
    composer = Composer(size, RenderOptions(light_wrap=1.0))
    seen = [
        composer.compose(frame, mask, Backdrop(Planes.filled(size, (luma, 128, 128)).frozen())).planes.y[120, 81]
        for luma in (220, 30, 220)
    ]
    assert seen[0] == seen[2] > 60 > seen[1]


def test_the_cover_is_the_backdrop_alone() -> None:
    size = Size(16, 16)
    back = Planes.filled(size, BEHIND).frozen()
    cover = Composer(size).cover(Backdrop(back))
    assert cover.cover
    assert cover.captured_at is None
    assert np.array_equal(cover.planes.data, back.data)


def test_frames_stay_as_they_are_while_they_are_held() -> None:
    size = Size(16, 16)
    composer = Composer(size)
    made = [composer.cover(Backdrop(Planes.filled(size, (value, 128, 128)).frozen())) for value in range(30)]
    assert [int(frame.planes.y[0, 0]) for frame in made] == list(range(30))


def test_mirror_turns_the_person_and_not_the_background() -> None:
    size = Size(64, 48)
    planes = room_with_person(3, size)
    back = random_planes(np.random.default_rng(2), size)
    mask = Mask(true_alpha(planes), 1.0)
    frame = RawFrame(planes.frozen(), 1.0)
    plain = Composer(size).compose(frame, mask, Backdrop(back)).planes
    turned = Composer(size, RenderOptions(mirror=True)).compose(frame, mask, Backdrop(back)).planes
    person = mask.alpha[:, ::-1] == 255
    assert np.array_equal(turned.y[person], plain.y[:, ::-1][person])
    assert np.array_equal(turned.y[~person], back.y[~person])


@pytest.mark.parametrize("wrong", ["frame", "mask", "backdrop"])
def test_a_size_that_does_not_fit_is_refused(wrong: str) -> None:
    size, other = Size(16, 16), Size(18, 16)
    pick = {name: other if name == wrong else size for name in ("frame", "mask", "backdrop")}
    planes = {name: Planes.filled(chosen, SECRET).frozen() for name, chosen in pick.items()}
    mask = Mask(np.zeros((pick["mask"].height, pick["mask"].width), np.uint8), 1.0)
    with pytest.raises(ValueError, match="18x16"):
        Composer(size).compose(RawFrame(planes["frame"], 1.0), mask, Backdrop(planes["backdrop"]))


def test_blur_takes_the_detail_out_of_the_room_and_leaves_the_person_sharp() -> None:
    size = Size(320, 240)
    planes = Planes.filled(size, (60, 128, 128))
    planes.y[:, ::2] = 180
    alpha = np.zeros((240, 320), np.uint8)
    alpha[80:, 120:200] = 255
    out = Composer(size).compose(RawFrame(planes.frozen(), 1.0), Mask(alpha, 1.0), Blur(0.5)).planes
    assert np.array_equal(out.y[alpha == 255], planes.y[alpha == 255])
    assert float(out.y[alpha == 0].std()) < 3
    assert abs(float(out.y[alpha == 0].mean()) - 120) < 3


def stripes_left(size: Size, strength: float) -> float:
    """The contrast, 0 to 1, that soft black and white stripes keep behind that blur, upright or level ones, whichever
    keep more. They are as far apart as letters of 40 pixels at 720 lines."""
    left = []
    for side, level in ((size.width, False), (size.height, True)):
        wave = np.sin(2 * np.pi * (np.arange(side) + 0.5) / (size.height / 18))
        line = np.rint(125.5 + 109.5 * wave).astype(np.uint8)
        planes = Planes.filled(size, (128, 128, 128))
        planes.y[:] = line[:, None] if level else line
        room = Mask(np.zeros((size.height, size.width), np.uint8), 1.0)
        out = Composer(size).compose(RawFrame(planes.frozen(), 1.0), room, Blur(strength)).planes
        inside = out.y[size.height // 4 : -size.height // 4, size.width // 4 : -size.width // 4]
        left.append(float(np.ptp(inside.astype(int))) / (235 - 16))
    return max(left)


@pytest.mark.parametrize("height", [480, 720, 1080, 2160])
def test_the_weakest_blur_leaves_nothing_of_letters_and_a_weak_one_nearly_all(height: int) -> None:
    size = Size(height * 16 // 9 // 2 * 2, height)
    assert stripes_left(size, WEAKEST_BLUR) < 0.01  # two grey levels
    assert stripes_left(size, 0.05) > 0.8


def test_no_weaker_blur_leaves_nothing_of_letters_at_every_size() -> None:
    assert stripes_left(Size(852, 480), WEAKEST_BLUR - 0.05) > 0.01


@pytest.mark.parametrize("luma", [16, 235])
def test_blur_has_no_halo_of_the_person(luma: int) -> None:
    size = Size(320, 240)
    planes = Planes.filled(size, (100, 128, 128))
    alpha = np.zeros((240, 320), np.uint8)
    alpha[80:, 120:200] = 255
    planes.y[alpha == 255] = luma
    out = Composer(size).compose(RawFrame(planes.frozen(), 1.0), Mask(alpha, 1.0), Blur(1.0)).planes
    assert np.abs(out.y[alpha == 0].astype(int) - 100).max() <= 1


def without_green(planes: Planes) -> Planes:
    """The person alone, with a green screen's light taken out."""
    size = planes.size
    mask = Mask(np.full((size.height, size.width), 255, np.uint8), 1.0)
    composer = Composer(size, RenderOptions(key=color_yuv((0, 177, 64))[1:]))
    return composer.compose(RawFrame(planes.frozen(), 1.0), mask, Backdrop(Planes.filled(size, BEHIND).frozen())).planes


def test_the_key_colours_light_on_the_person_is_taken_out() -> None:
    green = color_yuv((0, 177, 64))
    tinted = Planes.filled(Size(32, 32), (120, (128 + green[1]) // 2, (128 + green[2]) // 2))
    out = without_green(tinted)
    before = np.hypot(float(tinted.u[0, 0]) - 128, float(tinted.v[0, 0]) - 128)
    after = np.hypot(float(out.u[8, 8]) - 128, float(out.v[8, 8]) - 128)
    assert after <= before / 4
    assert np.array_equal(out.y, tinted.y)


def test_a_person_without_the_key_colour_is_left_alone() -> None:
    skin = Planes.filled(Size(32, 32), color_yuv((224, 172, 105)))
    assert np.array_equal(without_green(skin).data, skin.data)
