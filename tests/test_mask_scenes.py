"""mask: what happens in front of a camera for hours, as small drawn clips with exact alphas and a network that is coarse
and late. Each step of the mask may help in these scenes; none may make them worse than the network's own old mask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import pytest

from tests.fakes import FakeSegmenter
from vbgcam.camera import drawn
from vbgcam.camera.drawn.grain import add_grain
from vbgcam.evaluate.clip import Lag
from vbgcam.frames import U8, Mask, Planes, RawFrame, Size, read_only
from vbgcam.mask import NONE, Masker, Steps
from vbgcam.pixels import from_rgb
from vbgcam.segment import Probability
from vbgcam.steps import steps

SIZE: Final = Size(640, 360)
RATE: Final = 30
# A network that takes six frames, as on a laptop's processor.
TAKES: Final = Fraction(6, RATE)
# Its answers, and how hazy they are: of their width.
ANSWER: Final = 128
HAZE: Final = 0.03
BALANCED: Final = steps("balanced")
FORGETFUL: Final = steps("balanced", memory="off")
# Of the picture: a tenth of the outline's pixels of one presenter. What is less is grain at the edge.
TOLERATED: Final = 0.0005


@dataclass(frozen=True)
class Shot:
    """One frame of a scene. `truth`: its exact alpha."""

    frame: RawFrame
    truth: U8
    time: Fraction


@dataclass(frozen=True)
class Cut:
    """Somebody or something that is put over a picture, with its alpha, at `left` and `top`."""

    colours: U8
    alpha: U8
    left: int
    top: int

    def moved(self, right: int, down: int = 0) -> Cut:
        return Cut(self.colours, self.alpha, self.left + right, self.top + down)


@lru_cache(maxsize=160)
def presenter(number: int, *, mirrored: bool = False) -> Cut:
    colours, alpha = drawn.presenter(SIZE, number / RATE)
    if mirrored:
        colours, alpha = colours[:, ::-1], alpha[:, ::-1]
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(alpha))
    rows, columns = slice(top, top + height), slice(left, left + width)
    return Cut(colours[rows, columns].copy(), alpha[rows, columns].copy(), left, top)


def box(left: int, top: int, width: int, height: int, colour: tuple[int, int, int] = (60, 70, 150)) -> Cut:
    return Cut(np.full((height, width, 3), colour, np.uint8), np.full((height, width), 255, np.uint8), left, top)


def put(picture: U8, truth: U8 | None, cut: Cut) -> None:
    """Onto `picture`, as far as it reaches; into `truth`, where that is somebody."""
    height, width = cut.alpha.shape
    top, bottom = max(0, cut.top), min(picture.shape[0], cut.top + height)
    left, right = max(0, cut.left), min(picture.shape[1], cut.left + width)
    if top >= bottom or left >= right:
        return
    where = slice(top, bottom), slice(left, right)
    part = slice(top - cut.top, bottom - cut.top), slice(left - cut.left, right - cut.left)
    alpha = cut.alpha[part].astype(np.int32)[..., None]
    behind = picture[where].astype(np.int32)
    picture[where] = (alpha * cut.colours[part] + (255 - alpha) * behind + 127) // 255
    if truth is not None:
        truth[where] = np.maximum(truth[where], cut.alpha[part])


Picture = tuple[U8, U8]


def picture(room: U8, people: Sequence[Cut], things: Sequence[Cut] = ()) -> Picture:
    whole, truth = room.copy(), np.zeros(room.shape[:2], np.uint8)
    for thing in things:
        put(whole, None, thing)
    for person in people:
        put(whole, truth, person)
    return whole, truth


def lit(of: Picture, light: float | tuple[float, float, float]) -> Picture:
    return np.clip(of[0] * np.array(light, np.float32) + 0.5, 0, 255).astype(np.uint8), of[1]


def filmed(pictures: Iterable[Picture], step: Fraction = Fraction(1, RATE)) -> list[Shot]:
    """With a camera's grain."""
    out = []
    for number, (rgb, truth) in enumerate(pictures):
        planes = from_rgb(rgb)
        add_grain(planes, number)
        out.append(Shot(RawFrame(planes.frozen(), float(number * step), 0, number), read_only(truth), number * step))
    return out


