"""family: which engine runs a network, and what happens where one has no memory or is lost."""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import room_with_person
from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Planes, RawFrame, Size
from vbgcam.segment import Probability
from vbgcam.segment.base import LADDER, LIVE_START
from vbgcam.segment.engines.base import OutOfMemory
from vbgcam.segment.engines.devices import CPU, for_torchvision
from vbgcam.segment.family import TorchvisionSegmenter, default_threads, engine

FRAME = RawFrame(room_with_person(1, Size(640, 360)), 1.0)


@dataclass
class FakeEngine:
    """Answers one half. `room`: short side up to which it has memory. `break_at`: the call at which it is lost."""

    device: str = "cuda:0"
    precision: str = "fp16"
    room: int = 10_000
    break_at: int = -1
    lost: bool = False
    closed: bool = False
    prepared: list[Size] = field(default_factory=list)
    seen: list[Size] = field(default_factory=list)

    def _check(self, size: Size) -> None:
        if min(size.width, size.height) > self.room:
            raise OutOfMemory(f"the memory of {self.device} is too small", fix="choose another model")

    def prepare(self, size: Size) -> None:
        self._check(size)
        self.prepared.append(size)

    def run(self, rgb: U8) -> Probability:
        if len(self.seen) == self.break_at:
            self.lost = True
            raise ModelError(f"{self.device} is lost")
        size = Size(rgb.shape[1], rgb.shape[0])
        self._check(size)
        self.seen.append(size)
        return np.full(rgb.shape[:2], 0.5, np.float32)

    def close(self) -> None:
        self.closed = True


def none() -> FakeEngine:
    pytest.fail("no other engine was to be built")


def segmenter(engine: FakeEngine, size: int, on_cpu: Callable[[], FakeEngine] = none) -> TorchvisionSegmenter:
    return TorchvisionSegmenter("fcn_resnet101", engine, on_cpu, size)


def test_the_input_follows_the_frames_shape_and_is_told() -> None:
    assert segmenter(FakeEngine(), 288).input is None
    made = segmenter(FakeEngine(), 288)
    assert made.probability(FRAME).shape == (288, 512)
    assert made.input == Size(512, 288)
    made.resize(160)
    assert made.probability(FRAME).shape == (160, 284)


def test_what_is_prepared_is_what_will_be_run() -> None:
    engine = FakeEngine()
    made = segmenter(engine, 128)
    made.probability(FRAME)
    made.prepare(288)
    made.resize(288)
    made.probability(FRAME)
    assert engine.prepared[-1] == engine.seen[-1]


def test_whole_frames_and_square_parts_of_them_are_prepared_both() -> None:
    """The crop gives parts, and now and then the whole: neither should wait for a compiler."""
    engine = FakeEngine()
    made = segmenter(engine, 128)
    made.probability(FRAME)
    made.probability(RawFrame(Planes.filled(Size(300, 300), (16, 128, 128)), 0.0))
    made.prepare(288)
    assert set(engine.prepared) == {Size(512, 288), Size(288, 288)}


def test_the_sizes_on_offer_are_no_larger_than_the_frame() -> None:
    made = segmenter(FakeEngine(), 128)
    assert made.sizes(Size(1920, 1080)) == LADDER
    assert made.sizes(Size(320, 240)) == tuple(size for size in LADDER if size <= 240)
    assert made.sizes(Size(64, 48)) == (48,)


def test_too_little_memory_takes_the_next_smaller_input_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    engine = FakeEngine(room=200)
    made = segmenter(engine, 288)
    with caplog.at_level(logging.WARNING, "vbgcam"):
        made.probability(FRAME)
        made.probability(FRAME)
    assert made.input == Size(341, 192)
    assert [record.getMessage() for record in caplog.records] == [
        "the memory of cuda:0 is too small; going on with 256 instead of 288",
        "the memory of cuda:0 is too small; going on with 224 instead of 256",
        "the memory of cuda:0 is too small; going on with 192 instead of 224",
    ]
    assert made.sizes(FRAME.size)[-1] == 192


def test_a_gpu_without_memory_for_the_smallest_input_gives_way_to_the_cpu(caplog: pytest.LogCaptureFixture) -> None:
    gpu, cpu = FakeEngine(room=10), FakeEngine(device="cpu", precision="fp32")
    made = segmenter(gpu, 128, lambda: cpu)
    with caplog.at_level(logging.WARNING, "vbgcam"):
        assert made.probability(FRAME).shape == (LADDER[0], 170)
    assert (made.device, made.precision, gpu.closed) == ("cpu", "fp32", True)
    assert caplog.records[-1].getMessage().endswith("going on with the CPU, which is slower")


def test_a_lost_gpu_gives_way_to_the_cpu_at_a_size_that_it_can_run(caplog: pytest.LogCaptureFixture) -> None:
    gpu, cpu = FakeEngine(break_at=1), FakeEngine(device="cpu")
    made = segmenter(gpu, 520, lambda: cpu)
    made.probability(FRAME)
    with caplog.at_level(logging.WARNING, "vbgcam"):
        made.probability(FRAME)
    assert made.device == "cpu"
    assert cpu.seen == [Size(227, LIVE_START["cpu"])]
    assert caplog.messages == ["cuda:0 is lost; going on with the CPU, which is slower"]


def test_a_cpu_without_memory_for_the_smallest_input_is_an_error() -> None:
    with pytest.raises(ModelError, match="too small"):
        segmenter(FakeEngine(device="cpu", room=10), 128).probability(FRAME)


def test_other_troubles_are_not_hidden() -> None:
    @dataclass
    class Failing(FakeEngine):
        def run(self, rgb: U8) -> Probability:
            raise ModelError("the network failed")

    with pytest.raises(ModelError, match="the network failed"):
        segmenter(Failing(), 128).probability(FRAME)


def test_without_torch_a_network_that_was_never_converted_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("vbgcam.segment.torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("vbgcam.segment.family.subprocess.run", lambda *_args, **_settings: None)
    weights = tmp_path / "lraspp.pth"
    weights.write_bytes(b"never read")
    with pytest.raises(ModelError, match="torch, which cannot be imported") as caught:
        engine("lraspp_mobilenet_v3_large", weights, CPU)
    assert "selfie, chroma, plate" in caught.value.fix


def test_without_a_driver_torch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbgcam.segment.engines.devices.may_have_gpu", lambda: False)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)  # importing it would fail
    assert for_torchvision("auto") == CPU
    assert for_torchvision("cpu") == CPU


@given(
    cores=st.integers(1, 256), name=st.sampled_from(["fcn_resnet101", "lraspp_mobilenet_v3_large"]), live=st.booleans()
)
def test_from_three_cores_on_one_stays_free(cores: int, name: str, live: bool) -> None:
    threads = default_threads(name, live=live, cores=cores)
    assert 1 <= threads <= (cores if cores <= 2 else cores - 1)
