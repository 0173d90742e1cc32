"""demo: the picture of before and after that it ends with."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from vbgcam.camera.demo import PLATE, frames
from vbgcam.cli.run import CAPTIONS, before_after
from vbgcam.core.errors import ModelError
from vbgcam.core.frames import Backdrop, Planes, RawFrame, Size
from vbgcam.core.options import Blur
from vbgcam.core.specs import ModelSpec
from vbgcam.mask import Masker, finish
from vbgcam.media import images
from vbgcam.pixels import convert
from vbgcam.render.composer import Behind
from vbgcam.report import sheet
from vbgcam.segment import Options, open_segmenter
from vbgcam.segment.plate import CleanPlate

SIZE = Size(320, 180)
MAGENTA = (255, 0, 255)


def _backdrop() -> Backdrop:
    return Backdrop(Planes.filled(SIZE, convert.color_yuv(MAGENTA)).frozen())


def _before_after(path: Path, behind: Behind) -> tuple[np.ndarray, np.ndarray]:
    """The two pictures on the sheet."""
    before_after(behind, SIZE, path, Masker(CleanPlate.load(PLATE)))
    page = images.read(path).rgb
    margin = (page.shape[1] - 2 * SIZE.width) // 3
    rows = slice(margin, margin + SIZE.height)
    right = 2 * margin + SIZE.width
    return page[rows, margin : margin + SIZE.width], page[rows, right : right + SIZE.width]


def test_left_is_what_the_camera_gives_and_right_is_the_person_alone(tmp_path: Path) -> None:
    before, after = _before_after(tmp_path / "sheet.png", _backdrop())
    ((planes, matte),) = frames(range(48, 49))
    camera, alpha = convert.to_rgb(convert.fit(planes, SIZE)), convert.resize_alpha(matte, SIZE)
    inner = np.zeros(alpha.shape, bool)
    inner[8:-8, 8:-8] = True  # the sheet rounds the corners
    np.testing.assert_array_equal(before[inner], camera[inner])
    deep = cv2.erode(alpha, np.ones((7, 7), np.uint8)) == 255
    far = cv2.dilate(alpha, np.ones((7, 7), np.uint8)) == 0
    assert np.abs(after[inner & far].astype(np.int16) - MAGENTA).max() <= 3
    assert np.abs(after[inner & deep].astype(np.int16) - camera[inner & deep]).max() <= 3


def test_the_sheet_also_shows_a_blurred_room(tmp_path: Path) -> None:
    before, after = _before_after(tmp_path / "sheet.png", Blur(1.0))
    room = np.abs(np.diff(before[:, 240:].astype(np.int16), axis=1)).mean()
    assert np.abs(np.diff(after[:, 240:].astype(np.int16), axis=1)).mean() < room / 2


def test_a_broken_mask_leaves_no_sheet_and_an_old_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CleanPlate, "probability", lambda *_: np.full((SIZE.height, SIZE.width), np.nan, np.float32))
    path = tmp_path / "sheet.png"
    path.write_bytes(b"old")
    with pytest.raises(ModelError, match="finite"):
        before_after(_backdrop(), SIZE, path, Masker(CleanPlate.load(PLATE)))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("width", "shown"), [(320, 320), (2400, 960)])
def test_large_pictures_are_shown_smaller_side_by_side(width: int, shown: int) -> None:
    image = np.full((90, width, 3), 128, np.uint8)
    page = sheet.sheet([image, image], ("a", "b"))
    margins = page.shape[1] - 2 * shown
    assert 0 < margins < 0.2 * shown
    line = page[page.shape[0] // 3]
    assert (line == 128).all(1).sum() == 2 * shown


def test_captions_stand_below_the_pictures_and_inside_the_page() -> None:
    image = np.full((180, 320, 3), 128, np.uint8)
    page, empty = sheet.sheet([image, image], CAPTIONS), sheet.sheet([image, image], ("", ""))
    rows, columns = np.nonzero((page != empty).any(2))
    assert rows.min() > 180
    assert rows.max() < page.shape[0] - 2
    for half in (columns[columns < page.shape[1] // 2], columns[columns >= page.shape[1] // 2]):
        assert half.size > 100
    assert columns.min() > 2
    assert columns.max() < page.shape[1] - 2


@pytest.mark.parametrize("size", [Size(1280, 720), Size(640, 360)], ids=str)
def test_the_clean_plate_takes_the_presenter_out(size: Size) -> None:
    segmenter = open_segmenter(ModelSpec.parse(f"plate:{PLATE}"), Options())
    errors, holes = [], []
    for planes, matte in frames(range(0, 375, 60)):
        frame, alpha = RawFrame(convert.fit(planes, size).frozen(), 0.0), convert.resize_alpha(matte, size)
        mask = finish(segmenter.probability(frame), frame).alpha
        errors.append(np.abs(mask.astype(np.float64) - alpha).mean() / 255)
        holes.append((mask[alpha == 255] < 128).mean())
    segmenter.close()
    assert np.mean(errors) <= 0.01
    assert max(holes) <= 0.002
