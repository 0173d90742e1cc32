"""The background of a video replaced, frame by frame through the same steps as live, but each with its own mask.

    VideoReader -> prediction -> mask -> compose -> FileOutput <- Sound
                                   |-> FFV1 gray

Times, rate and sound stay as they were; the picture comes out upright. While the network works on one frame the next is
decoded; no more are held, so memory does not grow with the video. FFmpeg encodes in threads of its own.
"""

import logging
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorRange

from vbgcam.background import Background
from vbgcam.core.errors import ConfigError
from vbgcam.core.frames import U8, Mask, Planes, RawFrame, SafeFrame, Size
from vbgcam.core.options import RenderOptions
from vbgcam.mask import Masker, NetworkGuard
from vbgcam.media.video_reader import MAX_PIXELS, MAX_SIDE, TimedFrame, VideoReader
from vbgcam.media.video_writer import VideoWriter
from vbgcam.offline.backdrops import OpenBackground, black
from vbgcam.offline.sound import Sound
from vbgcam.output.file import FileOutput
from vbgcam.pixels.convert import crop, resize
from vbgcam.render.composer import Composer
from vbgcam.segment import Segmenter

log = logging.getLogger(__name__)

Progress = Callable[[int, "int | None", float], None]
"""Called after each frame with frames done, frames in all as far as the file tells, and seconds of video done."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class VideoResult:
    """`frames` written, `left_out` because they were damaged; `size` of the result; `seconds` it took."""

    frames: int
    left_out: int
    size: Size
    seconds: float


def convert(
    source: VideoReader,
    target: Path | None,
    segmenter: Segmenter,
    options: RenderOptions,
    background: OpenBackground,
    *,
    height: int | None = None,
    mask_out: Path | None = None,
    progress: Progress = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> VideoResult | None:
    """Makes `target` (.mp4 or .mkv), or the masks alone (FFV1 gray, one for each frame, the same times), or both. None
    when `stop` became true. `source` stands at its first frame; its owner closes it. `background` is opened where
    neither blur nor the plain picture is asked for. `height`: the new video's lines, even; None keeps the size, but for
    odd sides, which lose their last line. Files are made whole: in every other case than a result nothing is left
    behind, and what was there before stays. Raises ConfigError, MediaError, ModelError, BackgroundError,
    OutputError."""
    _check(source.path, target, mask_out)
    started = time.monotonic()
    with ExitStack() as stack:
        size = _size(source.size, height)
        composer, still = Composer(size, options), options.blur or black(size)
        moving: Background | None = None
        if target is not None and not options.plain and options.blur is None:
            moving = stack.enter_context(closing(background(size)))
        video = _VideoOutput(stack, source, target, size) if target is not None else None
        masks = _MaskOutput(stack, source, mask_out, size) if mask_out is not None else None
        masker = Masker(segmenter, options.mask, NetworkGuard(live=False))
        masker.reset()
        opaque = np.full((size.height, size.width), 255, np.uint8)
        frames = 0
        for shot in stack.enter_context(closing(read_ahead(source.read))):
            if stop():
                return None
            frame = RawFrame(_fitted(shot.planes, size), float(shot.time - source.start), 0, frames)
            # The plain picture is one of which everything is the person.
            everything = Mask(opaque, frame.captured_at)
            mask = everything if options.plain and masks is None else masker.mask(frame)
            if masks is not None:
                masks.write(np.asarray(cv2.flip(mask.alpha, 1), np.uint8) if options.mirror else mask.alpha, shot)
            if video is not None:
                behind = still if moving is None else moving.at(frame.captured_at)
                video.write(composer.compose(frame, everything if options.plain else mask, behind), shot)
            frames += 1
            progress(frames, source.count, frame.captured_at + float(shot.duration))
        # Both are finished before one takes its name, so that a disk that fills up now leaves neither.
        outputs = [output for output in (video, masks) if output is not None]
        for output in outputs:
            output.finish()
        for output in outputs:
            output.keep()
        if source.left_out:
            log.warning("%s is damaged: %d frames of it were left out", source.path, source.left_out)
        return VideoResult(frames, source.left_out, size, time.monotonic() - started)


def read_ahead(read: Callable[[], _Item | None]) -> Generator[_Item]:
    """What `read` returns, until None; the next item is read by another thread while one is worked on. An error is
    raised in its item's place. Closed by `close`, which waits for the read that goes on."""
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        ahead = thread.submit(read)
        while (item := ahead.result()) is not None:
            ahead = thread.submit(read)
            yield item


class _VideoOutput:
    """The new video, with its sound; what was opened is closed by `stack`."""

    def __init__(self, stack: ExitStack, source: VideoReader, target: Path, size: Size) -> None:
        self._output = FileOutput(target, size, source.rate, clock=source.time_base, zero=0.0, effort="offline")
        self._output.open()
        stack.callback(self._output.discard)
        self._sound: Sound | None = None
        if source.audio and self._output.film is not None:
            self._sound = Sound(source, self._output.film)
            stack.callback(self._sound.close)

    def write(self, frame: SafeFrame, shot: TimedFrame) -> None:
        self._output.send(frame, float(shot.time), float(shot.duration))
        if self._sound is not None:
            self._sound.until(shot.time)

    def finish(self) -> None:
        if self._sound is not None:
            self._sound.until(None)
        self._output.finish()

    def keep(self) -> None:
        self._output.close()


class _MaskOutput:
    """Masks as a video: FFV1 gray in MKV, lossless. Raises OutputError."""

    def __init__(self, stack: ExitStack, source: VideoReader, target: Path, size: Size) -> None:
        self._clock = source.time_base
        self._writer = VideoWriter(target, self._clock)
        stack.callback(self._writer.discard)
        self._stream = self._writer.container.add_stream("ffv1", rate=source.rate)
        self._stream.width, self._stream.height, self._stream.pix_fmt = size.width, size.height, "gray"
        codec = self._stream.codec_context
        codec.time_base = self._clock
        codec.color_range = ColorRange.JPEG  # an alpha uses all 256 values; "limited" would have readers stretch it
        codec.flags |= Flags.frame_duration

    def write(self, alpha: U8, shot: TimedFrame) -> None:
        """`alpha`: uint8, (height, width). Shown when and as long as the source's frame is."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(alpha), format="gray")
        frame.pts, frame.time_base = round(shot.time / self._clock), self._clock
        frame.duration = round(shot.duration / self._clock)
        frame.color_range = ColorRange.JPEG
        self._writer.write(self._stream.encode(frame))

    def finish(self) -> None:
        self._writer.write(self._stream.encode(None))
        self._writer.finish()

    def keep(self) -> None:
        self._writer.keep()


def _check(source: Path, target: Path | None, mask_out: Path | None) -> None:
    """What is wrong with the names alone, all at once."""
    problems = []
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
