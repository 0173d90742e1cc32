"""Pictures before another background: what is made, under which names, and what becomes of the bad ones."""

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.fakes import BEHIND, FakeBackground, FakeSegmenter
from vbgcam.background import Background
from vbgcam.core.errors import BackgroundError, ConfigError, MediaError, ModelError
from vbgcam.core.frames import U8, Planes, RawFrame, Size
from vbgcam.core.options import Blur, MaskOptions, RenderOptions
from vbgcam.mask import finish
from vbgcam.media import images as files
from vbgcam.offline import images
from vbgcam.offline.backdrops import OpenBackground
from vbgcam.offline.images import ImageResult
from vbgcam.pixels.convert import from_rgb, to_rgb
from vbgcam.segment import Probability

ROOM = 214
"""Gray whose luma is that of the fakes' secret room."""

BEHIND_RGB = to_rgb(Planes.filled(Size(2, 2), BEHIND))[0, 0].astype(int)


def photo(width: int = 40, height: int = 30) -> U8:
    """A gray room; in its middle the person, dark and of many colours."""
    rgb = np.full((height, width, 3), ROOM, np.uint8)
    inside = person(width, height)
    colors = np.random.default_rng(0).integers(0, 120, (height, width, 3), np.uint8)
    rgb[inside] = colors[inside]
    return rgb


