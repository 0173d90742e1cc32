"""mask.guard: a mask of an earlier frame shows of this frame what looks like the person, and never the room."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vbgcam.bench.scene import add_grain
from vbgcam.core.frames import U8, Planes, Prediction, RawFrame, Size, read_only
from vbgcam.core.options import PRESETS, MaskOptions
from vbgcam.mask import MaskTracker
from vbgcam.mask.guard import Guard, size_of
from vbgcam.mask.steps import Believe, CarryByFlow, Draft
from vbgcam.pixels.convert import from_rgb
from vbgcam.pixels.workframe import work_frame

ROOM, ANOTHER = 5, 6
SIZE = Size(320, 180)
SIZES = [SIZE, Size(320, 240), Size(180, 320), Size(321, 181), Size(640, 360), Size(64, 48), Size(32, 24), Size(24, 32)]
WAYS = {
    f"{name}{', hard' * hard}": replace(options, hard=hard)
    for name, options in PRESETS.items()
    for hard in (False, True)
}
every_way = pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
every_size = pytest.mark.parametrize("size", SIZES, ids=str)
RGB = tuple[float, float, float]


@cache
def room(size: Size, seed: int = ROOM) -> NDArray[np.float32]:
    """A green wall that is lit from the right, with shelves and pictures of pale colours, RGB."""
    rng = np.random.default_rng(seed)
    light = np.tile(np.linspace(90, 185, 320, dtype=np.float32), (180, 1))
    if seed != ROOM:
        light = np.ascontiguousarray(light[::-1, ::-1])
    wall = light[..., None] * np.array([0.7, 1, 0.7], np.float32)
    for _ in range(25):
        left, top = rng.integers(0, 290), rng.integers(0, 160)
        wall[top : top + 20, left : left + 30] = rng.integers(90, 190) * rng.uniform(0.7, 1, 3)
    return np.asarray(cv2.resize(wall, (size.width, size.height), interpolation=cv2.INTER_AREA), np.float32)


def shape_at(place: float | None, size: Size) -> U8:
    """The alpha of head and shoulders whose middle is at that share of the width; None: nobody."""
    alpha = np.zeros((size.height, size.width), np.uint8)
    if place is not None:
        unit, x = min(size.width, size.height), round(place * size.width)
        cv2.circle(alpha, (x, round(0.4 * size.height)), round(0.14 * unit), 255, -1)
        top = round(0.4 * size.height + 0.14 * unit)
        cv2.rectangle(alpha, (round(x - 0.22 * unit), top), (round(x + 0.22 * unit), size.height), 255, -1)
    return alpha


def frame(planes: Planes, number: int) -> RawFrame:
    return RawFrame(planes.frozen(), number / 30, 0, number)


def seen(
    number: int,
    place: float | None,
    size: Size = SIZE,
    *,
    light: RGB = (1, 1, 1),
    seed: int = ROOM,
    gap: float = 0,
    door: bool = False,
) -> tuple[RawFrame, U8]:
    """Frame `number` of a camera with grain, 30 a second, with its true alpha. The person: see `shape_at`. `light`:
    what each colour is multiplied with. `gap`: how wide, as a share of the width, the room is seen between their arms.
    `door`: it stands open, in the middle of the room."""
    alpha = shape_at(place, size)
    if place is not None and gap:
        left, right = (round((place + half) * size.width) for half in (-gap / 2, gap / 2))
        alpha[2 * size.height // 3 :, left:right] = 0
    rgb = room(size, seed).copy()
    if door:
        rgb[size.height // 4 :, round(0.3 * size.width) : round(0.6 * size.width)] = (200, 190, 60)
    rgb[alpha > 0] = (20, 20, 80)
    head = slice(0, round(0.4 * size.height + 0.14 * min(size.width, size.height)))
    rgb[head][alpha[head] > 0] = (225, 170, 140)
    planes = from_rgb(np.clip(rgb * np.array(light, np.float32) + 0.5, 0, 255).astype(np.uint8))
    add_grain(planes, number)
    return frame(planes, number), read_only(alpha)


Seen = tuple[RawFrame, U8]


def tracked(options: MaskOptions, shots: Sequence[Seen]) -> Iterator[tuple[U8, U8, float | None]]:
    """Of each frame but the first: the alpha by the first one's true mask, its own true one, and `kept`."""
    tracker = MaskTracker(options)
    prediction = Prediction(*shots[0])
    for number, (shown, truth) in enumerate(shots):
        mask = tracker.mask(shown, prediction)
        if number:
            yield np.zeros_like(truth) if mask is None else mask.alpha, truth, tracker.kept


