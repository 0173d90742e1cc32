"""spa: what is said to PipeWire and heard from it, and what is written into its buffers."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.frames import Planes, Size
from vbgcam.output import spa
from vbgcam.output.pipewire import title, write
from vbgcam.pixels.convert import color_yuv

HD = Size(1280, 720)
SIZES = st.builds(lambda width, height: Size(2 * width, 2 * height), st.integers(1, 4000), st.integers(1, 2200))
WORDS = st.integers(0, 2**32 - 1)


def test_a_format_is_an_object_of_fixed_values() -> None:
    said = spa.properties(spa.offer(spa.layouts(HD)[0], 30.0), spa.OBJECT_FORMAT)
    assert list(said) == [1, 2, 0x20001, 0x20003, 0x20004, 0x2000C, 0x2000D]
    assert said[0x20001] == struct.pack("=I", 2)
    assert said[0x20003] == struct.pack("=II", 1280, 720)
    assert said[0x20004] == struct.pack("=II", 30, 1)
    assert (said[0x2000C], said[0x2000D]) == (struct.pack("=I", 2), struct.pack("=I", 4))


@pytest.mark.parametrize(
    ("fps", "said"), [(30.0, (30, 1)), (29.97, (2997, 100)), (7.5, (15, 2)), (30 / 1.001, (30000, 1001))]
)
def test_a_rate_is_a_fraction(fps: float, said: tuple[int, int]) -> None:
    rate = spa.properties(spa.offer(spa.layouts(HD)[0], fps), spa.OBJECT_FORMAT)[spa.VIDEO_RATE]
    assert struct.unpack("=II", rate) == said


@given(SIZES, st.floats(1, 240))
def test_what_was_offered_is_recognised(size: Size, fps: float) -> None:
    offered = spa.layouts(size)
    for layout in offered:
        pod = spa.offer(layout, fps)
        assert len(pod) % 8 == 0
        assert spa.agreed(pod, offered) == layout


@given(st.dictionaries(WORDS, WORDS, max_size=20), WORDS, WORDS)
def test_an_object_is_read_as_it_was_written(said: dict[int, int], kind: int, number: int) -> None:
    pod = spa.obj(kind, number, {key: spa.pod(3, value) for key, value in said.items()})
    assert spa.properties(pod, kind) == {key: struct.pack("=I", value) for key, value in said.items()}
    with pytest.raises(ValueError, match="expected"):
        spa.properties(pod, (kind + 1) % 2**32)


def test_of_a_choice_its_first_value_counts() -> None:
    said = spa.properties(spa.buffers(spa.layouts(HD)[0])[0], spa.OBJECT_BUFFERS)
    assert struct.unpack("=i", said[1]) == (8,)
    assert struct.unpack("=i", said[3]) == (1280 * 720 * 3 // 2,)
    assert struct.unpack("=i", said[4]) == (1280,)


@given(st.binary(max_size=300))
def test_bytes_from_elsewhere_are_a_format_or_an_error(pod: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever it says
        spa.agreed(pod, spa.layouts(HD))


@given(st.data())
def test_a_damaged_format_is_never_read_beyond_its_end(data: st.DataObject) -> None:
    pod = bytearray(spa.offer(spa.layouts(HD)[0], 30.0))
    for _ in range(data.draw(st.integers(1, 6))):
        pod[data.draw(st.integers(0, len(pod) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(pod[: data.draw(st.integers(0, len(pod)))])
    try:
        layout = spa.agreed(cut, spa.layouts(HD))
    except ValueError:
        return
    assert layout in spa.layouts(HD)


def test_another_size_than_the_offered_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not offered: 2, 640x360"):
        spa.agreed(spa.offer(spa.layouts(Size(640, 360))[0], 30.0), spa.layouts(HD))


def test_there_is_no_i420_where_gstreamer_and_browsers_disagree_about_its_lines() -> None:
    assert [layout.name for layout in spa.layouts(HD)] == ["I420", "YUY2", "BGRx"]
    assert [layout.name for layout in spa.layouts(Size(854, 480))] == ["YUY2", "BGRx"]


@given(SIZES)
def test_a_layout_has_room_for_its_lines(size: Size) -> None:
    for layout in spa.layouts(size):
        assert layout.stride % 4 == 0
        assert layout.bytes >= layout.stride * size.height


def test_a_header_has_its_time_in_nanoseconds() -> None:
    assert struct.unpack("=IIqqQ", spa.header(12.5, 7)) == (0, 0, 12_500_000_000, 0, 7)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("", "VBG Camera"),
        (" \t\n", "VBG Camera"),
        ('Ann\'s "best" \\ {camera} = 1', 'Ann\'s "best" \\ {camera} = 1'),
        ("a\nb\0c\x1b[31m", "a b c [31m"),
        ("Küche 📷", "Küche 📷"),
        ("x" * 100, "x" * 64),
    ],
)
def test_a_name_is_one_line_of_bounded_length(target: str, shown: str) -> None:
    assert title(target) == shown


@given(st.text())
def test_any_name_can_be_shown(target: str) -> None:
    shown = title(target)
    assert 1 <= len(shown) <= 64
    assert shown.isprintable()
    assert shown == title(shown)
    assert b"\0" not in shown.encode()


@pytest.mark.parametrize("size", [Size(64, 48), Size(60, 44)])
def test_yuy2_has_each_pair_of_pixels_with_its_colour(size: Size) -> None:
    planes = Planes(size, np.random.default_rng(0).integers(0, 256, size.i420_bytes, np.uint8))
    layout = next(layout for layout in spa.layouts(size) if layout.name == "YUY2")
    block = np.zeros(layout.bytes, np.uint8)
    write(planes, layout, block)
    lines = block.reshape(size.height, size.width // 2, 4)
    assert np.array_equal(lines[..., ::2].reshape(size.height, size.width), planes.y)
    assert np.array_equal(lines[..., 1], planes.u.repeat(2, 0))
    assert np.array_equal(lines[..., 3], planes.v.repeat(2, 0))


def test_bgrx_has_the_colour_that_was_meant() -> None:
    size, rgb = Size(64, 48), (200, 30, 60)
    layout = spa.layouts(size)[2]
    block = np.zeros(layout.bytes, np.uint8)
    write(Planes.filled(size, color_yuv(rgb)), layout, block)
    assert np.abs(block.reshape(48, 64, 4)[..., 2::-1].astype(int) - rgb).max() <= 2
    assert 0x2000C not in spa.properties(spa.offer(layout, 30.0), spa.OBJECT_FORMAT), "RGB has no limited range"
