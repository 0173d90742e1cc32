"""The engine for NVIDIA GPUs. What needs no GPU is tested on the CPU with a stand-in for torch's CUDA: its graphs
record the operators of a capture and repeat them on the same memory, as real ones do, so that an engine which forgot to
bring the picture to where its graph reads it would show an old answer. The rest is skipped where there is no GPU."""

import contextlib
import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Size
from vbgcam.core.specs import TORCHVISION_MODELS
from vbgcam.segment import Probability
from vbgcam.segment.engines import torch_cuda
from vbgcam.segment.engines.base import OutOfMemory
from vbgcam.segment.engines.torch_cuda import CudaEngine
from vbgcam.segment.torchvision import Person

SMALL, LARGE = Size(24, 16), Size(40, 32)
NEAR = 0.02
NEAR_SEEDED = 0.06  # of torchvision's six: their random layers amplify rounding more than trained ones do
CPU = torch.device("cpu")

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no NVIDIA GPU: its engine runs on the stand-in"
)


class Small(Person):
    """Around a network that is no torchvision's. `before`: called with the size of each picture."""

    def __init__(self, backbone: nn.Sequential, classifier: nn.Conv2d) -> None:
        network = nn.ModuleDict({"backbone": backbone, "classifier": classifier})
        super().__init__("lraspp_mobilenet_v3_large", network)
        self.before: Callable[[Size], object] = lambda size: None

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        self.before(Size(rgb.shape[2], rgb.shape[1]))
        return super().forward(rgb)


def tiny(gain: float = 1.0) -> Small:
    """Two convolutions with batch normalisation and ReLU, and a classifier. `gain`: of the activations between."""
    torch.manual_seed(2)
    first, last = nn.Conv2d(16, 16, 1, bias=False), nn.Conv2d(16, 21, 1)
    norm = nn.BatchNorm2d(16)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        first,
        norm,
        nn.ReLU(inplace=True),
    )
    settle(network)
    with torch.no_grad():
        norm.weight.mul_(gain)
        norm.bias.mul_(gain)
        last.weight.div_(gain)
    return Small(network, last).eval()


def settle(network: nn.Module) -> None:
    """Gains of a trained kind: a ResNet's branch adds less than its shortcut carries. With equal parts a network of a
    hundred random layers is chaotic, and the rounding of its first layer changes the answer."""
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, *((0.1, 0.3) if name.endswith("bn3") else (0.5, 1.5)))
            nn.init.uniform_(module.bias, -0.2, 0.2)


def real(name: str) -> Person:
    """One of torchvision's six, without auxiliary head and with seeded weights."""
    extra = {} if name.startswith("lraspp") else {"aux_loss": False}
    with torch.device("meta"):
        network = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=21, **extra)
    network.to_empty(device="cpu")
    torch.manual_seed(3)
    for tensor in network.state_dict().values():
        if tensor.ndim > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5)
        else:
            tensor.zero_()
    settle(network)
    return Person(name, network).eval()


def logits(person: Person, normal: torch.Tensor) -> torch.Tensor:
    features = person.backbone(normal)
    out: torch.Tensor = person.classifier(features if person.takes_all else features["out"])
    return out


def lifelike(name: str, size: Size) -> Person:
    """The same with the statistics of pictures, and log-odds spread around 0 as a trained network's are near a person's
    outline (standard deviation 3): where all is sure, rounding changes nothing."""
    person = real(name)
    for module in person.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    rgb = torch.from_numpy(np.stack([picture(size, seed) for seed in range(2)]))
    normal = (rgb.permute(0, 3, 1, 2).float() - 115) / 58
    heads = [item for item in person.modules() if isinstance(item, nn.Conv2d) and item.out_channels == 21]
    with torch.no_grad():
        logits(person.train(), normal)
        person.eval()
        for _ in range(4):
            out = logits(person, normal)
            odds = out[:, 15] - torch.cat([out[:, :15], out[:, 16:]], 1).logsumexp(1)
            factor = 3 / float(odds.std())
            for head in heads:
                assert head.bias is not None
                head.weight *= factor
                head.bias *= factor
                head.bias[15] -= odds.median() * factor / len(heads)
    return person