def coarse(shots: Sequence[Shot]) -> Callable[[RawFrame], Probability]:
    """A network that knows the truth and says it hazily, of whatever part of a frame it is given."""

    by_number = {shot.frame.number: shot for shot in shots}

    def answer(given: RawFrame) -> Probability:
        shot = by_number[given.number]
        truth, size = shot.truth, given.size
        if size != shot.frame.size:
            left, top = place(given.planes, shot.frame.planes)
            truth = truth[top : top + size.height, left : left + size.width]
        small = cv2.resize(truth, (ANSWER, ANSWER), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.GaussianBlur(small, (0, 0), HAZE * ANSWER), np.float32) / np.float32(255)

    return answer


def place(part: Planes, whole: Planes) -> tuple[int, int]:
    """Where in the picture that part of it lies: no two corners have the same grain."""
    corner = np.ascontiguousarray(part.y[:32, :32])
    least, _, (left, top), _ = cv2.minMaxLoc(cv2.matchTemplate(whole.y, corner, cv2.TM_SQDIFF))
    found = whole.y[top : top + part.size.height, left : left + part.size.width]
    assert np.array_equal(found, part.y), f"the part is nowhere in its frame (nearest {least})"
    return left, top


def play(shots: Sequence[Shot], how: Steps, *, crops: bool = False) -> list[Mask | None]:
    """The masks that are shown with the frames."""
    masker = Masker(FakeSegmenter(wrong=coarse(shots), crops=crops), how)
    lag = Lag(TAKES, masker.sight)
    out = []
    for shot in shots:
        sighting = lag.at(shot.time, shot.frame)
        out.append(None if sighting is None else masker.present(shot.frame, sighting))
    return out


Masks = Sequence[Mask | None]


def leak(shots: Sequence[Shot], masks: Masks) -> float:
    """Of the picture: how much of the room is shown, on average. A frame without a mask is covered and shows none."""
    too_much = [
        0.0 if mask is None else float(cv2.subtract(mask.alpha, shot.truth).mean()) / 255
        for shot, mask in zip(shots, masks, strict=True)
    ]
    return float(np.mean(too_much))


def error(shots: Sequence[Shot], masks: Masks, other: Masks) -> float:
    """Mean difference from the truth, over the frames that get a mask here and in the `other` way."""
    off = [
        float(cv2.absdiff(mask.alpha, shot.truth).mean()) / 255
        for shot, mask, too in zip(shots, masks, other, strict=True)
        if mask is not None and too is not None
    ]
    assert len(off) > len(shots) * 3 // 4 or len(shots) < RATE, f"only {len(off)} of {len(shots)} frames got a mask"
    return float(np.mean(off))


def iou(shot: Shot, mask: Mask | None) -> float:
    assert mask is not None
    ours, truth = mask.alpha >= 128, shot.truth >= 128
    return float(np.count_nonzero(ours & truth) / np.count_nonzero(ours | truth))


def shown_of(mask: Mask | None, where: U8) -> float:
    """How much of a part of the picture (where it is 255) is shown."""
    some = where == 255
    return 0.0 if mask is None or not some.any() else float(mask.alpha[some].mean()) / 255


def leaks_no_more(shots: Sequence[Shot], masks: Masks, stale: Masks) -> None:
    ours, theirs = leak(shots, masks), leak(shots, stale)
    print(f"leak {ours:.5f} stale {theirs:.5f}")
    assert ours <= theirs + TOLERATED, f"more of the room is shown than by the network's old mask: {ours} > {theirs}"


def memory_harms_nothing(shots: Sequence[Shot], masks: Masks) -> None:
    """Against the same steps without it, by no more than two hundredths."""
    without = play(shots, FORGETFUL)
    ours, theirs = error(shots, masks, without), error(shots, without, masks)
    print(f"error {ours:.5f} without memory {theirs:.5f}; leak {leak(shots, masks):.5f} / {leak(shots, without):.5f}")
    assert ours <= 1.02 * theirs, f"the memory makes the masks worse: {ours} > {theirs}"
    ours, theirs = leak(shots, masks), leak(shots, without)
    assert ours <= 1.02 * theirs, f"the memory shows more of the room: {ours} > {theirs}"


