"""Pictures: what is made by Pillow here must come back upright, in sRGB, whole, or as one line that says why not."""

import io
import os
import resource
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8, Size
from vbgcam.media import images


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """Not one of Pillow's warnings may leave the adapter."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def smooth(width: int = 40, height: int = 24) -> U8:
    """A gradient that tells all four corners apart and survives JPEG."""
    across = np.linspace(20, 230, width)[None, :].repeat(height, 0)
    down = np.linspace(230, 20, height)[:, None].repeat(width, 1)
    return np.dstack((across, down, (across + down) / 2)).astype(np.uint8)


def off(left: U8, right: U8) -> int:
    assert left.shape == right.shape
    return int(np.abs(left.astype(int) - right.astype(int)).max())


def problem(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        images.read(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


# Upright.


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    image = Image.fromarray(smooth())
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    image.save(path, exif=exif, quality=98)
    expected = ImageOps.exif_transpose(_with_orientation(image, orientation))
    read = images.read(path)
    assert off(read.rgb, np.asarray(expected)) <= 12
    assert read.size == (Size(24, 40) if orientation >= 5 else Size(40, 24))


def _with_orientation(image: Image.Image, orientation: int) -> Image.Image:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=exif)
    return Image.open(stream)


def test_the_alpha_is_turned_with_the_picture(tmp_path: Path) -> None:
    alpha = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.dstack((smooth(3, 2), alpha))).save(tmp_path / "a.png", exif=exif)
    read = images.read(tmp_path / "a.png")
    assert read.alpha is not None
    assert np.array_equal(read.alpha, np.rot90(alpha, -1))


def test_broken_metadata_is_no_reason_to_refuse_a_picture(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xffnothing", quality=98)
    assert off(images.read(tmp_path / "a.jpg").rgb, smooth()) <= 12


def test_a_large_jpeg_is_decoded_smaller_where_less_is_enough(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth(1600, 800)).save(tmp_path / "a.jpg", exif=exif)
    assert images.read(tmp_path / "a.jpg").size == Size(800, 1600)
    assert images.read(tmp_path / "a.jpg", min_size=Size(200, 100)).size == Size(200, 400)
    assert images.read(tmp_path / "a.jpg", min_size=Size(100, 201)).size == Size(400, 800)
    assert images.read(tmp_path / "a.jpg", min_size=Size(9000, 9000)).size == Size(800, 1600)


# Depth and colour.


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    gray = np.linspace(0, 65535, 64).astype(np.uint16).reshape(4, 16)
    color = np.dstack((gray, gray[::-1], gray[:, ::-1]))
    cv2.imwrite(str(tmp_path / f"gray{suffix}"), gray)
    cv2.imwrite(str(tmp_path / f"color{suffix}"), np.ascontiguousarray(color[..., ::-1]))
    expected = np.round(gray / 257).astype(np.uint8)
    read = images.read(tmp_path / f"gray{suffix}")
    assert np.array_equal(read.rgb, np.dstack([expected] * 3))
    assert off(images.read(tmp_path / f"color{suffix}").rgb, np.round(color / 257).astype(np.uint8)) <= 1


@pytest.mark.parametrize(("white", "dtype"), [(1.0, "f4"), (255.0, "f4"), (65535.0, "f4"), (65535, "i4")])
def test_gray_of_thirty_two_bits_is_scaled_to_its_white(tmp_path: Path, white: float, dtype: str) -> None:
    gray = (np.linspace(0, 1, 48).reshape(6, 8) * white).astype(dtype)
    Image.fromarray(gray).save(tmp_path / "deep.tif")
    expected = np.round(np.linspace(0, 255, 48)).reshape(6, 8).astype(np.uint8)
    assert off(images.read(tmp_path / "deep.tif").rgb[..., 1], expected) <= 1


def test_a_float_that_is_no_number_is_black(tmp_path: Path) -> None:
    gray = np.array([[np.nan, np.inf, 0.5, 1.0]], np.float32)
    Image.fromarray(gray).save(tmp_path / "deep.tif")
    assert images.read(tmp_path / "deep.tif").rgb[0, :, 0].tolist() == [0, 0, 128, 255]


def test_a_bilevel_and_a_gray_picture_become_rgb(tmp_path: Path) -> None:
    gray = smooth()[..., 0]
    for pixels, expected in ((gray, gray), (gray > 100, np.where(gray > 100, 255, 0))):
        Image.fromarray(pixels).save(tmp_path / "gray.png")
        assert np.array_equal(images.read(tmp_path / "gray.png").rgb, np.dstack([expected] * 3))


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image.save(tmp_path / f"ink.{suffix}", quality=98)
    assert off(images.read(tmp_path / f"ink.{suffix}").rgb[8, 8], np.array([255, 0, 0], np.uint8)) <= 3


def test_lab_becomes_rgb(tmp_path: Path) -> None:
    lab = ImageCms.profileToProfile(
        Image.fromarray(smooth()), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.save(tmp_path / "lab.tif")
    error = np.abs(images.read(tmp_path / "lab.tif").rgb.astype(int) - smooth())
    assert error.mean() < 2  # 8-bit Lab is coarse in saturated colours


def test_a_palette_with_transparency_gives_its_colours_and_its_alpha(tmp_path: Path) -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    image.putdata([0, 1, 2, 3])
    image.save(tmp_path / "p.png", transparency=bytes([255, 0, 100, 255]))
    read = images.read(tmp_path / "p.png")
    assert read.rgb[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]
    assert read.alpha is not None
    assert read.alpha[0].tolist() == [255, 0, 100, 255]
    assert images.on_black(read)[0].tolist() == [[255, 0, 0], [0, 0, 0], [0, 0, 100], [9, 9, 9]]


def test_gray_with_alpha_keeps_both_and_an_alpha_that_is_opaque_is_none(tmp_path: Path) -> None:
    for alpha in (33, 255):
        Image.merge("LA", (Image.new("L", (2, 2), 77), Image.new("L", (2, 2), alpha))).save(tmp_path / "la.png")
        read = images.read(tmp_path / "la.png")
        assert read.rgb[1, 1].tolist() == [77, 77, 77]
        assert alpha == 255 if read.alpha is None else read.alpha[1, 1] == 33


# Colour profiles. A matrix profile by hand (ICC.1:2010, 8.3.3): Pillow can make no Display P3 of its own.


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _tag(kind: bytes, body: bytes) -> bytes:
    data = kind + b"\0\0\0\0" + body
    return data + b"\0" * (-len(data) % 4)


def display_p3() -> bytes:
    """Primaries of Display P3 adapted to D50 (as ColorSync publishes them) and sRGB's curve."""
    curve = b"".join(map(_fixed, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)))
    para = _tag(b"para", struct.pack(">HH", 3, 0) + curve)
    text = "Display P3".encode("utf-16-be")
    name = _tag(b"mluc", struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text)
    xyz = {
        b"wtpt": (0.96420, 1.0, 0.82491),
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    tags = {b"desc": name, b"cprt": name}
    tags |= {key: _tag(b"XYZ ", b"".join(map(_fixed, value))) for key, value in xyz.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), para)
    table, data = struct.pack(">I", len(tags)), b""
    for key, body in tags.items():
        table += struct.pack(">4sII", key, 128 + 4 + 12 * len(tags) + len(data), len(body))
        data += body
    head = struct.pack(">II4s4s4s4s12s4s4s", 0, 0x04000000, b"", b"mntr", b"RGB ", b"XYZ ", b"", b"acsp", b"")
    head = head.ljust(68, b"\0") + b"".join(map(_fixed, (0.96420, 1.0, 0.82491)))
    body = head.ljust(128, b"\0") + table + data
    return struct.pack(">I", len(body)) + body[4:]


