"""The sound of a video goes along untouched: its packets are copied with their times, never decoded.

Only what MP4 cannot hold so that players play it (PCM, Vorbis and the like) is made into AAC, and the log says so. The
source is opened a second time for it, so that pictures and sound are each read as fast as they are needed; the muxer
then puts the packets in order.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream

from vbgcam.core.errors import MediaError
from vbgcam.media.video_reader import VideoReader, next_tick
from vbgcam.media.video_writer import VideoWriter

log = logging.getLogger(__name__)

_IN_MP4: Final = frozenset({"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "flac", "opus", "dca"})
"""FFmpeg's names of the decoders of what common players read in an MP4. (An MP4 cannot tell MP2 from MP3.)"""

_HEADED: Final = frozenset({"opus", "flac", "alac", "vorbis"})
"""Those that no container takes without the codec's header, which a damaged file may have lost."""

_AAC_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC_LAYOUTS: Final = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_BITS_PER_CHANNEL: Final = 80_000


class Sound:
    """All sound tracks of a video, on their way into a new one. One thread."""

    def __init__(self, source: VideoReader, into: VideoWriter) -> None:
        """`source` lends its path and its clock. Called before the first packet goes into the new video. Raises
        MediaError."""
        self._source = source
        self._writer = into
        try:
            self._container = av.open(
                f"file:{source.path}", options={"protocol_whitelist": "file"}, metadata_errors="replace"
            )
        except av.FFmpegError as exc:
            raise MediaError(f"{source.path}: its sound cannot be read: {exc.strerror}") from exc
        self._tracks: dict[int, _CopiedTrack | _EncodedTrack] = {}
        for stream in self._container.streams.audio:
            track = self._track(stream)
            if track is not None:
                self._tracks[stream.index] = track
        self._packets = self._container.demux(*(self._container.streams[index] for index in self._tracks))
        self._next = self._read() if self._tracks else None

    def until(self, time: Fraction | None) -> None:
        """Writes what sounds up to `time`, seconds of the new video, or all that is left. Raises OutputError."""
        offset = self._source.clock_offset
        while (packet := self._next) is not None:
            if time is not None and packet.dts is not None and packet.dts * packet.time_base - offset > time:
                return
            self._writer.write(self._tracks[packet.stream.index].take(packet))
            self._next = self._read()
        for track in self._tracks.values():
            if time is None and isinstance(track, _EncodedTrack):
                self._writer.write(track.rest())

    def close(self) -> None:
        """Closes the source's sound, not the new video."""
        self._packets = iter(())
        self._container.close()

    def _read(self) -> Packet[Stream] | None:
        """The next packet that holds something."""
        try:
            return next((packet for packet in self._packets if packet.size), None)
        except av.FFmpegError as exc:
            log.warning("%s: its sound breaks off: %s", self._source.path, exc.strerror)
        except IndexError:  # PyAV's, at the end, where a stream came in halfway
            pass
        return None

    def _track(self, stream: AudioStream) -> _CopiedTrack | _EncodedTrack | None:
        path, codec = self._source.path, cast("AudioCodecContext | None", stream.codec_context)
        if codec is None or not codec.sample_rate:  # FFmpeg has no decoder for it, or nothing came that tells its rate
            log.warning("%s: a sound track in an unknown format is left out", path)
            return None
        mp4 = self._writer.container.format.name == "mp4"
        headless = codec.name in _HEADED and not codec.extradata
        try:
            if not headless and (not mp4 or codec.name in _IN_MP4):
                return _CopiedTrack(stream, self._source, self._writer.container.add_stream_from_template(stream))
        except ValueError as exc:  # what PyAV says where the format has no place for the codec
            log.debug("%s: %s", path, exc)
        log.info("%s: its sound, %s, becomes AAC: the new film's format does not hold it", path, codec.name)
        return _EncodedTrack(stream, self._source, self._writer)


class _CopiedTrack:
    """A video whose clock was set back halfway goes on at the usual step, as its pictures do."""

    def __init__(self, stream: AudioStream, source: VideoReader, out: Stream) -> None:
        self._offset = round(source.clock_offset / (stream.time_base or 1))
        self._source, self._out = source, out
        self._last: int | None = None
        self._step = 1

    def take(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        own = packet.dts if packet.dts is not None else packet.pts
        own = None if own is None else own - self._offset
        last, clock = self._last, packet.time_base
        self._last = tick = next_tick(last, own, self._step, clock, self._source.max_gap)
        if last is not None and tick == last + 1 and own != tick:
            # Doubled in the source. One tick of its clock may be none of the new video's; a millisecond is one of any.
            self._last = last + max(1, math.ceil(Fraction(1, 1000) / clock))
        self._step = packet.duration or self._step
        packet.pts = packet.dts = self._last  # sound is stored in the order of playing
        packet.stream = self._out
        yield packet


class _EncodedTrack:
    """Decodes, brings rate and layout to what AAC has, encodes."""

    def __init__(self, stream: AudioStream, source: VideoReader, into: VideoWriter) -> None:
        self._offset = round(source.clock_offset / (stream.time_base or 1))
        self._source = source
        self._damaged = False
        codec = stream.codec_context
        rate = codec.sample_rate if codec.sample_rate in _AAC_RATES else 48000
        layout = _AAC_LAYOUTS.get(codec.channels, "stereo")
        self._out = into.container.add_stream("aac", rate=rate, layout=layout)
        self._encoder: AudioCodecContext = self._out.codec_context
        self._encoder.bit_rate = _BITS_PER_CHANNEL * self._encoder.channels
        self._resampler: AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._last: int | None = None
        self._step = 1

    def take(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        try:
            frames = packet.decode()
        except av.FFmpegError as exc:
            if not self._damaged:
                log.warning("%s: its sound is damaged: %s", self._source.path, exc.strerror)
            self._damaged = True
            return
        for frame in frames:
            assert isinstance(frame, AudioFrame)
            self._time(frame)
            form = (frame.format.name, frame.layout.name, frame.sample_rate)
            if form != self._form:  # broadcasts change from stereo to 5.1 and back
                yield from self._resampled(None)
                self._form = form
                self._resampler = AudioResampler("fltp", self._encoder.layout, self._encoder.sample_rate, 1024)
            yield from self._resampled(frame)

    def rest(self) -> Iterator[Packet[Stream]]:
        yield from self._resampled(None)
        yield from self._out.encode(None)

    def _time(self, frame: AudioFrame) -> None:
        own = None if frame.pts is None else frame.pts - self._offset
        base = frame.time_base or Fraction(1, frame.sample_rate)
        last, tick = self._last, next_tick(self._last, own, self._step, base, self._source.max_gap)
        if last is not None:  # samples that came twice play one after the other; rounded times may overlap a little
            tick = max(tick, last + self._step - math.ceil(Fraction(2, 1000) / base))
        frame.pts = self._last = tick
        self._step = max(1, round(Fraction(frame.samples, frame.sample_rate) / base))

    def _resampled(self, frame: AudioFrame | None) -> Iterator[Packet[Stream]]:
        if self._resampler is not None:
            for piece in self._resampler.resample(frame):
                yield from self._out.encode(piece)
