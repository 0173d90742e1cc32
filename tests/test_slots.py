"""live.slots: the newest value, and nothing else."""

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from vbgcam.live.slots import Slot


@given(st.lists(st.sampled_from(["put", "take", "peek", "clear"]), max_size=40))
def test_a_slot_is_a_variable_that_knows_whether_it_was_taken(steps: list[str]) -> None:
    slot: Slot[int] = Slot()
    value: int | None = None
    fresh = False
    for number, step in enumerate(steps):
        if step == "put":
            assert slot.put(number) == fresh
            value, fresh = number, True
        elif step == "take":
            assert slot.take(0) == (value if fresh else None)
            fresh = False
        elif step == "peek":
            assert slot.peek() == value
        else:
            slot.clear()
            value, fresh = None, False


def test_a_taker_gets_what_is_put_while_it_waits() -> None:
    slot: Slot[str] = Slot()
    got: list[str | None] = []
    taker = threading.Thread(target=lambda: got.append(slot.take(30)))
    taker.start()
    slot.put("frame")
    taker.join(30)
    assert got == ["frame"]


def test_closing_wakes_a_taker_and_a_writer_that_wait() -> None:
    slot: Slot[str] = Slot()
    full: Slot[str] = Slot()
    full.put("never taken")
    got: list[object] = []
    waiting = [
        threading.Thread(target=lambda: got.append(slot.take(30))),
        threading.Thread(target=lambda: got.append(full.wait_taken(30))),
    ]
    for thread in waiting:
        thread.start()
    slot.close()
    full.close()
    for thread in waiting:
        thread.join(30)
    assert not any(thread.is_alive() for thread in waiting)
    assert set(got) == {None, True}


def test_a_writer_that_may_lose_nothing_waits_until_its_value_is_taken() -> None:
    slot: Slot[int] = Slot()
    assert slot.wait_taken(0)
    slot.put(1)
    assert not slot.wait_taken(0)
    assert slot.take(0) == 1
    assert slot.wait_taken(0)


def test_a_value_that_is_taken_but_not_done_holds_its_writer() -> None:
    slot: Slot[int] = Slot()
    slot.put(1)
    assert slot.take(0, done=False) == 1
    assert slot.fresh()
    assert not slot.wait_taken(0)
    slot.done()
    assert not slot.fresh()
    assert slot.wait_taken(0)


def test_a_taker_that_waits_for_one_slot_sees_a_change_in_the_other_that_shares_its_condition() -> None:
    changed = threading.Condition()
    masks: Slot[str] = Slot(changed)
    frames: Slot[str] = Slot(changed)
    ended = threading.Event()

    def wait() -> None:
        masks.wait(lambda: masks.peek() == "own" or frames.fresh(), 30)
        ended.set()

    wakes: list[Callable[[], bool]] = [lambda: frames.put("newer"), lambda: masks.put("own")]
    for wake in wakes:
        ended.clear()
        waiting = threading.Thread(target=wait)
        waiting.start()
        wake()
        waiting.join(30)
        assert ended.is_set()
        frames.clear()


def test_a_wait_ends_with_the_slot_and_with_its_time() -> None:
    slot: Slot[int] = Slot()
    slot.wait(lambda: False, 0)
    slot.close()
    slot.wait(lambda: False, 30)
