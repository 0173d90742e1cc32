"""A film before another background: frame by frame through the same steps as live, but each with its own mask.

    Film -> probability -> mask -> compose -> FileOutput <- Sound
                              -> MaskFilm

Times, rate and sound stay as they were; the picture comes out upright. One frame is worked on at a time, so memory does
not grow with the film. FFmpeg decodes and encodes in threads of its own, beside the network.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorRange

from vbgcam.background import Background
from vbgcam.core.errors import ConfigError
from vbgcam.core.frames import U8, Mask, Planes, RawFrame, Size
from vbgcam.core.options import RenderOptions
from vbgcam.mask import Masker
from vbgcam.media.video_reader import MAX_PIXELS, MAX_SIDE, Shot, VideoReader
from vbgcam.media.video_writer import VideoWriter
from vbgcam.offline.backdrops import OpenBackground, black
from vbgcam.offline.sound import Sound
from vbgcam.output.file import FileOutput
from vbgcam.pixels.convert import crop, resize
from vbgcam.render.composer import Composer
from vbgcam.segment import Segmenter

log = logging.getLogger(__name__)

Progress = Callable[[int, "int | None", float], None]
"""Called after each frame with frames done, frames in all as far as the file tells, and seconds of film done."""


@dataclass(frozen=True, slots=True)
class Done:
    """`frames` written, `left_out` because they were damaged; `size` of the result; `seconds` it took."""

    frames: int
    left_out: int
    size: Size
    seconds: float


def convert(
    source: Path,
    target: Path | None,
    segmenter: Segmenter,
    options: RenderOptions,
    background: OpenBackground,
    *,
    height: int | None = None,
    mask_out: Path | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Done | None:
    """Makes `target` (.mp4 or .mkv), or the masks alone (FFV1 gray, one for each frame, the same times), or both. None
    when `stop` became true. `background` is opened where neither blur nor the plain picture is asked for. `height`: the
    new film's lines, even; None keeps the size, but for odd sides, which lose their last line. Files are made whole: in
    every other case than a Done nothing is left behind, and what was there before stays. Raises ConfigError,
    MediaError, ModelError, BackgroundError, OutputError."""
    _check(source, target, mask_out)
    started = time.monotonic()
    with ExitStack() as stack:
        film = stack.enter_context(VideoReader(source))
        size = _size(film.size, height)
        pictures = _Pictures(stack, film, target, options, background, size=size) if target is not None else None
        masks = MaskWriter(mask_out, size, film.rate, film.time_base) if mask_out is not None else None
        if masks is not None:
            stack.callback(masks.discard)
        masker = Masker(segmenter, options.mask)
        masker.reset()
        frames = 0
        for shot in film:
            if stop():
                return None
            frame = RawFrame(_fitted(shot.planes, size), float(shot.time - film.start), 0, frames)
            mask = None
            if masks is not None or not options.plain:
                mask = masker.mask(frame)
            if masks is not None and mask is not None:
                masks.write(np.asarray(cv2.flip(mask.alpha, 1), np.uint8) if options.mirror else mask.alpha, shot)
            if pictures is not None:
                pictures.write(frame, mask, shot)
            frames += 1
            if progress is not None:
                progress(frames, film.count, frame.captured_at + float(shot.lasts))
        # Both are finished before one takes its name, so that a disk that fills up now leaves neither.
        made = [part for part in (pictures, masks) if part is not None]
        for part in made:
            part.finish()
        for part in made:
            part.keep()
        if film.left_out:
            log.warning("%s is damaged: %d frames of it were left out", source, film.left_out)
        return Done(frames, film.left_out, size, time.monotonic() - started)


class _Pictures:
    """The new film, with its sound; what was opened is closed by `stack`."""

    def __init__(
        self,
        stack: ExitStack,
        film: VideoReader,
        target: Path,
        options: RenderOptions,
        background: OpenBackground,
        *,
        size: Size,
    ) -> None:
        self._composer = Composer(size, options)
        self._options = options
        self._background: Background | None = None
        if not options.plain and options.blur is None:
            self._background = background(size)
            stack.callback(self._background.close)
        # The plain picture is one of which everything is the person.
        self._all = np.full((size.height, size.width), 255, np.uint8)
        self._nothing = black(size)
        self._output = FileOutput(target, size, film.rate, clock=film.time_base, zero=0.0, effort="offline")
        self._output.open()
        stack.callback(self._output.discard)
        self._sound: Sound | None = None
        if film.audio and self._output.film is not None:
            self._sound = Sound(film, self._output.film)
            stack.callback(self._sound.close)

    def write(self, frame: RawFrame, mask: Mask | None, shot: Shot) -> None:
        if self._background is not None and mask is not None:
            safe = self._composer.compose(frame, mask, self._background.at(frame.captured_at))
        elif self._options.blur is not None and mask is not None:
            safe = self._composer.compose(frame, mask, self._options.blur)
        else:
            safe = self._composer.compose(frame, Mask(self._all, frame.captured_at), self._nothing)
        self._output.send(safe, float(shot.time), float(shot.lasts))
        if self._sound is not None:
            self._sound.until(shot.time)

    def finish(self) -> None:
        if self._sound is not None:
            self._sound.rest()
        self._output.finish()

    def keep(self) -> None:
        self._output.close()


class MaskWriter:
    """Masks as a film: FFV1 gray in MKV, lossless. `finish` and `keep`, or `discard`. Raises OutputError."""

    def __init__(self, target: Path, size: Size, rate: Fraction, clock: Fraction) -> None:
        self._film = VideoWriter(target, clock)
        self._clock = clock
        self._kept = False
        self._stream = self._film.container.add_stream("ffv1", rate=rate)
        self._stream.width, self._stream.height, self._stream.pix_fmt = size.width, size.height, "gray"
        codec = self._stream.codec_context
        codec.time_base = clock
        codec.color_range = ColorRange.JPEG  # an alpha uses all 256 values; "limited" would have readers stretch it
        codec.flags |= Flags.frame_duration

    def write(self, alpha: U8, shot: Shot) -> None:
        """`alpha`: uint8, (height, width). Shown when and as long as the film's frame is."""
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(alpha), format="gray")
        picture.pts, picture.time_base = round(shot.time / self._clock), self._clock
        picture.duration = round(shot.lasts / self._clock)
        picture.color_range = ColorRange.JPEG
        self._film.write(self._stream.encode(picture))

    def finish(self) -> None:
        self._film.write(self._stream.encode(None))
        self._film.finish()

    def keep(self) -> None:
        self._kept = True
        self._film.keep()

    def discard(self) -> None:
        """Does nothing after `keep`."""
        if not self._kept:
            self._film.discard()