def room() -> U8:
    return drawn.room(SIZE)


def test_whoever_leaves_is_gone_and_comes_back_no_worse() -> None:
    away, back = 2 * RATE, 4 * RATE

    def people(number: int) -> list[Cut]:
        out = 16 * max(0, number - RATE) if number < (away + back) // 2 else 16 * max(0, back + RATE - number)
        return [presenter(number % 90).moved(out)]

    shots = filmed(picture(room(), people(number)) for number in range(back + 2 * RATE))
    gone = [number for number, shot in enumerate(shots) if not shot.truth.any()]
    masks, stale = play(shots, BALANCED), play(shots, NONE)
    ghosts = [int(mask.alpha.sum()) for mask in (masks[n] for n in range(gone[0], gone[-1] + 1)) if mask is not None]
    print("gone", gone[0], gone[-1], "ghost frames", [g for g in ghosts if g])
    ghost = {n: int(mask.alpha.sum()) for n in range(gone[0] + RATE, gone[-1] + 1) if (mask := masks[n]) is not None}
    assert len(ghost) > RATE // 2, "the scene is too short to tell"
    assert not any(ghost.values()), f"a ghost stays a second after the person left: {ghost}"
    back_in = slice(gone[-1] + 1, None)
    ours, theirs = (
        error(shots[back_in], masks[back_in], stale[back_in]),
        error(shots[back_in], stale[back_in], masks[back_in]),
    )
    print(f"return: {ours:.5f} stale {theirs:.5f}")
    assert ours <= theirs, f"whoever returns is masked worse than by the old mask: {ours} > {theirs}"
    leaks_no_more(shots, masks, stale)


@pytest.mark.parametrize("memory", ["on", "off"])
def test_a_second_person_is_found(memory: str) -> None:
    enters = RATE

    def people(number: int) -> list[Cut]:
        first = presenter(number % 90).moved(-170)
        second = presenter((number + 40) % 90, mirrored=True).moved(max(170, 480 - 10 * max(0, number - enters)))
        return [first, second]

    shots = filmed(picture(room(), people(number)) for number in range(5 * RATE))
    alone = [picture(room(), people(number)[:1])[1] for number in range(5 * RATE)]
    how = steps("balanced", memory="on" if memory == "on" else "off")
    masks, stale = play(shots, how, crops=True), play(shots, NONE)
    came = next(n for n, shot in enumerate(shots) if np.count_nonzero(cv2.subtract(shot.truth, alone[n]) == 255) > 200)
    shown = [
        shown_of(mask, np.asarray(cv2.subtract(shot.truth, a)))
        for shot, a, mask in zip(shots, alone, masks, strict=True)
    ]
    print("came", came, [round(s, 2) for s in shown[came::5]])
    deadline = came + 5 * RATE // 2
    assert min(shown[deadline:]) > 0.9, f"the second person is not found: {min(shown[deadline:])} of them is shown"
    assert min(shown[came : came + 6]) < 0.5, "the crop never left the second person out: the scene tests nothing"
    leaks_no_more(shots, masks, stale)