def person(width: int = 40, height: int = 30) -> np.ndarray:
    inside = np.zeros((height, width), bool)
    inside[height // 4 :, width // 4 : -(width // 4) or None] = True
    return inside


def save(path: Path, rgb: U8 | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(photo() if rgb is None else rgb).save(path)
    return path


def behind(size: Size) -> Background:
    return FakeBackground(size)


LOOK = (RenderOptions(), behind)


def one(
    source: Path,
    target: Path | None,
    options: RenderOptions = LOOK[0],
    background: OpenBackground = behind,
    *,
    segmenter: FakeSegmenter | None = None,
) -> ImageResult:
    (end,) = images.convert([source], target, segmenter or FakeSegmenter(), options, background)
    return end


def pixels(path: Path) -> np.ndarray:
    return files.read(path).rgb.astype(int)


# What is made.


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_the_person_stays_and_the_room_becomes_the_background(tmp_path: Path, suffix: str) -> None:
    source, target = save(tmp_path / "in.png"), tmp_path / f"out.{suffix}"
    assert one(source, target) == ImageResult(source, (target,))
    with Image.open(target) as image:
        assert image.format == files.SUFFIXES[f".{suffix}"]
        assert image.size == (40, 30)
    loss = 3 if suffix in {"png", "tif"} else 40
    room = pixels(target)[:4]
    assert np.abs(room - BEHIND_RGB).max() <= loss
    luma = np.array([0.299, 0.587, 0.114])  # the colours of single pixels are thinned, their luma is not
    inside = person()
    inside[:10] = inside[:, :14] = inside[:, 26:] = False
    assert np.abs((pixels(target) - photo())[inside] @ luma).mean() <= loss


def test_the_mask_that_is_written_is_exactly_the_one_that_was_used(tmp_path: Path) -> None:
    rough = np.random.default_rng(1).random((9, 7), np.float32)
    source = save(tmp_path / "in.png")
    segmenter = FakeSegmenter(wrong=lambda _frame: rough)
    images.convert([source], tmp_path / "out.png", segmenter, *LOOK, mask_out=tmp_path / "mask.png")
    expected = finish(rough, RawFrame(from_rgb(photo()), 0.0)).alpha
    with Image.open(tmp_path / "mask.png") as mask:
        assert mask.mode == "L"
        assert np.array_equal(np.asarray(mask), expected)


def test_the_cut_out_has_the_pictures_own_pixels_and_nothing_of_the_room(tmp_path: Path) -> None:
    soft = np.linspace(0, 1, 30, dtype=np.float32)[:, None].repeat(40, 1)
    source = save(tmp_path / "in.png")
    end = images.convert([source], None, FakeSegmenter(wrong=lambda _frame: soft), *LOOK, cutout=tmp_path / "cut.png")
    assert end == [ImageResult(source, (tmp_path / "cut.png",))]
    with Image.open(tmp_path / "cut.png") as image:
        assert image.mode == "RGBA"
        cut = np.asarray(image)
    alpha = finish(soft, RawFrame(from_rgb(photo()), 0.0)).alpha
    assert np.array_equal(cut[..., 3], alpha)
    assert (alpha == 0).any()
    assert np.array_equal(cut[..., :3], np.where(alpha[..., None] > 0, photo(), 0))


def test_hard_is_the_sum_of_person_and_background_by_a_mask_and_its_inverse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed: list[Planes] = []

    def keep(planes: Planes) -> U8:
        composed.append(planes)
        return to_rgb(planes)

    monkeypatch.setattr(images, "to_rgb", keep)
    # A label mask at a fifth of the size: the classic method enlarges it by the nearest pixel.
    label = np.random.default_rng(2).integers(0, 2, (6, 8)).astype(np.float32)
    source = save(tmp_path / "in.png")
    segmenter = FakeSegmenter(wrong=lambda _frame: label)
    images.convert(
        [source],
        tmp_path / "a.png",
        segmenter,
        RenderOptions(mask=MaskOptions(hard=True)),
        behind,
        mask_out=tmp_path / "m.png",
    )
    mask = pixels(tmp_path / "m.png")[..., 0]
    assert np.array_equal(mask, label.repeat(5, 0).repeat(5, 1) * 255)
    frame, (out,) = from_rgb(photo()), composed
    inverse = 255 - mask
    assert np.array_equal(out.y, frame.y * (mask // 255) + BEHIND[0] * (inverse // 255))
    even = mask.reshape(15, 2, 20, 2).transpose(0, 2, 1, 3).reshape(15, 20, 4)
    for plane, own, other in ((out.u, frame.u, BEHIND[1]), (out.v, frame.v, BEHIND[2])):
        assert np.array_equal(plane[even.min(-1) == 255], own[even.min(-1) == 255])
        assert (plane[even.max(-1) == 0] == other).all()


def test_the_pictures_own_transparency_multiplies_the_mask(tmp_path: Path) -> None:
    own = np.full((30, 40), 100, np.uint8)
    save(tmp_path / "in.png", np.dstack((photo(), own)))
    images.convert(
        [tmp_path / "in.png"], tmp_path / "out.png", FakeSegmenter(), *LOOK,
        mask_out=tmp_path / "mask.png", cutout=tmp_path / "cut.png",
    )  # fmt: skip
    alpha = files.read(tmp_path / "cut.png").alpha
    assert alpha is not None
    assert set(np.unique(alpha)) == {0, 100}
    assert np.array_equal(pixels(tmp_path / "mask.png")[..., 1], alpha)
    assert files.read(tmp_path / "out.png").alpha is None


def test_the_plain_picture_is_itself_and_its_transparency_lies_on_black(tmp_path: Path) -> None:
    segmenter = FakeSegmenter()
    smooth = np.full((30, 40, 3), (90, 120, 60), np.uint8)
    one(save(tmp_path / "in.png", smooth), tmp_path / "out.png", RenderOptions(plain=True), behind, segmenter=segmenter)
    assert np.abs(pixels(tmp_path / "out.png") - smooth).max() <= 2
    half = np.full((30, 40), 255, np.uint8)
    half[:10] = 0
    one(
        save(tmp_path / "in.png", np.dstack((smooth, half))),
        tmp_path / "out.png",
        RenderOptions(plain=True),
        behind,
        segmenter=segmenter,
    )
    assert pixels(tmp_path / "out.png")[:8].max() <= 2
    assert np.abs(pixels(tmp_path / "out.png")[12:] - smooth[12:]).max() <= 2
    assert segmenter.calls == 0, "no network is needed for it"


def test_a_mirrored_picture_takes_its_mask_and_its_cut_out_with_it(tmp_path: Path) -> None:
    rgb = np.full((30, 40, 3), ROOM, np.uint8)
    rgb[:, :10] = 30
    source = save(tmp_path / "in.png", rgb)
    look = (RenderOptions(mirror=True), behind)
    names = {name: tmp_path / f"{name}.png" for name in ("out", "mask", "cut")}
    images.convert([source], names["out"], FakeSegmenter(), *look, mask_out=names["mask"], cutout=names["cut"])
    assert pixels(names["out"])[15, 35].max() < 40
    assert pixels(names["mask"])[15, [4, 35], 0].tolist() == [0, 255]
    cut = files.read(names["cut"])
    assert cut.alpha is not None
    assert cut.alpha[15, [4, 35]].tolist() == [0, 255]
    assert cut.rgb[15, 35].tolist() == [30, 30, 30]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["behind", "blur"]), st.booleans())
@example(1, 16_000, "behind", False)
@example(16_000, 1, "blur", False)
def test_pictures_of_any_size_keep_it(tmp_path: Path, width: int, height: int, what: str, hard: bool) -> None:
    network = np.random.default_rng(3).random((16, 16), np.float32)
    look = (RenderOptions(blur=Blur(0.5) if what == "blur" else None, mask=MaskOptions(hard=hard)), behind)
    segmenter = FakeSegmenter(wrong=lambda _frame: network.round() if hard else network)
    source, target, mask = save(tmp_path / "in.png", photo(width, height)), tmp_path / "o.png", tmp_path / "m.png"
    images.convert([source], target, segmenter, *look, mask_out=mask, cutout=tmp_path / "c.png")
    for path in (target, mask, tmp_path / "c.png"):
        assert files.read(path).size == Size(width, height)


# Names.


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_one_picture_goes_to_a_file_or_into_a_folder(tmp_path: Path) -> None:
    source, out = save(tmp_path / "in" / "me.png"), tmp_path / "out"
    one(source, out)
    one(source, out)
    out.mkdir(exist_ok=True)
    one(source, out / "you.jpg")
    assert names(out) == ["me.png", "you.jpg"]


def test_in_a_folder_a_result_keeps_the_format_where_it_is_written(tmp_path: Path) -> None:
    sources = [save(tmp_path / "in" / name) for name in ("a.JPG", "b.png", "c.webp", "d.tiff", "e.bmp", "f.gif")]
    images.convert(sources, tmp_path / "out", FakeSegmenter(), *LOOK)
    assert names(tmp_path / "out") == ["a.JPG", "b.png", "c.webp", "d.tiff", "e.jpg", "f.jpg"]


def test_two_pictures_of_one_name_get_two_results_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [save(tmp_path / folder / name) for folder, name in (("1", "a.png"), ("2", "A.png"), ("3", "a-2.png"))]
    out = tmp_path / "out"
    with caplog.at_level(logging.INFO):
        ends = images.convert(sources, out, FakeSegmenter(), *LOOK, mask_out=out, cutout=out)
    assert [end.error for end in ends] == [None] * 3
    made = ["A-2", "a", "a-2-2"]
    assert names(out) == sorted([f"{name}{tail}.png" for name in made for tail in ("", "-mask", "-cutout")])
    said = [record.getMessage() for record in caplog.records]
    assert f"{sources[1]}: its result is {out / 'A-2.png'}, because A.png is taken" in said


def test_a_picture_named_like_anothers_mask_keeps_its_own_result(tmp_path: Path) -> None:
    sources = [save(tmp_path / "in" / name) for name in ("a.png", "a-mask.png")]
    out = tmp_path / "out"
    ends = images.convert(sources, out, FakeSegmenter(), *LOOK, mask_out=out)
    written = [path for end in ends for path in end.written]
    assert len(set(written)) == 4
    assert names(out) == sorted(path.name for path in written)


def refused(sources: list[Path], target: Path | None, **options: Path) -> str:
    segmenter = FakeSegmenter()
    with pytest.raises(ConfigError) as caught:
        images.convert(sources, target, segmenter, *LOOK, **options)  # type: ignore[arg-type]
    assert segmenter.calls == 0
    return str(caught.value)


def test_names_that_cannot_be_meant_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    a, b = save(tmp_path / "a.png"), save(tmp_path / "b.png")
    before = names(tmp_path)
    assert ".jpg, .jpeg, .png, .webp, .tif, .tiff" in refused([a], tmp_path / "out.gif")
    for file in (b, tmp_path / "out.jpg"):
        assert "need a folder, not one file" in refused([a, b], file)
    assert "ends in .png" in refused([a], tmp_path / "o.jpg", mask_out=tmp_path / "m.jpg")
    assert "cannot have one name" in refused([a], tmp_path / "o.png", cutout=tmp_path / "O.PNG")
    both = refused([a], tmp_path / "o.gif", mask_out=tmp_path / "m.jpg")
    assert len(both.splitlines()) == 2
    assert names(tmp_path) == before


# Bad ones.


def test_of_many_pictures_a_bad_one_costs_only_its_own_result(tmp_path: Path) -> None:
    good = [save(tmp_path / "in" / f"{name}.png") for name in "acd"]
    bad = tmp_path / "in" / "b.jpg"
    bad.write_text("no picture")
    told: list[tuple[Path, int, int]] = []
    ends = images.convert(
        [good[0], bad, tmp_path / "in" / "missing.png", *good[1:]],
        tmp_path / "out",
        FakeSegmenter(),
        *LOOK,
        progress=lambda end, done, total: told.append((end.source, done, total)),
    )
    assert [end.error is None for end in ends] == [True, False, False, True, True]
    assert str(ends[1].error).startswith(f"{bad} is no picture")
    assert names(tmp_path / "out") == ["a.png", "c.png", "d.png"]
    assert told == [(end.source, number, 5) for number, end in enumerate(ends, 1)]


def test_a_folder_is_not_made_for_pictures_that_are_all_bad(tmp_path: Path) -> None:
    end = one(tmp_path / "missing.png", tmp_path / "out")
    assert isinstance(end.error, MediaError)
    assert names(tmp_path) == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["same", "dotted", "symlink", "hard link", "folder", "other input", "mask"])
def test_a_picture_that_is_read_is_never_written_to(tmp_path: Path, kind: str) -> None:
    source = save(tmp_path / "in" / "a.png")
    other = save(tmp_path / "other" / "b.png")
    before = source.read_bytes(), other.read_bytes()
    target = {
        "same": source,
        "dotted": source.parent / ".." / "in" / "a.png",
        "symlink": tmp_path / "link.png",
        "hard link": tmp_path / "hard.png",
        "folder": source.parent,
        "other input": source.parent,
        "mask": tmp_path / "out.png",
    }[kind]
    (tmp_path / "link.png").symlink_to(source)
    os.link(source, tmp_path / "hard.png")
    if kind == "other input":
        (source.parent / "b.png").symlink_to(other)
    sources, mask = [source, other] if kind == "other input" else [source], source if kind == "mask" else None
    ends = images.convert(sources, target, FakeSegmenter(), *LOOK, mask_out=mask)
    assert not (tmp_path / "out.png").exists()
    assert all(end.error is not None and "would overwrite a picture that is read" in str(end.error) for end in ends)
    assert (source.read_bytes(), other.read_bytes()) == before
    assert (tmp_path / "link.png").is_symlink()


def fails(_frame: RawFrame) -> Probability:
    raise ModelError("the network ran out of memory", fix="--set model.device=cpu")


def is_nan(_frame: RawFrame) -> Probability:
    return np.full((4, 4), np.nan, np.float32)


@pytest.mark.parametrize("wrong", [fails, is_nan])
def test_when_the_work_fails_an_older_result_is_kept(tmp_path: Path, wrong: Callable[[RawFrame], Probability]) -> None:
    source, target = save(tmp_path / "a.png"), tmp_path / "out.png"
    target.write_bytes(b"older")
    end = one(source, target, segmenter=FakeSegmenter(wrong=wrong))
    assert str(end.error).startswith(f"{source}: the network ")
    assert target.read_bytes() == b"older"
    assert names(tmp_path) == ["a.png", "out.png"]


def test_too_little_memory_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_rgb: U8) -> Planes:
        raise MemoryError

    monkeypatch.setattr(images, "from_rgb", exhausted)
    end = one(save(tmp_path / "a.png"), tmp_path / "out.png")
    assert "more memory than there is" in str(end.error)


