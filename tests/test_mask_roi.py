"""mask.roi: where the network looks, by networks that find a colour."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import FakeSegmenter
from vbgcam.core.frames import Planes, RawFrame, Size
from vbgcam.mask.roi import WHOLE, Box, RoiSegmenter, box_of, choose_roi
from vbgcam.segment import Probability

SIZE = Size(320, 180)
WALL = (40, 128, 128)
SKIN = 200

Person = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""


def frame(at: float, *people: Person, size: Size = SIZE, epoch: int = 0) -> RawFrame:
    planes = Planes.filled(size, WALL)
    for left, top, right, bottom in people:
        planes.y[top:bottom, left:right] = SKIN
    return RawFrame(planes.frozen(), at, epoch, round(30 * at))


@dataclass
class Finder(FakeSegmenter):
    """Finds what is as bright as skin, at 64x64 whatever it is given, and remembers what that was."""

    croppable: bool = True
    seen: list[Size] = field(default_factory=list)
    glances: int = 0

    def probability(self, frame: RawFrame) -> Probability:
        self.calls += 1
        self.seen.append(frame.size)
        rows = np.linspace(0, frame.size.height - 1, 64).round().astype(int)
        columns = np.linspace(0, frame.size.width - 1, 64).round().astype(int)
        return np.asarray(frame.planes.y[np.ix_(rows, columns)] > 100, np.float32)

    def one_off(self, frame: RawFrame) -> Probability:
        self.glances += 1
        return self.probability(frame)


@pytest.fixture
def finder() -> Finder:
    return Finder()


@pytest.fixture
def looks(finder: Finder) -> RoiSegmenter:
    return RoiSegmenter(finder, roi=True)


LEFT: Person = (60, 60, 120, 180)
RIGHT: Person = (220, 60, 280, 180)


def test_the_second_look_is_at_the_person_and_the_mask_is_the_whole_frames(finder: Finder, looks: RoiSegmenter) -> None:
    prediction = looks.predict(frame(0.0, LEFT))
    assert finder.seen[0] == SIZE
    assert finder.seen[1].pixels < SIZE.pixels / 2
    assert prediction.alpha.shape == (SIZE.height, SIZE.width)
    assert prediction.alpha[120, 90] == 255
    assert not prediction.alpha[:, 160:].any()


def test_the_part_stays_while_the_person_keeps_within_it(finder: Finder, looks: RoiSegmenter) -> None:
    for number in range(20):
        shift = number % 2  # breathing
        looks.predict(frame(number / 30, (60 + shift, 60, 120 + shift, 180)))
    assert len(set(finder.seen[1:])) == 1


def test_the_part_follows_who_walks_and_no_pixel_of_them_is_lost(looks: RoiSegmenter) -> None:
    for number in range(40):
        left = 40 + 4 * number
        alpha = looks.predict(frame(number / 30, (left, 60, left + 60, 180))).alpha
        assert alpha[100:170, left + 6 : left + 54].min() == 255, number


def test_who_leaves_is_looked_for_in_the_whole_frame_at_once(looks: RoiSegmenter) -> None:
    for number in range(4):
        looks.predict(frame(number / 30, LEFT))
    prediction = looks.predict(frame(0.2, RIGHT))
    assert prediction.alpha[120, 250] == 255


def test_nobody_is_nobody_and_who_comes_is_seen_at_once(looks: RoiSegmenter) -> None:
    for number in range(3):
        assert not looks.predict(frame(number / 30)).alpha.any()
    assert looks.predict(frame(0.2, LEFT)).alpha[120, 90] == 255


def test_who_comes_in_beside_the_part_is_found_within_two_seconds(looks: RoiSegmenter) -> None:
    looks.predict(frame(0.0, LEFT))
    found = [looks.predict(frame(number / 10, LEFT, RIGHT)).alpha[120, 250] == 255 for number in range(1, 25)]
    assert not found[0]
    assert all(found[20:])


def test_who_comes_in_is_found_at_once_where_the_memory_saw_them(looks: RoiSegmenter) -> None:
    looks.predict(frame(0.0, LEFT))
    looks.update_roi(0, None, elsewhere=True, kept=1.0)
    assert looks.predict(frame(0.1, LEFT, RIGHT)).alpha[120, 250] == 255


def test_what_was_seen_of_another_epoch_is_not_believed(finder: Finder, looks: RoiSegmenter) -> None:
    looks.predict(frame(0.0, LEFT))
    looks.update_roi(7, Box(0.0, 0.0, 0.1, 0.1), elsewhere=True, kept=1.0)
    looks.predict(frame(0.1, LEFT))
    assert finder.glances == 0


def test_another_epoch_begins_with_the_whole_frame(finder: Finder, looks: RoiSegmenter) -> None:
    looks.predict(frame(0.0, LEFT))
    before = len(finder.seen)
    looks.predict(frame(0.1, LEFT, epoch=1))
    assert finder.seen[before] == SIZE


def test_a_network_that_does_not_stretch_gets_squares_or_the_whole_frame() -> None:
    finder = Finder(any_aspect=False)
    looks = RoiSegmenter(finder, roi=True)
    looks.predict(frame(0.0, LEFT))
    assert finder.seen[-1].width == finder.seen[-1].height
    looks.predict(frame(0.1, LEFT, RIGHT))
    for number in range(2, 30):
        looks.predict(frame(number / 10, LEFT, RIGHT))
    assert finder.seen[-1] == SIZE


def test_without_the_step_or_with_a_network_that_does_not_crop_the_whole_frame_is_given() -> None:
    for finder, crop in ((Finder(), False), (Finder(croppable=False), True)):
        looks = RoiSegmenter(finder, roi=crop)
        for number in range(3):
            looks.predict(frame(number / 30, LEFT))
        assert set(finder.seen) == {SIZE}


def test_the_looks_of_a_recurrent_network_are_all_at_one_part_but_for_glances() -> None:
    """A state that belongs to one part of the picture says nothing of another."""
    finder = Finder(recurrent=True)
    looks = RoiSegmenter(finder, roi=True)
    for number in range(100):
        looks.predict(frame(number / 30, LEFT))
    steady = list(itertools.pairwise(size for size in finder.seen[1:] if size != SIZE))
    assert finder.glances == 1
    assert all(one == other for one, other in steady)


boxes = st.tuples(
    st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.02, 1), st.floats(0.02, 1)
).map(lambda sides: Box(sides[0], sides[1], min(1.0, sides[0] + sides[2]), min(1.0, sides[1] + sides[3])))  # fmt: skip


@given(boxes, st.none() | boxes, st.booleans())
def test_a_part_always_holds_the_person_and_lies_in_the_frame(box: Box, before: Box | None, square: bool) -> None:
    part = choose_roi(box, before, SIZE, square=square)
    slack = Box(part.left - 1e-9, part.top - 1e-9, part.right + 1e-9, part.bottom + 1e-9)
    assert slack.holds(box)
    assert Box(-1e-9, -1e-9, 1 + 1e-9, 1 + 1e-9).holds(part)
    if square and part is not before and part is not WHOLE:
        width, height = (part.right - part.left) * SIZE.width, (part.bottom - part.top) * SIZE.height
        assert width == pytest.approx(height)


def test_the_box_leaves_specks_out() -> None:
    alpha = np.zeros((100, 200), np.uint8)
    alpha[40:80, 60:120] = 255
    alpha[2, 190] = 255
    assert box_of(alpha) == Box(0.3, 0.4, 0.6, 0.8)
    assert box_of(np.zeros((100, 200), np.uint8)) is None
