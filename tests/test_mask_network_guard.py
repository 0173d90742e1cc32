"""mask.network_guard: furniture is no person, and no hostile network shows the room."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.fakes import FakeSegmenter
from vbgcam.core.frames import U8, Doubt, Planes, Prediction, RawFrame, Size, read_only
from vbgcam.core.options import PRESETS
from vbgcam.core.policy import Compose, Situation, Why, decide
from vbgcam.mask import Masker, NetworkGuard
from vbgcam.mask.network_guard import is_nobody
from vbgcam.segment import Probability

SIZE = Size(320, 180)
RATE = 30
PERSON, CHAIR = slice(60, 180), slice(110, 180)
"""Rows of the person and of a chair beside them."""
CHAIR_COLUMNS = slice(230, 290)


def texture(seed: int, height: int, width: int, low: int, high: int) -> U8:
    coarse = np.random.default_rng(seed).integers(low, high, (height // 6 + 1, width // 6 + 1), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


ROOM = texture(1, 180, 320, 90, 160)
BODY = texture(2, 120, 60, 20, 240)


def columns(number: int) -> slice:
    """Where the person is: to and fro."""
    left = 120 + round(12 * np.sin(number / 4))
    return slice(left, left + 60)


def frame(
    number: int,
    *,
    person: bool = True,
    standing_at: int | None = None,
    light: float | NDArray[np.float64] = 1.0,
    room: U8 = ROOM,
) -> RawFrame:
    """The room, and the person in it; `standing_at`: as in that frame."""
    planes = Planes.filled(SIZE, (0, 128, 128))
    luma = room.copy()
    if person:
        luma[PERSON, columns(number if standing_at is None else standing_at)] = BODY
    noise = np.random.default_rng(number).normal(0, 1.5, luma.shape)
    planes.y[:] = np.clip(luma * light + noise, 0, 255).astype(np.uint8)
    return RawFrame(planes.frozen(), number / RATE, 0, number)


def answer(number: int | None, chair: float = 0.0) -> U8:
    """The network's: the person of that frame, for sure, and the chair, as sure as that."""
    alpha = np.zeros((180, 320), np.uint8)
    if number is not None:
        alpha[PERSON, columns(number)] = 255
    alpha[CHAIR, CHAIR_COLUMNS] = round(255 * chair)
    return read_only(alpha)


def chair_shown(alpha: U8) -> float:
    return float(alpha[CHAIR, CHAIR_COLUMNS].mean()) / 255


def person_shown(alpha: U8, number: int) -> float:
    return float(alpha[PERSON, columns(number)].mean()) / 255


@pytest.fixture
def guard() -> NetworkGuard:
    return NetworkGuard(live=True)


@pytest.mark.parametrize("sure", [0.5, 0.7, 1.0])
def test_a_chair_that_the_network_takes_for_a_person_is_none(guard: NetworkGuard, sure: float) -> None:
    for number in range(15):
        given = answer(number, sure)
        alpha = guard.judge(frame(number), given, given)
        if guard.doubt is None:
            assert chair_shown(alpha) < 0.02
            assert person_shown(alpha, number) > 0.97
    assert guard.doubt is None


def test_who_sits_still_after_they_moved_stays(guard: NetworkGuard) -> None:
    for number in range(20 * RATE):
        at = min(number, 15)
        alpha = guard.judge(frame(number, standing_at=at), answer(at), answer(at))
    assert guard.doubt is None
    assert person_shown(alpha, at) > 0.97


@pytest.mark.parametrize("chair", [0.6, 1.0])
def test_what_stays_when_the_person_has_gone_is_furniture(guard: NetworkGuard, chair: float) -> None:
    joined = answer(None, chair).copy()
    joined[CHAIR, 170:230] = round(255 * chair)  # the person's arm on it
    for number in range(20):
        both = np.maximum(answer(number), joined)
        guard.judge(frame(number), both, both)
    for number in range(20, 24):
        alpha = guard.judge(frame(number, person=False), answer(None, chair), answer(None, chair))
        assert chair_shown(alpha) < 0.02


