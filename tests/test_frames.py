"""frames: values, their layout, and buffers that are reused only when nobody looks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.frames import PlanePool, Planes, Size

sizes = st.builds(Size, st.integers(1, 70), st.integers(1, 70))


@pytest.mark.parametrize("text", ["", "x", "12", "12x", "x12", "-1x2", "0x5", "1.5x2", "12x34x56", "²x2"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        Size.parse(text)


def test_a_size_reads_what_it_writes() -> None:
    assert Size.parse(str(Size(1280, 720))) == Size(1280, 720)


@given(sizes)
def test_planes_share_one_block_and_cover_it_exactly(size: Size) -> None:
    planes = Planes.empty(size)
    planes.data[:] = 0
    for plane in (planes.y, planes.u, planes.v):
        plane[:] = plane + 1
    assert (planes.data == 1).all()
    assert planes.y.shape == (size.height, size.width)
    assert planes.u.shape == planes.v.shape == ((size.height + 1) // 2, (size.width + 1) // 2)


def test_frozen_planes_cannot_be_written() -> None:
    frozen = Planes.empty(Size(4, 4)).frozen()
    for plane in (frozen.data, frozen.y, frozen.u, frozen.v):
        with pytest.raises(ValueError, match="read-only"):
            plane[...] = 0


def test_a_block_of_another_length_is_no_picture() -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        Planes(Size(4, 4), np.zeros(23, np.uint8))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([Size(4, 4), Size(6, 4)]), st.integers(0, 9)), max_size=60))
def test_a_pool_never_hands_out_a_block_that_somebody_holds(steps: list[tuple[bool, Size, int]]) -> None:
    pool = PlanePool(keep=3)
    held: list[tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]] = []
    for number, (takes, size, which) in enumerate(steps):
        if takes or not held:
            planes = pool.take(size)
            planes.data[:] = number
            # Holding one plane of the picture, or a row of it, is holding it all.
            held.append((number, planes.v[0] if which % 2 else planes.frozen().y))
            del planes
        else:
            held.pop(which % len(held))
        for painted, view in held:
            assert (view == painted).all()


def test_a_pool_reuses_a_block_that_was_let_go() -> None:
    pool = PlanePool()
    first = pool.take(Size(4, 4)).data.__array_interface__["data"]
    assert pool.take(Size(4, 4)).data.__array_interface__["data"] == first