def test_a_background_that_cannot_be_shown_ends_the_work(tmp_path: Path) -> None:
    sources = [save(tmp_path / "in" / name) for name in ("a.png", "b.png")]
    background = FakeBackground(Size(40, 30), fail=BackgroundError("film.mp4 breaks off"))
    with pytest.raises(BackgroundError, match="breaks off"):
        images.convert(sources, tmp_path / "out", FakeSegmenter(), RenderOptions(), lambda _size: background)
    assert background.closed
    assert not (tmp_path / "out").exists()


def test_each_picture_is_a_scene_of_its_own(tmp_path: Path) -> None:
    sources = [save(tmp_path / "in" / f"{name}.png") for name in "abc"]
    segmenter = FakeSegmenter()
    resets: list[int] = []
    segmenter.before = lambda _frame: resets.append(segmenter.resets)
    images.convert(sources, tmp_path / "out", segmenter, *LOOK)
    assert resets == [1, 2, 3]
    assert not segmenter.closed, "its owner closes it"


def test_the_background_is_opened_at_each_pictures_size_and_once_for_equal_ones(tmp_path: Path) -> None:
    opened: list[FakeBackground] = []

    def open_at(size: Size) -> Background:
        opened.append(FakeBackground(size))
        return opened[-1]

    sizes = [(40, 30), (40, 30), (30, 40)]
    sources = [save(tmp_path / "in" / f"{n}.png", photo(*size)) for n, size in enumerate(sizes)]
    ends = images.convert(sources, tmp_path / "out", FakeSegmenter(), RenderOptions(), open_at)
    assert all(end.error is None for end in ends)
    assert [background.size for background in opened] == [Size(40, 30), Size(30, 40)]
    assert all(background.closed for background in opened)


