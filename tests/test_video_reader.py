"""Films are read upright, in the house's colours, with their own times; what is broken says so in one line."""

import gc
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clips import SIZE, corners, film, grey, rooms, sound_only
from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8, Size
from vbgcam.media import video_reader
from vbgcam.media.video_reader import BROADCAST_MAX_GAP, VideoReader, next_tick
from vbgcam.pixels.convert import to_av, to_rgb


def numbered(count: int, size: Size = SIZE) -> list[av.VideoFrame]:
    """Frames that are told apart by their grey."""
    return [to_av(grey(size, 30 + 180 * number // count)) for number in range(count)]


def picture_of(path: Path) -> U8:
    with VideoReader(path) as opened:
        shot = opened.read()
    assert shot is not None
    assert shot.planes.size == opened.size
    return to_rgb(shot.planes)


def colour(path: Path) -> list[int]:
    """In the middle of the first frame."""
    rgb = picture_of(path)
    return [int(value) for value in rgb[rgb.shape[0] // 2, rgb.shape[1] // 2]]


def quarters(rgb: U8) -> list[str]:
    """The colours of the four quarters: top left, top right, bottom left, bottom right."""
    height, width, _ = rgb.shape
    names: dict[tuple[int, ...], str] = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (0, 0, 0): "black"}
    spots = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [names[tuple(int(value > 127) for value in rgb[spot])] for spot in spots]


def overwrite(path: Path, numbers: set[int]) -> None:
    """Damages the packets of these numbers beyond decoding."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in numbers:
        position, size = places[number]
        assert position is not None
        data[position : position + size] = bytes(size)
    path.write_bytes(data)


def test_a_film_gives_every_frame_with_its_time_and_says_what_it_is(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", numbered(10), rate=25)
    with VideoReader(path) as opened:
        assert (opened.size, float(opened.rate), opened.count, opened.audio) == (SIZE, 25.0, 10, False)
        shots = list(opened)
        assert [shot.time for shot in shots] == [Fraction(number, 25) for number in range(10)]
        assert {shot.duration for shot in shots} == {Fraction(1, 25)}
        assert np.all(np.diff([int(shot.planes.y[20, 20]) for shot in shots]) > 0)
        assert not shots[0].planes.data.flags.writeable
        assert opened.read() is None


def test_a_film_of_variable_rate_keeps_each_frames_own_time(tmp_path: Path) -> None:
    times = [0, 1, 2000, 2001, 90_000, 90_500, 300_000]
    path = film(tmp_path / "a.mkv", numbered(7), times=[90 * time for time in times])
    with VideoReader(path) as opened:
        assert [shot.time * 1000 for shot in opened] == times


@pytest.mark.parametrize(
    ("rotation", "mirrored", "expected"),
    [
        (0, False, ["red", "green", "blue", "black"]),
        (90, False, ["green", "black", "red", "blue"]),
        (180, False, ["black", "blue", "green", "red"]),
        (-90, False, ["blue", "red", "black", "green"]),
        (0, True, ["green", "red", "black", "blue"]),
        (90, True, ["black", "green", "blue", "red"]),
    ],
)
def test_a_picture_that_lies_is_put_upright(tmp_path: Path, rotation: int, mirrored: bool, expected: list[str]) -> None:
    path = film(tmp_path / "a.mp4", [corners()] * 2, rotation=rotation, mirrored=mirrored)
    rgb = picture_of(path)
    assert rgb.shape[:2] == ((64, 48) if rotation % 180 else (48, 64))
    assert quarters(rgb) == expected


@pytest.mark.parametrize("size", [Size(63, 47), Size(1, 1), Size(3, 200), Size(64, 47)])
def test_odd_sizes_stay_as_they_are(tmp_path: Path, size: Size) -> None:
    path = film(tmp_path / "a.mov", numbered(3, size), codec="png", pixels="rgb24")
    with VideoReader(path) as opened:
        assert opened.size == size
        assert [int(shot.planes.y[-1, -1]) for shot in opened] == pytest.approx([30, 90, 150], abs=3)


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 86), (Fraction(8, 9), 56), (Fraction(1000), 64)])
def test_pixels_that_are_not_square_are_stretched_in_width(tmp_path: Path, aspect: Fraction, width: int) -> None:
    path = film(tmp_path / "a.mp4", [corners()] * 2, pixel_aspect=aspect)
    rgb = picture_of(path)
    assert rgb.shape == (48, width, 3)
    assert quarters(rgb) == ["red", "green", "blue", "black"]


# AVColorSpace: 1 BT.709, 5 and 6 BT.601, 7 SMPTE 240M, 9 BT.2020; swscale's own number for BT.601 is 5 alone.
@pytest.mark.parametrize(
    ("matrix", "scaler", "pixels", "full"),
    [
        (1, 1, "yuv420p", False),
        (5, 5, "yuv420p", False),
        (6, 5, "yuv420p", False),
        (9, 9, "yuv420p", False),
        (1, 1, "yuv444p", False),
        (1, 1, "yuv420p", True),
        (6, 5, "yuv420p", True),
        (1, 1, "yuv420p10le", False),
        (9, 9, "yuv420p10le", False),
        (6, 5, "yuv422p10le", False),
    ],
)
def test_every_matrix_range_and_depth_gives_the_colour_that_was_meant(
    tmp_path: Path, matrix: int, scaler: int, pixels: str, full: bool
) -> None:
    meant = (192, 64, 32)
    for height in (48, 720):  # what says its matrix is not guessed by its size
        rgb = np.full((height, 64, 3), meant, np.uint8)
        source = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        picture = source.reformat(format=pixels, dst_colorspace=scaler, dst_color_range=2 if full else 1)
        picture.colorspace, picture.color_range = matrix, 2 if full else 1
        path = film(tmp_path / "a.mkv", [picture] * 2, codec="ffv1", pixels=pixels, matrix=matrix, full_range=full)
        assert colour(path) == pytest.approx(meant, abs=4)


@pytest.mark.parametrize(("name", "codec", "pixels"), [("a.gif", "gif", "rgb8"), ("a.mov", "png", "rgb24")])
def test_films_of_rgb_pictures_keep_their_colours(tmp_path: Path, name: str, codec: str, pixels: str) -> None:
    rgb = np.full((720, 16, 3), (219, 36, 85), np.uint8)  # one of the 256 colours of rgb8
    path = film(
        tmp_path / name, [av.VideoFrame.from_ndarray(rgb, format="rgb24")] * 3, codec=codec, pixels=pixels, rate=10
    )
    assert colour(path) == pytest.approx([219, 36, 85], abs=4)
    with VideoReader(path) as opened:
        assert [shot.time for shot in opened] == [0, Fraction(1, 10), Fraction(2, 10)]


def test_hdr_becomes_sdr_with_its_white_kept_white(tmp_path: Path) -> None:
    pictures = []
    for _ in range(2):
        picture = av.VideoFrame(64, 48, "yuv420p10le")
        for number, plane in enumerate(picture.planes):
            level = 64 + round(876 * 0.75) if number == 0 else 512  # HLG's reference white is at 75 %
            plane.update(np.full(plane.buffer_size // 2, level, np.uint16).tobytes())
        pictures.append(picture)
    path = film(tmp_path / "a.mkv", pictures, codec="ffv1", pixels="yuv420p10le", matrix=9, curve=18)
    assert min(colour(path)) >= 250


def test_rewinding_gives_the_first_frame_again_and_all_that_follow(tmp_path: Path) -> None:
    for name, codec in (
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.gif", "gif"),
        ("a.avi", "mjpeg"),
    ):
        pixels = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        options = {"bf": "2", "g": "5"} if codec == "libx264" else {}
        clock = Fraction(1, 25) if name == "a.avi" else Fraction(1, 90_000)
        path = film(tmp_path / name, numbered(12), rate=25, codec=codec, pixels=pixels, options=options, clock=clock)
        with VideoReader(path) as opened:
            once = [shot.time for shot in opened]
            assert len(once) == 12, name
            for _ in range(2):
                opened.rewind()
                assert [shot.time for shot in opened] == once, name
            opened.rewind()
            opened.rewind()
            first = opened.read()
            assert first is not None
            assert first.time == opened.start


def test_a_broadcast_stream_starts_at_zero_whatever_its_clock_shows(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", numbered(5), times=[9_000_000 + 3000 * number for number in range(5)])
    with VideoReader(path) as opened:
        assert opened.start == 0
        assert opened.clock_offset >= 100
        assert [shot.time for shot in opened] == [Fraction(number, 30) for number in range(5)]


@pytest.mark.parametrize("damaged", [{3, 4, 7}, {0, 1}])
def test_frames_that_cannot_be_decoded_are_left_out_and_counted(tmp_path: Path, damaged: set[int]) -> None:
    path = film(tmp_path / "a.mov", numbered(10), codec="png", pixels="rgb24")
    overwrite(path, damaged)
    good = [number for number in range(10) if number not in damaged]
    with VideoReader(path) as opened:
        assert opened.start == Fraction(good[0], 30)
        assert [round(frame.time * 30) for frame in opened] == good
        assert opened.left_out == len(damaged)
        opened.rewind()
        assert len(list(opened)) == len(good)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_film_that_breaks_off_gives_what_there_is_and_counts_the_rest(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / name, rooms(120), options={"g": "10"}, faststart=name.endswith("mp4"), sound="aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with VideoReader(path) as opened:
        good = len(list(opened))
        assert 20 < good < 110
        assert good + opened.left_out == pytest.approx(120, abs=3)


def test_whole_films_count_nothing_as_left_out(tmp_path: Path) -> None:
    for name, sound in (("a.mp4", "aac"), ("b.mkv", "libopus"), ("c.ts", "mp2"), ("d.mp4", "")):
        path = film(tmp_path / name, rooms(70), sound=sound)
        with VideoReader(path) as opened:
            assert len(list(opened)) == 70, name
            assert opened.left_out == 0, name
            assert opened.audio == bool(sound)


def test_a_film_that_changes_its_size_is_fitted_to_its_first_frame(tmp_path: Path) -> None:
    one = film(tmp_path / "a.ts", numbered(5), options={"bf": "0"})
    other = film(tmp_path / "b.ts", numbered(5, Size(96, 96)), options={"bf": "0"})
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + other.read_bytes())
    with VideoReader(both) as opened:
        shots = list(opened)
        assert len(shots) == 10
        assert {shot.planes.size for shot in shots} == {SIZE}
        times = [shot.time for shot in shots]
        assert times == sorted(set(times))


def broken(folder: Path, what: str) -> Path:
    path = folder / "film.mp4"
    if what == "empty":
        path.touch()
    elif what == "text":
        path.write_text("This is a letter, and no film at all.\n" * 20)
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "cover picture":
        sound_only(path, cover=True)
    elif what == "sound":
        sound_only(path)
    elif what == "no index":
        film(path, rooms(30))
        path.write_bytes(path.read_bytes()[:-2000])
    elif what == "all damaged":
        path = film(folder / "film.mov", numbered(5), codec="png", pixels="rgb24")
        overwrite(path, set(range(5)))
    elif what == "picture":
        path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    elif what == "playlist":
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    return path


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("missing", "no such file"),
        ("empty", "is empty"),
        ("text", "is not a film"),
        ("folder", "is a folder"),
        ("pipe", "a pipe, not a film"),
        ("sound", "no moving picture in it (it has sound only)"),
        ("cover picture", "no moving picture in it (it has sound only)"),
        ("no index", "breaks off before its index"),
        ("all damaged", "not one frame"),
        ("picture", ""),
        ("playlist", ""),
    ],
)
def test_what_is_no_film_is_refused_in_one_line_that_names_it(tmp_path: Path, what: str, says: str) -> None:
    path = broken(tmp_path, what)
    with pytest.raises(MediaError) as error:
        VideoReader(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_gif_that_claims_a_huge_screen_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "a.gif", numbered(3), codec="gif", pixels="rgb8", rate=10)
    data = bytearray(path.read_bytes())
    for width, height in ((60_000, 60_000), (48, 60_000)):
        data[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        path.write_bytes(data)
        with pytest.raises(MediaError, match=r"a\.gif"):
            VideoReader(path)


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path / "a.mp4", numbered(3))
    monkeypatch.setattr(video_reader, "MAX_PIXELS", SIZE.pixels - 1)
    with pytest.raises(MediaError, match="64x48 is too large"):
        VideoReader(path)
    monkeypatch.setattr(video_reader, "MAX_PIXELS", SIZE.pixels)
    VideoReader(path).close()


def test_no_frame_waits_for_the_garbage_collector(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", numbered(20), rotation=90)

    def alive() -> int:
        # Not isinstance: it asks every object for its class, and some of torch's answer with a warning.
        return sum(type(thing) is av.VideoFrame for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = alive()
        with VideoReader(path) as opened:
            for _ in opened:
                pass
            opened.rewind()
            for _ in opened:
                pass
        left = alive() - before
    finally:
        gc.enable()
    assert left <= 2  # of 40: one was asked how the film lies


def test_a_closed_film_gives_nothing_more_and_may_be_closed_again(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", numbered(3))
    for already_read in (0, 1, 3):
        opened = VideoReader(path)
        for _ in range(already_read):
            assert opened.read() is not None
        opened.close()
        assert opened.read() is None
        opened.close()


@given(st.lists(st.none() | st.integers(-(10**6), 10**6), min_size=1), st.integers(1, 5000), st.integers(24, 90_000))
def test_times_only_ever_grow_whatever_a_file_says(times: list[int | None], step: int, ticks: int) -> None:
    last: int | None = None
    for pts in times:
        tick = next_tick(last, pts, step, Fraction(1, ticks))
        assert last is None or tick > last
        if pts is not None and (last is None or pts > last):
            assert tick == pts
        last = tick


def test_a_clock_that_leaps_ahead_is_not_believed_and_a_long_still_is() -> None:
    hour, clock = 3600 * 90_000, Fraction(1, 90_000)
    assert next_tick(0, hour, 3000, clock) == hour
    assert next_tick(0, 25 * hour, 3000, clock) == 3000
    assert next_tick(0, hour, 3000, clock, BROADCAST_MAX_GAP) == 3000
    assert next_tick(3000, 6000, 3000, clock, BROADCAST_MAX_GAP) == 6000
    assert next_tick(900_000, 0, 3000, clock) == 903_000, "set back: videos that were put together"