def picture(size: Size, seed: int = 0) -> U8:
    """Smooth shapes with a little noise, as cameras give them."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : size.height, 0 : size.width]
    waves = [np.sin(x * a + y * b + c) for a, b, c in random.uniform(-0.3, 0.3, (3, 3))]
    return np.asarray(np.clip(np.stack(waves, -1) * 90 + 128 + random.normal(0, 4, (*x.shape, 3)), 0, 255), np.uint8)


def eager(person: nn.Module, rgb: U8) -> Probability:
    with torch.inference_mode():
        return np.asarray(person(torch.from_numpy(rgb)[None]).numpy(), np.float32)


def worst(one: Probability, other: Probability) -> float:
    assert one.shape == other.shape
    assert one.dtype == np.float32
    return float(np.abs(one - other).max())


class Graph:
    """Repeats on the same memory what was recorded. `mode`, `stream`: of its capture."""

    def __init__(self) -> None:
        self.recorded: list[tuple[Any, Any, Any, Any]] = []
        self.mode, self.stream = "", object()
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1
        for function, args, kwargs, out in self.recorded:
            again = function(*args, **kwargs)
            if isinstance(out, torch.Tensor):
                out.copy_(again)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, graph: Graph) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = graph

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        out = func(*args, **(kwargs or {}))
        self.graph.recorded.append((func, args, kwargs or {}, out))
        return out


class Card:
    """The stand-in. `fault`: called where torch would call the driver, with what is done: "warm up", "capture",
    "replay", "synchronize", "wait"; it raises what the driver would."""

    def __init__(self) -> None:
        self.fault: Callable[[str], None] = lambda what: None
        self.graphs: list[Graph] = []
        self.during_capture: Callable[[], None] = lambda: None
        self.emptied = 0
        self.pinned = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        card = self

        class Stream:
            def __init__(self, device: object = None) -> None: ...
            def synchronize(self) -> None:
                card.fault("synchronize")

        class Event:
            def __init__(self, *, blocking: bool) -> None:
                assert blocking, "else the waiter spins"

            def record(self) -> None: ...
            def synchronize(self) -> None:
                card.fault("wait")

        class Recorded(Graph):
            def __init__(self) -> None:
                super().__init__()
                card.graphs.append(self)

            def replay(self) -> None:
                card.fault("replay")
                super().replay()

        @contextlib.contextmanager
        def capture(graph: Graph, *, stream: object, capture_error_mode: str) -> Iterator[None]:
            graph.mode, graph.stream = capture_error_mode, stream
            card.during_capture()
            try:
                with Recorder(graph):
                    card.fault("capture")
                    yield
            except RuntimeError as exc:
                raise RuntimeError("CUDA error: operation failed due to a previous error during capture") from exc

        def pinned(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
            card.pinned += 1
            return torch.empty(shape, dtype=dtype)

        def empty_cache() -> None:
            card.emptied += 1

        surface = {
            "device": lambda device: contextlib.nullcontext(),
            "stream": lambda stream: contextlib.nullcontext(),
            "Stream": Stream,
            "Event": Event,
            "CUDAGraph": Recorded,
            "graph": capture,
            "synchronize": lambda device=None: card.fault("synchronize"),
            "empty_cache": empty_cache,
        }
        for name, value in surface.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(torch_cuda, "_pinned", pinned)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    card.install(monkeypatch)
    return card


@pytest.fixture
def person() -> Small:
    return tiny()


@pytest.fixture
def engine(card: Card, person: Small) -> CudaEngine:
    return CudaEngine(person, CPU)


def before_each(engine: CudaEngine, call: Callable[[Size], object]) -> None:
    """`call` is called with the size of each picture that goes through the network."""
    assert isinstance(engine._person, Small)
    engine._person.before = call


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def out_of_memory(what: str) -> Callable[[str], None]:
    def fault(done: str) -> None:
        if done == what:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has ...")

    return fault


def test_each_picture_gets_its_own_answer_in_half_precision(card: Card, engine: CudaEngine, person: Small) -> None:
    assert engine.precision == "fp16"
    for seed in range(4):
        rgb = picture(LARGE, seed)
        assert worst(engine.run(rgb), eager(person, rgb)) < NEAR
    assert card.graphs[0].replays == 4


def test_the_network_that_the_engine_was_given_stays_as_it_was(card: Card) -> None:
    person = tiny()
    before = {key: value.clone() for key, value in person.state_dict().items()}
    CudaEngine(person, CPU).run(picture(SMALL))
    after = person.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_fp16_stays_nearer_to_float32_than_bf16_can(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice of the half type, on one of torchvision's networks in the CPU's own half precision."""
    person = lifelike("lraspp_mobilenet_v3_large", Size(96, 64))
    rgb = picture(Size(96, 64))
    wanted = eager(person, rgb)
    assert wanted.std() > 0.2
    engine = CudaEngine(person, CPU)
    halved = worst(engine.run(rgb), wanted)
    monkeypatch.setitem(torch_cuda._PRECISIONS, torch.bfloat16, "bf16")
    engine._cast(torch.bfloat16)
    engine._plans.clear()
    assert halved < NEAR_SEEDED
    assert halved < worst(engine.run(rgb), wanted) / 3


