"""segment.light: what exposure and white balance made of a room's colours, learned from pixels and put on a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vbgcam.core.frames import U8
from vbgcam.segment.light import Light

SIZE = (40, 60)


def room(seed: int = 0) -> list[U8]:
    """y, u and v of patches of all colours, not so bright that light could clip them."""
    rng = np.random.default_rng(seed)
    return [
        np.kron(rng.integers(*span, (8, 12)), np.ones((5, 5))).astype(np.uint8)
        for span in ((40, 160), *[(90, 166)] * 2)
    ]


def relit(planes: list[U8], gain: float, tint: tuple[float, float]) -> list[U8]:
    """Exposure and white balance: all by `gain`, chroma by the brighter pixel's more."""
    y, u, v = (plane.astype(np.float64) for plane in planes)
    chroma = (128 + gain * (plane - 128) + shift * y / 128 for plane, shift in zip((u, v), tint, strict=True))
    return [np.clip(np.round(plane), 0, 255).astype(np.uint8) for plane in (gain * y, *chroma)]


def off(one: list[U8], other: list[U8]) -> int:
    return max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(one, other, strict=True))


def flat(planes: list[U8], where: NDArray[np.bool_] | None = None) -> list[U8]:
    return [plane.ravel() if where is None else plane[where] for plane in planes]


gains, shifts = st.floats(0.6, 1.5), st.tuples(st.floats(-12, 12), st.floats(-12, 12))


@given(gains, shifts, st.integers(0, 9))
def test_the_room_looks_as_in_the_new_light_and_so_does_what_was_not_learned(
    gain: float, tint: tuple[float, float], seed: int
) -> None:
    planes = room(seed)
    now = relit(planes, gain, tint)
    half = np.zeros(SIZE, bool)
    half[:, :30] = True
    found = Light.between(flat(planes, half), flat(now, half)).on(planes)
    assert [plane.shape for plane in found] == [SIZE] * 3
    assert {plane.dtype for plane in found} == {np.dtype(np.uint8)}
    assert off(found, now) <= 6


@given(st.integers(0, 9))
def test_the_same_light_changes_nothing(seed: int) -> None:
    planes = room(seed)
    assert off(Light.between(flat(planes), flat(planes)).on(planes), planes) <= 1


@given(gains, shifts, st.tuples(*[st.integers(0, 255)] * 3))
def test_a_fifth_of_the_pixels_that_show_something_else_is_outvoted(
    gain: float, tint: tuple[float, float], colour: tuple[int, int, int]
) -> None:
    planes = room()
    now, seen = relit(planes, gain, tint), relit(planes, gain, tint)
    for plane, value in zip(seen, colour, strict=True):
        plane[:, ::5] = value
    assert off(Light.between(flat(planes), flat(seen)).on(planes), now) <= 8


@pytest.mark.parametrize("count", [0, 1, 15])
def test_too_few_pixels_say_nothing(count: int) -> None:
    planes = room()
    few = [plane.ravel()[:count] for plane in planes]
    assert off(Light.between(few, [np.full(count, 255, np.uint8)] * 3).on(planes), planes) == 0