def share(of: NDArray[Any], whole: U8) -> float:
    return float(of.sum()) / float(whole.sum())


@every_size
@every_way
def test_where_the_person_was_the_room_is_not_shown(options: MaskOptions, size: Size) -> None:
    first = seen(0, 0.25, size)
    for later in (None, 0.75):
        for alpha, truth, _ in tracked(options, [first, *(seen(number, later, size) for number in range(1, 4))]):
            assert alpha.shape == truth.shape
            assert share(cv2.subtract(alpha, truth), first[1]) < 0.002


@every_size
@every_way
def test_who_keeps_still_is_shown_whole(options: MaskOptions, size: Size) -> None:
    # At the outline the colours decide with some presets, a pixel wide: of a person 11 pixels wide that is much.
    least = 0.97 if min(size.width, size.height) > 40 else 0.93
    for alpha, truth, kept in tracked(options, [seen(number, 0.5, size) for number in range(4)]):
        assert share(cv2.min(alpha, truth), truth) > least
        assert kept is not None
        assert kept > least


@pytest.mark.parametrize(
    "light", [(0.7, 0.7, 0.7), (1.3, 1.3, 1.3), (1.1, 1, 0.85), (0.9, 1, 1.15)], ids=["dim", "bright", "warm", "cold"]
)
@every_way
def test_light_that_changes_costs_little_of_the_person_and_shows_no_room(options: MaskOptions, light: RGB) -> None:
    changed = [seen(number, 0.5, light=light) for number in range(1, 4)]
    for alpha, truth, _ in tracked(options, [seen(0, 0.5), *changed]):
        assert share(cv2.min(alpha, truth), truth) > 0.93
    gone = [seen(number, None, light=light) for number in range(1, 4)]
    for alpha, truth, _ in tracked(options, [seen(0, 0.5), *gone]):
        assert share(cv2.subtract(alpha, truth), shape_at(0.5, SIZE)) < 0.002


@every_way
def test_of_another_scene_nothing_is_shown(options: MaskOptions) -> None:
    other = [seen(number, None, seed=ANOTHER) for number in range(1, 4)]
    assert not any(alpha.any() for alpha, _, _ in tracked(options, [seen(0, 0.5), *other]))


@every_way
def test_a_gap_that_opens_in_the_person_shows_no_room_unless_it_is_narrow(options: MaskOptions) -> None:
    # Evidence is looked for at a width of 192; gaps of up to four of these are closed.
    for gap in (6 / 192, 12 / 192):
        opened = [seen(number, 0.5, gap=gap) for number in range(1, 4)]
        for alpha, truth, _ in tracked(options, [seen(0, 0.5), *opened]):
            assert share(cv2.subtract(alpha, truth), truth) < 0.02


@pytest.mark.parametrize("options", [way for way in WAYS.values() if way.hard])
def test_hard_masks_are_all_or_nothing(options: MaskOptions) -> None:
    for alpha, truth, _ in tracked(options, [seen(number, 0.4 + 0.04 * number) for number in range(5)]):
        assert set(np.unique(alpha)) <= {0, 255}
        assert share(cv2.subtract(alpha, truth), truth) < 0.02


def believe_all(_self: Believe, _draft: Draft) -> None:
    pass


