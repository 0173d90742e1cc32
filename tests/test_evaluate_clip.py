"""Which mask a frame gets when the network is slow, and clips whose two films do not go together."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clips import film, rooms, slowly, true_masks
from tests.support.fakes import FakeSegmenter, room_with_person
from vbgcam.core.errors import MediaError, ModelError
from vbgcam.core.frames import Mask, Prediction, RawFrame, Size
from vbgcam.core.options import RenderOptions
from vbgcam.evaluate.clip import Clip, Lag, Moment, Pace, moments
from vbgcam.mask import Masker
from vbgcam.media.video_reader import AlphaVideo
from vbgcam.segment.ground_truth import GroundTruth

ALWAYS = RenderOptions(max_mask_age=1e9)
BLOCK = np.zeros((2, 2), np.uint8)


def steady(takes: Fraction | None) -> Pace:
    return Pace(None if takes is None else (takes, takes))


def ages(times: Sequence[Fraction], takes: Fraction | None) -> list[int | None]:
    """For each frame, how many frames older its mask is."""
    picture = room_with_person(0, Size(2, 2))
    lag = Lag(steady(takes).takes(), lambda frame: Prediction(frame, BLOCK))
    found: list[int | None] = []
    for number, time in enumerate(times):
        mask = lag.at(time, RawFrame(picture, float(time), 0, number))
        found.append(None if mask is None else number - [float(one) for one in times].index(mask.captured_at))
    return found


def at_30(count: int) -> list[Fraction]:
    return [Fraction(number, 30) for number in range(count)]


@pytest.mark.parametrize(
    ("takes", "expected"),
    [
        (None, [0, 0, 0, 0]),
        (Fraction(1, 30), [None, 1, 1, 1, 1]),
        (Fraction(1, 5), [None] * 6 + [6, 7, 8, 9, 10, 11] * 2 + [6, 7]),
        # A network that is faster than the clip waits for the next frame.
        (Fraction(1, 100), [None, 1, 1, 1, 1]),
        # One and a half frames: free at 1.5 it takes frame 1, ready at 3; then frame 3, ready at 4.5; then 4.
        (Fraction(1, 20), [None, None, 2, 2, 3, 2, 2, 3]),
    ],
)
def test_a_mask_is_so_many_frames_old(takes: Fraction | None, expected: list[int | None]) -> None:
    assert ages(at_30(len(expected)), takes) == expected


@pytest.mark.parametrize("takes", [Fraction(1, 30), Fraction(1, 15), Fraction(1, 5), Fraction(1)])
def test_times_that_were_rounded_to_milliseconds_give_the_same_true_masks(takes: Fraction) -> None:
    rounded = [Fraction(round(1000 * time), 1000) for time in at_30(100)]
    assert ages(rounded, takes) == ages(at_30(100), takes)


some_seconds = st.fractions(min_value=Fraction(1, 1000), max_value=3, max_denominator=1000)
paces = st.builds(
    lambda one, other, seed: Pace((min(one, other), max(one, other)), None, seed),
    some_seconds,
    some_seconds,
    st.integers(0, 9),
)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), paces)
def test_masks_only_grow_newer_and_none_is_there_before_its_time(steps: list[int], pace: Pace) -> None:
    times = [Fraction(sum(steps[:number]), 30) for number in range(len(steps))]
    made: dict[float, Fraction] = {}
    takes, drawn = pace.takes(), pace.takes()
    assert takes is not None
    assert drawn is not None

    def make(frame: RawFrame) -> Prediction:
        assert not made or frame.captured_at > max(made), "each frame is taken once, in order"
        made[frame.captured_at] = next(drawn)
        return Prediction(frame, BLOCK)

    lag, picture, before = Lag(takes, make), room_with_person(0, Size(2, 2)), -1.0
    for number, time in enumerate(times):
        mask = lag.at(time, RawFrame(picture, float(time), 0, number))
        if mask is None:
            assert before < 0
            continue
        assert mask.captured_at >= before
        assert float(time) - mask.captured_at >= float(made[mask.captured_at]) - 1.001e-3
        before = mask.captured_at


@given(paces)
def test_times_are_drawn_within_their_bounds_and_are_those_of_the_seed(pace: Pace) -> None:
    assert pace.mask_s is not None
    low, high = pace.mask_s
    first, again, other = (list(islice(one.takes() or (), 20)) for one in (pace, pace, replace(pace, seed=10)))
    assert first == again
    assert (first == other) == (low == high)
    assert all(low <= time <= high for time in first)
    # Drawn over the whole width: 20 draws in the same half of it have a probability of 2 in a million.
    assert low == high or min(first) < (low + high) / 2 < max(first)


def test_each_mask_takes_its_own_time() -> None:
    picture = room_with_person(0, Size(2, 2))
    lag = Lag(iter([Fraction(number, 30) for number in (3, 1, 2, 9)]), lambda frame: Prediction(frame, BLOCK))
    found = [lag.at(time, RawFrame(picture, float(time), 0, number)) for number, time in enumerate(at_30(8))]
    # Frame 0 is ready at 3, frame 3 at 4, frame 4 at 6, frame 6 at 15.
    assert [mask and mask.frame.number for mask in found] == [None, None, None, 0, 3, 3, 4, 4]


def clip(folder: Path, frames: int = 12, alphas: int = 12) -> Clip:
    return Clip(
        film(folder / "clip.mkv", rooms(frames, place=slowly), codec="ffv1"),
        true_masks(folder / "alpha.mkv", alphas, place=slowly),
    )


def seen(found: Clip, segmenter: FakeSegmenter | GroundTruth) -> list[Moment]:
    return list(moments(found, segmenter, ALWAYS))


def test_frames_come_with_their_true_masks_and_the_chains(tmp_path: Path) -> None:
    with clip(tmp_path) as both:
        found = seen(both, FakeSegmenter())
    assert [moment.frame.number for moment in found] == list(range(12))
    for moment in found:
        assert moment.mask is not None
        assert np.array_equal(moment.mask.alpha, moment.truth)
        assert not moment.hidden
    assert found[3].frame.captured_at == pytest.approx(0.1)


def test_what_run_would_hide_is_hidden(tmp_path: Path) -> None:
    with clip(tmp_path, 42, 42) as both:
        found = list(moments(both, FakeSegmenter(), RenderOptions(max_mask_age=4.5 / 30), steady(Fraction(1, 10))))
    # Masks are three to five frames old, and five are too many. A second after the last frame that had none
    # yet, from frame 32 on, whoever is hidden stays so for two.
    assert [moment.hidden for moment in found] == [True] * 3 + [False, False, True] * 10 + [True] * 9
    assert [moment.mask is None for moment in found] == [moment.hidden for moment in found]
    ages = [None if moment.mask_age is None else round(30 * moment.mask_age) for moment in found]
    assert ages == [None] * 3 + [3, 4, 5] * 13


def test_a_frame_to_which_the_mask_cannot_be_brought_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track = Masker.track

    def too_far_at_5(self: Masker, frame: RawFrame, prediction: Prediction) -> Mask | None:
        return None if frame.number == 5 else track(self, frame, prediction)

    monkeypatch.setattr(Masker, "track", too_far_at_5)
    with clip(tmp_path) as both:
        assert [moment.frame.number for moment in seen(both, FakeSegmenter()) if moment.hidden] == [5]


def test_a_frame_that_is_not_needed_costs_no_mask_unless_the_network_remembers(tmp_path: Path) -> None:
    with clip(tmp_path) as both:
        for recurrent, calls in ((False, 2), (True, 12)):
            segmenter = FakeSegmenter(recurrent=recurrent)
            found = list(moments(both, segmenter, ALWAYS, needed=lambda number: number in (5, 9)))
            assert segmenter.calls == calls
            assert segmenter.resets == 1
            assert found[5].mask is not None
            assert found[9].mask is not None


@pytest.mark.parametrize(
    ("frame_fps", "numbers"),
    [
        (Fraction(10), [0, 3, 6, 9]),
        (Fraction(20), [0, 2, 3, 5, 6, 8, 9, 11]),
        (Fraction(1, 10), [0]),
        (Fraction(30), [*range(12)]),
        (Fraction(1000), [*range(12)]),
    ],
)
def test_a_slow_camera_gives_fewer_frames_and_the_network_sees_no_others(
    tmp_path: Path, frame_fps: Fraction, numbers: list[int]
) -> None:
    asked: list[int] = []
    segmenter = FakeSegmenter(before=lambda frame: asked.append(frame.number))
    with clip(tmp_path) as both:
        found = list(moments(both, segmenter, ALWAYS, Pace(frame_fps=frame_fps)))
    assert [moment.frame.number for moment in found] == asked == numbers
    for moment in found:
        assert moment.mask is not None
        assert np.array_equal(moment.mask.alpha, moment.truth)


def test_kept_masks_are_exactly_those_of_the_film_and_can_be_asked_for_again(tmp_path: Path) -> None:
    path = true_masks(tmp_path / "odd.mkv", 12, odd=20, place=slowly)
    truth = GroundTruth(path)
    with clip(tmp_path) as both, AlphaVideo(path) as alphas:
        expected = [shot.planes.y.copy() for shot in alphas]
        assert {int(alpha.max()) for alpha in expected} == {255 - 20 * number for number in range(12)}
        for _ in range(2):
            for moment, alpha in zip(seen(both, truth), expected, strict=True):
                assert moment.mask is not None
                assert np.array_equal(moment.mask.alpha, alpha)
    truth.close()


def test_kept_masks_that_end_before_the_clip_are_an_error(tmp_path: Path) -> None:
    short = true_masks(tmp_path / "short.mkv", 4)
    with clip(tmp_path) as both, pytest.raises(ModelError, match=r"short\.mkv has 4 masks, there is none for frame 4"):
        seen(both, GroundTruth(short))


def test_hard_kept_masks_are_all_or_nothing(tmp_path: Path) -> None:
    truth = GroundTruth(true_masks(tmp_path / "odd.mkv", 8, odd=30), hard=True)
    picture = room_with_person(0)
    largest = [float(truth.probability(RawFrame(picture, 0.0, 0, number)).max()) for number in range(8)]
    assert largest == [1, 1, 1, 1, 1, 0, 0, 0]


def test_masks_that_cannot_be_read_are_an_error_with_their_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing here"):
        GroundTruth(tmp_path / "nothing here.mkv")


@pytest.mark.parametrize(
    ("frames", "alphas", "words"),
    [(12, 7, "alpha.mkv ends after 7 masks"), (7, 12, "clip.mkv ends after 7 frames")],
)
def test_the_longer_film_is_cut_and_it_is_said(tmp_path: Path, frames: int, alphas: int, words: str) -> None:
    with clip(tmp_path, frames, alphas) as both:
        assert len(seen(both, FakeSegmenter())) == 7
        assert len(both.left_out) == 1
        assert words in both.left_out[0]


def test_films_of_two_sizes_are_refused(tmp_path: Path) -> None:
    small = true_masks(tmp_path / "small.mkv", 3, Size(32, 24))
    with pytest.raises(MediaError, match=r"its masks are 32x24, the frames of .* 64x48"):
        Clip(film(tmp_path / "clip.mkv", rooms(3), codec="ffv1"), small)


def test_a_film_with_an_alpha_channel_gives_that_and_a_limited_one_is_stretched(tmp_path: Path) -> None:
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:24, :, 3] = 77
    picture = av.VideoFrame.from_ndarray(rgba, format="rgba")
    own = film(tmp_path / "own.mkv", [picture] * 2, codec="ffv1", pixels="bgra")
    limited = av.VideoFrame.from_ndarray(np.repeat([[16], [126], [235]], 16, 0).repeat(64, 1).astype(np.uint8), "gray")
    with AlphaVideo(own) as alphas:
        assert {int(value) for value in np.unique(next(iter(alphas)).planes.y)} == {0, 77}
    as_video = av.VideoFrame.from_ndarray(
        np.concatenate([limited.to_ndarray(), np.full((24, 64), 128, np.uint8)]), format="yuv420p"
    )
    with AlphaVideo(film(tmp_path / "video.mkv", [as_video] * 2, codec="ffv1")) as alphas:
        found = next(iter(alphas)).planes.y
    assert [int(found[line, 0]) for line in (0, 20, 40)] == [0, pytest.approx(128, abs=1), 255]
