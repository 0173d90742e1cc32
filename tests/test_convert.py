"""pixels: colours to the digit, geometry, and everybody else's formats."""

from typing import get_args

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from hypothesis import given, settings
from hypothesis import strategies as st

from vbgcam.core.frames import U8, Planes, Size
from vbgcam.pixels import convert

# Rec. ITU-R BT.601 colour bars, 100 %, limited range, as in every table of them.
BARS = {
    (255, 255, 255): (235, 128, 128),
    (255, 255, 0): (210, 16, 146),
    (0, 255, 255): (170, 166, 16),
    (0, 255, 0): (145, 54, 34),
    (255, 0, 255): (106, 202, 222),
    (255, 0, 0): (81, 90, 240),
    (0, 0, 255): (41, 240, 110),
    (0, 0, 0): (16, 128, 128),
}


SMALL = Size(32, 32)


def flat(color: tuple[int, int, int], size: Size = SMALL) -> U8:
    return np.full((size.height, size.width, 3), color, np.uint8)


def center(planes: Planes) -> tuple[int, int, int]:
    chroma = planes.size.chroma
    at = chroma.height // 2, chroma.width // 2
    return int(planes.y[planes.size.height // 2, planes.size.width // 2]), int(planes.u[at]), int(planes.v[at])


def near(got: tuple[int, ...] | U8, expected: tuple[int, ...], by: int = 1) -> bool:
    return all(abs(int(a) - int(b)) <= by for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize(("rgb", "yuv"), BARS.items())
def test_colour_bars_come_out_as_in_the_standard(rgb: tuple[int, int, int], yuv: tuple[int, int, int]) -> None:
    assert convert.color_yuv(rgb) == yuv
    for size in (Size(32, 32), Size(33, 31), Size(1280, 720)):
        planes = convert.from_rgb(flat(rgb, size))
        assert planes.size == size
        assert near(center(planes), yuv)
        assert near(convert.to_rgb(planes)[size.height // 2, size.width // 2], rgb, 2)
        assert near(convert.small_rgb(planes, Size(5, 7))[3, 2], rgb, 2)


@pytest.mark.parametrize(
    ("pixel_format", "space", "full"),
    [
        ("yuv420p", Colorspace.ITU601, False),
        ("yuv420p", Colorspace.ITU709, False),
        ("yuv420p", Colorspace.ITU601, True),
        ("yuvj420p", Colorspace.ITU601, True),
        ("yuvj422p", Colorspace.ITU601, True),
        ("yuv444p", Colorspace.ITU709, True),
        ("yuv420p10le", Colorspace.ITU709, False),
        ("nv12", Colorspace.ITU601, False),
        ("yuyv422", Colorspace.ITU601, False),
    ],
)
@pytest.mark.parametrize("rgb", [(200, 40, 90), (10, 180, 60), (250, 250, 240)])
def test_every_matrix_range_and_format_gives_the_same_colour(
    pixel_format: str, space: Colorspace, full: bool, rgb: tuple[int, int, int]
) -> None:
    made_range = ColorRange.JPEG if full else ColorRange.MPEG
    frame = av.VideoFrame.from_ndarray(flat(rgb), format="rgb24").reformat(
        format=pixel_format, dst_colorspace=space, dst_color_range=made_range
    )
    frame.colorspace, frame.color_range = space, made_range
    assert near(center(convert.from_av(frame)), convert.color_yuv(rgb), 3)


@pytest.mark.parametrize(("height", "space"), [(480, Colorspace.ITU601), (720, Colorspace.ITU709)])
def test_a_frame_without_a_matrix_is_taken_as_players_take_it(height: int, space: Colorspace) -> None:
    rgb = (10, 180, 60)
    frame = av.VideoFrame.from_ndarray(flat(rgb, Size(64, height)), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=space, dst_color_range=ColorRange.MPEG
    )
    frame.colorspace, frame.color_range = 2, ColorRange.UNSPECIFIED
    assert near(center(convert.from_av(frame)), convert.color_yuv(rgb), 3)


sizes = st.builds(Size, st.integers(1, 90), st.integers(1, 90))


def random_planes(size: Size, seed: int) -> Planes:
    return Planes(size, np.random.default_rng(seed).integers(0, 256, size.i420_bytes, np.uint8))


@given(sizes, st.integers(0, 9))
def test_ffmpeg_gives_back_the_planes_it_was_given(size: Size, seed: int) -> None:
    planes = random_planes(size, seed)
    assert np.array_equal(convert.from_av(convert.to_av(planes)).data, planes.data)


@settings(deadline=None)
@given(sizes, sizes, st.sampled_from(get_args(convert.Fit)))
def test_any_picture_fits_any_size(source: Size, target: Size, how: convert.Fit) -> None:
    planes = Planes.filled(source, (77, 88, 99))
    out = convert.fit(planes, target, how)
    assert out.size == target
    if how != "contain":
        assert (out.y == 77).all()
        assert (out.u == 88).all()
        assert (out.v == 99).all()


def halves(size: Size) -> Planes:
    """Left dark, right bright."""
    planes = Planes.filled(size, (50, 128, 128))
    planes.y[:, size.width // 2 :] = 150
    return planes


@pytest.mark.parametrize(
    ("how", "size", "places"),
    [
        ("cover", Size(100, 100), {(50, 20): 50, (50, 80): 150}),
        ("contain", Size(200, 200), {(10, 100): 16, (190, 100): 16, (100, 10): 50, (100, 190): 150}),
        ("stretch", Size(40, 200), {(100, 2): 50, (100, 37): 150}),
    ],
)
def test_planes_are_cut_framed_or_stretched(how: convert.Fit, size: Size, places: dict[tuple[int, int], int]) -> None:
    out = convert.fit(halves(Size(400, 100)), size, how)
    assert {place: out.y[place] for place in places} == places


def test_a_crop_keeps_luma_and_chroma_on_each_other() -> None:
    planes = Planes.filled(Size(40, 40), (50, 128, 128))
    planes.y[20:, 20:], planes.u[10:, 10:] = 150, 60
    out = convert.crop(planes, 11, 11, Size(20, 20))
    assert out.y[10, 10] == 150
    assert out.u[5, 5] == 60
    assert out.y[9, 9] == 50
    assert out.u[4, 4] == 128


def test_a_label_mask_stays_binary_when_it_is_resized() -> None:
    alpha = np.zeros((9, 16), np.uint8)
    alpha[3:, 5:9] = 255
    assert set(np.unique(convert.resize_alpha(alpha, Size(160, 90), smooth=False))) == {0, 255}
    assert len(np.unique(convert.resize_alpha(alpha, Size(160, 90)))) > 2
