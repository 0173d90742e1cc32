"""The background of images replaced, at their own size: `vbgcam image`.

    file -> RGB -> planes -> prediction -> mask -> compose -> RGB -> file
                                             |-> mask, gray PNG
             RGB ----------------------------+-> cut-out, PNG with straight alpha

The same steps as live, but each image is a scene of its own. Of many images a bad one costs its own result alone. An
image of 108 megapixels (12000x9000) takes 1.5 GB, 1.9 GB with its cut-out; one of 12 megapixels 0.4 GB.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vbgcam.core.errors import BackgroundError, ConfigError, MediaError, VbgcamError
from vbgcam.core.frames import U8, Mask, RawFrame, Size
from vbgcam.core.options import RenderOptions
from vbgcam.mask import Masker
from vbgcam.media import images
from vbgcam.media.paths import shown
from vbgcam.offline.backdrops import Backdrops, OpenBackground
from vbgcam.pixels.convert import from_rgb, to_rgb
from vbgcam.render.composer import Composer
from vbgcam.segment import Segmenter

log = logging.getLogger(__name__)

_LOSSLESS: Final = (".png",)  # a mask is to be exact, and the cut-out needs an alpha


@dataclass(frozen=True, slots=True)
class ImageResult:
    """What became of one image: the files that were made of it, or the error that says why there are none."""

    source: Path
    written: tuple[Path, ...] = ()
    error: MediaError | None = None


Progress = Callable[[ImageResult, int, int], None]
"""Called after each image with its result, how many are done and how many there are."""


def convert(
    sources: Sequence[Path],
    target: Path | None,
    segmenter: Segmenter,
    options: RenderOptions,
    background: OpenBackground,
    *,
    mask_out: Path | None = None,
    cutout: Path | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[ImageResult]:
    """Makes a result of each picture, its mask (8-bit gray PNG, exactly the mask that was used) and its cut-out (PNG,
    the picture's own pixels with the mask as alpha; where that is 0 they are black, so that the room is not in it), as
    far as they are asked for. `target`, `mask_out`, `cutout`: for one picture a file or a folder, for several a folder,
    made if missing. In a folder a result keeps its picture's name, with .jpg where its own format is not written;
    masks end in -mask.png, cut-outs in -cutout.png.

    `background` is opened where neither blur nor the plain picture is asked for. `options.mirror` turns the picture,
    its mask and its cut-out, not the background. A picture's own transparency multiplies its mask. An error of one
    picture stands in its ImageResult; the others are made. Each file is there whole or not at all, one that was there
    before stays until then, and no picture that is read is ever written to. When `stop` becomes true, no further
    picture is begun. Raises ConfigError for names that cannot be meant so, before anything is done, and
    BackgroundError, which would meet every picture alike."""
    names = _names(sources, target, mask_out, cutout)
    sources_on_disk = {identity for source in sources if (identity := _identity(source)) is not None}
    converter = _Converter(Masker(segmenter, options.mask), options, Backdrops(options, background))
    results: list[ImageResult] = []
    for number, (source, name) in enumerate(zip(sources, names, strict=True)):
        if stop():
            break
        try:
            for path in name.all:
                if _identity(path) in sources_on_disk:
                    raise MediaError(
                        f"{shown(source)}: its result {shown(path)} would overwrite a picture that is read",
                        fix="name another file or folder with -o",
                    )
            converter.make(source, name, number)
            result = ImageResult(source, name.all)
        except BackgroundError:
            raise
        except MediaError as exc:
            result = ImageResult(source, error=exc)
        except VbgcamError as exc:  # the network's
            result = ImageResult(source, error=MediaError(f"{shown(source)}: {exc.message}", fix=exc.fix))
        except MemoryError:
            problem = f"{shown(source)} needs more memory than there is"
            result = ImageResult(source, error=MediaError(problem, fix="make it smaller first"))
        results.append(result)
        if progress is not None:
            progress(result, len(results), len(sources))
    return results


@dataclass(frozen=True, slots=True)
class _Names:
    result: Path | None
    mask: Path | None
    cutout: Path | None

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.result, self.mask, self.cutout) if path is not None)


@dataclass(frozen=True, slots=True)
class _Converter:
    """Makes the files of one image after the other."""

    masker: Masker
    options: RenderOptions
    backdrops: Backdrops

    def make(self, source: Path, names: _Names, number: int) -> None:
        picture = images.read(source)
        frame = RawFrame(from_rgb(picture.rgb).frozen(), 0.0, 0, number)
        rgb, own = picture.rgb if names.cutout is not None else None, picture.alpha
        # It may be a third of a gigabyte, and so may each of what follows: none is held longer than it is used.
        del picture
        person = everything = _times(_opaque(frame.size), own)
        if not self.options.plain or names.mask is not None or names.cutout is not None:
            self.masker.reset()
            person = _times(self.masker.mask(frame), own)
        alpha = person.alpha
        if names.result is not None:
            composer = Composer(frame.size, self.options)
            mask = everything if self.options.plain else person
            safe = composer.compose(frame, mask, self.backdrops.of(frame.size))
            del frame, mask, composer
            _write(names.result, to_rgb(safe.planes))
            del safe
        if names.mask is not None:
            _write(names.mask, self._turned(alpha))
        if rgb is not None and names.cutout is not None:
            visible = np.where(alpha[..., None] > 0, rgb, np.uint8(0))
            _write(names.cutout, self._turned(visible), self._turned(alpha))

    def _turned(self, pixels: U8) -> U8:
        return pixels[:, ::-1] if self.options.mirror else pixels


def _opaque(size: Size) -> Mask:
    return Mask(np.full((size.height, size.width), 255, np.uint8), 0.0)


def _times(mask: Mask, own: U8 | None) -> Mask:
    """The mask where the picture itself is opaque."""
    if own is None:
        return mask
    alpha = (mask.alpha.astype(np.uint16) * own + np.uint16(127)) // np.uint16(255)
    return Mask(alpha.astype(np.uint8), mask.captured_at, mask.epoch)


def _write(path: Path, pixels: U8, alpha: U8 | None = None) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise MediaError(f"{shown(path.parent)}: the folder cannot be made ({exc.strerror})") from exc
    images.write(path, pixels, alpha)


def _names(sources: Sequence[Path], target: Path | None, mask_out: Path | None, cutout: Path | None) -> list[_Names]:
    """What is written for each picture, no name twice. All that cannot be meant so is said at once."""
    problems: list[str] = []
    several = len(sources) > 1
    folders = {}
    for option, path, suffixes in (
        ("-o", target, tuple(images.SUFFIXES)),
        ("--mask-out", mask_out, _LOSSLESS),
        ("--cutout", cutout, _LOSSLESS),
    ):
        if path is not None:
            folders[option] = _is_folder(option, path, suffixes, several, problems)
    files = [path for path in (target, mask_out, cutout) if path is not None]
    if not any(folders.values()) and len({_spelled(path) for path in files}) < len(files):
        problems.append(f"two results cannot have one name: {', '.join(map(shown, files))}")
    if problems:
        raise ConfigError([f"image: {problem}" for problem in problems])

    taken: set[str] = set()

    def named(option: str, path: Path | None, source: Path, tail: str, suffix: str) -> Path | None:
        if path is None or not folders[option]:
            return path
        wanted = chosen = path / f"{source.stem}{tail}{suffix}"
        count = 2
        while _spelled(chosen) in taken:
            chosen = path / f"{source.stem}-{count}{tail}{suffix}"
            count += 1
        taken.add(_spelled(chosen))
        if chosen != wanted:
            log.info("%s: its result is %s, because %s is taken", shown(source), shown(chosen), wanted.name)
        return chosen

    names = []
    for source in sources:
        suffix = source.suffix if source.suffix.lower() in images.SUFFIXES else ".jpg"
        names.append(
            _Names(
                named("-o", target, source, "", suffix),
                named("--mask-out", mask_out, source, "-mask", ".png"),
                named("--cutout", cutout, source, "-cutout", ".png"),
            )
        )
    return names


def _is_folder(option: str, path: Path, suffixes: tuple[str, ...], several: bool, problems: list[str]) -> bool:
    """Whether the path names a folder, one that is there or one that will be made."""
    named_so = not path.suffix or (several and path.suffix.lower() not in images.SUFFIXES)
    folder = path.is_dir() or (named_so and not path.exists())
    if several and not folder:
        problems.append(f"{option} {shown(path)}: several pictures need a folder, not one file")
    elif not folder and path.suffix.lower() not in suffixes:
        problems.append(f"{option} {shown(path)}: the file's name ends in {', '.join(suffixes)}")
    return folder


def _spelled(path: Path) -> str:
    """The same text for names that may be one file where case does not count, as on macOS and Windows."""
    return os.path.realpath(path).casefold()


def _identity(path: Path) -> tuple[int, int] | None:
    """The file itself, whatever link or spelling led to it; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
