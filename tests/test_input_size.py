"""live.input_size, carried out: a helper makes the network ready for another input, and its owner changes it over."""

import logging
import threading

import pytest

from tests.support.fakes import SIZE, FakeSegmenter, room_with_person
from vbgcam.core.errors import ModelError
from vbgcam.core.frames import RawFrame, Size
from vbgcam.live.input_size import InputSizeController, in_words

FRAME = RawFrame(room_with_person(0).frozen(), 0.0)
BUDGET = 0.022


class Owner:
    """Makes masks, as the inference worker does; each takes 15 ms at 64 lines and in proportion to the pixels."""

    def __init__(self, segmenter: FakeSegmenter, max_age: float = 0.5) -> None:
        self.segmenter = segmenter
        self.sizing = InputSizeController(segmenter, max_age)
        self.now = 0.0
        self.load = 1.0

    def masks(self, count: int) -> None:
        for _ in range(count):
            self.segmenter.probability(FRAME)
            self.now += 1 / 30
            used = self.segmenter.input
            took = self.load * 0.015 * (used.height / 64) ** 2 if used else 0.01
            self.sizing.measured(SIZE, self.now, took, BUDGET)

    def masks_until_ready(self, count: int) -> None:
        """Lets the helper end after each."""
        for _ in range(count):
            self.masks(1)
            self.sizing.end()


def test_a_larger_input_is_prepared_by_another_thread_and_taken_when_it_is_ready(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, go = threading.Event(), threading.Event()

    def preparing(_size: int) -> None:
        begun.set()
        assert go.wait(30)

    segmenter = FakeSegmenter(ladder=(32, 64, 128), preparing=preparing)
    owner = Owner(segmenter)
    with caplog.at_level("INFO"):
        owner.masks(10)
        assert begun.wait(30)
        assert segmenter.resized == []
        go.set()
        owner.masks_until_ready(20)
    assert segmenter.resized == segmenter.prepared == [64]
    assert [record.message for record in caplog.records] == ["working point: input 64x85, 15 ms a mask"]


def test_each_change_is_said_with_what_was_before(caplog: pytest.LogCaptureFixture) -> None:
    owner = Owner(FakeSegmenter(ladder=(32, 64)))
    with caplog.at_level("INFO"):
        owner.masks_until_ready(40)
        owner.load = 3.0
        owner.masks_until_ready(60)
    assert [record.message for record in caplog.records] == [
        "working point: input 64x85, 15 ms a mask",
        "working point: input 32x43, 11 ms a mask (was 64x85, 15 ms)",
    ]


@pytest.mark.parametrize(("max_age", "size"), [(1.5, 32), (0.5, 32), (0.1, 16)])
def test_masks_are_kept_younger_than_half_a_second_and_than_they_may_be(max_age: float, size: int) -> None:
    """Under that load one takes 300 ms at 64 lines, 75 at 32, 19 at 16, and is twice as old when another comes."""
    owner = Owner(FakeSegmenter(ladder=(16, 32, 64)), max_age)
    owner.masks_until_ready(40)
    assert owner.segmenter.resized[-1] == 64
    owner.load = 20.0
    owner.masks_until_ready(40)
    assert owner.segmenter.resized[-1] == size


def test_a_size_that_cannot_be_prepared_is_said_once_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    def preparing(size: int) -> None:
        if size >= 64:
            raise ModelError("no memory for 64")

    segmenter = FakeSegmenter(ladder=(16, 32, 64, 128), preparing=preparing)
    owner = Owner(segmenter)
    owner.masks_until_ready(1000)
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "no memory for 64 (the network's input stays as it is)",
    ]
    assert segmenter.resized == [32]


def test_an_unforeseen_failure_of_the_helper_reaches_the_networks_owner() -> None:
    def preparing(_size: int) -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        Owner(FakeSegmenter(ladder=(32, 64), preparing=preparing)).masks_until_ready(20)


@pytest.mark.parametrize("ladder", [(), (32,)])
def test_a_network_without_a_choice_is_left_alone(ladder: tuple[int, ...]) -> None:
    segmenter = FakeSegmenter(ladder=ladder)
    Owner(segmenter).masks_until_ready(60)
    assert not segmenter.prepared
    assert not segmenter.resized


def test_a_network_that_gave_up_an_input_by_itself_is_not_asked_for_it_again() -> None:
    """It ran out of memory at the first mask of that size and went back."""
    segmenter = FakeSegmenter(ladder=(32, 64))

    def before(_frame: RawFrame) -> None:
        if segmenter.resized and segmenter.resized[-1] == 64:
            segmenter.resized.append(32)

    segmenter.before = before
    owner = Owner(segmenter)
    owner.masks_until_ready(1000)
    assert segmenter.prepared == [64]
    assert segmenter.input == Size(43, 32)


def test_an_input_is_said_height_first() -> None:
    assert in_words(Size(512, 288)) == "288x512"
    assert in_words(None) == ""