def _check(source: Path, target: Path | None, mask_out: Path | None) -> None:
    """What is wrong with the names alone, all at once."""
    problems = []
    if target is None and mask_out is None:
        problems.append("nothing to make: say -o OUT.mp4 for the film, --mask-out MASKS.mkv for the masks, or both")
    if target is not None and target.suffix.lower() not in (".mp4", ".mkv"):
        problems.append(f"-o {target}: a film ends in .mp4 or .mkv")
    if mask_out is not None and mask_out.suffix.lower() != ".mkv":
        problems.append(f"--mask-out {mask_out}: a film of masks ends in .mkv")
    for option, path in (("-o", target), ("--mask-out", mask_out)):
        if path is not None and _same(path, source):
            problems.append(f"{option} {path} is the film that is read: it would be overwritten")
    if target is not None and mask_out is not None and _same(target, mask_out):
        problems.append(f"-o and --mask-out are the same file, {target}")
    if problems:
        raise ConfigError(problems)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)  # a link, too, is the same file
    except OSError:
        return one.resolve() == other.resolve()


def _size(size: Size, height: int | None) -> Size:
    if height is None:
        return size.even
    scaled = Size(max(2, 2 * round(size.width * height / size.height / 2)), height)
    if scaled.pixels > MAX_PIXELS or scaled.width > MAX_SIDE:
        raise ConfigError(f"--height {height}: {scaled} is too large; the largest is 8192x4320, or 16384 on a side")
    return scaled


def _fitted(planes: Planes, size: Size) -> Planes:
    if planes.size == size:
        return planes
    if planes.size.even == size and planes.size.width >= size.width and planes.size.height >= size.height:
        return crop(planes, 0, 0, size).frozen()
    return resize(planes, size).frozen()
