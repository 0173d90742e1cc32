"""mask.flow: an old mask, carried over to a newer frame of a scene that moved."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from vbgcam.core.frames import U8, Planes, Prediction, RawFrame, Size, read_only
from vbgcam.core.options import MaskOptions
from vbgcam.mask import MaskTracker
from vbgcam.mask.flow import Flow, coarse, is_cut
from vbgcam.pixels.workframe import WorkFrame, region_around

SIZE = Size(320, 180)
STEP = 4


def scene(number: int) -> tuple[WorkFrame, U8]:
    """A textured square that moves by `STEP` pixels a frame before a plain wall, and its alpha."""
    texture = np.random.default_rng(3).integers(0, 256, (30, 30), dtype=np.uint8)
    square = cv2.GaussianBlur(cv2.resize(texture, (90, 90)), (0, 0), 2)
    y, alpha = np.full((180, 320), 128, np.uint8), np.zeros((180, 320), np.uint8)
    left = 40 + STEP * number
    y[50:140, left : left + 90], alpha[50:140, left : left + 90] = square, 255
    plane = read_only(np.full((180, 320), 128, np.uint8))
    return WorkFrame(SIZE, read_only(y), plane, plane, number / 30), read_only(alpha)


def error(one: U8, other: U8) -> float:
    return float(np.abs(one.astype(int) - other).mean() / 255)


@pytest.fixture
def flow() -> Flow:
    return Flow(SIZE, fine=False)


def test_a_mask_is_carried_frame_by_frame(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    then, alpha = scene(0)
    part = region_around(alpha)
    for number in range(9):
        now, truth = scene(number)
        flow.follow(now, part, needed=number > 0)
        if number == 1:
            flow.begin(then, part)
        elif number > 1:
            flow.advance()
        if number > 0:
            part = region_around(flow.carried(alpha, region_around(alpha, truth) or (slice(0, 1), slice(0, 1))))
    wide = region_around(alpha, truth)
    assert wide is not None
    carried = flow.carried(alpha, wide)
    assert error(carried, truth) < error(alpha, truth) / 4
    for size in (SIZE, Size(96, 54)):
        came_from = flow.came_from(size)
        assert came_from is not None
        assert came_from.shape == (size.height, size.width, 2)
        person = cv2.resize(truth, (size.width, size.height)) > 127
        where = np.dstack(np.meshgrid(np.arange(size.width), np.arange(size.height)))
        moved = (where - came_from)[person].mean(0) * SIZE.width / size.width
        assert np.abs(moved - (8 * STEP, 0)).max() < 2


@pytest.mark.parametrize(("came", "least"), [(range(7), 4), ((2, 3), 2)])
def test_a_mask_that_comes_late_is_carried_over_all_frames_since_or_jumps(
    flow: Flow, came: Sequence[int], least: int
) -> None:
    """The network may take a frame that the compositor skipped."""
    then, alpha = scene(0)
    for number in came:
        now, truth = scene(number)
        flow.follow(now, region_around(alpha, truth), needed=number > came[0])
    wide = region_around(alpha, truth)
    assert wide is not None
    flow.begin(then, wide)
    assert error(flow.carried(alpha, wide), truth) < error(alpha, truth) / least


def test_nothing_is_moved_where_nobody_is(flow: Flow) -> None:
    empty = read_only(np.zeros((180, 320), np.uint8))
    for number in range(3):
        flow.follow(scene(number)[0], None, needed=number > 0)
    flow.begin(scene(0)[0], None)
    assert not flow.carried(empty, (slice(0, 180), slice(0, 320))).any()


def test_a_picture_too_small_for_flow_keeps_its_mask() -> None:
    size = Size(32, 24)
    flow = Flow(size, fine=True)
    plane = read_only(np.zeros((24, 32), np.uint8))
    alpha = read_only(np.full((24, 32), 255, np.uint8))
    for number in range(3):
        flow.follow(WorkFrame(size, plane, plane, plane, float(number)), region_around(alpha), needed=number > 0)
    flow.begin(WorkFrame(size, plane, plane, plane, 0.0), region_around(alpha))
    assert flow.carried(alpha, (slice(0, 24), slice(0, 32))) is alpha


def test_another_scene_is_a_cut_and_another_light_is_none() -> None:
    here, _ = scene(0)
    coarsely = np.random.default_rng(1).integers(0, 256, (9, 16), dtype=np.uint8)
    elsewhere = cv2.resize(coarsely, (320, 180), interpolation=cv2.INTER_CUBIC)
    there = WorkFrame(SIZE, read_only(np.asarray(elsewhere, np.uint8)), here.u, here.v, 1.0)
    darker = WorkFrame(
        SIZE, read_only(np.asarray(cv2.convertScaleAbs(here.y, alpha=0.5), np.uint8)), here.u, here.v, 1.0
    )
    assert is_cut(coarse(here), coarse(there))
    assert not is_cut(coarse(here), coarse(darker))
    assert not is_cut(coarse(here), coarse(scene(2)[0]))


def test_a_late_frame_after_own_ones_is_carried_from_the_last_of_them_alone() -> None:
    """With exact pairing one frame in a few comes without a mask of its own: it is one frame's motion away."""
    tracker = MaskTracker(MaskOptions(roi=True, flow=True))
    prediction: Prediction | None = None
    errors, stale = list[float](), list[float]()
    for number in range(24):
        now, truth = scene(number)
        planes = Planes.filled(SIZE, (0, 128, 128))
        planes.y[:] = now.y
        frame = RawFrame(planes.frozen(), number / 30, 0, number)
        before = prediction
        if number % 3 != 2:
            prediction = Prediction(frame, truth)
        assert prediction is not None
        mask = tracker.mask(frame, prediction)
        assert mask is not None
        if number % 3 == 2 and before is not None:
            errors.append(error(mask.alpha, truth))
            stale.append(error(before.alpha, truth))
    assert max(errors) < 0.5 * min(stale), (errors, stale)