def test_an_answer_stays_as_it_is_while_it_is_held(engine: CudaEngine) -> None:
    held = [engine.run(picture(SMALL, seed)) for seed in range(3)]
    kept = [item.copy() for item in held]
    engine.run(picture(SMALL, 9))
    assert all(np.array_equal(one, other) for one, other in zip(held, kept, strict=True))
    assert not np.array_equal(held[0], held[1])


def test_staging_memory_is_pinned_once_and_used_again(card: Card, engine: CudaEngine) -> None:
    probability = engine.run(picture(SMALL))
    for seed in range(5):
        probability = engine.run(picture(SMALL, seed))  # the last answer is held while the next one is made
    assert card.pinned == 2  # one for pictures, one for answers
    assert probability.shape == (SMALL.height, SMALL.width)


def test_a_size_is_captured_once_however_often_the_sizes_change(card: Card, engine: CudaEngine) -> None:
    engine.prepare(SMALL)
    engine.prepare(LARGE)
    engine.prepare(SMALL)
    for seed in range(2):
        for size in (SMALL, LARGE):
            engine.run(picture(size, seed))
    assert len(card.graphs) == 2


def test_a_capture_lets_other_threads_use_the_gpu(card: Card, engine: CudaEngine) -> None:
    engine.prepare(SMALL)
    assert (card.graphs[0].mode, card.graphs[0].stream) == ("thread_local", engine._stream)


def test_the_sizes_that_were_used_last_are_kept(engine: CudaEngine) -> None:
    sizes = [Size(16 + 8 * step, 16) for step in range(6)]
    for size in sizes:
        engine.prepare(size)
        engine.run(picture(sizes[0] if size is not sizes[-1] else size))
    assert len(engine._plans) == 4
    assert sizes[0] in engine._plans
    assert sizes[1] not in engine._plans


def test_no_picture_is_worked_on_while_a_graph_is_captured(card: Card, engine: CudaEngine) -> None:
    held: list[bool] = []
    card.during_capture = lambda: held.append(engine._using.locked())
    engine.prepare(SMALL)
    assert held == [True]


