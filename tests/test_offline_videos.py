"""A film before another background: each frame with its own mask, times and sound as they were, whole files or none."""

import logging
import shutil
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Stream

from tests.support.clips import SIZE, film, frame_times, grey, luma, packets, rooms
from tests.support.fakes import BEHIND, PERSON, SECRET, FakeBackground, FakeSegmenter, person_at
from vbgcam.core.errors import BackgroundError, ConfigError, MediaError, ModelError, OutputError
from vbgcam.core.frames import RawFrame, Size
from vbgcam.core.options import RenderOptions
from vbgcam.media.video_reader import VideoReader
from vbgcam.offline import videos
from vbgcam.offline.backdrops import OpenBackground
from vbgcam.offline.videos import VideoResult, read_ahead
from vbgcam.pixels.convert import to_av
from vbgcam.segment import Segmenter
from vbgcam.segment.factory import PassThrough

HIDDEN = (RenderOptions(), FakeBackground)


def convert(
    source: Path,
    target: Path | None,
    segmenter: Segmenter,
    options: RenderOptions,
    background: OpenBackground,
    **more: Any,
) -> VideoResult | None:
    with VideoReader(source) as opened:
        return videos.convert(opened, target, segmenter, options, background, **more)


def ffv1(path: Path, count: int, **more: object) -> Path:
    """Rooms whose secret colour survives storing exactly."""
    return film(path, rooms(count), codec="ffv1", **more)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_frame_is_composed_with_its_own_mask(tmp_path: Path) -> None:
    source = ffv1(tmp_path / "in.mkv", 20)
    done = convert(source, tmp_path / "out.mp4", FakeSegmenter(), *HIDDEN, mask_out=tmp_path / "mask.mkv")
    assert done is not None
    assert (done.frames, done.left_out, done.size) == (20, 0, SIZE)
    alphas = luma(tmp_path / "mask.mkv")
    with VideoReader(tmp_path / "out.mp4") as result:
        shots = list(result)
    assert len(shots) == len(alphas) == 20
    for number, (shot, alpha) in enumerate(zip(shots, alphas, strict=True)):
        true = np.zeros((SIZE.height, SIZE.width), np.uint8)
        true[person_at(number)] = 255
        assert np.array_equal(alpha, true)
        inside = true == 255
        assert shot.planes.y[inside].mean() == pytest.approx(PERSON[0], abs=3)
        assert shot.planes.y[~inside].mean() == pytest.approx(BEHIND[0], abs=3)
        assert shot.planes.v.max() < SECRET[2] - 60  # H.264 at this size blurs colours by a few steps


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_times_and_duration_are_kept_at_a_variable_rate(tmp_path: Path, suffix: str) -> None:
    times = [0, 3003, 3150, 9009, 90_000, 180_001, 180_090, 999_999]
    source = film(tmp_path / f"in{suffix}", rooms(len(times)), times=times, options={"bf": "2"}, sound="aac")
    convert(source, tmp_path / f"out{suffix}", FakeSegmenter(), *HIDDEN, mask_out=tmp_path / "mask.mkv")
    before = frame_times(source)
    assert frame_times(tmp_path / f"out{suffix}") == before
    assert [float(time) for time in frame_times(tmp_path / "mask.mkv")] == pytest.approx(
        [float(time) for time in before], abs=0.0006
    )
    with av.open(str(source)) as a, av.open(str(tmp_path / f"out{suffix}")) as b:
        assert b.streams.video[0].time_base == a.streams.video[0].time_base


