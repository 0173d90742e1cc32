"""Small films for tests, made with PyAV, so that no program need be installed."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.stream import VideoStream

from tests.support.fakes import person_at, room_with_person
from vbgcam.core.frames import U8, Planes, Size
from vbgcam.pixels.convert import to_av

SIZE = Size(64, 48)


def slowly(number: int) -> int:
    """The person's place in frame `number` where they go two pixels to the right every six frames (13 places are two
    pixels): most of a late mask still fits."""
    return 13 * (number // 6)


def _anywhere(number: int) -> int:
    return number


def rooms(count: int, size: Size = SIZE, place: Callable[[int], int] = _anywhere) -> list[av.VideoFrame]:
    """The secret room; the person is elsewhere in each frame, or at that `place` (see `person_at`)."""
    return [to_av(room_with_person(place(number), size)) for number in range(count)]


def corners(size: Size = SIZE) -> av.VideoFrame:
    """Red top left, green top right, blue bottom left, black bottom right: no two ways up look alike."""
    rgb = np.zeros((size.height, size.width, 3), np.uint8)
    half_y, half_x = size.height // 2, size.width // 2
    rgb[:half_y, :half_x, 0] = rgb[:half_y, half_x:, 1] = rgb[half_y:, :half_x, 2] = 255
    return av.VideoFrame.from_ndarray(rgb, format="rgb24")


def film(
    path: Path,
    pictures: Iterable[av.VideoFrame],
    *,
    times: Sequence[int] | None = None,
    clock: Fraction = Fraction(1, 90_000),
    rate: int = 30,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation: float | None = None,
    mirrored: bool = False,
    matrix: int | None = None,
    full_range: bool = False,
    curve: int | None = None,
    pixel_aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    sound: str = "",
    layout: str = "stereo",
    sample_rate: int = 48_000,
    faststart: bool = False,
    lasts: int | None = None,
) -> Path:
    """`times`: each picture's, in ticks of `clock`; else at `rate`. `sound`: an encoder; a tone as long as the film."""
    pictures = list(pictures)
    step = round(1 / (rate * clock))
    ticks = list(times) if times is not None else [number * step for number in range(len(pictures))]
    muxer = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", container_options=muxer) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = pictures[0].width, pictures[0].height, pixels
        context = stream.codec_context
        context.time_base = clock
        context.options = options or {}
        if codec == "libx264":
            context.options = {"preset": "ultrafast", "qp": "10", **context.options}
        if matrix is not None:
            context.colorspace = matrix
        if curve is not None:
            context.color_trc = curve
        if full_range:
            context.color_range = 2
        if pixel_aspect is not None:
            context.sample_aspect_ratio = pixel_aspect
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=mirrored)
        tone = None
        if sound:
            tone = container.add_stream(sound, rate=sample_rate, layout=layout)
        for picture, tick in zip(pictures, ticks, strict=True):
            ready = picture if picture.format.name == pixels else picture.reformat(format=pixels)
            ready.pts, ready.time_base = tick, clock
            container.mux(stream.encode(ready))
        if tone is not None:
            assert isinstance(tone, AudioStream)
            _play(container, tone, float((ticks[-1] + step) * clock))
        container.mux(stream.encode(None))
    return path


def sound_only(path: Path, *, cover: bool = False) -> Path:
    """Half a second of tone; `cover`: with a picture of the record's sleeve."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        assert isinstance(stream, AudioStream)
        if cover:
            sleeve = container.add_stream("mjpeg", rate=1)
            assert isinstance(sleeve, VideoStream)
            sleeve.width, sleeve.height, sleeve.pix_fmt = 64, 48, "yuvj420p"
            sleeve.disposition = Disposition.attached_pic
            container.mux(sleeve.encode(corners().reformat(format="yuvj420p")))
            container.mux(sleeve.encode(None))
        _play(container, stream, 0.5)
    return path


def _play(container: av.container.OutputContainer, stream: AudioStream, seconds: float) -> None:
    codec = stream.codec_context
    if not codec.is_open:
        codec.open()
    rate, channels = codec.sample_rate, codec.channels
    samples = np.arange(round(rate * seconds))
    tones = [0.3 * np.sin(samples * 2 * np.pi * 220 * (channel + 1) / rate) for channel in range(channels)]
    wave = np.stack(tones)
    size = codec.frame_size or 1024
    for start in range(0, wave.shape[1], size):
        piece = np.ascontiguousarray(wave[:, start : start + size], np.float32)
        frame = AudioFrame.from_ndarray(piece, format="fltp", layout=codec.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        resampler = av.AudioResampler(codec.format, codec.layout, rate)
        for ready in resampler.resample(frame):
            ready.pts = start
            container.mux(stream.encode(ready))
    container.mux(stream.encode(None))


def frame_times(path: Path) -> list[Fraction]:
    """Each frame's time, seconds, in the order of showing."""
    with av.open(str(path)) as container:
        return sorted(Fraction(frame.pts or 0) * (frame.time_base or 0) for frame in container.decode(video=0))


def packets(path: Path, stream: int = 0) -> list[tuple[bytes, Fraction]]:
    """The sound's packets with their times."""
    with av.open(str(path)) as container:
        track = container.streams.audio[stream]
        return [(bytes(p), Fraction(p.pts or 0) * p.time_base) for p in container.demux(track) if p.size]


def luma(path: Path) -> list[U8]:
    """The luma plane of every frame, as it is stored."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in container.decode(video=0)]


def grey(size: Size, value: int) -> Planes:
    return Planes.filled(size, (value, 128, 128))


def true_masks(
    path: Path, count: int, size: Size = SIZE, *, odd: int = 0, place: Callable[[int], int] = _anywhere
) -> Path:
    """The true masks of `rooms`, with some values between."""
    pictures = []
    for number in range(count):
        alpha = np.zeros((size.height, size.width), np.uint8)
        alpha[person_at(place(number), size)] = 255 - odd * number
        pictures.append(av.VideoFrame.from_ndarray(alpha, "gray"))
    return film(path, pictures, codec="ffv1", pixels="gray", full_range=True)
