"""Every format that a camera may send becomes the right planes: colours, gradients, padding, and damage."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vbgcam.pixels.kernels  # noqa: F401  # compiled here: inside a property's first example it would pass hypothesis' deadline
from vbgcam.camera.base import Layout
from vbgcam.camera.choose import RAW, READABLE
from vbgcam.camera.unpack import unpacker
from vbgcam.core.frames import U8, Planes, Size
from vbgcam.pixels.convert import color_yuv

SIZE = Size(64, 48)

# Rec. ITU-R BT.601 colour bars, 100 %.
BARS = [(255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0)]

sizes = st.builds(Size, st.integers(1, 20).map(lambda n: 2 * n), st.integers(1, 20).map(lambda n: 2 * n))
paddings = st.integers(0, 8).map(lambda n: 2 * n)
seeds = st.integers(0, 2**32 - 1)


def noise(seed: int, *shape: int) -> U8:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def flat(color: tuple[int, int, int], size: Size = SIZE) -> U8:
    return np.full((size.height, size.width, 3), color, np.uint8)


def padded(rows: U8, padding: int) -> U8:
    """Each line followed by bytes that are no picture."""
    return np.pad(rows, ((0, 0), (0, padding)), constant_values=77).reshape(-1)


def unpack(layout: Layout, data: U8) -> Planes:
    planes = unpacker(layout).planes(data)
    assert planes is not None
    assert planes.size == layout.size
    return planes


def packed(fourcc: str, y: U8, u: U8, v: U8) -> U8:
    """Two pixels in four bytes. `y`: (height, width); `u`, `v`: (height, width / 2)."""
    rows = np.empty((y.shape[0], y.shape[1] // 2, 4), np.uint8)
    places = {"Y": iter((y[:, ::2], y[:, 1::2])), "U": iter((u,)), "V": iter((v,))}
    for place, letter in enumerate(fourcc):
        rows[:, :, place] = next(places[letter])
    return rows.reshape(y.shape[0], -1)


@given(sizes, paddings, seeds, st.sampled_from(["YUYV", "YVYU", "UYVY"]))
def test_packed_formats_keep_their_luma_and_share_chroma_between_two_lines(
    size: Size, padding: int, seed: int, fourcc: str
) -> None:
    y, u, v = (noise(seed + i, size.height, size.width // (2 if i else 1)) for i in range(3))
    rows = packed(fourcc, y, u, v)
    planes = unpack(Layout(fourcc, size, rows.shape[1] + padding), padded(rows, padding))
    assert np.array_equal(planes.y, y)
    for plane, lines in ((planes.u, u), (planes.v, v)):
        mean = (lines[::2].astype(float) + lines[1::2]) / 2
        assert np.abs(plane - mean).max() <= 0.5


@given(sizes, paddings, seeds, st.sampled_from(["YU12", "YV12", "NV12", "NV21"]))
def test_planar_formats_arrive_to_the_byte(size: Size, padding: int, seed: int, fourcc: str) -> None:
    y, half = noise(seed, size.height, size.width), (size.height // 2, size.width // 2)
    u, v = noise(seed + 1, *half), noise(seed + 2, *half)
    first, second = (v, u) if fourcc in ("YV12", "NV21") else (u, v)
    if fourcc.startswith("NV"):
        chroma = [padded(np.dstack([first, second]).reshape(half[0], -1), padding)]
    else:
        chroma = [padded(plane, padding // 2) for plane in (first, second)]
    planes = unpack(Layout(fourcc, size, size.width + padding), np.concatenate([padded(y, padding), *chroma]))
    assert np.array_equal(planes.y, y)
    assert np.array_equal(planes.u, u)
    assert np.array_equal(planes.v, v)


def as_bytes(fourcc: str, rgb: U8) -> U8:
    """One colour in a camera's format, made from the standard's numbers alone."""
    height, width = rgb.shape[:2]
    red, green, blue = (int(value) for value in rgb[0, 0])
    y, u, v = (np.uint8(value) for value in color_yuv((red, green, blue)))
    if fourcc in ("BGR3", "RGB3"):
        return np.ascontiguousarray(rgb[..., ::-1] if fourcc == "BGR3" else rgb).reshape(-1)
    if fourcc in ("YUYV", "YVYU", "UYVY"):
        chroma = height, width // 2
        return packed(fourcc, np.full((height, width), y), np.full(chroma, u), np.full(chroma, v)).reshape(-1)
    quarter = height * width // 4
    parts = {"Y": np.full(height * width, y), "U": np.full(quarter, u), "V": np.full(quarter, v)}
    order = {"YU12": "UV", "YV12": "VU", "NV12": "UV", "NV21": "VU"}[fourcc]
    chroma_bytes = np.stack([parts[letter] for letter in order], axis=int(fourcc.startswith("NV"))).reshape(-1)
    return np.concatenate([parts["Y"], chroma_bytes])


def center(planes: Planes) -> tuple[int, int, int]:
    row, column = planes.size.height // 2, planes.size.width // 2
    return (
        int(planes.y[row, column]),
        int(planes.u[row // 2, column // 2]),
        int(planes.v[row // 2, column // 2]),
    )


def near(got: tuple[int, ...], expected: tuple[int, ...], by: int) -> bool:
    return all(abs(a - b) <= by for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("fourcc", RAW)
@pytest.mark.parametrize("rgb", BARS)
def test_colour_bars_come_out_as_in_the_standard(fourcc: str, rgb: tuple[int, int, int]) -> None:
    assert near(center(unpack(Layout(fourcc, SIZE), as_bytes(fourcc, flat(rgb)))), color_yuv(rgb), 1)


# Rec. ITU-R BT.709 and the full range, for the same colours.
@pytest.mark.parametrize(
    ("sent", "bt709", "full", "rgb"),
    [
        ((63, 102, 240), True, False, (255, 0, 0)),
        ((173, 42, 26), True, False, (0, 255, 0)),
        ((32, 240, 118), True, False, (0, 0, 255)),
        ((76, 85, 255), False, True, (255, 0, 0)),
        ((255, 128, 128), False, True, (255, 255, 255)),
        ((54, 99, 255), True, True, (255, 0, 0)),
    ],
)
def test_other_matrices_and_ranges_are_brought_to_the_houses(
    sent: tuple[int, int, int], bt709: bool, full: bool, rgb: tuple[int, int, int]
) -> None:
    y, u, v = sent
    chroma = SIZE.height, SIZE.width // 2
    data = packed(
        "YUYV",
        np.full((SIZE.height, SIZE.width), y, np.uint8),
        np.full(chroma, u, np.uint8),
        np.full(chroma, v, np.uint8),
    )
    layout = Layout("YUYV", SIZE, bt709=bt709, full=full)
    assert near(center(unpack(layout, data.reshape(-1))), color_yuv(rgb), 2)


def test_an_infrared_camera_is_grey_from_black_to_white() -> None:
    ramp = np.tile(np.arange(0, 256, 4).astype(np.uint8), (SIZE.height, 1))
    planes = unpack(Layout("GREY", SIZE), ramp.reshape(-1))
    assert np.abs(planes.y - (16 + ramp * (219 / 255))).max() <= 0.5
    assert (planes.u == 128).all()
    assert (planes.v == 128).all()


def jpeg(bgr: U8, sampling: int = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422) -> U8:
    good, data = cv2.imencode(
        ".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, int(sampling)]
    )
    assert good
    return np.asarray(data, np.uint8).reshape(-1)


SAMPLINGS = [
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("rgb", BARS)
def test_jpeg_of_every_sampling_comes_out_in_limited_range(sampling: int, rgb: tuple[int, int, int]) -> None:
    for size in (SIZE, Size(1280, 720)):
        planes = unpack(Layout("MJPG", size), jpeg(flat(rgb, size)[..., ::-1], sampling))
        assert near(center(planes), color_yuv(rgb), 2)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_jpeg_gradient_stays_a_gradient(sampling: int) -> None:
    size = Size(510, 38)
    ramp = np.tile((np.arange(size.width) // 2).astype(np.uint8), (size.height, 1))
    planes = unpack(Layout("MJPG", size), jpeg(np.dstack([ramp] * 3), sampling))
    assert np.abs(planes.y - (16 + ramp * (219 / 255))).max() <= 3
    assert np.abs(planes.u.astype(int) - 128).max() <= 1


def test_chroma_stands_where_it_belongs_in_jpeg() -> None:
    picture = flat((0, 0, 0))
    picture[: SIZE.height // 2, SIZE.width // 2 :] = (0, 0, 255)  # BGR: red, at the upper right
    planes = unpack(Layout("MJPG", SIZE), jpeg(picture))
    red, rest = planes.v[: SIZE.height // 4, SIZE.width // 4 :], planes.v[SIZE.height // 4 :]
    assert red.min() > 220
    assert np.abs(rest.astype(int) - 128).max() < 12


PICTURE = jpeg(noise(1, SIZE.height, SIZE.width, 3))


# A block of pixels takes 290 bytes of this picture; where the last one breaks off, FFmpeg does not notice.
SHORT = len(PICTURE) - 600


@given(st.integers(0, SHORT))
def test_a_jpeg_that_breaks_off_is_damaged_and_the_next_one_is_not(length: int) -> None:
    camera = unpacker(Layout("MJPG", SIZE))
    assert camera.planes(PICTURE[:length]) is None
    assert camera.planes(PICTURE) is not None


@given(st.binary(max_size=300), st.sampled_from(READABLE))
def test_no_bytes_whatever_break_the_reader(data: bytes, fourcc: str) -> None:
    assert unpacker(Layout(fourcc, SIZE)).planes(np.frombuffer(data, np.uint8)) is None


def test_a_jpeg_of_another_size_than_agreed_is_damaged() -> None:
    assert unpacker(Layout("MJPG", Size(32, 32))).planes(PICTURE) is None


@pytest.mark.parametrize(
    "odd",
    [
        PICTURE[:-2],
        np.concatenate([PICTURE, np.zeros(500, np.uint8)]),
        np.concatenate([PICTURE[:2], np.frombuffer(b"\xff\xe0\x00\x10AVI1" + bytes(10), np.uint8), PICTURE[2:]]),
    ],
    ids=["no end mark", "bytes behind it", "a strange comment"],
)
def test_what_some_cameras_do_to_jpeg_is_no_damage(odd: U8) -> None:
    assert unpacker(Layout("MJPG", SIZE)).planes(odd) is not None


def test_a_camera_that_sends_nothing_but_faulty_jpeg_is_shown_after_a_second() -> None:
    camera = unpacker(Layout("MJPG", SIZE))
    faulty = PICTURE[:SHORT]
    answers = [camera.planes(faulty) is not None for _ in range(40)]
    assert answers == [False] * 30 + [True] * 10


def test_faulty_jpeg_is_never_shown_by_a_camera_that_can_do_better() -> None:
    camera = unpacker(Layout("MJPG", SIZE))
    assert camera.planes(PICTURE) is not None
    assert all(camera.planes(PICTURE[:SHORT]) is None for _ in range(40))


@pytest.mark.parametrize("fourcc", ["YUYV", "NV12", "MJPG"])
def test_a_picture_stays_as_it_was_while_newer_ones_come(fourcc: str) -> None:
    camera = unpacker(Layout(fourcc, SIZE))
    pictures = [jpeg(flat((n, n, n))) if fourcc == "MJPG" else np.full(8192, n, np.uint8) for n in range(0, 200, 10)]
    held = []
    for picture in pictures:
        planes = camera.planes(picture)
        assert planes is not None
        assert not planes.data.flags.writeable
        held.append((planes, planes.data.copy()))
    assert all(np.array_equal(planes.data, copy) for planes, copy in held)
