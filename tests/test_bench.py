"""bench: the naive ways give our pictures, the figures have their keys, the report says what they say."""

import io
import itertools
import json
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.networks import left_half
from vbgcam.bench import base, inference, live, masks, scene, stages, tables
from vbgcam.bench.base import FAMILIES, SIZES, interleaved, label, parse_size
from vbgcam.bench.run import Request, bench
from vbgcam.bench.scene import NETWORK, Scene
from vbgcam.cli.main import main
from vbgcam.core.frames import U8, Planes, Size
from vbgcam.pixels import convert
from vbgcam.segment import Options

Plain = Callable[[dict[str, Any]], str]
SIZE = Size(640, 360)
TINY = Size(128, 96)

ALWAYS = ("version", "measured_at", "machine", "settings")


def row(ms: float, cpu_ms: float | None = None, **more: object) -> dict[str, Any]:
    return {"ms": ms, "cpu_ms": ms if cpu_ms is None else cpu_ms, "runs": 9, **more}


def points(p50: float, p95: float, most: float) -> dict[str, float]:
    return {"p50": p50, "p95": p95, "p99": most, "max": most}


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
    "settings": {"depth": "usual", "model": "", "mask_fps": 5.0},
    "stages": {
        "1080p": {
            name: row(ms, naive_ms=other, naive_cpu_ms=other, memcpy_ms=0.25)
            for name, ms, other in (("decode_mjpg", 6.0, None), ("blend", 0.5, 40.0), ("frame_mjpg", 9.0, 60.0))
        }
    },
    "masks": {
        "1080p": {
            name: {"own": row(own, added_ms=own - 0.4), "carried": row(carried, added_ms=carried - 0.4)}
            for name, own, carried in (("none", 0.4, 0.4), ("balanced", 4.4, 6.4))
        }
    },
    "frame": {
        "1080p": {
            "image": row(8.5, 11.5),
            "blur": row(12.5, 17.5),
            "balanced": row(11.5, 14.5),
            "model": "onnx:selfie.onnx",
            "input": "256x256",
        }
    },
    "inference": {
        "fcn_resnet101": {"256x256": row(70.0, 139.0, eager_fp32_ms=490.0, precision="bf16")},
        "onnx:selfie.onnx": {"256x256": row(5.0, eager_fp32_ms=None, precision="fp32")},
    },
    "live": {
        "1080p30": {
            "fps": 30.0,
            "dropped": 1,
            "added_latency_ms": points(2.0, 3.25, 5.5),
            "sent": 149,
            "mask_age_ms": points(200.0, 366.0, 400.0),
            "cpu_percent": 14.0,
            "model": "stand-in, 5 masks a second",
        }
    },
    "start": {"help_ms": 110.0, "first_cover_ms": 640.0, "first_mask_ms": 2400.0, "model": "chroma:#00b140"},
}


def unchecked() -> None:
    """Nobody breaks off."""


@pytest.fixture(scope="module")
def seen() -> Scene:
    return scene.scene(SIZE)


def levels(made: Any, *, bgr: bool) -> U8:
    """What a stage has made, from 0 to 255, colours as RGB. `bgr`: uint8 colours are BGR, as the naive way's."""
    made = getattr(made, "alpha", getattr(made, "planes", made))
    if isinstance(made, Planes):
        return convert.to_rgb(made)
    if bgr and made.dtype == np.uint8 and made.ndim == 3:
        made = made[..., ::-1]
    return np.asarray(np.rint(made * (1 if made.dtype == np.uint8 else 255)), np.uint8)


def mean_difference(one: U8, other: U8) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


# The naive ways


@pytest.mark.parametrize(
    ("stage", "tolerance"),
    [("unpack_yuyv", 1.5), ("unpack_nv12", 1.5), ("unpack_i420", 1.5), ("unpack_mjpg", 2.0), ("network_input", 2.0),
     ("mask", 1.0), ("blend", 2.5)],
)  # fmt: skip
def test_the_naive_way_gives_the_same_picture(seen: Scene, stage: str, tolerance: float) -> None:
    with stages.stages(seen) as all_stages:
        ours, other = all_stages[stage]
        assert other is not None
        assert mean_difference(levels(ours(), bgr=False), levels(other(), bgr=True)) <= tolerance


# Measuring


def test_works_take_turns_and_their_figure_is_the_median_without_the_first_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, order = [0.0], []
    monkeypatch.setattr(base, "perf_counter", lambda: now[0])
    monkeypatch.setattr(base, "process_time", lambda: 2 * now[0])
    seconds = {"a": iter([9.0, 0.001, 0.5, 0.003]), "b": iter([9.0, 0.002, 0.002, 0.002])}

    def run(name: str) -> None:
        order.append(name)
        now[0] += next(seconds[name])

    took = interleaved({name: partial(run, name) for name in seconds}, 0.0, unchecked, least=3)
    assert "".join(order) == "ab" * 4
    assert took == {"a": {"ms": 3.0, "cpu_ms": 6.0, "runs": 3}, "b": {"ms": 2.0, "cpu_ms": 4.0, "runs": 3}}


def test_rounds_end_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count(step=0.4)
    monkeypatch.setattr(base, "perf_counter", lambda: next(seconds))
    # Each round asks for the time three times.
    assert interleaved({"a": lambda: None}, 5.5, unchecked, least=1)["a"]["runs"] == 5


def test_measuring_breaks_off_between_two_works() -> None:
    ran: list[int] = []

    def check() -> None:
        if len(ran) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interleaved({"a": lambda: ran.append(1)}, 9.0, check)
    assert len(ran) == 2


