"""Backgrounds from files: stills, animations and films at their own rate, whenever they are asked."""

import logging
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vbgcam.background import open_background
from vbgcam.background.files import MovingBackground, open_file
from vbgcam.background.still import Still
from vbgcam.core.errors import BackgroundError, MediaError
from vbgcam.core.frames import Planes, Size
from vbgcam.core.specs import BackgroundSpec
from vbgcam.media.video_reader import TimedFrame
from vbgcam.pixels.convert import to_av, to_rgb

SIZE = Size(32, 24)


class FakeReel:
    """Shots whose luma is their number. `seconds_each`: what reading one takes, on `clock`. `fail_at`: the number of
    the read, over all rounds, that fails."""

    def __init__(self, durations: list[Fraction], seconds_each: float = 0.0, fail_at: int = -1) -> None:
        self.durations = durations
        self.seconds_each = seconds_each
        self.fail_at = fail_at
        self.position = self.reads = self.rewinds = 0
        self.now = 0.0

    def read(self) -> TimedFrame | None:
        if self.reads == self.fail_at:
            raise MediaError("film.mp4 cannot be read any more", fix="plug the disk in")
        self.reads += 1
        self.now += self.seconds_each
        if self.position >= len(self.durations):
            return None
        number, self.position = self.position, self.position + 1
        planes = Planes.filled(SIZE, (number, 128, 128))
        return TimedFrame(planes, sum(self.durations[:number], Fraction(0)), self.durations[number])

    def rewind(self) -> None:
        self.rewinds += 1
        self.position = 0

    def close(self) -> None:
        """Holds nothing open."""

    def clock(self) -> float:
        return self.now


def number(film: MovingBackground, seconds: float) -> int:
    return int(film.at(seconds).planes.y[0, 0])


def playing(reel: FakeReel) -> MovingBackground:
    return MovingBackground(reel, SIZE, clock=reel.clock)


def due(durations: list[Fraction], seconds: float) -> int:
    """Which shot is due, by arithmetic."""
    left = Fraction(seconds + 1e-6) % sum(durations)
    return next(index for index, end in enumerate(accumulate(durations)) if left < end)


# The film's own rate.

durations_st = st.lists(st.integers(1, 300), min_size=2, max_size=7).map(
    lambda all_: [Fraction(ms, 1000) for ms in all_]
)


@settings(max_examples=300, deadline=None)
@given(durations_st, st.lists(st.floats(0, 2.0), min_size=1, max_size=30))
def test_at_any_growing_times_the_shot_on_show_is_the_one_that_is_due(
    durations: list[Fraction], gaps: list[float]
) -> None:
    film = playing(FakeReel(durations))
    for seconds in accumulate(gaps):
        # At the very edge of two shots either is right.
        assert number(film, seconds) in {due(durations, seconds), due(durations, max(0.0, seconds - 2e-6))}


def test_a_still_shot_is_converted_once() -> None:
    film = playing(FakeReel([Fraction(1), Fraction(1)]))
    assert film.at(0.1) is film.at(0.9)


@settings(max_examples=200, deadline=None)
@given(durations_st, st.lists(st.floats(0, 0.2), min_size=5, max_size=40), st.floats(0.001, 0.5))
def test_a_film_that_is_too_slow_to_read_plays_slower_but_in_order(
    durations: list[Fraction], gaps: list[float], each: float
) -> None:
    reel = FakeReel(durations, seconds_each=each)
    film = playing(reel)
    for gap, seconds in zip(gaps, accumulate(gaps), strict=True):
        before = reel.now
        film.at(seconds)
        # Half of the time that passed, and the reads of the step that passed it: two at the end of a round.
        assert reel.now - before <= 0.5 * gap + 2 * each + 1e-9


def test_a_slow_film_shows_one_shot_after_the_other() -> None:
    film = playing(FakeReel([Fraction(1, 60)] * 50, seconds_each=0.1))
    assert [number(film, tick / 30) for tick in range(10)] == list(range(10))


def test_a_film_that_is_to_be_exact_keeps_its_rate_however_slow_it_is_to_read() -> None:
    reel = FakeReel([Fraction(1, 60)] * 50, seconds_each=0.1)
    film = MovingBackground(reel, SIZE, exact=True, clock=reel.clock)
    assert [number(film, tick / 30) for tick in range(10)] == list(range(0, 20, 2))


def test_after_a_long_pause_whole_rounds_are_left_out() -> None:
    durations = [Fraction(1, 25)] * 100
    reel = FakeReel(durations)
    film = playing(reel)
    for tick in range(110):
        film.at(tick / 25)
    reads = reel.reads
    assert number(film, 36_002.0) == due(durations, 36_002.0)
    assert reel.reads - reads <= 102


def test_after_a_long_pause_in_an_endless_film_a_call_stays_short() -> None:
    reel = FakeReel([Fraction(1, 25)] * 200, seconds_each=0.01)
    film = playing(reel)
    film.at(1.0)
    before = reel.now
    film.at(7200.0)
    assert reel.now - before <= 0.25 + 0.02
    first = number(film, 7200.0)
    assert number(film, 7200.04) == first + 1


def test_a_film_of_one_shot_stands_still() -> None:
    film = playing(FakeReel([Fraction(1)]))
    assert not film.moves
    assert film.at(0) is film.at(100)


def test_a_film_that_breaks_off_is_a_background_error() -> None:
    film = playing(FakeReel([Fraction(1, 10)] * 5, fail_at=4))
    film.at(0.1)
    with pytest.raises(BackgroundError, match=r"film\.mp4 cannot be read any more; plug the disk in"):
        film.at(3.0)