def walking(number: int) -> tuple[RawFrame, slice, slice]:
    """A person in a colour of their own who walks to the right, and columns: theirs, and those that they have left."""
    left = 80 + 5 * number
    body, behind = slice(left, left + 60), slice(left - 50, left)
    planes = Planes.filled(SIZE, (0, 128, 128))
    planes.y[:] = ROOM
    planes.y[PERSON, body] = BODY
    planes.u[slice(PERSON.start // 2, 90), left // 2 : left // 2 + 30] = 105
    planes.v[slice(PERSON.start // 2, 90), left // 2 : left // 2 + 30] = 160
    return RawFrame(planes.frozen(), number / RATE, 0, number), body, behind


def test_haze_over_what_the_person_just_left_is_the_room(guard: NetworkGuard) -> None:
    for number in range(25):
        now, body, behind = walking(number)
        given = np.zeros((180, 320), np.uint8)
        given[PERSON, behind] = 150
        given[PERSON, body] = 255
        alpha = guard.judge(now, read_only(given), read_only(given))
        if guard.doubt is None:
            assert alpha[PERSON, behind.start : behind.stop - 10].mean() < 0.05 * 255
            assert alpha[PERSON, body].mean() > 0.97 * 255
    assert guard.doubt is None


def test_who_is_half_sure_and_moves_stays_in_the_persons_colours(guard: NetworkGuard) -> None:
    for number in range(25):
        now, body, _behind = walking(number)
        given = np.zeros((180, 320), np.uint8)
        given[PERSON, body] = 150
        given[PERSON, body.start : body.start + 30] = 255
        alpha = guard.judge(now, read_only(given), read_only(given))
        if guard.doubt is None:
            assert alpha[PERSON, body.start + 30 : body.stop].mean() > 0.97 * 150
    assert guard.doubt is None


def test_light_that_crosses_a_chair_makes_no_person_of_it(guard: NetworkGuard) -> None:
    for number in range(60):
        given = answer(number, 1.0)
        alpha = guard.judge(frame(number, light=1 + 0.3 * np.sin(number / 10)), given, given)
        if guard.doubt is None:
            assert chair_shown(alpha) < 0.02


def test_a_chair_onto_which_the_sun_comes_is_no_person(guard: NetworkGuard) -> None:
    for number in range(60):
        given = answer(number, 0.6 if number < 15 else 1.0)
        sun = 0.7 * min(1.0, max(0.0, (number - 15) / 5)) * np.exp(-(((np.arange(320) - 260) / 80) ** 2))
        alpha = guard.judge(frame(number, light=1 + sun), given, given)
        if guard.doubt is None:
            assert chair_shown(alpha) < 0.02
            assert person_shown(alpha, number) > 0.97
    assert guard.doubt is None


def test_a_knock_at_the_camera_makes_no_person_of_a_chair(guard: NetworkGuard) -> None:
    for number in range(30):
        given = answer(number, 1.0)
        knocked = np.roll(ROOM, 5, axis=1) if number in (20, 21) else ROOM
        alpha = guard.judge(frame(number, room=knocked), given, given)
        if guard.doubt is None:
            assert chair_shown(alpha) < 0.02
    assert guard.doubt is None


def test_after_a_cut_somebody_else_is_shown(guard: NetworkGuard) -> None:
    for number in range(40):
        given = answer(number) if number < 20 else answer(number)[:, ::-1]
        now = frame(number)
        if number >= 20:
            planes = Planes.filled(SIZE, (0, 128, 128))
            planes.y[:] = 255 - now.planes.y[:, ::-1]
            now = replace(now, planes=planes.frozen())
        guard.judge(now, given, given)
        assert guard.doubt is not Doubt.NETWORK


def test_the_first_frames_are_hidden_until_somebody_moves_or_nothing_does() -> None:
    moving, standing, film = NetworkGuard(live=True), NetworkGuard(live=True), NetworkGuard(live=False)
    doubts = []
    for number in range(20):
        for guard, at in ((moving, number), (standing, 0), (film, 0)):
            guard.judge(frame(number, standing_at=at), answer(at), answer(at))
        doubts.append((moving.doubt, standing.doubt, film.doubt))
    starts = [sum(doubt[which] is Doubt.START for doubt in doubts) for which in range(3)]
    assert starts == [5, 15, 0]
    prediction = replace(_prediction(frame(0)), doubt=Doubt.START)
    assert decide(Situation(prediction.frame, prediction), 0.0, 1.0, 1.0) != Compose(prediction.frame, prediction)


def test_without_motion_a_person_does_not_become_another_one(guard: NetworkGuard) -> None:
    for number in range(10):
        guard.judge(frame(number), answer(number), answer(number))
    grown = answer(10).copy()
    grown[40:180, 0:110] = 255
    doubts = []
    for number in range(10, 60):
        guard.judge(frame(number), read_only(grown), read_only(grown))
        doubts.append(guard.doubt)
    # What goes on for a second is believed half a second later.
    assert set(doubts[:40]) == {Doubt.NETWORK}
    assert doubts[-1] is None


@dataclass(frozen=True)
class Hostile:
    name: str
    answer: Callable[[np.random.Generator, U8], Probability]


def probability(alpha: U8) -> Probability:
    return np.asarray(alpha, np.float32) / np.float32(255)


def _resized(cells: Probability) -> Probability:
    return np.asarray(cv2.resize(cells, (256, 256)), np.float32)


def _checkerboard(chance: np.random.Generator, _truth: U8) -> Probability:
    cell = int(chance.choice([1, 2, 3, 5, 8, 16, 32, 64]))
    places = np.arange(256) // cell
    return np.asarray((places[:, None] + places) % 2, np.float32)


HOSTILE = [
    Hostile("one everywhere", lambda _chance, _truth: np.ones((256, 256), np.float32)),
    Hostile("noise", lambda chance, _truth: chance.random((256, 256), np.float32)),
    Hostile("soft noise", lambda chance, _truth: _resized(chance.random((16, 16), np.float32))),
    Hostile("a checkerboard", _checkerboard),
    Hostile("the inverse", lambda _chance, truth: probability(255 - truth)),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda one: one.name)
@pytest.mark.parametrize("after", [0, 20], ids=["from the start", "later"])
def test_no_hostile_network_shows_the_room_for_more_than_three_frames(hostile: Hostile, after: int) -> None:
    """Twenty seeds of each: 200 runs."""
    for seed in range(20):
        chance = np.random.default_rng(seed)

        def wrong(given: RawFrame, chance: np.random.Generator = chance) -> Probability:
            truth = answer(given.number)
            return hostile.answer(chance, truth) if given.number >= after else probability(truth)

        masker = Masker(FakeSegmenter(exact=False, wrong=wrong), PRESETS["balanced"], NetworkGuard(live=True))
        shown = 0
        for number in range(after + 30):
            now = frame(number)
            prediction = masker.predict(now)
            if number < after or not isinstance(decide(Situation(now, prediction), now.captured_at, 1, 1), Compose):
                continue
            mask = masker.track(now, prediction)
            assert mask is not None
            beside = np.where(cv2.dilate(answer(number), np.ones((13, 13), np.uint8)) > 0, np.uint8(0), mask.alpha)
            shown += bool(beside.mean() > 0.02 * 255)
        assert shown <= 3, f"seed {seed}"


@pytest.mark.parametrize(
    ("name", "given", "nobody"),
    [
        ("nothing", np.zeros((144, 256), np.uint8), False),
        ("a person", answer(0), False),
        ("all", np.full((256, 256), 200, np.uint8), True),
        ("one pixel", np.full((1, 1), 255, np.uint8), True),
        ("the upper edge", np.vstack([np.full((60, 256), 255), np.zeros((84, 256))]).astype(np.uint8), True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_answer_about_a_person(name: str, given: U8, nobody: bool) -> None:
    del name
    assert is_nobody(read_only(given)) is nobody


def test_what_the_network_is_doubted_for_is_said() -> None:
    prediction = replace(_prediction(frame(0)), doubt=Doubt.NETWORK)
    decision = decide(Situation(prediction.frame, prediction), 0.0, 1.0, 1.0)
    assert not isinstance(decision, Compose)
    assert decision.why is Why.NETWORK


def _prediction(of: RawFrame) -> Prediction:
    return Masker(FakeSegmenter(wrong=lambda _frame: np.zeros((9, 16), np.float32))).predict(of)
