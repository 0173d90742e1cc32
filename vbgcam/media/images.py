"""Image files read and written: whatever a phone, a scanner or a browser made, as upright sRGB pixels.

Pillow decodes; nothing is decoded before its size is known to be bearable, and only the formats named here are tried
(Pillow alone would also run Ghostscript for an EPS file). Pillow's decoders raise what the bytes make them stumble
over, so this adapter turns every error of theirs into one MediaError, and their warnings stay inside.
"""

import ctypes
import functools
import io
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError, _imaging

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8, Size, read_only
from vbgcam.media.atomic import make_folder, whole
from vbgcam.media.paths import open_named, shown

log = logging.getLogger(__name__)

MAX_PIXELS: Final = 120_000_000
"""What is read at most. 120 megapixels, a 12649x9487 picture, take about half a gigabyte while they are decoded."""

MAX_ANIMATED: Final = 8192 * 4320
"""The same of an animation, as of videos: the decoder holds three pictures of four bytes a pixel, 0.4 GB."""

SUFFIXES: Final = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""What is written, by the file name's suffix."""

_FORMATS: Final = ("HEIF", "JPEG", "MPO", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF")
_ANIMATED: Final = ("GIF", "PNG", "WEBP")

# Quality 95 leaves 47-50 dB on photographs. The pixels come from 4:2:0 planes; to thin their chroma a second time would
# save 15-20 % of the bytes and cost 0.6-3 dB, so JPEG keeps 4:4:4. PNG level 3 takes 2.2 s for 12 megapixels where
# the default 6 takes 5.3 s for a tenth fewer bytes; WebP method 2 takes 1.0 s where 4 takes 2.5 s for 3 %.
_OPTIONS: Final[dict[str, dict[str, int | str]]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "PNG": {"compress_level": 3},
    "WEBP": {"quality": 95, "method": 2},
    "TIFF": {"compression": "tiff_lzw"},
}

# What Pillow logs about a damaged file stands in the MediaError; without a handler it would go to stderr as well.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# libtiff writes each flaw of a file to the process's stderr, unless a program sets its handler; Pillow sets none.
# Pillow's extension leads to the libtiff that it was linked with, where that is a shared library.
with suppress(OSError, AttributeError):
    _set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    _set_handler.argtypes, _set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    _set_handler(None)


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """`rgb`: uint8, (height, width, 3), full range sRGB, upright. `alpha`: uint8, (height, width), 0 is transparent;
    None where the picture has none or is opaque throughout. Both are read-only."""

    rgb: U8
    alpha: U8 | None

    @property
    def size(self) -> Size:
        """Of both arrays."""
        return Size(self.rgb.shape[1], self.rgb.shape[0])


def read(path: Path, *, min_size: Size | None = None) -> DecodedImage:
    """The picture in the file, or the first of several. EXIF orientation is applied, an ICC profile converted to sRGB
    (one that is broken or does not fit is ignored), 16 bits a channel are scaled to 8.

    `min_size`: a JPEG much larger than this may be decoded at a half, a quarter or an eighth, but with neither side
    below its longer one (24 megapixels for a 720p background: 0.12 s against 0.25 s). Raises MediaError."""
    with _opened(path) as image:
        if min_size is not None and image.format in ("JPEG", "MPO"):
            side = max(astuple(min_size))  # EXIF may turn it
            image.draft(None, (side, side))
        image.load()
        try:  # as EXIF says; TIFF and HEIC were turned by their decoders, and say so
            ImageOps.exif_transpose(image, in_place=True)
        except MemoryError:
            raise
        except Exception as exc:  # broken metadata (struct.error, SyntaxError, ...) is no reason to refuse the picture
            log.debug("EXIF: %s", exc)
        return _decoded(image)


def kind(path: Path) -> Literal["still", "animation"] | None:
    """What the file's head says: a picture, several shown one after the other (GIF, APNG, WebP), or, None, no picture
    at all: a video perhaps. Nothing is decoded but what tells one frame from many. Raises MediaError as `read`."""
    try:
        with _opened(path) as image:
            several = image.format in _ANIMATED and getattr(image, "is_animated", False)
            return "animation" if several else "still"
    except _NotAnImageError:
        return None


class Animation:
    """The pictures of an animated GIF, PNG or WebP, one after the other, of one `size`. One thread. Raises MediaError
    where the file or its first picture cannot be read; damage further on ends the animation there, as browsers show
    it."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._number = 0
        self._stream = open_named(path, "picture")
        try:
            with _translated(path):
                self._image = _identified(self._stream, shown(path))
                self._check()
                # An APNG may begin with a picture for programs that know no APNG; it is no part of the animation.
                self._first: Final = 1 if getattr(self._image, "default_image", False) else 0
        except BaseException:
            self._stream.close()
            raise
        self.size: Final = Size(*self._image.size)

    def read(self) -> tuple[DecodedImage, Fraction] | None:
        """The next picture and for how many seconds it is shown; None at the end."""
        try:
            with _translated(self._path):
                try:
                    self._image.seek(self._first + self._number)
                except EOFError:
                    return None
                self._check()
                self._image.load()
                # A GIF's picture may reach beyond its screen, which Pillow then makes larger; browsers cut it off.
                fits = Size(*self._image.size) == self.size
                decoded = _decoded(self._image if fits else self._image.crop((0, 0, *astuple(self.size))))
                duration = _duration(self._image.info.get("duration"))
        except MediaError as exc:
            if not self._number:
                raise
            log.debug("%s", exc)
            return None
        self._number += 1
        return decoded, duration

    def _check(self) -> None:
        width, height = self._image.size
        if width * height > MAX_ANIMATED:
            raise _too_large(shown(self._path), f" with {width}x{height}", MAX_ANIMATED)

    def rewind(self) -> None:
        """The next `read` gives the first picture again."""
        self._number = 0

    def close(self) -> None:
        """Nothing can be read after it."""
        self._image.close()
        self._stream.close()


def on_black(picture: DecodedImage) -> U8:
    """RGB of a picture that lies on black: uint8, (height, width, 3)."""
    if picture.alpha is None:
        return picture.rgb
    product = picture.rgb * picture.alpha[..., None].astype(np.uint16) + np.uint16(127)
    return np.asarray(product // np.uint16(255), np.uint8)


def write(path: Path, pixels: U8, alpha: U8 | None = None) -> None:
    """Writes `pixels`, uint8, RGB (height, width, 3) or gray (height, width), in the format that the suffix names;
    `alpha`, uint8, (height, width), straight, for RGB in PNG, WebP and TIFF. The file is there whole or not at all,
    and one that was there before stays until then. No metadata is written. Raises MediaError."""
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        what = f"a picture {path.suffix}" if path.suffix else "a picture without a suffix"
        raise MediaError(f"{shown(path)}: {what} cannot be written", fix=f"use one of {', '.join(SUFFIXES)}")
    if alpha is not None:
        pixels = np.dstack((pixels, alpha))
    target = Path(os.path.realpath(path))
    try:
        mode = _permissions(target)
        encoded = io.BytesIO()  # not the file itself: Pillow's encoders hide the reason why a write to it failed
        Image.fromarray(pixels).save(encoded, form, **_OPTIONS[form])
        with whole(target, mode=mode) as part:
            part.write_bytes(encoded.getbuffer())
    except MemoryError as exc:
        raise MediaError(f"{shown(path)} needs more memory than there is to be written") from exc
    except FileNotFoundError as exc:
        problem = f"{shown(path)} cannot be written: there is no folder {shown(path.parent)}"
        raise MediaError(problem, fix=make_folder(Path(shown(path.parent)))) from exc
    except (OSError, ValueError) as exc:  # ValueError: Pillow's, where the format cannot hold the picture
        raise MediaError(f"{shown(path)} cannot be written: {getattr(exc, 'strerror', None) or exc}") from exc


class _NotAnImageError(MediaError):
    """The file is readable but of none of the formats."""


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image with its header read and its size found bearable. What Pillow raises inside the block is translated."""
    with open_named(path, "picture") as stream, _translated(path), _identified(stream, shown(path)) as image:
        yield image


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Pillow at work: no warnings, and every error as a MediaError."""
    name = shown(path)
    # The warnings' filters belong to the whole process. Should another thread change them at the same time, the worst
    # is that a warning is shown or not shown.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except MediaError:
            raise
        except MemoryError as exc:
            raise MediaError(f"{name} needs more memory than there is to be decoded") from exc
        except Exception as exc:  # Pillow's plugins: OSError, SyntaxError, ValueError, struct.error, KeyError, ...
            reason = " ".join(str(exc).split()) or type(exc).__name__
            raise MediaError(f"{name} is broken or cut off ({reason})", fix="copy it again from where it was") from exc


def _identified(stream: io.BufferedReader, name: str) -> Image.Image:
    formats = _formats()
    if "HEIF" not in formats and stream.peek(12)[4:10] == b"ftyphe":
        raise MediaError(f"{name} is a HEIC picture", fix="pip install 'vbgcam[heic]' to read those")
    try:
        image = Image.open(stream, formats=formats)
    except UnidentifiedImageError as exc:
        raise _NotAnImageError(
            f"{name} is no picture that can be read", fix="JPG, PNG, WebP, TIFF, GIF, BMP, AVIF and HEIC can"
        ) from exc
    except Image.DecompressionBombError as exc:  # from 179 megapixels on; Pillow raises it before the size is told
        raise _too_large(name) from exc
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise _too_large(name, f" with {width}x{height}, {width * height / 1e6:.0f} megapixels,")
    return image


def _too_large(name: str, size: str = "", most: int = MAX_PIXELS) -> MediaError:
    limit = f"at most {most // 1_000_000} megapixels are read"
    return MediaError(f"{name}{size} is too large: {limit}", fix="make it smaller first")


@functools.cache
def _formats() -> list[str]:
    """Those of _FORMATS that can be read here. Pillow loads its decoders at the first call, 0.05 s."""
    Image.init()
    wanted: tuple[str, ...] = _FORMATS
    try:
        import pillow_heif
    except ImportError:
        wanted = wanted[1:]
    else:
        pillow_heif.register_heif_opener()
    return [form for form in wanted if form in Image.OPEN]


def _duration(duration: object) -> Fraction:
    """Seconds for a duration in milliseconds. Browsers show a picture of at most 10 ms, which many GIFs claim without
    meaning it, for 100."""
    if isinstance(duration, int | float) and 10 < duration < 1e9:
        return Fraction(duration).limit_denominator(1000) / 1000
    return Fraction(1, 10)


def _decoded(image: Image.Image) -> DecodedImage:
    profile = image.info.get("icc_profile")
    alpha = None
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif image.has_transparency_data:
        full = image.convert("RGBA")
        alpha = read_only(np.asarray(full.getchannel("A"), np.uint8))
        image = image.getchannel("L") if image.mode in ("L", "LA") else full.convert("RGB")
    elif image.mode not in ("L", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    rgb = read_only(np.asarray(_to_srgb(image, profile), np.uint8))
    return DecodedImage(rgb, None if alpha is None or alpha.min() == 255 else alpha)


def _eight_bits(deep: np.ndarray) -> U8:
    """Gray of 16 or 32 bits or floats, (height, width), as uint8. Pillow's own conversion clips at 255."""
    if deep.dtype.kind == "f":
        deep = np.nan_to_num(deep, nan=0.0, posinf=0.0, neginf=0.0)
        peak = float(deep.max())
        white = next((white for white in (1.0, 255.0, 65535.0) if peak <= white), peak)
        return np.asarray(np.clip(deep * (255 / white) + 0.5, 0, 255), np.uint8)
    white = 65535 if int(deep.max()) <= 65535 else 2**31 - 1
    return np.asarray((np.maximum(deep, 0).astype(np.uint64) * 255 + white // 2) // white, np.uint8)


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """RGB of an image whose mode is L, RGB, CMYK or LAB."""
    if isinstance(profile, bytes) and profile:
        # ImportError: a Pillow built without Little CMS.
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError):
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return _through(image, given)
    if image.mode == "LAB":
        return _through(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return image if image.mode == "RGB" else image.convert("RGB")


def _through(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """PyCMSError where the profile is of another colour space than the image."""
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if image.mode in ("L", "RGB"):
        # sRGB comes under many names: where the profile moves no colour by more than 2, the pixels stay as they are.
        levels = np.linspace(0, 255, 9).astype(np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
        probe = Image.fromarray(cube if image.mode == "RGB" else cube[..., 0])
        moved = np.asarray(ImageCms.applyTransform(probe, transform), np.int16) - np.asarray(probe.convert("RGB"))
        if np.abs(moved).max() <= 2:
            return image if image.mode == "RGB" else image.convert("RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # None is for a conversion in place
    return converted


def _permissions(target: Path) -> int | None:
    """The permission bits of a file that will be replaced; None where there is none. OSError where it may not be."""
    if not target.exists():
        return None
    if not target.is_file():
        raise OSError("a folder or a device has that name")
    if not os.access(target, os.W_OK):
        raise OSError("the file that is there is write-protected")
    return target.stat().st_mode & 0o777