def test_pictures_are_served_while_another_size_warms_up(engine: CudaEngine) -> None:
    reached, go = threading.Event(), threading.Event()
    engine.run(picture(SMALL))

    def hold(size: Size) -> None:
        if size == LARGE:
            reached.set()
            assert go.wait(30)

    before_each(engine, hold)
    thread = threading.Thread(target=engine.prepare, args=(LARGE,))
    thread.start()
    try:
        assert reached.wait(30)
        assert engine.run(picture(SMALL)).shape == (SMALL.height, SMALL.width)
    finally:
        go.set()
        thread.join()
    assert LARGE in engine._plans


def test_all_sizes_are_prepared_by_one_thread_that_stays(engine: CudaEngine) -> None:
    """cuDNN's plans are each thread's own and die with it."""
    seen: list[threading.Thread] = []
    before_each(engine, lambda size: seen.append(threading.current_thread()))
    for size in (SMALL, LARGE):
        thread = threading.Thread(target=engine.prepare, args=(size,))
        thread.start()
        thread.join()
    assert len(seen) == 2 * 4  # warmed up thrice, captured
    assert len(set(seen)) == 1
    assert seen[0].is_alive()
    engine.close()
    assert not seen[0].is_alive()


def test_two_threads_that_ask_for_one_size_make_one_graph(card: Card, engine: CudaEngine) -> None:
    threads = [threading.Thread(target=engine.run, args=(picture(SMALL),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(card.graphs) == 1
    assert card.graphs[0].replays == 4


def test_benchmarking_is_on_from_the_first_convolution_of_a_warm_up_and_off_again_afterwards(
    engine: CudaEngine,
) -> None:
    seen: list[bool] = []
    before_each(engine, lambda size: seen.append(torch.backends.cudnn.benchmark))
    assert not torch.backends.cudnn.benchmark
    engine.prepare(SMALL)
    assert all(seen)
    assert len(seen) >= 3
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("when", ["warm up", "capture"])
def test_too_little_memory_is_said_with_its_fix_and_smaller_sizes_go_on(
    card: Card, when: str, engine: CudaEngine
) -> None:
    rgb = picture(SMALL)
    before = engine.run(rgb)
    before_each(engine, lambda size: card.fault("warm up"))
    card.fault = out_of_memory(when)
    with pytest.raises(OutOfMemory, match=r"too small for the network at 40x32; set model\.size smaller") as caught:
        engine.prepare(LARGE)
    assert not engine.lost
    assert card.emptied
    card.fault = lambda what: None
    assert np.array_equal(engine.run(rgb), before)
    assert "too small" in str(caught.value)
    engine.prepare(LARGE)
    assert LARGE in engine._plans


def test_what_a_failed_size_held_is_free_while_its_error_is_still_held(engine: CudaEngine) -> None:
    """The traceback would keep the tensors of the failed call alive, and emptying the cache would free nothing."""
    made: list[weakref.ref[torch.Tensor]] = []

    def full(module: object, args: object, out: torch.Tensor) -> None:
        made.append(weakref.ref(out))
        if len(made) == 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    assert isinstance(engine._person, Small)
    engine._person.backbone.register_forward_hook(full)
    with pytest.raises(OutOfMemory) as caught:
        engine.prepare(LARGE)
    assert caught.value.__cause__ is not None
    assert not [ref for ref in made if ref() is not None]
    assert not engine._plans


def test_memory_that_cudnn_lacks_is_memory_that_is_missing(card: Card, engine: CudaEngine) -> None:

    def fault(what: str) -> None:
        if what == "replay":
            raise RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")

    card.fault = fault
    with pytest.raises(OutOfMemory, match="too small for the network at 24x16"):
        engine.run(picture(SMALL))


def test_a_network_that_the_gpu_has_no_memory_for_is_a_model_error(card: Card) -> None:
    card.fault = out_of_memory("synchronize")
    with pytest.raises(OutOfMemory, match="memory of cpu is too small for the network;"):
        CudaEngine(tiny(), CPU)


def test_without_graphs_the_answers_are_the_same_and_the_log_says_so_once(
    card: Card, caplog: pytest.LogCaptureFixture, engine: CudaEngine, person: Small
) -> None:
    def fault(what: str) -> None:
        if what == "capture":
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    card.fault = fault
    with caplog.at_level(logging.WARNING):
        for size in (SMALL, LARGE, SMALL):
            for seed in range(2):
                rgb = picture(size, seed)
                assert worst(engine.run(rgb), eager(person, rgb)) < NEAR
    assert [record.message.partition(",")[0] for record in caplog.records] == ["cpu runs without CUDA graphs"]


def test_a_gpu_that_answers_no_more_is_lost_and_is_asked_nothing_again(card: Card, engine: CudaEngine) -> None:
    engine.prepare(SMALL)
    asked: list[str] = []

    def fault(what: str) -> None:
        asked.append(what)
        raise RuntimeError(
            "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported"
        )

    card.fault = fault
    with pytest.raises(ModelError, match=r"cpu is lost: CUDA error: unspecified launch failure .*model\.device"):
        engine.run(picture(SMALL))
    assert engine.lost
    asked.clear()
    for again in (lambda: engine.run(picture(SMALL)), lambda: engine.prepare(LARGE)):
        with pytest.raises(ModelError, match="cpu is lost; restart"):
            again()
    engine.close()
    assert not asked


def test_a_fault_that_passes_is_a_model_error_and_the_next_picture_is_served(card: Card, engine: CudaEngine) -> None:
    engine.prepare(SMALL)
    faults = ["replay", "synchronize"]  # the error once more, from the call that asks how the GPU is

    def fault(what: str) -> None:
        if faults and what == faults[0]:
            faults.pop(0)
            raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")

    card.fault = fault
    with pytest.raises(ModelError, match="the network failed on cpu at 24x16: cuDNN error"):
        engine.run(picture(SMALL))
    assert not engine.lost
    assert engine.run(picture(SMALL)).shape == (SMALL.height, SMALL.width)


def test_activations_that_fp16_cannot_hold_make_it_go_on_in_float32(
    card: Card, caplog: pytest.LogCaptureFixture
) -> None:
    person = tiny(gain=2e4)
    first = person.backbone[3]  # type: ignore[index]
    with torch.no_grad():
        first.weight.mul_(50)
        person.classifier.weight.div_(50)  # type: ignore[operator]
    engine = CudaEngine(person, CPU)
    assert engine.precision == "fp16"
    with caplog.at_level(logging.WARNING):
        for size in (SMALL, LARGE):
            assert worst(engine.run(picture(size)), eager(person, picture(size))) < NEAR
    assert engine.precision == "fp32"
    assert len(caplog.records) == 1
    assert "goes on in fp32" in caplog.text


def test_weights_that_fp16_cannot_hold_start_in_float32(card: Card) -> None:
    person = tiny(gain=1e6)
    engine = CudaEngine(person, CPU)
    assert engine.precision == "fp32"
    assert worst(engine.run(picture(SMALL)), eager(person, picture(SMALL))) < NEAR


def test_an_answer_that_is_not_finite_in_float32_either_is_handed_on(card: Card) -> None:
    person = tiny()
    last = person.classifier
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    nn.init.constant_(last.bias, float("nan"))
    assert np.isnan(CudaEngine(person, CPU).run(picture(SMALL))).all()


def test_closing_frees_the_network_and_the_graphs(card: Card, engine: CudaEngine) -> None:
    engine.run(picture(SMALL))
    assert engine._person is not None
    person = weakref.ref(engine._person)
    engine.close()
    gc.collect()
    assert person() is None
    assert not engine._plans
    assert card.emptied
    engine.close()
    for late in (lambda: engine.prepare(LARGE), lambda: engine.run(picture(SMALL))):
        with pytest.raises(ModelError, match="the network on cpu is closed"):
            late()


def test_closing_waits_for_a_size_that_another_thread_prepares(engine: CudaEngine) -> None:
    reached, go = threading.Event(), threading.Event()

    def hold(size: Size) -> None:
        reached.set()
        assert go.wait(30)

    before_each(engine, hold)
    errors: list[Exception] = []

    def prepare() -> None:
        try:
            engine.prepare(SMALL)
        except Exception as exc:  # whatever it is, the test shows it
            errors.append(exc)

    first, second = threading.Thread(target=prepare), threading.Thread(target=engine.close)
    first.start()
    assert reached.wait(30)
    second.start()
    go.set()
    first.join()
    second.join()
    assert not errors
    assert not engine._plans


# With a GPU.


@pytest.fixture
def gpu() -> torch.device:
    return torch.device("cuda:0")


@needs_gpu
@pytest.mark.parametrize("name", TORCHVISION_MODELS)
def test_on_a_gpu_each_network_answers_as_in_float32(name: str, gpu: torch.device) -> None:
    size = Size(256, 144)
    person = lifelike(name, size)
    engine = CudaEngine(person, gpu)
    for seed in range(2):
        rgb = picture(size, seed)
        assert worst(engine.run(rgb), eager(person, rgb)) < NEAR_SEEDED
    assert engine.precision == "fp16"
    assert engine._plans[size].graph is not None
    engine.close()


@needs_gpu
def test_on_a_gpu_sizes_alternate_and_each_picture_gets_its_own_answer(gpu: torch.device) -> None:
    person = tiny()
    engine = CudaEngine(person, gpu)
    for seed in range(6):
        rgb = picture((SMALL, LARGE, Size(64, 48))[seed % 3], seed)
        assert worst(engine.run(rgb), eager(person, rgb)) < NEAR
    engine.close()


@needs_gpu
def test_on_a_gpu_pictures_are_right_while_other_sizes_are_prepared(gpu: torch.device) -> None:
    size = Size(256, 144)
    person = lifelike("lraspp_mobilenet_v3_large", size)
    engine = CudaEngine(person, gpu)
    rgb = picture(size)
    wanted = eager(person, rgb)
    engine.prepare(size)
    others = [Size(256 + 32 * step, 144 + 16 * step) for step in range(1, 6)]

    def prepare() -> None:
        for other in others:
            engine.prepare(other)

    thread = threading.Thread(target=prepare)
    thread.start()
    answers = 0
    while thread.is_alive() or not answers:
        assert worst(engine.run(rgb), wanted) < NEAR_SEEDED
        answers += 1
    thread.join()
    assert all(engine._plans[other].graph is not None for other in others)
    engine.close()


@needs_gpu
def test_on_a_gpu_too_little_memory_is_a_model_error_and_smaller_sizes_go_on(gpu: torch.device) -> None:
    engine = CudaEngine(tiny(), gpu)
    rgb = picture(SMALL)
    before = engine.run(rgb)
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(gpu) + (64 << 20)) / total(gpu), gpu)
    try:
        with pytest.raises(OutOfMemory, match="too small for the network at 4096x4096"):
            engine.prepare(Size(4096, 4096))
        assert np.array_equal(engine.run(rgb), before)
        engine.prepare(LARGE)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, gpu)
    engine.close()


def total(gpu: torch.device) -> int:
    return int(torch.cuda.get_device_properties(gpu).total_memory)


@needs_gpu
def test_on_a_gpu_closing_gives_the_memory_back(gpu: torch.device) -> None:
    gc.collect()
    before = torch.cuda.memory_allocated(gpu)
    engine = CudaEngine(real("fcn_resnet50"), gpu)
    engine.run(picture(Size(256, 144)))
    assert torch.cuda.memory_allocated(gpu) > before + (40 << 20)
    engine.close()
    gc.collect()
    assert torch.cuda.memory_allocated(gpu) <= before + (1 << 20)
