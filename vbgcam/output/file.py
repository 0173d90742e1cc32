"""A video as the output: H.264 in MP4 or MKV, each picture with its own time.

The house's planes are what the encoder takes, so that nothing is converted; the file says that they are BT.601,
limited range. The primaries and the transfer curve it names are BT.709's, which webcams and sRGB pictures have.

Measured for 1280x720 on one core of a Xeon, a man moving in a room, ms a frame and kbit/s at 30 frames a second:
ultrafast 5.4 and 2365, superfast 9.1 and 1671, veryfast 15.1 and 870, faster 25, medium 47 (all at CRF 23 or 20; their
PSNR is within 0.5 dB). Live the network needs the time, so superfast; offline nobody waits, and veryfast halves the
file.
"""

from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import av
from av.codec.context import Flags
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from vbgcam.core.errors import OutputError
from vbgcam.core.frames import SafeFrame, Size
from vbgcam.media.video_writer import VideoWriter
from vbgcam.pixels.convert import to_av

_CLOCK: Final = Fraction(1, 90_000)
_EFFORT: Final = {"live": {"preset": "superfast", "crf": "23"}, "offline": {"preset": "veryfast", "crf": "20"}}


class FileOutput:
    """Implements `output.Output`. The file appears under its name when `close` has finished it; nothing is left behind
    when `discard` or an OutputError came first, or when no frame was sent.

    `clock`: the time base, seconds; None is 1/90000. `zero`: which `at` is the video's time 0; None is the first
    frame's. A time that is no later than the one before becomes one tick later."""

    def __init__(
        self,
        target: str | Path,
        size: Size,
        fps: float | Fraction,
        *,
        clock: Fraction | None = None,
        zero: float | None = None,
        effort: Literal["live", "offline"] = "live",
    ) -> None:
        """`size`: even sides. `fps`: about how many frames will come in a second."""
        self.name = str(target)
        self.film: VideoWriter | None = None
        self._target = Path(target)
        self._size = size
        self._rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))
        self._clock = clock or _CLOCK
        self._first = zero
        self._zero = zero
        self._effort = effort
        self._last: int | None = None
        self._finished = False

    def open(self) -> None:
        """Raises OutputError."""
        self.film = film = VideoWriter(self._target, self._clock)
        self._zero, self._last, self._finished = self._first, None, False
        try:
            self._stream = self._add_stream(film)
        except av.FFmpegError as exc:
            self.discard()
            raise OutputError(f"{self._target}: no H.264 encoder for {self._size}: {exc.strerror}") from exc

    def send(self, frame: SafeFrame, at: float, lasts: float | None = None) -> None:
        """`lasts`: for how many seconds it is shown, which counts for the last frame; None is a frame at the usual
        rate. Raises OutputError, and nothing is left behind."""
        if self.film is None or self.film.gone:
            raise OutputError(f"{self._target} is not open")
        if self._zero is None:
            self._zero = at
        tick = round((at - self._zero) / self._clock)
        if self._last is not None:
            tick = max(tick, self._last + 1)
        self._last = tick
        picture = to_av(frame.planes)
        picture.pts, picture.time_base = tick, self._clock
        picture.duration = max(1, round((lasts if lasts is not None else 1 / self._rate) / self._clock))
        self._encode(picture)

    def finish(self) -> None:
        """Writes what the encoder still holds and the index; `close` then only gives the file its name. Raises
        OutputError, and nothing is left behind."""
        if self.film is not None and self._last is not None and not self._finished:
            self._finished = True
            self._encode(None)
            self.film.finish()

    def reader_monitor(self) -> None:
        """Nobody needs to watch: it is wanted for as long as it runs."""

    def close(self) -> None:
        """Raises OutputError, and nothing is left behind."""
        if self.film is None or self.film.gone:
            return
        if self._last is None:
            self.discard()
            return
        self.finish()
        film, self.film = self.film, None
        film.keep()

    def discard(self) -> None:
        """Leaves nothing behind; does nothing after `close`."""
        if self.film is not None:
            self.film.discard()

    def _add_stream(self, film: VideoWriter) -> VideoStream:
        stream = film.container.add_stream("libx264", rate=self._rate)
        stream.width, stream.height, stream.pix_fmt = self._size.width, self._size.height, "yuv420p"
        codec = stream.codec_context
        codec.time_base = self._clock
        codec.colorspace, codec.color_range = Colorspace.ITU601, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        codec.flags |= Flags.frame_duration
        codec.options = dict(_EFFORT[self._effort])
        return stream

    def _encode(self, picture: av.VideoFrame | None) -> None:
        assert self.film is not None
        try:
            packets = self._stream.encode(picture)
        except av.FFmpegError as exc:
            self.discard()
            raise OutputError(f"{self._target}: the encoder failed: {exc.strerror}") from exc
        self.film.write(packets)