def test_every_stage_has_words_and_figures() -> None:
    found = stages.measure(TINY, 0.0, unchecked)
    assert list(found) == list(stages.TITLES)
    for name, row in found.items():
        assert set(row) == {"ms", "cpu_ms", "naive_ms", "naive_cpu_ms", "memcpy_ms", "runs"}
        assert row["ms"] > 0
        assert row["memcpy_ms"] > 0
        assert (row["naive_ms"] is None) == (name == "decode_mjpg")


def test_the_engine_is_measured_beside_torchvisions_own_network() -> None:
    found = inference.seeded("lraspp_mobilenet_v3_large", (Size(96, 64),), Options(device="cpu"), 0.0, unchecked)
    row = found["64x96"]
    assert {"ms", "eager_fp32_ms", "max_abs_diff", "precision", "cpu_ms", "engine"} <= set(row)
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
        live.measure(TINY, 60, lambda _progress: live.StandIn(20.0), 60.0, check)
    assert threading.active_count() <= before


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


# Sizes and requests


@pytest.mark.parametrize("size", [*SIZES.values(), SIZE])
def test_a_sizes_label_is_read_back(size: Size) -> None:
    assert parse_size(label(size)) == size
    assert parse_size(label(size).lower()) == size
    assert live.name(size, 30) == f"{label(size)}{'' if size in SIZES.values() else '@'}30"


def test_all_mistakes_of_a_request_are_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--size", "8K,641x360", "--only", "stage,live"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "did you mean 'stages'" in lines[2]


def test_only_what_was_requested_is_measured(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vbgcam.bench")
    request = Request("quick", (TINY,), ("masks", "live"), seconds=0.1, mask_fps=20.0)
    monkeypatch.setattr(masks, "measure", lambda *_: {"none": {}})
    found = bench(request, unchecked)
    assert set(found) == {*ALWAYS, "masks", "live"}
    assert "20 masks a second" in found["live"]["128x96@30"]["model"]
    steps = [record.getMessage()[-8:] for record in caplog.records if record.name == "vbgcam.bench.run"]
    assert steps == ["(1 of 2)", "(2 of 2)"]
    json.dumps(found)


# The report


@pytest.fixture
def plain(capsys: pytest.CaptureFixture[str]) -> Plain:
    def shown(figures: dict[str, Any]) -> str:
        tables.show(figures)
        return capsys.readouterr().out

    return shown


def test_the_table_says_every_figure_plainly(plain: Plain) -> None:
    text = plain(FIGURES)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 120
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "blend with a picture 0.50 0.50 40.0 80x" in rows
    assert "1080p a picture 8.50 11.5" in rows
    assert "a picture, all steps 11.5 14.5" in rows
    assert "the room blurred 12.5 17.5" in rows
    assert "fcn_resnet101 256x256 70.0 139 490 7.0x bf16" in rows
    assert "onnx:selfie.onnx 256x256 5.00 5.00 fp32" in rows
    assert "1080p30 30.0 1 of 150 2.00 3.25 5.50 366 14 %" in rows
    assert "balanced 4.40 6.40" in rows
    assert "the first cover on air 640" in rows
    assert "GPU: none" in text
    assert "busy at the start" in text
    assert "busy" not in plain({**FIGURES, "machine": {**FIGURES["machine"], "load": 0.1}})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_report_of_one_family_alone_is_whole(plain: Plain, family: str) -> None:
    alone = {key: FIGURES[key] for key in (*ALWAYS, family)}
    assert plain(alone).count("─") > 10
    assert "<h2>" in tables.html(alone)


def test_a_terminal_of_ascii_alone_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    tables.show(FIGURES)
    stream.seek(0)
    assert "blend with a picture" in stream.read()


def test_the_page_has_its_tables_and_charts() -> None:
    page = tables.html(FIGURES)
    assert "Made-Up &lt;Chip&gt; 9" in page
    assert "80x" in page
    assert page.count('class="bars"') == 2
    assert page.count("<table ") == page.count("</table>") == 6


# The verb


def test_the_verb_writes_what_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = left_half(tmp_path / "tiny.onnx")
    figures, page = tmp_path / "b.json", tmp_path / "b.html"
    wanted = ["--size", "128x96", "--only", "stages,frame,live", "--model", f"onnx:{network}", "--seconds", "0.2"]
    assert main(["bench", "--quick", *wanted, "--json", str(figures), "--html", str(page)]) == 0
    found = json.loads(figures.read_text())
    assert set(found["stages"]["128x96"]["blend"]) >= {"ms", "naive_ms", "memcpy_ms"}
    live = found["live"]["128x96@30"]
    assert set(live) >= {"fps", "dropped", "sent", "covered", "added_latency_ms"}
    assert set(live["added_latency_ms"]) == {"p50", "p95", "p99", "max"}
    assert set(found["frame"]["128x96"]) == {"image", "blur", "balanced", "model", "input"}
    assert live["model"] == found["frame"]["128x96"]["model"] == f"onnx:{network}"
    assert "Steps at 128x96" in capsys.readouterr().out
    assert page.read_text().endswith("</html>\n")


def test_an_interrupted_bench_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "measure", broken)
    target = tmp_path / "b.json"
    assert main(["bench", "--quick", "--size", "64x48", "--only", "stages", "--json", str(target)]) == 130
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stages, "measure", lambda *_: FIGURES["stages"]["1080p"])
    target = tmp_path / "nowhere" / "b.json"
    assert main(["bench", "--quick", "--only", "stages", "--json", str(target)]) == 1
    assert f"mkdir -p {target.parent}" in capsys.readouterr().err.splitlines()[-1]
