"""mask.refine: the outline at the frame's own size, and what the old room leaves in it."""

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vbgcam.bench.scene import add_grain
from vbgcam.camera.demo import PLATE, frames
from vbgcam.core.frames import U8, Backdrop, Mask, Planes, Prediction, RawFrame, Size, read_only
from vbgcam.core.options import PRESETS, MaskOptions
from vbgcam.mask import MaskTracker
from vbgcam.mask.plain import full_size
from vbgcam.mask.refine import NO_OUTLINE
from vbgcam.media import images
from vbgcam.pixels import kernels
from vbgcam.pixels.convert import from_rgb
from vbgcam.pixels.workframe import Region
from vbgcam.render.composer import Composer

HD = Size(1280, 720)


@lru_cache(maxsize=1)
def shot() -> tuple[RawFrame, U8, U8]:
    """The drawn presenter, the true alpha, and a network's of 256x256."""
    ((shown, truth),) = frames(range(30, 31))
    planes = Planes(HD, shown.data.copy())
    add_grain(planes, 1)
    small = cv2.GaussianBlur(cv2.resize(truth, (256, 256), interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    return RawFrame(planes.frozen(), 0.0), truth, read_only(np.asarray(small, np.uint8))


def masked(options: MaskOptions = PRESETS["balanced"]) -> Mask:
    frame, _truth, answer = shot()
    mask = MaskTracker(options).mask(frame, Prediction(frame, answer))
    assert mask is not None
    return mask


def test_the_frames_own_pixels_make_the_outline_finer_than_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    _frame, truth, _answer = shot()
    fine = masked().alpha

    def stretched(alpha: U8, frame: RawFrame, captured_at: float, *, region: Region | None, outline: object) -> Mask:
        return full_size(alpha, frame, captured_at, region=region)

    monkeypatch.setattr("vbgcam.mask.steps.full_size", stretched)
    errors = [float(cv2.absdiff(alpha, truth).mean()) for alpha in (fine, masked().alpha)]
    assert errors[0] < 0.8 * errors[1], errors


def test_kinds_are_those_of_the_refined_alpha() -> None:
    mask = masked()
    assert mask.kinds is not None
    again = np.empty_like(mask.kinds)
    kernels.classify(mask.alpha, again)
    np.testing.assert_array_equal(mask.kinds, again)


def test_the_old_room_is_taken_out_of_the_outline() -> None:
    """Against the true composite, around the outline: a fifth less off than by the same alpha without the step."""
    frame, truth, _answer = shot()
    mask = masked()
    assert mask.fringe is not None
    room, behind = from_rgb(images.read(PLATE).rgb), Planes.filled(HD, (60, 90, 170))
    outline = cv2.dilate(np.asarray((truth > 5) & (truth < 250), np.uint8), np.ones((3, 3), np.uint8)) > 0
    alpha = truth.astype(float) / 255
    true = frame.planes.y + (1 - alpha) * (behind.y.astype(float) - room.y)
    errors = []
    for fringe in (mask.fringe, None):
        out = Composer(HD).compose(frame, Mask(truth, 0.0, fringe=fringe), Backdrop(behind.frozen())).planes
        errors.append(float(np.abs(out.y - true)[outline].mean()))
    assert errors[0] < 0.8 * errors[1], errors


@pytest.mark.parametrize("step", ["refine", "foreground"])
def test_each_can_be_left_out(step: str) -> None:
    mask = masked(replace(PRESETS["balanced"], **{step: False}))
    assert (mask.fringe is None) == (step == "foreground")
    assert np.array_equal(mask.alpha, masked().alpha) == (step == "foreground")


def test_an_exact_alpha_stays_as_it_is_without_edges_and_is_refined_with_them() -> None:
    frame, truth, _answer = shot()
    half = read_only(np.asarray(cv2.resize(truth, (640, 360), interpolation=cv2.INTER_AREA), np.uint8))
    plain = full_size(half, frame, 0.0).alpha
    made = []
    for how in (replace(PRESETS["balanced"], refine=False), PRESETS["balanced"]):
        mask = MaskTracker(how).mask(frame, Prediction(frame, half, exact=True))
        assert mask is not None
        made.append(mask.alpha)
    np.testing.assert_array_equal(made[0], plain)
    assert cv2.absdiff(made[1], truth).mean() < 0.7 * cv2.absdiff(plain, truth).mean()


@settings(deadline=None, max_examples=60)
@given(
    have=st.integers(1, 20), more=st.integers(0, 60), width=st.integers(1, 70),
    margins=st.tuples(*[st.integers(0, 9)] * 4), value=st.sampled_from([None, 0, 255]), seed=st.integers(0, 999),
)  # fmt: skip
def test_a_stretched_mask_is_its_lines_with_nobody_around(
    *, have: int, more: int, width: int, margins: tuple[int, int, int, int], value: int | None, seed: int
) -> None:
    from vbgcam.mask import kernels as mask_loops

    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (have, width), np.uint8) if value is None else np.full((have, width), value, np.uint8)
    left, right, top, bottom = margins
    plain = np.empty((have + more, width), np.uint8)
    kernels.stretch_rows(read_only(rows), plain)
    expected = np.pad(plain, ((top, bottom), (left, right)))
    out, kinds = np.full_like(expected, 77), np.full((expected.shape[0] + 1) // 2, 77, np.uint8)
    planes = Planes.empty(Size(expected.shape[1], expected.shape[0])).frozen()
    edges = NO_OUTLINE.edges(planes.size, planes.size)
    place, colours = (left, top, have + more), (planes.y, planes.u, planes.v)
    nobody = read_only(np.empty((0, 0), np.uint8))
    mask_loops.stretch(read_only(rows), *place, colours, NO_OUTLINE.lines, nobody, nobody, *edges, out, kinds)
    np.testing.assert_array_equal(out, expected)
    again = np.empty_like(kinds)
    kernels.classify(read_only(out), again)
    np.testing.assert_array_equal(kinds, again)