@pytest.mark.parametrize("exact", [False, True])
@every_way
def test_a_frames_own_mask_is_shown_as_it_is(
    options: MaskOptions, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def own() -> list[tuple[U8 | None, float | None]]:
        tracker, out = MaskTracker(options), []
        for number, place in enumerate([0.3, 0.35, 0.8, None, 0.5]):
            shown, truth = seen(number, place)
            mask = tracker.mask(shown, Prediction(shown, truth, exact=exact))
            out.append((None if mask is None else mask.alpha.copy(), tracker.kept))
        return out

    guarded = own()
    monkeypatch.setattr(Believe, "check", believe_all)
    for (alpha, kept), (plain, _) in zip(guarded, own(), strict=True):
        assert np.array_equal(alpha, plain)  # type: ignore[arg-type]  # None where another scene begins
        assert kept in {None, 1.0}


planes_of = st.builds(
    lambda size, seed: (size, np.random.default_rng(seed)),
    st.builds(Size, st.integers(1, 300), st.integers(1, 200)),
    st.integers(0, 1000),
)


@settings(max_examples=60)
@given(planes_of, st.integers(1, 80), st.integers(1, 80), st.booleans())
def test_no_pixel_is_shown_more_than_the_mask_shows_it(
    picture: tuple[Size, np.random.Generator], rows: int, columns: int, carried_here: bool
) -> None:
    size, rng = picture
    then, now = (frame(Planes(size, rng.integers(0, 256, size.i420_bytes, np.uint8)), number) for number in (0, 1))
    alpha = read_only(rng.integers(0, 256, (rows, columns), np.uint8))
    small = size_of(size)
    came_from = rng.uniform(-3, 400, (small.height, small.width, 2)).astype(np.float32) if carried_here else None
    shown, missed, _familiar, _unchanged = Guard().believed(now, Prediction(then, alpha), alpha, came_from)
    assert shown.shape == alpha.shape
    assert not shown.flags.writeable
    assert (shown <= alpha).all()
    assert 0 <= missed <= 1


colour = st.tuples(*[st.integers(16, 240)] * 3)


@given(colour, colour, st.sampled_from([0, 2, 4, 20]))
def test_whatever_the_colours_a_room_that_looks_unlike_the_person_is_not_shown(
    wall: tuple[int, int, int], person: tuple[int, int, int], moves: int
) -> None:
    apart = [abs(one - other) for one, other in zip(wall, person, strict=True)]
    assume(apart[0] + 3 * (apart[1] + apart[2]) > 60)
    size = Size(64, 48)

    def at(left: int, number: int) -> Seen:
        planes, alpha = Planes.filled(size, wall), np.zeros((48, 64), np.uint8)
        alpha[12:, left : left + 20] = 255
        for plane, value, step in zip((planes.y, planes.u, planes.v), person, (1, 2, 2), strict=True):
            plane[alpha[::step, ::step] > 0] = value
        return frame(planes, number), read_only(alpha)

    for alpha, truth, _ in tracked(PRESETS["none"], [at(10, 0), at(10 + moves, 1)]):
        assert share(cv2.subtract(alpha, truth), truth) < 0.01
        assert moves or share(alpha, truth) > 0.99


FLAT = Size(192, 108)


def flat(number: int, luma: int, person: slice = slice(0)) -> RawFrame:
    """One colour everywhere, but for that luma in the person's columns."""
    planes = Planes.filled(FLAT, (100, 128, 128))
    planes.y[:, person] = luma
    return frame(planes, number)


def columns(until: int) -> U8:
    alpha = np.zeros((FLAT.height, FLAT.width), np.uint8)
    alpha[:, :until] = 255
    return read_only(alpha)


def field_from(columns_then: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.dstack(np.meshgrid(columns_then, np.arange(FLAT.height, dtype=np.float32))).astype(np.float32)


HERE = np.arange(FLAT.width, dtype=np.float32)


def test_where_the_masks_own_frame_shows_a_room_that_stayed_a_carried_person_is_not_believed() -> None:
    then = Prediction(flat(0, 100), columns(96))
    shown = Guard().believed(flat(1, 100), then, columns(116), field_from(HERE - 20)).alpha
    assert (shown[:, :94] > 250).all()
    assert (shown[:, 98:] < 20).all()


def test_where_the_flow_is_folded_more_evidence_is_asked() -> None:
    # What looks different by 25 is still the person, unless its place is one that others came from, too.
    then, now = Prediction(flat(0, 100), columns(96)), flat(1, 125, slice(0, 96))
    folded = np.where((HERE > 30) & (HERE < 60), np.float32(45), HERE)
    plain, doubted = (
        Guard().believed(now, then, columns(96), field_from(came_from)).alpha for came_from in (HERE, folded)
    )
    assert (plain[:, 10:80] > 200).all()
    assert (doubted[:, 40:50] < 20).all()
    assert (doubted[:, 10:25] > 200).all()


def test_what_is_clearly_of_the_persons_colour_is_shown_where_the_flow_is_folded() -> None:
    """An arm that comes before them."""
    planes = Planes.filled(FLAT, (100, 128, 128))
    planes.y[:, :30], planes.y[:, 30:96] = 200, 40
    then = Prediction(frame(planes, 0), columns(96))
    folded = np.where(HERE < 40, np.float32(60), HERE)
    shown = Guard().believed(flat(1, 200, slice(0, 96)), then, columns(96), field_from(folded)).alpha
    assert (shown[:, 4:36] > 250).all()


def test_what_is_unsure_of_a_carried_mask_is_doubted_the_more_the_further_it_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the top to the bottom nobody, unsure and surely the person; the right half came from further left."""
    alpha = read_only(np.repeat(np.array([0, 128, 255], np.uint8), FLAT.height // 3)[:, None].repeat(FLAT.width, 1))
    now = work_frame(flat(1, 100), FLAT)
    everywhere = slice(0, FLAT.height), slice(0, FLAT.width)
    flow = CarryByFlow(fine=False)

    def doubted(pixels: int) -> U8:
        came_from = field_from(np.where(FLAT.width // 2 > HERE, HERE, HERE - pixels))
        monkeypatch.setattr(flow, "came_from", lambda _size: came_from)
        draft = Draft(flat(1, 100), Prediction(flat(0, 100), alpha), alpha, None, None, now=now, region=everywhere)
        flow.doubt(draft)
        return draft.alpha

    little, far = doubted(2), doubted(9)
    for shown in (little, far):
        assert not shown[:36].any()
        assert (shown[72:] == 255).all()
        assert (np.abs(shown[36:72, :90].astype(int) - 121) <= 1).all(), "what stayed is believed but for a twentieth"
    assert (np.abs(little[36:72, 100:].astype(int) - 91) <= 2).all()
    assert (np.abs(far[36:72, 100:].astype(int) - 43) <= 2).all()


def test_a_mask_that_was_not_carried_is_least_believed_at_its_rim() -> None:
    then, now = Prediction(flat(0, 100), columns(96)), flat(1, 112, slice(0, 110))
    shown = Guard().believed(now, then, columns(96), None).alpha
    assert (shown[:, :90] > 200).all()
    assert (shown[:, 95:] < 20).all()


def test_another_scene_is_judged_by_its_own_colours() -> None:
    used, new = Guard(), Guard()
    for number, place in enumerate([0.3, 0.5]):
        used.believed(
            seen(9, place, seed=ANOTHER)[0], Prediction(*seen(number, place, seed=ANOTHER)), shape_at(place, SIZE), None
        )
    used.reset()
    first, (later, _) = seen(0, 0.5), seen(1, 0.55)
    results = [guard.believed(later, Prediction(*first), first[1], None) for guard in (used, new)]
    assert np.array_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


@pytest.mark.parametrize("options", [way for way in WAYS.values() if not way.flow or way.hard])
def test_how_much_is_kept_is_how_much_of_the_person_still_fits(options: MaskOptions) -> None:
    # Shoulders of 79 pixels of 320: steps of 10.
    kept = [kept for _, _, kept in tracked(options, [seen(number, 0.4 + number / 32) for number in range(9)])]
    values = [value for value in kept if value is not None]
    assert len(values) == 8
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.7
    assert values[-1] < 0.1


@every_way
def test_where_nobody_is_nothing_is_kept_and_who_comes_unseen_is_missed(options: MaskOptions) -> None:
    tracker = MaskTracker(options)
    somebody, nobody = Prediction(*seen(0, 0.3)), Prediction(*seen(2, None))

    def kept(number: int, place: float | None, prediction: Prediction) -> float | None:
        shown = prediction.frame if prediction.frame.number == number else seen(number, place)[0]
        tracker.mask(shown, prediction)
        return tracker.kept

    assert kept(0, 0.3, somebody) == 1
    assert (kept(1, 0.3, somebody) or 0) > 0.9
    assert kept(2, None, nobody) is None
    assert kept(3, None, nobody) is None
    assert kept(4, 0.7, nobody) == pytest.approx(0, abs=0.01)


SMOOTHED = {name: way for name, way in WAYS.items() if way.temporal and not way.hard}


@pytest.mark.parametrize("options", SMOOTHED.values(), ids=SMOOTHED)
def test_a_room_of_the_persons_luma_is_not_shown_either(options: MaskOptions) -> None:
    alpha = read_only(shape_at(0.5, SIZE))
    somebody, wall = (Planes.filled(SIZE, (120, 100, 100)) for _ in range(2))
    for plane in (somebody.u, somebody.v):
        plane[alpha[::2, ::2] > 0] = 160
    nobody = read_only(np.zeros_like(alpha))
    shots = [(frame(somebody, 0), alpha), *((frame(wall, number), nobody) for number in (1, 2))]
    for shown, _, _ in tracked(options, shots):
        assert share(shown, alpha) < 0.002


KNOWING = {name: way for name, way in WAYS.items() if way.room_model and not way.hard}


@pytest.mark.parametrize("options", KNOWING.values(), ids=KNOWING)
def test_a_door_that_opens_behind_who_walks_away_is_not_shown(options: MaskOptions) -> None:
    tracker = MaskTracker(options)
    for number in range(30):
        before = seen(number, 0.8 if number < 20 else 0.8 - 0.035 * (number - 19))
        tracker.mask(before[0], Prediction(*before))
    for number in range(30, 36):
        later, truth = seen(number, 0.45 + 0.05 * (number - 29), door=True)
        mask = tracker.mask(later, Prediction(*before))
        # Were all shown that differs from the known room, it would be 0.6 to 1.2.
        assert mask is None or share(cv2.subtract(mask.alpha, truth), truth) < 0.3