def test_rate_and_length_are_kept_at_a_constant_rate(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", rooms(30), rate=25)
    convert(source, tmp_path / "out.mp4", FakeSegmenter(), *HIDDEN)
    with av.open(str(source)) as a, av.open(str(tmp_path / "out.mp4")) as b:
        one, other = a.streams.video[0], b.streams.video[0]
        assert (other.average_rate, other.frames, other.duration) == (one.average_rate, one.frames, one.duration)
        assert b.duration == a.duration


@pytest.mark.parametrize(
    ("size", "height", "expected"),
    [
        (Size(64, 48), None, Size(64, 48)),
        (Size(63, 47), None, Size(62, 46)),
        (Size(64, 48), 24, Size(32, 24)),
        (Size(63, 47), 32, Size(42, 32)),
        (Size(1, 1), None, Size(2, 2)),
    ],
)
def test_sizes_become_even_and_may_be_scaled(tmp_path: Path, size: Size, height: int | None, expected: Size) -> None:
    source = film(tmp_path / "in.mov", [to_av(grey(size, 90))] * 3, codec="png", pixels="rgb24")
    done = convert(source, tmp_path / "out.mp4", PassThrough(), *HIDDEN, height=height, mask_out=tmp_path / "mask.mkv")
    assert done is not None
    assert done.size == expected
    for name in ("out.mp4", "mask.mkv"):
        with VideoReader(tmp_path / name) as result:
            assert (result.size, len(list(result))) == (expected, 3)


def test_a_height_that_makes_the_picture_too_large_is_refused(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mov", [to_av(grey(Size(2000, 2), 90))], codec="png", pixels="rgb24")
    with pytest.raises(ConfigError, match="too large"):
        convert(source, tmp_path / "out.mp4", PassThrough(), RenderOptions(plain=True), FakeBackground, height=400)
    assert names(tmp_path) == ["in.mov"]


@pytest.mark.parametrize(
    ("container", "codec", "layout"),
    [
        ("mp4", "aac", "mono"),
        ("mp4", "aac", "5.1"),
        ("mkv", "libopus", "stereo"),
        ("mkv", "libmp3lame", "stereo"),
        ("mkv", "flac", "stereo"),
        ("ts", "libmp3lame", "stereo"),
        ("mkv", "ac3", "5.1"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_is_copied_bit_by_bit_with_its_times(
    tmp_path: Path, container: str, codec: str, layout: str, suffix: str
) -> None:
    source = film(tmp_path / f"in.{container}", rooms(30), sound=codec, layout=layout)
    convert(source, tmp_path / f"out{suffix}", FakeSegmenter(), *HIDDEN)
    before, after = packets(source), packets(tmp_path / f"out{suffix}")
    assert [data for data, _ in after] == [data for data, _ in before]
    pictures = [float(time) for time in frame_times(tmp_path / f"out{suffix}")]
    # The clock of a broadcast stream starts anywhere; picture and sound keep their distance.
    shift = float(frame_times(source)[0]) - pictures[0] if container == "ts" else 0.0
    assert pictures == pytest.approx([float(time) - shift for time in frame_times(source)], abs=0.0011)
    assert [float(time) for _, time in after] == pytest.approx([float(time) - shift for _, time in before], abs=0.0011)
    with av.open(str(source)) as a, av.open(str(tmp_path / f"out{suffix}")) as b:
        one, other = a.streams.audio[0].codec_context, b.streams.audio[0].codec_context
        assert (other.name, other.layout.name, other.sample_rate) == (one.name, one.layout.name, one.sample_rate)


@pytest.mark.parametrize(
    ("codec", "layout", "rate"),
    [("pcm_s16le", "stereo", 44_100), ("pcm_s16le", "5.1", 48_000), ("pcm_s24le", "mono", 37_000)],
)
def test_sound_that_mp4_does_not_hold_becomes_aac_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str, layout: str, rate: int
) -> None:
    source = film(tmp_path / "in.mov", rooms(30), sound=codec, layout=layout, sample_rate=rate)
    caplog.set_level(logging.INFO)
    convert(source, tmp_path / "out.mp4", FakeSegmenter(), *HIDDEN)
    assert f"{source}: its sound, {codec}, becomes AAC" in caplog.text
    with av.open(str(tmp_path / "out.mp4")) as container:
        track = container.streams.audio[0]
        assert (track.codec_context.name, track.codec_context.layout.name) == ("aac", layout)
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        sampled = track.codec_context.sample_rate
    assert len(heard) / sampled == pytest.approx(1.0, abs=0.03)
    middle = heard[sampled // 4 : sampled // 4 + sampled // 2]
    loudest = np.argmax(np.abs(np.fft.rfft(middle))) * sampled / len(middle)
    assert loudest == pytest.approx(220, abs=5)


@pytest.mark.parametrize("codec", ["libopus", "flac", "alac"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_that_lost_its_codecs_header_does_not_stop_the_film(tmp_path: Path, codec: str, suffix: str) -> None:
    source = film(tmp_path / "in.mkv", rooms(30), sound=codec)
    before, after = source.read_bytes().rsplit(b"\x63\xa2", 1)  # Matroska's CodecPrivate
    source.write_bytes(before + b"\x63\xa9" + after)
    with av.open(str(source)) as container:
        assert not container.streams.audio[0].codec_context.extradata
    assert convert(source, tmp_path / f"out{suffix}", FakeSegmenter(), *HIDDEN) is not None
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        sound = [stream.codec_context.name for stream in container.streams.audio]
        assert sound == ["aac"] or codec == "alac"  # which cannot be decoded without it
        assert len(list(container.decode(video=0))) == 30


def test_all_sound_tracks_go_along(tmp_path: Path) -> None:
    picture = film(tmp_path / "picture.mp4", rooms(10))
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out, av.open(str(picture)) as read:
        streams: list[Stream] = [out.add_stream_from_template(read.streams.video[0])]
        tones = [film(tmp_path / f"{codec}.mp4", rooms(10), sound=codec) for codec in ("aac", "libopus")]
        tracks = [av.open(str(tone)) for tone in tones]
        streams += [out.add_stream_from_template(track.streams.audio[0]) for track in tracks]
        for opened, stream in zip((read, *tracks), streams, strict=True):
            kind = opened.streams.video[0] if opened is read else opened.streams.audio[0]
            for packet in opened.demux(kind):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
        for track in tracks:
            track.close()
    convert(source, tmp_path / "out.mp4", FakeSegmenter(), *HIDDEN)
    for track_number in (0, 1):
        before, after = packets(source, track_number), packets(tmp_path / "out.mp4", track_number)
        assert [data for data, _ in after] == [data for data, _ in before]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("codec", ["libmp3lame", "mp2"])
def test_films_that_were_put_together_go_on_in_step(tmp_path: Path, codec: str, suffix: str) -> None:
    part = film(tmp_path / "part.ts", rooms(45), sound=codec)
    source = tmp_path / "in.ts"
    source.write_bytes(part.read_bytes() * 3)
    done = convert(source, tmp_path / f"out{suffix}", FakeSegmenter(), *HIDDEN)
    assert done is not None
    assert done.frames == 135
    times = frame_times(tmp_path / f"out{suffix}")
    assert times == sorted(set(times))
    heard = [time for _, time in packets(tmp_path / f"out{suffix}")]
    assert heard == sorted(set(heard))
    assert float(times[-1]) == pytest.approx(4.5, abs=0.1)
    assert float(heard[-1]) == pytest.approx(4.5, abs=0.2)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("codec", ["libmp3lame", "mp2"])
def test_sound_that_comes_twice_at_one_time_does_not_stop_the_film(tmp_path: Path, codec: str, suffix: str) -> None:
    whole = film(tmp_path / "whole.mkv", rooms(30), sound=codec)
    source = tmp_path / "in.mkv"
    with av.open(str(whole)) as read, av.open(str(source), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.size:
                at = packet.pts
                packet.stream = streams[packet.stream.index]
                if packet.stream.type == "audio" and at is not None and 300 < at < 340:
                    packet.pts = packet.dts = 300
                out.mux(packet)
    done = convert(source, tmp_path / f"out{suffix}", FakeSegmenter(), *HIDDEN)
    assert done is not None
    assert (done.frames, done.left_out) == (30, 0)
    heard = [time for _, time in packets(tmp_path / f"out{suffix}")]
    assert heard == sorted(set(heard))
    assert float(heard[-1]) == pytest.approx(1.0, abs=0.1)


def test_pictures_and_sound_lie_side_by_side_in_the_file(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", rooms(200), sound="aac")
    convert(source, tmp_path / "out.mp4", FakeSegmenter(), *HIDDEN)
    furthest = {"video": 0.0, "audio": 0.0}
    with av.open(str(tmp_path / "out.mp4")) as container:
        order = sorted(
            (
                (packet.pos or 0, packet.stream.type, float((packet.dts or 0) * packet.time_base))
                for packet in container.demux()
                if packet.size
            ),
        )
    for _, kind, at in order:
        furthest[kind] = max(furthest[kind], at)
        assert abs(furthest["video"] - furthest["audio"]) < 1.0


def test_the_plain_picture_needs_no_network_but_its_mask_may_be_asked_for(tmp_path: Path) -> None:
    source = ffv1(tmp_path / "in.mkv", 5)
    segmenter = FakeSegmenter()
    convert(source, tmp_path / "out.mp4", segmenter, RenderOptions(plain=True), FakeBackground)
    assert segmenter.calls == 0
    with VideoReader(tmp_path / "out.mp4") as result:
        assert all(np.median(shot.planes.y) == pytest.approx(SECRET[0], abs=2) for shot in result)
    convert(
        source,
        tmp_path / "out.mp4",
        segmenter,
        RenderOptions(plain=True),
        FakeBackground,
        mask_out=tmp_path / "mask.mkv",
    )
    assert segmenter.calls == 5
    assert all(0 < alpha.mean() < 128 for alpha in luma(tmp_path / "mask.mkv"))


def test_mirrored_film_and_mask_fit_each_other(tmp_path: Path) -> None:
    source = ffv1(tmp_path / "in.mkv", 4)
    look = (RenderOptions(mirror=True), FakeBackground)
    convert(source, tmp_path / "out.mp4", FakeSegmenter(), *look, mask_out=tmp_path / "mask.mkv")
    with VideoReader(tmp_path / "out.mp4") as result:
        for number, (shot, alpha) in enumerate(zip(result, luma(tmp_path / "mask.mkv"), strict=True)):
            true = np.zeros((SIZE.height, SIZE.width), np.uint8)
            true[person_at(number)] = 255
            assert np.array_equal(alpha, true[:, ::-1])
            assert shot.planes.y[alpha == 255].mean() == pytest.approx(PERSON[0], abs=3)


def test_the_background_and_the_network_see_the_films_own_time(tmp_path: Path) -> None:
    times = [9000, 18_000, 100_000]
    source = film(tmp_path / "in.mkv", rooms(3), times=times)
    background, seen = FakeBackground(), []
    convert(
        source,
        tmp_path / "out.mp4",
        FakeSegmenter(before=lambda frame: seen.append((frame.captured_at, frame.number))),
        RenderOptions(),
        lambda _size: background,
    )
    expected = [round((time - times[0]) / 90) / 1000 for time in times]
    assert background.asked == pytest.approx(expected, abs=0.001)
    assert [at for at, _ in seen] == background.asked
    assert [number for _, number in seen] == [0, 1, 2]
    assert background.closed


def test_progress_is_told_after_each_frame(tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", rooms(10), rate=10)
    told: list[tuple[int, int | None, float]] = []
    convert(source, tmp_path / "out.mp4", FakeSegmenter(), *HIDDEN, progress=lambda *figures: told.append(figures))
    assert [frames for frames, _, _ in told] == list(range(1, 11))
    assert {total for _, total, _ in told} == {10}
    assert [seconds for _, _, seconds in told] == pytest.approx([number / 10 for number in range(1, 11)])


def test_a_damaged_film_gives_the_rest_and_one_warning_that_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = film(tmp_path / "in.mov", rooms(12), codec="png", pixels="rgb24")
    with av.open(str(source)) as container:
        places = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(source.read_bytes())
    for position, size in places[5:8]:
        data[position : position + size] = bytes(size)
    source.write_bytes(data)
    done = convert(source, tmp_path / "out.mp4", FakeSegmenter(), *HIDDEN, mask_out=tmp_path / "mask.mkv")
    assert done is not None
    assert (done.frames, done.left_out) == (9, 3)
    assert [round(time * 30) for time in frame_times(tmp_path / "out.mp4")] == [0, 1, 2, 3, 4, 8, 9, 10, 11]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [f"{source} is damaged: 3 frames of it were left out"]


def test_when_it_is_stopped_halfway_nothing_is_left(tmp_path: Path) -> None:
    source = ffv1(tmp_path / "in.mkv", 30)
    (tmp_path / "out.mp4").write_text("what was there before")
    frames: list[int] = []
    done = convert(
        source,
        tmp_path / "out.mp4",
        FakeSegmenter(),
        *HIDDEN,
        mask_out=tmp_path / "mask.mkv",
        progress=lambda number, _total, _seconds: frames.append(number),
        stop=lambda: len(frames) == 20,
    )
    assert done is None
    assert len(frames) == 20
    assert names(tmp_path) == ["in.mkv", "out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "what was there before"


def broken_at(number: int, error: BaseException) -> FakeSegmenter:
    def before(frame: RawFrame) -> None:
        if frame.number == number:
            raise error

    return FakeSegmenter(before=before)


NAN = FakeSegmenter(wrong=lambda _frame: np.full((4, 4), np.nan, np.float32))


@pytest.mark.parametrize(
    ("segmenter", "background", "error"),
    [
        (broken_at(20, ModelError("the network failed")), FakeBackground(), ModelError),
        (broken_at(20, KeyboardInterrupt()), FakeBackground(), KeyboardInterrupt),
        (broken_at(20, MemoryError()), FakeBackground(), MemoryError),
        (NAN, FakeBackground(), ModelError),
        (FakeSegmenter(), FakeBackground(fail=BackgroundError("the film breaks off")), BackgroundError),
    ],
)
def test_when_anything_fails_nothing_is_left_and_what_was_there_stays(
    tmp_path: Path, segmenter: Segmenter, background: FakeBackground, error: type[BaseException]
) -> None:
    source = film(tmp_path / "in.mp4", rooms(30), sound="aac")
    (tmp_path / "out.mp4").write_text("what was there before")
    with pytest.raises(error):
        convert(
            source,
            tmp_path / "out.mp4",
            segmenter,
            RenderOptions(),
            lambda _size: background,
            mask_out=tmp_path / "mask.mkv",
        )
    assert background.closed
    assert names(tmp_path) == ["in.mp4", "out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "what was there before"


def test_where_one_of_two_files_cannot_be_written_neither_is(tmp_path: Path) -> None:
    source = ffv1(tmp_path / "in.mkv", 3)
    with pytest.raises(OutputError, match="does not exist"):
        convert(source, tmp_path / "out.mp4", FakeSegmenter(), *HIDDEN, mask_out=tmp_path / "none" / "mask.mkv")
    assert names(tmp_path) == ["in.mkv"]


def test_all_that_is_wrong_with_the_names_is_said_at_once_and_the_source_is_never_overwritten(tmp_path: Path) -> None:
    source = ffv1(tmp_path / "in.mkv", 3)
    before = source.read_bytes()
    link = tmp_path / "link.mkv"
    link.hardlink_to(source)

    def problems(target: Path | None, mask_out: Path | None = None) -> list[str]:
        with pytest.raises(ConfigError) as error:
            convert(source, target, FakeSegmenter(), *HIDDEN, mask_out=mask_out)
        return list(error.value.problems)

    assert "would be overwritten" in problems(source)[0]
    assert "would be overwritten" in problems(link)[0]
    assert "would be overwritten" in problems(tmp_path / "out.mp4", tmp_path / "." / "in.mkv")[0]
    assert len(problems(tmp_path / "out.avi", tmp_path / "mask.mp4")) == 2
    assert "same file" in problems(tmp_path / "new.mkv", tmp_path / "new.mkv")[0]
    assert source.read_bytes() == before
    assert names(tmp_path) == ["in.mkv", "link.mkv"]


def test_other_programs_read_masks_to_the_last_bit(tmp_path: Path) -> None:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("ffmpeg is not installed: what other programs read is not tested")
    source = ffv1(tmp_path / "in.mkv", 3)
    ramp = np.linspace(0, 1, SIZE.width, dtype=np.float32)[None].repeat(SIZE.height, 0)
    convert(source, None, FakeSegmenter(wrong=lambda _frame: ramp), *HIDDEN, mask_out=tmp_path / "mask.mkv")
    command = [ffmpeg, "-v", "error", "-i", str(tmp_path / "mask.mkv"), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    found = np.frombuffer(raw, np.uint8).reshape(3, SIZE.height, SIZE.width)
    assert np.array_equal(found[1], np.clip(ramp * 255 + 0.5, 0, 255).astype(np.uint8))
    assert found.min() == 0
    assert found.max() == 255


_MEMORY = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.support.fakes import FakeBackground, FakeSegmenter
from vbgcam.core.options import RenderOptions
from vbgcam.media.video_reader import VideoReader
from vbgcam.offline.videos import convert

folder = Path({folder!r})
for name in ("short.mkv", "long.mkv"):
    options, mask = RenderOptions(), folder / "mask.mkv"
    with VideoReader(folder / name) as source:
        convert(source, folder / "out.mp4", FakeSegmenter(), options, FakeBackground, mask_out=mask)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


class FakeReader:
    """Gives `items` one after the other; an error among them is raised. `begun`: set at the read of that number."""

    def __init__(self, *items: int | Exception) -> None:
        self.items = list(items)
        self.begun = [threading.Event() for _ in range(len(items) + 1)]
        self.reads = 0

    def read(self) -> int | None:
        self.begun[self.reads].set()
        self.reads += 1
        item = self.items.pop(0) if self.items else None
        if isinstance(item, Exception):
            raise item
        return item


def test_the_next_frame_is_read_while_one_is_worked_on_and_no_other() -> None:
    reader = FakeReader(1, 2, 3)
    ahead = read_ahead(reader.read)
    for number in (1, 2, 3):
        assert next(ahead) == number
        assert reader.begun[number].wait(60)
        assert reader.reads == number + 1
    assert list(ahead) == []


def test_an_error_in_reading_comes_in_its_place_and_reading_ends_with_the_work() -> None:
    before = set(threading.enumerate())
    reader = FakeReader(1, MediaError("the disk has gone"))
    with closing(read_ahead(reader.read)) as ahead:
        assert next(ahead) == 1
        with pytest.raises(MediaError, match="the disk has gone"):
            next(ahead)
    with closing(read_ahead(FakeReader(1, 2, 3).read)) as ahead:
        assert next(ahead) == 1
    assert set(threading.enumerate()) <= before


@pytest.mark.skipif(sys.platform == "win32", reason="the peak is asked of a Unix system")
def test_memory_does_not_grow_with_the_films_length(tmp_path: Path) -> None:
    size = Size(160, 120)
    film(tmp_path / "short.mkv", rooms(10, size) * 10, sound="libopus")
    film(tmp_path / "long.mkv", rooms(10, size) * 70, sound="libopus")
    script = _MEMORY.format(root=str(Path(__file__).resolve().parents[1]), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    short, long = (int(line) for line in done.stdout.split())
    if sys.platform == "darwin":
        short, long = short // 1024, long // 1024
    assert long - short < 6 * 1024  # KiB; 600 frames and their masks alone would be 28 MiB


def test_real_footage_goes_through_with_exact_times(tmp_path: Path, testdata: Path) -> None:
    source = testdata / "clips" / "room_static.mp4"
    done = convert(source, tmp_path / "out.mp4", PassThrough(), *HIDDEN)
    assert done is not None
    assert (done.frames, done.left_out) == (150, 0)
    assert frame_times(tmp_path / "out.mp4") == frame_times(source)
