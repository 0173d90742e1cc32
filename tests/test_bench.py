"""bench: the naive ways give our pictures, the figures have their keys, the report says what they say."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.networks import left_half
from vbgcam.bench import FAMILIES, SIZES, changes, frame, gil, inference, label, live, naive, parse_size, scene, stages
from vbgcam.bench.report import terminal
from vbgcam.bench.report.chart import Bar, Mark, bars
from vbgcam.bench.report.page import html
from vbgcam.bench.run import Request, bench
from vbgcam.bench.scene import NETWORK, Scene
from vbgcam.bench.sink import MemorySink
from vbgcam.bench.timing import Clocks, interleaved
from vbgcam.cli.main import main
from vbgcam.core.errors import ConfigError
from vbgcam.core.frames import U8, Planes, Size
from vbgcam.mask import finish
from vbgcam.pixels import convert
from vbgcam.segment import Options
from vbgcam.system.machine import PACKAGES, describe

SIZE = Size(640, 360)
TINY = Size(128, 96)

FIGURES: dict[str, Any] = {
    "version": "0.1.0",
    "measured_at": 1_790_000_000,
    "machine": {
        "cpu": "Made-Up <Chip> 9",
        "cores": 2,
        "instruction_sets": ["AVX2"],
        "gpu": "",
        "memory_gb": 16.0,
        "load": 1.5,
        "os": "An OS",
        "python": "3.11.7",
        "packages": {"numpy": "2.4.6", "openvino": None},
    },
    "settings": {"depth": "usual", "model": "", "mask_fps": 5.0, "write": "memfd"},
    "stages": {
        "1080p": {
            name: {"ms": ms, "cpu_ms": ms, "naive_ms": other, "naive_cpu_ms": other, "memcpy_ms": 0.25, "runs": 9}
            for name, ms, other in (("decode_mjpg", 6.0, None), ("blend", 0.5, 40.0), ("frame_mjpg", 9.0, 60.0))
        }
    },
    "gil": {
        "1080p": {
            "max_ms": 0.4,
            "stage": "blend",
            "p99_ms": 0.2,
            "noise_ms": 0.01,
            "stages": {"decode_mjpg": 0.1, "blend": 0.4, "frame_mjpg": 0.3},
        }
    },
    "masks": {
        "1080p": {
            name: {
                way: {"ms": ms, "cpu_ms": ms, "added_ms": round(ms - 0.4, 3), "memcpy_ms": 0.25, "runs": 9}
                for way, ms in (("own", own), ("carried", carried))
            }
            for name, own, carried in (("none", 0.4, 0.4), ("balanced", 4.4, 6.4))
        }
    },
    "frame": {
        "1080p": {
            "image": {"ms": 8.5, "cpu_ms": 11.5, "runs": 9},
            "blur": {"ms": 12.5, "cpu_ms": 17.5, "runs": 9},
            "balanced": {"ms": 11.5, "cpu_ms": 14.5, "runs": 9},
            "model": "onnx:selfie.onnx",
            "input": "256x256",
        }
    },
    "inference": {
        "fcn_resnet101": {
            "256x256": {
                "ms": 70.0,
                "cpu_ms": 139.0,
                "eager_fp32_ms": 490.0,
                "eager_fp32_cpu_ms": 900.0,
                "max_abs_diff": 0.0123,
                "max_abs_diff_engine": 0.01,
                "precision": "bf16",
                "device": "cpu",
                "engine": "OpenVinoEngine",
                "runs": 9,
            }
        },
        "onnx:selfie.onnx": {
            "256x256": {
                "ms": 5.0,
                "cpu_ms": 5.0,
                "eager_fp32_ms": None,
                "max_abs_diff": None,
                "precision": "fp32",
                "device": "cpu",
                "runs": 9,
            }
        },
    },
    "live": {
        "1080p30": {
            "fps": 30.0,
            "dropped": 1,
            "added_latency_ms": {"p50": 2.0, "p95": 3.25, "p99": 4.0, "max": 5.5},
            "sent": 149,
            "covered": 0,
            "mask_age_ms": {"p50": 200.0, "p95": 366.0, "p99": 390.0, "max": 400.0},
            "inference_ms": {"p50": 200.0, "p95": 201.0},
            "cpu_percent": 14.0,
            "model": "stand-in, 5 masks a second",
            "pairing": "newest",
            "seconds": 5.0,
        }
    },
    "changes": {
        "720p": {
            "ms": {"p50": 41.0, "p95": 62.0, "max": 80.0},
            "backgrounds": 50,
            "cameras": 5,
            "sent": 450,
            "dropped": 0,
            "covers": 0,
            "raw": 0,
            "sizes": 1,
            "seconds": 15.0,
        }
    },
    "start": {"help_ms": 110.0, "first_cover_ms": 640.0, "first_mask_ms": 2400.0, "model": "chroma:#00b140"},
}


def unchecked() -> None:
    """Nobody breaks off."""


@pytest.fixture(scope="module")
def seen() -> Scene:
    return scene.scene(SIZE)


def as_rgb(bgr: U8) -> U8:
    return np.ascontiguousarray(bgr[..., ::-1])


def mean_difference(one: U8, other: U8) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


# The naive ways


@pytest.mark.parametrize(
    ("stage", "tolerance"), [("unpack_yuyv", 1.5), ("unpack_nv12", 1.5), ("unpack_i420", 1.5), ("unpack_mjpg", 2.0)]
)
def test_the_naive_way_unpacks_the_same_picture(seen: Scene, stage: str, tolerance: float) -> None:
    with stages.stages(seen) as all_stages:
        ours, other = all_stages[stage].ours(), all_stages[stage].naive
        assert isinstance(ours, Planes)
        assert other is not None
        theirs = other()
        assert isinstance(theirs, np.ndarray)
        assert mean_difference(convert.to_rgb(ours), as_rgb(theirs)) <= tolerance


def test_the_naive_network_input_is_ours(seen: Scene) -> None:
    ours = convert.small_rgb(seen.frame.planes, NETWORK)
    theirs = np.rint(255 * naive.network_input(seen.bgr, NETWORK)).astype(np.uint8)
    assert mean_difference(ours, theirs) <= 2.0


def test_the_naive_mask_is_ours(seen: Scene) -> None:
    ours = finish(seen.probability, seen.frame).alpha
    theirs = np.rint(255 * naive.mask(seen.probability, SIZE)).astype(np.uint8)
    assert mean_difference(ours, theirs) <= 1.0


def test_the_naive_blend_is_ours(seen: Scene) -> None:
    with stages.stages(seen) as all_stages:
        ours: Any = all_stages["blend"].ours()
    theirs = naive.blend(seen.bgr, seen.behind_bgr, naive.mask(seen.probability, SIZE))
    assert mean_difference(convert.to_rgb(ours.planes), as_rgb(theirs)) <= 2.5


def test_both_blurs_show_the_person_and_soften_the_room(seen: Scene) -> None:
    with stages.stages(seen) as all_stages:
        ours: Any = all_stages["blur"].ours()
    theirs = as_rgb(naive.blur(seen.bgr, naive.mask(seen.probability, SIZE)))
    shown, before = convert.to_rgb(ours.planes), as_rgb(seen.bgr)
    person, room = seen.mask.alpha == 255, seen.mask.alpha == 0

    def roughness(picture: U8) -> float:
        steps = np.abs(np.diff(picture[..., 1].astype(int), axis=1))
        return float(steps[room[:, 1:] & room[:, :-1]].mean())

    for picture in (shown, theirs):
        assert mean_difference(picture[person], before[person]) <= 2.5
        assert roughness(picture) < roughness(before) / 2


def test_every_stage_has_words_and_runs(seen: Scene) -> None:
    with stages.stages(seen) as all_stages:
        assert list(all_stages) == list(stages.TITLES)
        for stage in all_stages.values():
            stage.ours()


def test_the_sink_keeps_the_newest_frame_alone(seen: Scene) -> None:
    with MemorySink() as sink:
        sink.write(Planes.filled(SIZE, (1, 2, 3)))
        sink.write(seen.frame.planes)
        sink._file.seek(0)
        assert sink._file.read() == seen.i420.tobytes()


# Measuring


class Clock:
    """Each work takes what it says."""

    def __init__(self) -> None:
        self.now = 0.0

    def work(self, *seconds: float) -> Callable[[], None]:
        """The first run, which does not count, then in turn those that do."""
        runs = iter(seconds)

        def work() -> None:
            self.now += next(runs)

        return work

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now, lambda: 2 * self.now)


def test_all_works_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    works = {name: (lambda name=name: order.append(name)) for name in ("a", "b", "c")}
    took = interleaved(works, 0.0, unchecked, least=3)
    assert "".join(order) == "abc" * 4
    assert {timing.runs for timing in took.values()} == {3}


def test_a_figure_is_the_median_of_its_rounds() -> None:
    clock = Clock()
    works = {"a": clock.work(9.0, 0.001, 0.5, 0.003), "b": clock.work(9.0, 0.002, 0.002, 0.002)}
    took = interleaved(works, 0.0, unchecked, least=3, clocks=clock.clocks())
    assert (took["a"].ms, took["a"].cpu_ms) == (3.0, 6.0)
    assert (took["b"].ms, took["b"].cpu_ms) == (2.0, 4.0)


def test_rounds_end_when_the_time_is_over() -> None:
    clock = Clock()
    took = interleaved({"a": clock.work(*[0.4] * 50)}, 2.0, unchecked, least=1, clocks=clock.clocks())
    assert took["a"].runs == 5


def test_measuring_breaks_off_between_two_works() -> None:
    calls = iter([None, None, KeyboardInterrupt])

    def check() -> None:
        wanted = next(calls)
        if wanted is not None:
            raise wanted

    ran: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        interleaved({"a": lambda: ran.append(1)}, 9.0, check)
    assert len(ran) == 2


def test_the_probe_sees_who_holds_the_lock_and_who_does_not() -> None:
    """A sort of a large list is one call that never gives the lock up; a wait on an event always does."""
    numbers = list(np.random.default_rng(1).random(200_000))
    event = threading.Event()
    found = gil.measure({"sort": lambda: sorted(numbers), "wait": lambda: event.wait(0.02)}, unchecked, runs=3)
    assert found["stage"] == "sort"
    assert found["stages"]["sort"] > 2 * found["stages"]["wait"]
    assert found["max_ms"] == found["stages"]["sort"] > 0
    assert set(found) == {"max_ms", "stage", "p99_ms", "noise_ms", "stages"}


def test_the_stages_have_the_keys_of_the_issue() -> None:
    found = stages.measure(scene.scene(TINY), 0.0, unchecked)
    assert list(found) == list(stages.TITLES)
    for name, row in found.items():
        assert set(row) == {"ms", "cpu_ms", "naive_ms", "naive_cpu_ms", "memcpy_ms", "runs"}
        assert row["ms"] > 0
        assert row["memcpy_ms"] > 0
        assert (row["naive_ms"] is None) == (name == "decode_mjpg")


def test_a_whole_frame_is_measured_with_both_backgrounds() -> None:
    build = live.stand_in(1000.0)
    found = frame.measure(scene.scene(TINY), build(lambda _done, _total: None), 0.0, unchecked)
    assert set(found) == {"image", "blur", "balanced", "model", "input"}
    assert all(found[behind]["ms"] >= 1 for behind in ("image", "blur", "balanced"))


def test_the_live_chain_is_measured_on_air() -> None:
    found = live.measure(TINY, 60, live.stand_in(20.0), 0.3, unchecked)
    assert {"fps", "dropped", "added_latency_ms"} <= set(found)
    assert set(found["added_latency_ms"]) == {"p50", "p95", "p99", "max"}
    assert found["sent"] > 0
    assert found["covered"] == 0
    assert "20 masks a second" in found["model"]


def test_the_engine_is_measured_beside_torchvisions_own_network() -> None:
    found = inference.seeded("lraspp_mobilenet_v3_large", (Size(96, 64),), Options(device="cpu"), 0.0, unchecked)
    row = found["64x96"]
    assert {"ms", "eager_fp32_ms", "max_abs_diff", "max_abs_diff_engine", "precision", "cpu_ms", "engine"} <= set(row)
    assert 0 <= row["max_abs_diff"] <= 0.05
    assert row["runs"] == 3


def test_made_weights_answer_everything_between_0_and_1() -> None:
    from vbgcam.segment import reference

    pictures = [convert.small_rgb(planes, NETWORK) for planes in scene.frames(SIZE, 2)]
    networks = [reference.seeded("lraspp_mobilenet_v3_large", pictures) for _ in range(2)]
    answers = []
    for network in networks:
        reference.spread("lraspp_mobilenet_v3_large", network, pictures[0])
        answers.append(reference.Eager("lraspp_mobilenet_v3_large", network).run(pictures[0]))
    low, middle, high = np.percentile(answers[0], [5, 50, 95])
    assert low < 0.1
    assert middle == pytest.approx(0.5, abs=0.05)
    assert high > 0.9
    assert np.array_equal(answers[0], answers[1])


def test_an_interrupted_live_run_ends_its_threads() -> None:
    before = threading.active_count()
    calls = iter(range(4))

    def check() -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live.measure(TINY, 60, live.stand_in(20.0), 60.0, check)
    assert threading.active_count() == before


def test_a_replay_that_nobody_reads_in_time_has_lost_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    source = live.Replay([Planes.filled(TINY, (number, 128, 128)) for number in (50, 60, 70)], 10.0)
    source.open()
    first = source.read()
    now[0] += 0.25  # frames 1 and 2 have come; 2 is the one that is still there
    second = source.read()
    assert first is not None
    assert second is not None
    assert (first.planes.y[0, 0], second.planes.y[0, 0], source.dropped()) == (50, 70, 1)
    source.close()
    now[0] += 0.01
    assert source.read() is None


def test_the_machine_is_described_without_heavy_imports() -> None:
    about = describe()
    assert about["cores"] >= 1
    assert about["cpu"]
    assert set(about["packages"]) == set(PACKAGES)
    assert about["packages"]["numpy"] == np.__version__


# Sizes and requests


@pytest.mark.parametrize("size", [*SIZES.values(), SIZE])
def test_a_sizes_label_is_read_back(size: Size) -> None:
    assert parse_size(label(size)) == size
    assert parse_size(label(size).lower()) == size


def test_changes_are_made_and_seen_and_no_picture_shows_another_room() -> None:
    found = changes.measure(Size(320, 240), 1.5, unchecked)
    assert found["backgrounds"] == 5
    assert found["ms"]["p95"] > 0
    assert (found["raw"], found["covers"], found["sizes"]) == (0, 0, 1)


def test_live_runs_are_named_by_size_and_rate() -> None:
    assert [live.name(size, fps) for size, fps in live.RATES] == ["720p30", "1080p30", "1080p60", "4K30"]
    assert live.name(SIZE, 30) == "640x360@30"


def test_all_mistakes_of_a_request_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Request.parse(
            depth="usual", sizes="8K,641x360", only="stage,live", model=None, options=Options(), mask_fps=5, seconds=0
        )
    assert len(caught.value.problems) == 4
    assert "did you mean 'stages'" in caught.value.problems[2]


def test_only_what_was_asked_for_is_measured_and_told() -> None:
    told: list[tuple[int, int, str]] = []
    request = Request("quick", (TINY,), ("gil", "live"), seconds=0.1, mask_fps=20.0)
    found = bench(request, unchecked, lambda *now: told.append(now))
    assert set(found) == {"version", "measured_at", "machine", "settings", "gil", "live"}
    assert set(found["live"]) == {"128x96@30"}
    assert [now[:2] for now in told] == [(1, 2), (2, 2)]
    json.dumps(found)


# The report


def plain(figures: dict[str, Any]) -> str:
    stream = io.StringIO()
    terminal.show(figures, stream)
    return stream.getvalue()


def test_the_table_says_every_figure_plainly() -> None:
    text = plain(FIGURES)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 120
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "blend with a picture 0.50 0.50 2.0x 40.0 80x 0.40" in rows
    assert "1080p a picture 8.50 11.5" in rows
    assert "a picture, all steps 11.5 14.5" in rows
    assert "the room blurred 12.5 17.5" in rows
    assert "fcn_resnet101 256x256 70.0 139 490 7.0x 0.0123 bf16" in rows
    assert "onnx:selfie.onnx 256x256 5.00 5.00 fp32" in rows
    assert "1080p30 30.0 1 of 150 2.00 3.25 5.50 366 14 %" in rows
    assert "720p 50 + 5 41.0 62.0 80.0 0 of 450 0 0" in rows
    assert "The frame from MJPG is 1.50 x the bare decode." in text
    assert "the first cover on air 640" in rows
    assert "GPU: none" in text


def test_a_busy_machine_is_said() -> None:
    assert "busy at the start" in plain(FIGURES)
    idle = {**FIGURES, "machine": {**FIGURES["machine"], "load": 0.1}}
    assert "busy" not in plain(idle)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_report_of_one_family_alone_is_whole(family: str) -> None:
    always = ("version", "measured_at", "machine", "settings")
    alone = {key: FIGURES[key] for key in (*always, family)}
    assert plain(alone).count("─") > 10
    assert "<h2>" in html(alone)


def test_a_terminal_of_ascii_alone_is_no_trouble() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    terminal.show(FIGURES, stream)
    stream.flush()
    assert b"blend with a picture" in raw.getvalue()


def drawings(page: str) -> Iterator[ET.Element]:
    for match in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        yield ET.fromstring(match)


def test_the_page_is_one_file_with_its_charts() -> None:
    page = html(FIGURES)
    assert "Made-Up &lt;Chip&gt; 9" in page
    assert not re.search(r"<script|<link|src=|href=|@import|url\(", page)
    charts = list(drawings(page))
    assert len(charts) == 2
    assert "80x" in page
    assert page.count("<table>") == page.count("</table>") == 7


def test_a_bars_length_is_its_logarithm() -> None:
    [drawing] = drawings(bars("steps", [Bar("a", 1.0, 10.0), Bar("b", 100.0, None)], Mark("a copy", 10.0)))
    name = "{http://www.w3.org/2000/svg}"
    widths = {
        kind: [float(box.get("width", "")) for box in drawing.iter(f"{name}rect") if box.get("class") == kind]
        for kind in ("ours", "other")
    }
    assert len(widths["ours"]) == 2
    assert widths["ours"][1] - widths["ours"][0] == pytest.approx(2 * (widths["other"][0] - widths["ours"][0]), abs=0.3)


# The verb


def test_the_verb_writes_what_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = left_half(tmp_path / "tiny.onnx")
    figures, page = tmp_path / "b.json", tmp_path / "b.html"
    wanted = ["--size", "128x96", "--only", "stages,frame,live", "--model", f"onnx:{network}", "--seconds", "0.2"]
    assert main(["bench", "--quick", *wanted, "--json", str(figures), "--html", str(page)]) == 0
    found = json.loads(figures.read_text())
    assert set(found["stages"]["128x96"]["blend"]) >= {"ms", "naive_ms", "memcpy_ms"}
    assert set(found["live"]["128x96@30"]) >= {"fps", "dropped", "added_latency_ms"}
    assert found["frame"]["128x96"]["model"] == f"onnx:{network}"
    assert "Steps at 128x96" in capsys.readouterr().out
    assert page.read_text().endswith("</html>\n")


def test_wrong_wishes_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "stage", "--size", "big"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_an_interrupted_bench_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "measure", broken)
    target = tmp_path / "b.json"
    assert main(["bench", "--quick", "--size", "64x48", "--only", "stages", "--json", str(target)]) == 130
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "nowhere" / "b.json"
    assert main(["bench", "--quick", "--size", "64x48", "--only", "gil", "--json", str(target)]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert str(target) in said
    assert f"mkdir -p {target.parent}" in said