def test_a_hand_that_leaves_the_crop_is_found() -> None:
    reaches, long = RATE + 10, 230

    def people(number: int) -> list[Cut]:
        length = min(long, 25 * max(0, number - reaches))
        alpha = np.zeros((SIZE.height, SIZE.width), np.uint8)
        if length:
            cv2.line(alpha, (380, 290), (400 + length, 290 - length // 2), 255, 34, cv2.LINE_AA)
        skin = np.full((SIZE.height, SIZE.width, 3), (238, 183, 146), np.uint8)
        return [presenter(number % 90), Cut(skin, alpha, 0, 0)]

    shots = filmed(picture(room(), people(number)) for number in range(4 * RATE))
    masks, stale = play(shots, BALANCED, crops=True), play(shots, NONE)
    hand = np.zeros((SIZE.height, SIZE.width), np.uint8)
    hand[:, 530:] = 255
    shown = [
        shown_of(mask, np.asarray(cv2.min(shot.truth, hand))) if cv2.min(shot.truth, hand).max() == 255 else 1.0
        for shot, mask in zip(shots, masks, strict=True)
    ]
    out = next(n for n, part in enumerate(shown) if part < 1.0)
    print("out", out, [round(s, 2) for s in shown[out : out + 45]])
    assert min(shown[out + RATE :]) > 0.9, f"a second later {min(shown[out + RATE :])} of the hand is shown"
    leaks_no_more(shots, masks, stale)


def test_no_mask_of_the_scene_before_a_cut_is_shown_after_it() -> None:
    cut = 2 * RATE + 2
    rng = np.random.default_rng(5)
    other = np.full((SIZE.height, SIZE.width, 3), (90, 70, 60), np.uint8)
    for _ in range(60):
        left, top = rng.integers(0, 600), rng.integers(0, 330)
        put(other, None, box(int(left), int(top), 70, 50, tuple(int(c) for c in rng.integers(20, 230, 3))))  # type: ignore[arg-type]
    shots = filmed(
        picture(room(), [presenter(n % 90).moved(-150)])
        if n < cut
        else picture(other, [presenter(n % 90, mirrored=True).moved(160)])
        for n in range(4 * RATE)
    )
    masks, stale = play(shots, BALANCED), play(shots, NONE)
    began = shots[cut].frame.captured_at
    old = [n for n in range(cut, len(shots)) if (mask := masks[n]) is not None and mask.captured_at < began]
    print("old", old, "covered", [n for n in range(cut, len(shots)) if masks[n] is None])
    assert not old, f"frames {old} of the new scene have masks of the one before"
    assert any(m is not None and m.captured_at < began for m in stale[cut:]), "no mask of the scene before was at hand"
    assert all(mask is not None for mask in masks[cut + RATE // 2 :]), "half a second later there is no mask yet"
    leaks_no_more(shots, masks, stale)


def test_whoever_sits_still_for_ten_minutes_is_not_swallowed() -> None:
    still = picture(room(), [presenter(30)])
    # The first second as it is, so that the start is known; then each frame stands for two seconds.
    seconds, long = filmed(still for _ in range(RATE)), filmed((still for _ in range(300)), Fraction(2))
    shots = seconds + [
        Shot(RawFrame(s.frame.planes, s.frame.captured_at + 2, 0, RATE + n), s.truth, s.time + 2)
        for n, s in enumerate(long)
    ]
    masks, stale = play(shots, BALANCED), play(shots, NONE)
    start, end = iou(shots[RATE - 1], masks[RATE - 1]), min(iou(shots[n], masks[n]) for n in range(-RATE, 0))
    print(f"start {start:.4f} end {end:.4f}")
    assert end >= start - 0.01, f"who sits still is swallowed: IoU {start} became {end}"
    leaks_no_more(shots, masks, stale)


def test_a_chair_that_was_moved_is_nobody() -> None:
    moved = 2 * RATE
    stood, stands = box(30, 230, 80, 120), box(540, 200, 80, 120)

    def shot(number: int) -> Picture:
        return picture(room(), [presenter(number % 90)], [stood if number < moved else stands])

    shots = filmed(shot(number) for number in range(4 * RATE))
    masks, stale = play(shots, BALANCED), play(shots, NONE)
    for name, chair in (("where it stood", stood), ("where it stands", stands)):
        rows, columns = slice(chair.top, chair.top + 120), slice(chair.left, chair.left + 80)
        most = [255 if mask is None else int(mask.alpha[rows, columns].max()) for mask in masks[moved:]]
        print(name, most[:RATE:3], max(most[RATE:]))
        assert max(most[RATE:]) == 0, f"a moved chair is a person, {name}: alpha {max(most[RATE:])}"
    leaks_no_more(shots, masks, stale)


def test_a_chair_moved_behind_the_shoulder_leaks_no_more() -> None:
    moved = 2 * RATE
    stood, stands = box(130, 200, 80, 120), box(430, 200, 80, 120)
    shots = filmed(picture(room(), [presenter(n % 90)], [stood if n < moved else stands]) for n in range(4 * RATE))
    masks, stale = play(shots, BALANCED), play(shots, NONE)
    leaks_no_more(shots, masks, stale)
    leaks_no_more(shots[moved:], masks[moved:], stale[moved:])
    memory_harms_nothing(shots, masks)


def from_a_camera(at: Callable[[int], tuple[int, int]], frames: int) -> list[Shot]:
    """`at`: where the camera looks, in pixels of the room."""
    wide = drawn.room(Size(960, 540))

    def seen(number: int) -> Picture:
        x, y = at(number)
        part = wide[60 + y : 60 + y + SIZE.height, 100 + x : 100 + x + SIZE.width]
        return picture(part, [presenter(number % 90).moved(40 - x, 20 - y)])

    return filmed(seen(number) for number in range(frames))


@pytest.mark.parametrize("pixels", [1, 3])
def test_a_camera_that_pans_is_no_worse_with_the_memory(pixels: int) -> None:
    shots = from_a_camera(lambda n: (pixels * min(max(0, n - RATE), RATE), 0), 3 * RATE)
    masks = play(shots, BALANCED)
    memory_harms_nothing(shots, masks)
    leaks_no_more(shots, masks, play(shots, NONE))


@pytest.mark.parametrize("pixels", [1, 3, 12])
def test_a_camera_that_is_knocked_is_no_worse_with_the_memory(pixels: int) -> None:
    shots = from_a_camera(lambda n: (pixels, pixels // 2) if n >= 3 * RATE // 2 else (0, 0), 3 * RATE)
    masks = play(shots, BALANCED)
    memory_harms_nothing(shots, masks)
    memory_harms_nothing(shots[3 * RATE // 2 :], masks[3 * RATE // 2 :])
    leaks_no_more(shots, masks, play(shots, NONE))


def test_light_that_goes_down_at_once_is_followed() -> None:
    shots = filmed(
        lit(picture(room(), [presenter(n % 90)]), 1.0 if n < 3 * RATE // 2 else 0.7) for n in range(3 * RATE)
    )
    masks = play(shots, BALANCED)
    memory_harms_nothing(shots, masks)
    leaks_no_more(shots, masks, play(shots, NONE))


def test_light_that_warms_slowly_is_followed() -> None:
    def warmth(number: int) -> tuple[float, float, float]:
        share = min(1.0, max(0.0, (number - RATE) / (2 * RATE)))
        return 1 + 0.12 * share, 1.0, 1 - 0.2 * share

    shots = filmed(lit(picture(room(), [presenter(n % 90)]), warmth(n)) for n in range(4 * RATE))
    masks = play(shots, BALANCED)
    memory_harms_nothing(shots, masks)
    leaks_no_more(shots, masks, play(shots, NONE))


def test_a_pause_forgets_the_room() -> None:
    shots = filmed(picture(room(), [presenter(n % 90)]) for n in range(RATE + 1))
    segmenter = FakeSegmenter(wrong=coarse(shots))
    masker, fresh = Masker(segmenter, BALANCED), Masker(segmenter, BALANCED)
    for shot in shots[:-1]:
        masker.mask(shot.frame)
    last = shots[-1].frame
    unpaused = Masker(segmenter, BALANCED)
    for shot in shots[:-1]:
        unpaused.mask(shot.frame)
    knowing = unpaused.mask(last).alpha
    masker.reset()
    assert segmenter.resets == 1, "the network was not told"
    after, anew = masker.mask(last).alpha, fresh.mask(last).alpha
    assert np.abs(knowing.astype(int) - anew).mean() > 1, "the room made no difference: the scene tests nothing"
    assert np.array_equal(after, anew), "after a pause something of the room before it is left in the mask"
