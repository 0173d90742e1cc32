"""Videos read as upright frames in I420, BT.601, limited range, each with its own time.

One reader stands behind everything that plays a video: `camera.file` (a video in place of a camera), a video as the
background, `offline.videos`, and masks that were kept as a video (`AlphaVideo`). FFmpeg (through PyAV) decodes; what
files bring along is settled here, once:

- the display matrix (phones store a lying picture and say how to turn it) is applied, mirrored ones too;
- pixels that are not square are stretched in width, as players do;
- every matrix and range becomes BT.601 limited, 10 bits become 8, HDR (PQ, HLG) becomes SDR;
- times only ever grow, whatever the file says; a frame without a time gets one;
- a damaged frame is left out and counted, and only a video without one good frame is an error.

A reader holds a few frames (the decoder's own, bounded by its threads), however long the video is.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Self, cast

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import Planes, Size
from vbgcam.media.paths import open_named
from vbgcam.pixels.colorimetry import BT470, BT601, BT601_COEFFICIENTS, BT709, WEIGHTS, to_bt601
from vbgcam.pixels.convert import fit, from_av, resize
from vbgcam.pixels.orientation import UPRIGHT, Orientation

log = logging.getLogger(__name__)

MAX_PIXELS: Final = 8192 * 4320
"""8K cinema. A file may claim any size in a few bytes; a frame of this one takes 53 MB, the decoder and encoder hold
some dozens."""
MAX_SIDE: Final = 16_384
"""What H.264 encoders take."""

MAX_GAP: Final = Fraction(24 * 3600)
"""Seconds that one frame may stand. A slide in a recorded talk stands for minutes."""
BROADCAST_MAX_GAP: Final = Fraction(10)
"""The same where the clock may jump."""

_AVFMT_TS_DISCONT: Final = 0x0200  # AVFormat flag: the clock starts anywhere and may jump (MPEG-TS, MPEG-PS)
_US: Final = Fraction(1, 1_000_000)  # a container's own times are microseconds


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """One frame of a video. `planes`: read-only. `time`: when it is shown on the video's own clock; `duration`: for how
    long; both in seconds, exact."""

    planes: Planes
    time: Fraction
    duration: Fraction


class VideoReader:
    """An opened video. Raises MediaError, one line, where there is nothing to show: no such file, no video, no picture
    in it, not one good frame, more than MAX_PIXELS. One thread at a time.

    `size`: upright, square pixels. `rate`: frames a second, on average. `time_base`: the unit of its times, seconds.
    `start`: the first frame's time. `clock_offset`: what the file's clock shows at time 0, seconds; 0 but for broadcast
    streams, whose clock starts anywhere. `max_gap`: see `next_tick`. `count`: frames in all as far as the file tells
    (exact in MP4, else from duration and rate), or None. `audio`: whether it has sound. `left_out`: frames that were
    damaged, of those read so far.
    """

    def __init__(self, path: Path, *, threads: int = 2) -> None:
        """`threads`: for the decoder; each one more holds one frame more."""
        self.path: Final = path
        self.left_out = 0
        self._threads = threads
        self._scaler = VideoReformatter()
        self._container: InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._first: TimedFrame | None = None
        self._orientation: tuple[int, Orientation] | None = None
        with open_named(path, "film") as file:
            self._is_mp4 = file.read(8)[4:] == b"ftyp"
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def read(self) -> TimedFrame | None:
        """The next frame; None at the end."""
        frame, self._first = self._first, None
        return frame or self._decode()

    def __iter__(self) -> Iterator[TimedFrame]:
        while (frame := self.read()) is not None:
            yield frame

    def rewind(self) -> None:
        """The next `read` gives the first frame again. A file that cannot be sought is opened anew: MediaError where it
        is gone by then."""
        if self._first is not None:
            return
        if not self._sought():
            self.close()
            self._open()

    def close(self) -> None:
        """May be called again; `read` then returns None."""
        self._frames, self._first = iter(()), None
        if self._container is not None:
            self._container.close()
            self._container = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _open(self) -> None:
        # "file:" and the whitelist: a playlist in disguise must not reach for other protocols than files.
        limits = {"max_pixels": str(MAX_PIXELS)}
        try:
            container = av.open(
                f"file:{self.path}", options={"protocol_whitelist": "file", **limits}, metadata_errors="replace"
            )
        except av.FFmpegError as exc:
            raise MediaError(self._unreadable(exc)) from exc
        self._container = container
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
            sound = " (it has sound only)" if container.streams.audio else ""
            raise MediaError(f"{self.path}: there is no moving picture in it{sound}")
        if stream.codec_context is None:
            raise MediaError(f"{self.path}: no decoder for its picture", fix="convert it to H.264 first")
        _check_pixels(self.path, stream.width, stream.height)
        stream.codec_context.options = limits
        stream.thread_type, stream.thread_count = "AUTO", self._threads
        self._stream = stream
        self.time_base = stream.time_base or Fraction(1, 1000)
        self.rate = _rate(stream)
        self.audio = bool(container.streams.audio)
        self._step = max(1, round(1 / (self.rate * self.time_base)))
        floats = container.format.flags & _AVFMT_TS_DISCONT
        self._offset = round((container.start_time or 0) * _US / self.time_base) if floats else 0
        self.clock_offset = self._offset * self.time_base
        self.max_gap = BROADCAST_MAX_GAP if floats else MAX_GAP
        seconds = stream.duration * self.time_base if stream.duration else Fraction(container.duration or 0) * _US
        self.count = stream.frames or round(seconds * self.rate) or None
        # A pixel's width in its heights. Real videos stay within 1/2 to 2; a wild value is a mistake in the file.
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        self._square = aspect if Fraction(1, 4) <= aspect <= 4 else Fraction(1)
        self.size = Size(1, 1)
        self._start_reading()
        self._first = first = self._decode()
        if first is None:
            raise MediaError(f"{self.path}: not one frame of it can be read", fix="copy it again from where it came")
        self.start = first.time

    def _unreadable(self, exc: av.FFmpegError) -> str:
        if self._is_mp4:
            problem = "it breaks off before its index, the recording or the copy was not finished"
            return f"{self.path} is a broken MP4: {problem}"
        if isinstance(exc, av.error.InvalidDataError):
            return f"{self.path} is not a film that FFmpeg understands"
        return f"{self.path} cannot be read: {exc.strerror}"

    def _sought(self) -> bool:
        """Whether seeking led to the first frame; with a sparse index it may lead behind it."""
        if self._container is None:
            return False
        try:
            self._container.seek(self._first_pts, stream=self._stream)
        except av.FFmpegError as exc:
            log.debug("%s cannot be sought: %s", self.path, exc)
            return False
        self._start_reading()
        self._first = self._decode()
        return self._first is not None and self._first.time == self.start

    def _start_reading(self) -> None:
        assert self._container is not None
        self.left_out = 0
        self._last: int | None = None
        self._frames = self._decoded(self._container)

    def _decode(self) -> TimedFrame | None:
        """The next good frame."""
        for frame in self._frames:
            if frame.is_corrupt:
                self.left_out += 1
                continue
            pts = None if frame.pts is None else frame.pts - self._offset
            tick = next_tick(self._last, pts, self._step, self.time_base, self.max_gap)
            try:
                planes = self._planes(frame)
            except av.FFmpegError as exc:  # a form that libswscale cannot convert
                log.debug("%s: frame at %s: %s", self.path, tick, exc)
                self.left_out += 1
                continue
            if self._last is None:
                self._first_pts = frame.pts or 0
                self.size = planes.size
            elif planes.size != self.size:  # a video may change its size halfway
                planes = fit(planes, self.size, "contain")
            self._last = tick
            duration = frame.duration or self._step
            return TimedFrame(planes.frozen(), tick * self.time_base, duration * self.time_base)
        return None

    def _decoded(self, container: InputContainer) -> Iterator[av.VideoFrame]:
        packets = container.demux()  # all streams: the sound's times tell whether the file breaks off
        end = Fraction(0)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, IndexError) as exc:  # PyAV's index, at the end, where a stream came in halfway
                log.debug("%s cannot be read on: %s", self.path, exc)
                break
            if packet is None:
                break
            if packet.dts is not None and packet.time_base:
                end = max(end, (packet.dts + (packet.duration or 0)) * packet.time_base)
            if packet.stream.index != self._stream.index:
                continue
            if not packet.size and packet.dts is not None:  # "as before", in AVI; to the decoder it would mean the end
                continue
            try:
                yield from self._stream.decode(packet)
            except av.FFmpegError as exc:
                log.debug("%s: damaged at %s: %s", self.path, packet.pts, exc)
                self.left_out += 1
        # A video that ends more than a second before its file says so was cut off; sound that goes on is no such case,
        # nor is a file that ends a little early because its length was rounded.
        if container.duration:
            missing = (container.duration + (container.start_time or 0)) * _US - end
            if missing > 1:
                self.left_out += round(missing * self.rate)

    def _display(self, frame: av.VideoFrame) -> Orientation:
        """How the picture is to be turned. PyAV's side data and its frame hold each other until the garbage collector
        comes, which sees few objects here and not their megabytes; so it is asked for once, and again when the angle
        changes."""
        if self._orientation is None or frame.rotation != self._orientation[0]:
            try:
                matrix = frame.side_data.get("DISPLAYMATRIX")
            except ValueError:  # beside it stands something that this PyAV has no name for: without the mirroring
                found = Orientation.by(frame.rotation)
            else:
                found = UPRIGHT if matrix is None else Orientation.of(np.frombuffer(cast(bytes, matrix), np.int32))
            self._orientation = frame.rotation, found
        return self._orientation[1]

    def _planes(self, frame: av.VideoFrame) -> Planes:
        """The frame as I420, BT.601, limited range, upright."""
        rgb = frame.format.is_rgb or frame.format.has_palette
        matrix = int(frame.colorspace)
        if frame.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67) and not rgb:
            # libswscale maps the tones by a table: 2 s to make, then 12 ms a frame at 720p.
            frame = self._scaler.reformat(
                frame,
                format="yuv420p",
                src_colorspace=Colorspace.BT2020 if matrix not in WEIGHTS else matrix,
                src_color_range=frame.color_range or ColorRange.MPEG,
                dst_colorspace=Colorspace.ITU601,
                dst_color_range=ColorRange.MPEG,
                dst_color_trc=ColorTrc.BT709,
                dst_color_primaries=ColorPrimaries.BT709,
                threads=self._threads,
            )
            matrix = BT601
        elif matrix not in (BT470, BT601, *WEIGHTS):
            matrix = BT709 if frame.height >= 720 else BT601
        if not rgb:
            frame.colorspace = Colorspace.ITU601  # so that from_av converts format and range alone
        planes = from_av(frame, self._scaler)
        if not rgb and matrix in BT601_COEFFICIENTS:
            # libswscale goes from matrix to matrix by way of RGB: 3.9 ms at 720p and up to 3 steps off; this is 0.6 ms.
            to_bt601(planes.y, planes.u, planes.v, BT601_COEFFICIENTS[matrix])
        if self._square != 1:
            width = max(2, 2 * round(planes.size.width * self._square / 2))
            _check_pixels(self.path, width, planes.size.height)
            planes = resize(planes, Size(width, planes.size.height))
        return self._display(frame).applied(planes)


class AlphaVideo(VideoReader):
    """A video of masks: `planes.y` is the alpha, 0 to 255 (chroma is 128). Where the video has an alpha channel of its
    own that is taken, else its brightness: exactly where it is 8-bit gray, else stretched from the video's range."""

    def _planes(self, frame: av.VideoFrame) -> Planes:
        planes = Planes.empty(Size(frame.width, frame.height))
        alpha = next((plane for plane in frame.format.components if plane.is_alpha), None)
        if alpha is not None:
            planes.y[:] = frame.reformat(format="rgba").to_ndarray()[..., 3]
        else:
            full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith(("yuvj", "gray"))
            if frame.format.name != "gray" or frame.color_range == ColorRange.MPEG:
                frame = self._scaler.reformat(
                    frame,
                    format="gray",
                    src_color_range=ColorRange.JPEG if full or frame.format.is_rgb else ColorRange.MPEG,
                    dst_color_range=ColorRange.JPEG,
                )
            planes.y[:] = frame.to_ndarray()
        planes.u[:], planes.v[:] = 128, 128
        return self._display(frame).applied(planes)


def next_tick(last: int | None, pts: int | None, step: int, clock: Fraction, max_gap: Fraction = MAX_GAP) -> int:
    """The time of the frame after the one at `last`, in ticks of `clock` seconds: its own `pts` where that is later. A
    frame that is no later comes one tick after (a duplicate). One without a time, more than a second back or more than
    `max_gap` seconds ahead (the clock was set: videos put together, a broken number) comes one usual `step` after."""
    if last is None:
        return pts or 0
    if pts is None or (last - pts) * clock >= 1 or (pts - last) * clock > max_gap:
        return last + step
    return max(pts, last + 1)


def _check_pixels(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise MediaError(f"{path}: {width}x{height} is too large; the largest is 8192x4320, or 16384 on a side")


def _rate(stream: VideoStream) -> Fraction:
    """Frames a second. Files without a constant rate may claim their clock's rate, 1000 or 90000."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= 480:
            return Fraction(rate)
    return Fraction(30)