def _p3_of(srgb: tuple[int, int, int]) -> tuple[int, ...]:
    """Display P3's values of an sRGB colour, by the published matrices (both D65), in full precision."""
    linear = np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.array(srgb) / 255])
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    p3 = np.array([[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0.0, 0.0451134, 1.0439444]])
    out = np.linalg.solve(p3, to_xyz @ linear)
    return tuple(round(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)) for v in out)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("color", [(255, 0, 0), (0, 255, 0), (30, 120, 220), (128, 128, 128)])
def test_display_p3_becomes_srgb(tmp_path: Path, color: tuple[int, int, int], mode: str) -> None:
    wide = _p3_of(color)
    assert wide != color or color == (128, 128, 128)
    image = Image.new("RGB", (8, 8), wide)
    image.putalpha(90)
    image.convert(mode).save(tmp_path / "p3.png", icc_profile=display_p3())
    read = images.read(tmp_path / "p3.png")
    assert off(read.rgb[4, 4], np.array(color, np.uint8)) <= 3
    assert (read.alpha is not None) == (mode == "RGBA")


def test_an_srgb_profile_leaves_every_pixel_as_it_is(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(images.read(tmp_path / "a.png").rgb, noise)


@pytest.mark.parametrize("profile", [b"no profile at all", display_p3()[:200], display_p3()[:128]])
def test_a_broken_profile_is_ignored(tmp_path: Path, profile: bytes) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(images.read(tmp_path / "a.png").rgb, smooth())


@pytest.mark.parametrize("mode", ["L", "P", "CMYK"])
def test_a_profile_of_another_colour_space_is_ignored_and_a_palette_is_converted(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (8, 8), _p3_of((30, 120, 220)))
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.tif", icc_profile=display_p3())
    plain = np.asarray(image.convert("RGB"))
    expected = np.full_like(plain, (30, 120, 220)) if mode == "P" else plain
    assert off(images.read(tmp_path / "a.tif").rgb, expected) <= 2


# Formats.


def test_heic_and_avif_are_read(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.fromarray(smooth(64, 64))).save(tmp_path / "a.heic", quality=95)
    assert off(images.read(tmp_path / "a.heic").rgb, smooth(64, 64)) <= 20
    Image.fromarray(smooth(64, 64)).save(tmp_path / "a.avif", quality=95)
    assert off(images.read(tmp_path / "a.avif").rgb, smooth(64, 64)) <= 20


def test_heic_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(struct.pack(">I4s4sI8s", 24, b"ftyp", b"heic", 0, b"mif1heic") + bytes(64))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    images._formats.cache_clear()
    assert "pip install 'vbgcam[heic]'" in problem(path)
    images._formats.cache_clear()


def test_the_head_tells_stills_from_animations_and_from_what_is_no_picture(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    for suffix in ("gif", "png", "webp"):
        first.save(tmp_path / f"one.{suffix}")
        first.save(tmp_path / f"two.{suffix}", save_all=True, append_images=[second], duration=100)
        assert images.kind(tmp_path / f"one.{suffix}") == "still"
        assert images.kind(tmp_path / f"two.{suffix}") == "animation"
        assert images.read(tmp_path / f"two.{suffix}").rgb[0, 0, 0] > 200
    first.save(tmp_path / "two.tif", save_all=True, append_images=[second])
    assert images.kind(tmp_path / "two.tif") == "still"
    (tmp_path / "no.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0mp42isom" + bytes(100))
    assert images.kind(tmp_path / "no.mp4") is None
    with pytest.raises(MediaError, match="no such file"):
        images.kind(tmp_path / "missing.mp4")


# What cannot be read.


def png(width: int, height: int) -> bytes:
    """A PNG whose head promises the size and whose data are a few zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(12_000, 10_001), (12_700, 9_500), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = problem(path)
    assert "at most 120 megapixels" in said
    assert "12700x9500, 121 megapixels" in said or width != 12_700
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_what_is_no_picture_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    assert "is empty (0 bytes)" in problem(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("this is no picture\n" * 10)
    assert "is no picture" in problem(tmp_path / "text.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert "is a folder" in problem(tmp_path / "folder.jpg")
    assert "no such file" in problem(tmp_path / "missing.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "a pipe" in problem(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    problem(tmp_path / "loop.jpg")
    problem(tmp_path / ("x" * 300 + ".jpg"))


def test_postscript_is_not_handed_to_an_interpreter(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.jpg")
    assert "is no picture" in problem(tmp_path / "a.jpg")


def test_no_permission_is_translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.png")

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "may not be read; chmod u+r" in problem(tmp_path / "a.png")


def test_a_name_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        images.read(tmp_path / "two\nlines\udcff.jpg")
    assert str(caught.value).isprintable()


def _encoded(form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, (37, 53, 3), np.uint8)
    Image.fromarray(noise).save(stream, form, **options)
    return stream.getvalue()


WHOLE = {
    "jpg": _encoded("JPEG"),
    "progressive.jpg": _encoded("JPEG", progressive=True),
    "png": _encoded("PNG"),
    "webp": _encoded("WEBP"),
    "tif": _encoded("TIFF", compression="tiff_lzw"),
    "gif": _encoded("GIF"),
}


@pytest.mark.parametrize("form", WHOLE)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_gives_a_picture_or_one_line(tmp_path: Path, form: str, data: st.DataObject) -> None:
    whole = bytearray(WHOLE[form])
    early = st.integers(0, min(400, len(whole) - 1))  # heads and tables stand there
    for at in data.draw(st.lists(st.one_of(early, st.integers(0, len(whole) - 1)), max_size=6)):
        whole[at] = data.draw(st.integers(0, 255))
    path = tmp_path / f"damaged.{form}"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))])
    _reads_or_says_why(path)


def _reads_or_says_why(path: Path) -> None:
    for read in (images.read, images.kind):
        said = str(path)
        try:
            read(path)
        except MediaError as error:
            said = str(error)
        assert str(path) in said
        assert "\n" not in said


def test_a_damaged_picture_leaves_stderr_to_the_one_who_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    for cut in range(0, len(WHOLE["tif"]), 97):
        path.write_bytes(WHOLE["tif"][:cut] + bytes(64) + WHOLE["tif"][cut + 64 :])
        _reads_or_says_why(path)
    assert capfd.readouterr() == ("", "")


# Writing.


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "PNG"])
def test_what_is_written_without_loss_comes_back_equal(tmp_path: Path, suffix: str) -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (31, 17, 3), np.uint8)
    alpha = np.random.default_rng(3).integers(0, 255, (31, 17), np.uint8)
    images.write(tmp_path / f"rgb.{suffix}", rgb)
    assert np.array_equal(images.read(tmp_path / f"rgb.{suffix}").rgb, rgb)
    images.write(tmp_path / f"rgba.{suffix}", rgb, alpha)
    read = images.read(tmp_path / f"rgba.{suffix}")
    assert read.alpha is not None
    assert np.array_equal(read.rgb, rgb)
    assert np.array_equal(read.alpha, alpha)
    images.write(tmp_path / f"gray.{suffix}", alpha)
    with Image.open(tmp_path / f"gray.{suffix}") as gray:
        assert gray.mode == "L"
    assert np.array_equal(images.read(tmp_path / f"gray.{suffix}").rgb[..., 0], alpha)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_what_is_written_with_loss_comes_back_near(tmp_path: Path, suffix: str) -> None:
    images.write(tmp_path / f"a.{suffix}", smooth(64, 48))
    assert off(images.read(tmp_path / f"a.{suffix}").rgb, smooth(64, 48)) <= 12


def refused(write: Callable[[], None]) -> str:
    with pytest.raises(MediaError) as caught:
        write()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.gif", "a.xyz", "a", "a.heic"])
def test_an_unknown_suffix_gets_the_list_of_the_known_ones(tmp_path: Path, name: str) -> None:
    line = refused(lambda: images.write(tmp_path / name, smooth()))
    assert ".jpg, .jpeg, .png, .webp, .tif, .tiff" in line
    assert not list(tmp_path.iterdir())


def test_what_a_format_cannot_hold_is_said(tmp_path: Path) -> None:
    line = refused(lambda: images.write(tmp_path / "a.webp", np.zeros((1, 16_384, 3), np.uint8)))
    assert "16383" in line
    refused(lambda: images.write(tmp_path / "a.jpg", np.zeros((65_501, 1, 3), np.uint8)))
    refused(lambda: images.write(tmp_path / "a.jpg", smooth(), smooth()[..., 0]))
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_names_the_command(tmp_path: Path) -> None:
    line = refused(lambda: images.write(tmp_path / "none" / "a.png", smooth()))
    assert f"mkdir -p {tmp_path / 'none'}" in line


def test_a_folder_of_that_name_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    assert "a folder" in refused(lambda: images.write(tmp_path / "a.png", smooth()))


def test_a_write_protected_picture_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_text("kept")
    monkeypatch.setattr(os, "access", lambda *_args: False)  # root may write to all
    assert "write-protected" in refused(lambda: images.write(tmp_path / "a.png", smooth()))
    assert (tmp_path / "a.png").read_text() == "kept"


def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    images.write(path, smooth())
    before = path.read_bytes()
    noise = np.random.default_rng(4).integers(0, 256, (200, 200, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        line = refused(lambda: images.write(path, noise))
        refused(lambda: images.write(tmp_path / "new.jpg", noise))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written: File too large" in line
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_file_that_is_replaced_keeps_its_permissions_and_a_link_its_place(tmp_path: Path) -> None:
    images.write(tmp_path / "real.png", smooth())
    (tmp_path / "real.png").chmod(0o640)
    (tmp_path / "link.png").symlink_to("real.png")
    images.write(tmp_path / "link.png", smooth(8, 8))
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").stat().st_mode & 0o777 == 0o640
    assert images.read(tmp_path / "real.png").size == Size(8, 8)


def test_no_metadata_travels_into_what_is_written(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home"
    Image.fromarray(smooth()).save(tmp_path / "a.jpg", exif=exif, comment=b"secret")
    images.write(tmp_path / "b.jpg", images.read(tmp_path / "a.jpg").rgb)
    with Image.open(tmp_path / "b.jpg") as written:
        assert not dict(written.getexif())
        assert "comment" not in written.info
