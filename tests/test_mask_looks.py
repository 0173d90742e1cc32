"""mask.looks: the network rests while little moves, and looks at once when something does, or a mask is doubted."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.fakes import FakeOutput, FakeSegmenter
from tests.support.live import PATIENCE, fake_source, plan, reaches, running
from vbgcam.core.errors import ModelError
from vbgcam.core.frames import Doubt, Planes, Prediction, RawFrame, Size, read_only
from vbgcam.core.options import MaskOptions
from vbgcam.live.session import Session
from vbgcam.mask import Looks, RoiSegmenter
from vbgcam.segment import Probability

SIZE = Size(320, 180)
PERSON = (slice(40, 180), slice(120, 200))
PERIOD = 1 / 30


def frame(number: int, *, moved: int = 0, light: int = 0, noise: float = 0.0, epoch: int = 0) -> RawFrame:
    """A person before a wall, `moved` to the right by so many pixels."""
    planes = Planes.filled(SIZE, (80, 120, 130))
    rows, columns = PERSON
    planes.y[rows, columns.start + moved : columns.stop + moved] = 160
    luma = planes.y + np.random.default_rng(number).normal(0, noise, planes.y.shape) + light
    planes.y[:] = np.clip(luma, 0, 255)
    return RawFrame(planes.frozen(), number * PERIOD, epoch, number)


def answer(seen: RawFrame, doubt: Doubt | None = None) -> Prediction:
    alpha = np.zeros((SIZE.height, SIZE.width), np.uint8)
    alpha[PERSON] = 255
    return Prediction(seen, read_only(alpha), False, doubt)


@pytest.mark.parametrize("noise", [0.0, 4.0, 12.0])
def test_where_nothing_moves_none_is_due_however_noisy_the_camera(noise: float) -> None:
    looks, last = Looks(), answer(frame(0, noise=noise))
    assert not any(looks.due(frame(number, noise=noise), last, 1.0) for number in range(1, 14))


def test_one_is_due_when_the_person_moves_by_a_tenth_of_themselves() -> None:
    looks, last = Looks(), answer(frame(0))
    moves = [looks.due(frame(1, moved=moved), last, 1.0) for moved in range(0, 12, 2)]
    assert moves == sorted(moves)
    assert not moves[0]
    assert moves[-1]


def test_one_is_due_when_somebody_comes_or_all_of_it_changes() -> None:
    looks, last = Looks(), answer(frame(0))
    other = frame(1)
    planes = Planes.filled(SIZE, (80, 120, 130))
    np.copyto(planes.y, other.planes.y)
    planes.y[60:180, 0:30] = 200
    assert looks.due(RawFrame(planes.frozen(), PERIOD, 0, 1), last, 1.0)
    assert looks.due(frame(1, light=90), last, 1.0)


@pytest.mark.parametrize("doubt", list(Doubt))
def test_a_doubted_answer_is_asked_again_at_once(doubt: Doubt) -> None:
    assert Looks().due(frame(1), answer(frame(0), doubt), 1.0)


def test_a_mask_that_lacked_evidence_asks_for_a_look() -> None:
    looks, last = Looks(), answer(frame(0))
    assert looks.due(frame(1), last, 0.9)
    assert not looks.due(frame(1), last, None), "nobody was there, and nothing has moved"


def test_one_is_due_every_so_often_and_when_time_runs_back() -> None:
    looks, last = Looks(), answer(frame(10))
    assert looks.due(frame(25), last, 1.0)
    assert looks.due(frame(9), last, 1.0)


def resting(segmenter: FakeSegmenter) -> RoiSegmenter:
    return RoiSegmenter(segmenter, roi=False, looks=Looks())


def test_a_network_that_rests_says_what_it_said_last() -> None:
    network = FakeSegmenter(exact=False)
    roi = resting(network)
    first = roi.predict(frame(0))
    assert all(roi.predict(frame(number)) is first for number in range(1, 10))
    assert network.calls == 1
    moved = roi.predict(frame(10, moved=30))
    assert moved.frame.number == 10
    assert roi.predict(frame(11, moved=60), rest=True) is moved, "there is no time for a look"
    assert roi.predict(frame(11, moved=30, epoch=1), rest=True).epoch == 1, "of another scene it knows nothing"
    roi.reset()
    assert roi.predict(frame(12, moved=30, epoch=1), rest=True).frame.number == 12


def test_who_may_be_elsewhere_is_looked_for() -> None:
    network = FakeSegmenter(exact=False)
    roi = resting(network)
    roi.predict(frame(0))
    roi.update_roi(0, None, elsewhere=True, kept=1.0)
    assert roi.predict(frame(1)).frame.number == 1


def test_a_network_that_failed_is_asked_again_although_nothing_moved() -> None:
    network = FakeSegmenter(exact=False)
    roi = resting(network)
    roi.predict(frame(0))

    def fails(_frame: RawFrame) -> None:
        raise ModelError("out of order")

    network.before = fails
    with pytest.raises(ModelError):
        roi.predict(frame(1, moved=40))
    network.before = lambda _frame: None
    assert roi.predict(frame(2)).frame.number == 2


def test_a_key_is_no_guess_and_costs_little_so_it_never_rests() -> None:
    network = FakeSegmenter(exact=True)
    roi = resting(network)
    for number in range(5):
        assert roi.predict(frame(number)).frame.number == number


def test_live_no_frame_waits_for_a_look_that_is_not_taken() -> None:
    """A source that waits for its reader gives its next frame when the one before is out, and that waits for its mask
    without end."""

    def middle(seen: RawFrame) -> Probability:
        found = np.zeros((seen.size.height, seen.size.width), np.float32)
        found[10:-10, 10:-10] = 1
        return found

    segmenter = FakeSegmenter(exact=False, wrong=middle)
    source = fake_source(clocked=False)
    what = plan(source, FakeOutput(), segmenter=segmenter, sync="exact")
    mask = MaskOptions(rest=True, roi=False, temporal=True)
    what = replace(what, options=replace(what.options, mask=mask, max_mask_age=PATIENCE))
    with running(what) as session:
        reaches(session, lambda: sent(session) > 0)
        calls = segmenter.calls
        reaches(session, lambda: sent(session) > 100)
    assert segmenter.calls - calls < 50


def sent(session: Session) -> int:
    frames = session.stats.snapshot()["frames"]
    return int(frames["sent"]) - int(frames["covered"])
