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
from vbgcam.core.frames import U8, Mask, RawFrame
from vbgcam.core.options import RenderOptions
from vbgcam.mask import Masker
from vbgcam.media import images
from vbgcam.media.paths import shown
from vbgcam.offline.backdrops import Backdrops, OpenBackground
from vbgcam.pixels.convert import from_rgb, to_rgb
from vbgcam.render.composer import Composer
from vbgcam.segment import Segmenter

log = logging.getLogger(__name__)

_TAILS: Final = {"-o": "", "--mask-out": "-mask", "--cutout": "-cutout"}
_LOSSLESS: Final = (".png",)  # a mask is to be exact, and the cut-out needs an alpha

Names = dict[str, Path]
"""What is made of a picture, by the options that ask for it."""


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
    progress: Progress = lambda *_: None,
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
    given = {"-o": target, "--mask-out": mask_out, "--cutout": cutout}
    names = _names(sources, {option: path for option, path in given.items() if path is not None})
    sources_on_disk = {identity for source in sources if (identity := _identity(source)) is not None}
    masker, backdrops = Masker(segmenter, options.mask), Backdrops(options, background)
    results: list[ImageResult] = []
    for source, name in zip(sources, names, strict=True):
        if stop():
            break
        try:
            for path in name.values():
                if _identity(path) in sources_on_disk:
                    raise MediaError(
                        f"{shown(source)}: its result {shown(path)} would overwrite a picture that is read",
                        fix="name another file or folder with -o",
                    )
            _make(source, name, masker, options, backdrops)
            result = ImageResult(source, tuple(name.values()))
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
        progress(result, len(results), len(sources))
    return results


def _make(source: Path, names: Names, masker: Masker, options: RenderOptions, backdrops: Backdrops) -> None:
    picture = images.read(source)
    frame = RawFrame(from_rgb(picture.rgb).frozen(), 0.0)
    rgb, own = picture.rgb if "--cutout" in names else None, picture.alpha
    # It may be a third of a gigabyte, and so may each of what follows: none is held longer than it is used.
    del picture
    person = everything = _times(Mask(np.full(frame.planes.y.shape, 255, np.uint8), 0.0), own)
    if not options.plain or names.keys() - {"-o"}:
        masker.reset()
        person = _times(masker.mask(frame), own)
    alpha = person.alpha
    if "-o" in names:
        composer = Composer(frame.size, options)
        mask = everything if options.plain else person
        safe = composer.compose(frame, mask, backdrops.of(frame.size))
        del frame, mask, composer
        _write(names["-o"], to_rgb(safe.planes))
        del safe
    turned = np.s_[:, :: -1 if options.mirror else 1]
    if "--mask-out" in names:
        _write(names["--mask-out"], alpha[turned])
    if rgb is not None:
        visible = np.where(alpha[..., None] > 0, rgb, np.uint8(0))
        _write(names["--cutout"], visible[turned], alpha[turned])


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


def _names(sources: Sequence[Path], given: Names) -> list[Names]:
    """What is written for each picture, no name twice. All that cannot be meant so is said at once."""
    problems: list[str] = []
    several = len(sources) > 1
    folders = []  # the options that name one, that is there or that will be made
    for option, path in given.items():
        suffixes = tuple(images.SUFFIXES) if option == "-o" else _LOSSLESS
        named_so = not path.suffix or (several and path.suffix.lower() not in images.SUFFIXES)
        if path.is_dir() or (named_so and not path.exists()):
            folders.append(option)
        elif several:
            problems.append(f"{option} {shown(path)}: several pictures need a folder, not one file")
        elif path.suffix.lower() not in suffixes:
            problems.append(f"{option} {shown(path)}: the file's name ends in {', '.join(suffixes)}")
    if not folders and len({_spelled(path) for path in given.values()}) < len(given):
        problems.append(f"two results cannot have one name: {', '.join(map(shown, given.values()))}")
    if problems:
        raise ConfigError([f"image: {problem}" for problem in problems])

    taken: set[str] = set()
    names = []
    for source in sources:
        made = dict(given)
        for option in folders:
            own = source.suffix if source.suffix.lower() in images.SUFFIXES else ".jpg"
            end = _TAILS[option] + (own if option == "-o" else ".png")
            wanted = chosen = given[option] / f"{source.stem}{end}"
            count = 2
            while _spelled(chosen) in taken:
                chosen = given[option] / f"{source.stem}-{count}{end}"
                count += 1
            taken.add(_spelled(chosen))
            if chosen != wanted:
                log.info("%s: its result is %s, because %s is taken", shown(source), shown(chosen), wanted.name)
            made[option] = chosen
        names.append(made)
    return names


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