def test_a_film_that_is_empty_in_its_second_round_is_a_background_error() -> None:
    reel = FakeReel([Fraction(1, 10)] * 2)
    film = playing(reel)
    reel.durations = []
    with pytest.raises(BackgroundError, match="no picture"):
        film.at(3.0)


# Real files.

COLORS = [(250, 20, 20), (20, 250, 20), (20, 20, 250), (250, 250, 250)]


def color(film: Still | MovingBackground, seconds: float) -> tuple[int, int, int]:
    """The nearest of COLORS or black at that time."""
    pixel = to_rgb(film.at(seconds).planes)[4, 4].astype(int)
    return min([*COLORS, (0, 0, 0)], key=lambda known: int(np.abs(pixel - known).sum()))


def animation(path: Path, durations: list[int]) -> Path:
    first, *rest = [Image.new("RGB", (16, 12), color) for color in COLORS[: len(durations)]]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, lossless=True)
    return path


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animation_keeps_each_pictures_own_duration(tmp_path: Path, suffix: str) -> None:
    film = open_file(animation(tmp_path / f"a.{suffix}", [100, 400, 50, 200]), SIZE, exact=True)
    assert film.moves
    seen = [COLORS.index(color(film, tick / 100 + 0.001)) for tick in range(0, 160, 5)]
    once = [0] * 2 + [1] * 8 + [2] + [3] * 4
    assert seen == [*once, *once, *once][:32]
    film.close()


def test_a_gif_that_claims_no_duration_is_shown_as_browsers_do(tmp_path: Path) -> None:
    film = open_file(animation(tmp_path / "a.gif", [0, 10, 20]), SIZE, exact=True)
    assert [COLORS.index(color(film, time)) for time in (0, 0.09, 0.11, 0.19, 0.21, 0.23)] == [0, 0, 1, 1, 2, 0]
    film.close()


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_an_animation_of_one_picture_is_a_still(tmp_path: Path, suffix: str) -> None:
    film = open_file(animation(tmp_path / f"a.{suffix}", [100]), SIZE)
    assert isinstance(film, Still)
    assert color(film, 5.0) == COLORS[0]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_transparent_parts_of_an_animation_lie_on_black(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGBA", (16, 12), (250, 250, 250, 0)) for _ in range(2)]
    for left, frame in enumerate(frames):
        frame.paste((250, 250, 250, 255), (8 * left, 0, 8 * left + 8, 12))
    path = tmp_path / f"a.{suffix}"
    disposal = 1 if suffix == "png" else 2
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=100, loop=0, disposal=disposal, lossless=True
    )
    film = open_file(path, SIZE, exact=True)
    assert [color(film, time) for time in (0, 0.1, 0.2)] == [(250, 250, 250), (0, 0, 0), (250, 250, 250)]
    film.close()


def test_the_picture_for_programs_without_apng_is_no_part_of_the_animation(tmp_path: Path) -> None:
    images = [Image.new("RGB", (16, 12), color) for color in COLORS[:3]]
    path = tmp_path / "a.png"
    images[0].save(path, save_all=True, append_images=images[1:], duration=100, default_image=True)
    film = open_file(path, SIZE, exact=True)
    assert [COLORS.index(color(film, time)) for time in (0, 0.1, 0.2, 0.3)] == [1, 2, 1, 2]
    film.close()


def test_an_animation_that_is_cut_off_plays_up_to_there(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)) for _ in range(6)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    film = open_file(path, SIZE, exact=True)
    assert film.moves
    shown = {film.at(tick / 20).planes.data.tobytes() for tick in range(40)}
    assert 3 <= len(shown) <= 4
    film.close()


def film_file(path: Path, count: int = 8, fps: int = 10) -> Path:
    """Gray frames, 20 luma steps apart."""
    with av.open(path, "w") as out:
        stream = out.add_stream("ffv1", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(count):
            frame = to_av(Planes.filled(Size(64, 48), (30 + 20 * (index % 10), 128, 128)))
            frame.pts, frame.time_base = index, Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_a_film_loops_at_its_own_rate_at_the_outputs_size(tmp_path: Path) -> None:
    film = open_background(BackgroundSpec("file", path=film_file(tmp_path / "a.mkv")), SIZE, exact=True)
    assert film.moves
    assert film.at(0).size == SIZE
    seen = [(int(film.at(tick / 30).planes.y[5, 5]) - 30) // 20 for tick in range(60)]
    assert seen == [tick // 3 % 8 for tick in range(60)]
    film.close()
    film.close()


def test_a_film_of_one_frame_is_a_still(tmp_path: Path) -> None:
    assert isinstance(open_file(film_file(tmp_path / "a.mkv", count=1), SIZE), Still)


def test_damage_in_a_film_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = film_file(tmp_path / "a.mkv", count=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    film = open_file(path, SIZE, exact=True)
    with caplog.at_level(logging.WARNING):
        for tick in range(200):
            film.at(tick / 10)
    film.close()
    assert sum("damaged frames are left out" in record.getMessage() for record in caplog.records) == 1


def test_a_picture_stands_upright_and_on_black(tmp_path: Path) -> None:
    pixels = np.zeros((40, 20, 4), np.uint8)
    pixels[:20] = (250, 250, 250, 255)
    pixels[20:] = (250, 250, 250, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    still = open_file(tmp_path / "a.png", Size(40, 20))
    shown = to_rgb(still.at(0).planes)
    assert shown[10, 35].min() > 230
    assert shown[10, 5].max() < 20


def test_a_film_with_a_pictures_name_is_played(tmp_path: Path) -> None:
    film_file(tmp_path / "a.mkv").rename(tmp_path / "a.jpg")
    film = open_file(tmp_path / "a.jpg", SIZE)
    assert film.moves
    film.close()