def test_when_it_is_to_stop_no_further_picture_is_begun(tmp_path: Path) -> None:
    sources = [save(tmp_path / "in" / f"{name}.png") for name in "abc"]
    segmenter = FakeSegmenter()
    ends = images.convert(sources, tmp_path / "out", segmenter, *LOOK, stop=lambda: segmenter.calls >= 2)
    assert [end.source for end in ends] == sources[:2]
    assert names(tmp_path / "out") == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["grace_hopper", "nik_0160"])
def test_a_real_photograph_gets_a_mask_near_the_one_made_by_hand_or_by_a_stronger_network(
    tmp_path: Path, testdata: Path, name: str
) -> None:
    pytest.importorskip("onnxruntime")
    from vbgcam.background import open_background
    from vbgcam.core.specs import BackgroundSpec, ModelSpec
    from vbgcam.segment import Options, open_segmenter

    model = testdata / "models" / "selfie_segmentation_256.onnx"
    segmenter = open_segmenter(ModelSpec.parse(f"onnx:{model}"), Options(device="cpu"))
    wall = BackgroundSpec("file", path=testdata / "backgrounds" / "crissy_field.jpg")
    source = testdata / "photos" / f"{name}.jpg"
    try:
        (end,) = images.convert(
            [source],
            tmp_path / f"{name}.png",
            segmenter,
            RenderOptions(),
            partial(open_background, wall),
            mask_out=tmp_path / f"{name}_mask.png",
            cutout=tmp_path / f"{name}_cut.png",
        )
    finally:
        segmenter.close()
    assert end.error is None
    found, expected = (
        pixels(tmp_path / f"{name}_mask.png")[..., 0],
        pixels(testdata / "photos" / f"{name}_mask.png")[..., 0],
    )
    both = np.minimum(found, expected).sum() / np.maximum(found, expected).sum()
    assert both > 0.8
    result, own = pixels(tmp_path / f"{name}.png"), files.read(source)
    assert own.size == Size(result.shape[1], result.shape[0])
    sure = (found == 255) & (expected == 255)
    assert np.abs(result - own.rgb)[sure].mean() < 4
    assert np.abs(result - own.rgb)[(found == 0) & (expected == 0)].mean() > 20
