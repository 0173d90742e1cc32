"""Where a torchvision network runs on an NVIDIA GPU: half precision, channels last, one CUDA graph for each input size.

**Which half.** fp16, because bf16's eight bits lose the mask: over 9 photos at 257x257 a trained DeepLab for Pascal
VOC's 21 classes moves the person's probability by at most 0.160 in bf16 and 0.029 in fp16 (weights and layers' outputs
rounded, sums in float32, as tensor cores have it). fp16 ends at 65504; activations of these networks stay below 100.
Should a network's own not, or the GPU's fp16 be broken, the engine goes on in float32, said once in the log.
Normalisation and all that follows the logits are in float32: `Person` sees to that.

**What is done to the network**, on a copy: batch normalisation is folded into the convolutions, in float32; then what
follows a convolution in a ResNet (bias, the shortcut's addition, ReLU) is done by cuDNN's own fused kernel. As 241
kernels of their own these steps move 5.0 GB for fcn_resnet101 at 924x520, fused 1.0. Each fused convolution is compared
with the plain one while a size is prepared, and is done plainly where cuDNN has none or a different answer.
torch.compile fuses much the same, but compiles for a minute and needs a C compiler where the program runs.

**Threads.** `prepare` may be called by any thread while another runs `run`; a thread of the engine's own does it. What
is relied on, of torch's notes on CUDA graphs and of its source:

- Only one capture in a process at a time, and no other CUDA work meanwhile: `_using` is held by `run` for a picture and
  by a capture for the moment that it records, not while a size warms up.
- A capture in "thread_local" mode fails for what its own thread does, not for what threads outside this engine do.
- cuDNN's plans are cached for each thread, the first one found stays, and all die with the thread. So one thread warms
  up, benchmarking from its first convolution on, and captures; it lives as long as the graphs.
- Graphs may share one memory pool where no two replay at once and nobody needs the answer of one after the replay of
  another: `run` replays on one stream and copies each answer out before it returns.

`torch.backends.cudnn.benchmark`, a switch of the whole process, is on during a warm-up and then as it was.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import Bottleneck

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Size
from vbgcam.segment.base import Probability
from vbgcam.segment.engines.base import OutOfMemory, one_line

log = logging.getLogger(__name__)

_HEADROOM: Final = 4.0
"""Activations of the warm-up's picture must stay this far below the type's largest number: others may be larger."""

_FUSED_ERROR: Final = 0.01
"""Of the largest value, what a fused convolution may be off: fp16's own rounding is a tenth of it."""


class CudaEngine:
    """See `vbgcam.segment.engines.base.Engine`. It is `lost` when the GPU answers no more. `precision`: "fp16", and
    "fp32" from the moment that fp16 proved too narrow."""

    device: str
    precision: str

    def __init__(self, person: nn.Module, device: torch.device) -> None:
        """`person`: a `Person` in float32 on the CPU, which is left as it is. Raises OutOfMemory, ModelError."""
        # cuDNN's plans that fail while others are tried are for its makers; see also `torchvision`.
        warnings.filterwarnings("ignore", module=r"(torch|vbgcam\.segment\.cuda)(\.|$)")
        self.device = str(device)
        self.lost = False
        self._device = device
        self._zeros = _Zeros()
        self._person: nn.Module | None = _rewritten(copy.deepcopy(person).requires_grad_(False).eval(), self._zeros)
        self._convolutions = [item for item in self._person.modules() if isinstance(item, _Convolution)]
        room = torch.finfo(torch.float16).max / _HEADROOM
        fits = all(float(item.weight.abs().max()) < room for item in self._convolutions)
        self._dtype = torch.float16 if fits else torch.float32
        self.precision = _PRECISIONS[self._dtype]
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="vbgcam-cuda")
        self._using = threading.Lock()  # one run, or one capture; the worker alone changes _plans and _dtype, under it
        self._plans: dict[Size, _Plan] = {}
        self._captures = True
        try:
            with torch.cuda.device(device):
                self._person.to(device)
                self._cast()
                self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
                self._side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
                # Waits asleep and without the interpreter's lock; a plain event's waiter spins on a core.
                self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
                torch.cuda.synchronize(device)
        except RuntimeError as exc:
            self._person, self._convolutions = None, []
            raise self._failed(None, exc) from exc

    def prepare(self, size: Size) -> None:
        """Warms up and captures for that input: a few seconds. `run` in another thread goes on but for a moment, with
        later answers, since the GPU is shared. Any thread. Raises OutOfMemory, ModelError; the sizes that were ready
        still are."""
        self._check_usable()
        if size not in self._plans:
            self._work(self._prepare, size)

    def run(self, rgb: U8) -> Probability:
        """uint8 (height, width, 3), full range RGB, to the person's probability, float32 (height, width). A size that
        was not prepared is prepared now. The answer stays as it is for as long as it is held. Raises OutOfMemory,
        ModelError."""
        size = Size(rgb.shape[1], rgb.shape[0])
        while True:
            with self._using:
                self._check_usable()
                plan = self._plans.get(size)
                if plan is not None:
                    try:
                        probability, finite = self._answer(plan, rgb)
                    except RuntimeError as exc:
                        raise self._failed(size, exc) from exc
                    if finite or self._dtype is torch.float32:  # not finite in float32 either: `mask` refuses it
                        return probability
            if plan is not None:
                self._work(self._widen, "its answer was not finite")
            self.prepare(size)

    def close(self) -> None:
        """Frees everything. Waits for a `prepare` that is under way."""
        if self._person is not None:
            self._work(self._release)
        self._worker.shutdown()

    def _check_usable(self) -> None:
        if self._person is None:  # one thread may close while another prepares
            raise ModelError(f"the network on {self.device} is closed")
        if self.lost:
            raise ModelError(f"{self.device} is lost", fix=_LOST_FIX)

    def _work(self, do: Callable[..., None], *args: object) -> None:
        try:
            future = self._worker.submit(do, *args)
        except RuntimeError as exc:  # closed between the look and the call
            raise ModelError(f"the network on {self.device} is closed") from exc
        future.result()

    def _prepare(self, size: Size) -> None:
        """The worker's, as all that follow down to `_release`."""
        self._check_usable()
        if size in self._plans:
            return
        blocks = self._zeros.count
        try:
            with torch.cuda.device(self._device), torch.inference_mode(), _benchmarking():
                plan = self._prepared(size)
        except RuntimeError as exc:
            self._zeros.keep(blocks)
            raise self._failed(size, exc) from exc
        with self._using:
            self._plans[size] = plan

    def _prepared(self, size: Size) -> _Plan:
        with torch.cuda.stream(self._side):
            plan = _Plan.of(size, self._device)
            while not self._compared(plan):
                self._widen("its activations do not fit into fp16")
            for _ in range(2):
                self._forward(plan)
            self._side.synchronize()
            plan.graph = self._captured(plan)
        return plan

    def _compared(self, plan: _Plan) -> bool:
        """Decides for each convolution whether it is fused, on the plan's first picture. False where the type is too
        narrow for the activations."""
        for item in self._convolutions:
            item.compare = True
        try:
            self._forward(plan)
        except _TooNarrowError:
            return False
        finally:
            for item in self._convolutions:
                item.compare = False
        return True

    def _captured(self, plan: _Plan) -> torch.cuda.CUDAGraph | None:
        if not self._captures:
            return None
        graph = torch.cuda.CUDAGraph()
        with self._using:
            if all(other.graph is None for other in self._plans.values()):
                # A pool dies with its last graph; torch refuses its handle while the memory is not handed back.
                self._pool = torch.cuda.graph_pool_handle()
            try:
                with torch.cuda.graph(graph, pool=self._pool, stream=self._side, capture_error_mode="thread_local"):
                    plan.answer = self._forward(plan)
            except RuntimeError as exc:
                if _short_of_memory(exc) or self._is_lost():
                    raise
                plan.answer = None
                self._captures = False
                log.warning("%s runs without CUDA graphs, which costs time: %s", self.device, one_line(exc))
                return None
        return graph

    def _widen(self, why: str) -> None:
        """To float32."""
        with self._using:
            if self._dtype is torch.float32 or self._person is None:
                return
            self._plans.clear()
            self._dtype = torch.float32
            self._cast()
            self.precision = _PRECISIONS[self._dtype]
        log.warning("%s goes on in fp32, at twice the time: %s", self.device, why)

    def _release(self) -> None:
        with self._using:
            self._plans.clear()
            self._person = None
            self._convolutions = []
            self._zeros.keep(0)
            if not self.lost:
                with contextlib.suppress(RuntimeError):  # a GPU that got lost just now: there is nothing to free
                    torch.cuda.empty_cache()

    def _forward(self, plan: _Plan) -> torch.Tensor:
        """The probability and, behind it, its sum: one number tells whether all are finite (0.1 ms on the CPU)."""
        assert self._person is not None
        flat: torch.Tensor = self._person(plan.picture).float().reshape(-1)
        return torch.cat((flat, flat.sum().reshape(1)))

    def _answer(self, plan: _Plan, rgb: U8) -> tuple[Probability, bool]:
        np.copyto(plan.staged, rgb)
        target, held = plan.target()
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream), torch.inference_mode():
            plan.picture.copy_(plan.pinned, non_blocking=True)
            if plan.graph is not None and plan.answer is not None:
                plan.graph.replay()
                answer = plan.answer
            else:
                answer = self._forward(plan)
            target.copy_(answer, non_blocking=True)
            self._done.record()
            self._done.synchronize()
        height, width, _ = rgb.shape
        return held[:-1].reshape(height, width), bool(np.isfinite(held[-1]))

    def _cast(self) -> None:
        self._zeros.keep(0)
        for item in self._convolutions:
            item.to(dtype=self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _failed(self, size: Size | None, exc: RuntimeError) -> ModelError:
        """The error to raise; frees what the failed call held, which its traceback would keep alive."""
        at = f" at {size}" if size is not None else ""
        if _short_of_memory(exc):
            for item in _chain(exc):
                item.__traceback__ = None  # clearing its frames would not do: closures of torch's modules hold more
            with contextlib.suppress(RuntimeError):  # the shortage is what is told
                torch.cuda.empty_cache()
            return OutOfMemory(
                f"the memory of {self.device} is too small for the network{at}",
                fix="set model.size smaller, or choose another model",
            )
        if self._is_lost():
            return ModelError(f"{self.device} is lost: {one_line(exc)}", fix=_LOST_FIX)
        return ModelError(f"the network failed on {self.device}{at}: {one_line(exc)}")

    def _is_lost(self) -> bool:
        """After a launch failure, an illegal access, a fallen-off card every further call fails. One call may fail with
        the error of the last one; two do not."""
        for _ in range(2):
            try:
                torch.cuda.synchronize(self._device)
            except RuntimeError:
                continue
            return False
        self.lost = True
        return True


_LOST_FIX: Final = 'restart vbgcam, or set model.device to "cpu"'
_PRECISIONS: Final = {torch.float16: "fp16", torch.float32: "fp32"}


@dataclass(slots=True)
class _Plan:
    """What one size needs. `picture`: on the GPU, uint8 (1, height, width, 3); the graph reads it. `pinned`, `staged`:
    the page-locked block that it is copied from, as tensor and as array of (height, width, 3). `answer`: on the GPU,
    float32 (pixels + 1,); the graph writes it."""

    picture: torch.Tensor
    pinned: torch.Tensor
    staged: U8
    graph: torch.cuda.CUDAGraph | None = None
    answer: torch.Tensor | None = None
    _tensors: list[torch.Tensor] = field(default_factory=list)
    _arrays: list[NDArray[np.float32]] = field(default_factory=list)

    @classmethod
    def of(cls, size: Size, device: torch.device) -> _Plan:
        """Its picture is smooth, of all colours, and the same each time: a network's answer to plain noise is larger
        than to any camera's picture, and would look too large for fp16."""
        coarse = torch.rand(
            1, 3, size.height // 16 + 2, size.width // 16 + 2, generator=torch.Generator().manual_seed(0)
        )
        colours = functional.interpolate(coarse * 255, size=(size.height, size.width), mode="bilinear")
        pinned = _pinned((1, size.height, size.width, 3), torch.uint8)
        pinned.copy_(colours.permute(0, 2, 3, 1))
        return cls(pinned.to(device, copy=True), pinned, np.asarray(pinned[0].numpy(), np.uint8))

    def target(self) -> tuple[torch.Tensor, NDArray[np.float32]]:
        """A page-locked block for an answer that nobody holds any more, or a new one: as tensor and as array. Fresh
        pages cost more than the copy, and pinning them a millisecond."""
        for index in range(len(self._arrays)):  # no name is bound to an array here: that would count as a holder
            if sys.getrefcount(self._arrays[index]) <= _IDLE:
                return self._tensors[index], self._arrays[index]
        tensor = _pinned((self.picture.numel() // 3 + 1,), torch.float32)
        self._tensors.append(tensor)
        self._arrays.append(tensor.numpy())
        return tensor, self._arrays[-1]


_IDLE: Final = sys.getrefcount([np.empty(1, np.float32)][0]) + 1
"""What the interpreter counts for an array that the list alone holds."""


def _pinned(shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)


@contextlib.contextmanager
def _benchmarking() -> Iterator[None]:
    """A switch of the whole process, put back afterwards; other threads' new shapes are benchmarked meanwhile, too."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


class _TooNarrowError(Exception):
    """An activation that the type cannot hold, or nearly not."""


class _Zeros:
    """One block of zeros on the GPU, in as many shapes as convolutions have answers. cuDNN's fused kernel always adds
    something, and would make NaN of memory that nobody wrote, were it given that times 0."""

    def __init__(self) -> None:
        self._blocks: list[torch.Tensor] = []  # graphs read the earlier ones, too

    def of(self, shape: tuple[int, int, int, int], like: torch.Tensor) -> torch.Tensor:
        count, channels, height, width = shape
        need = count * channels * height * width
        block = self._blocks[-1] if self._blocks else None
        if block is None or block.numel() < need:
            block = torch.zeros(need, dtype=like.dtype, device=like.device)
            torch.cuda.current_stream(like.device).synchronize()  # other streams will read it
            self._blocks.append(block)
        return block[:need].view(count, height, width, channels).permute(0, 3, 1, 2)

    @property
    def count(self) -> int:
        return len(self._blocks)

    def keep(self, count: int) -> None:
        """Lets go of the later ones: their size could not be prepared."""
        del self._blocks[count:]


class _Convolution(nn.Module):
    """A convolution, then `addend` added, then ReLU: each where wanted. `fused`: by one kernel of cuDNN's. `compare`:
    do it plainly, and see whether the fused kernel does the same; one that once did not is not tried again."""

    def __init__(self, conv: nn.Conv2d, zeros: _Zeros, *, relu: bool) -> None:
        super().__init__()
        bias = conv.bias if conv.bias is not None else nn.Parameter(torch.zeros(conv.out_channels), requires_grad=False)
        self.weight = conv.weight
        self.bias = bias
        self.relu = relu
        self.fused = False
        self.compare = False
        self._refused = not relu or conv.groups > 1  # cuDNN's always ends with ReLU; for depthwise ones it has none
        self._zeros = zeros
        self._stride, self._dilation, self._groups = conv.stride, conv.dilation, conv.groups
        assert isinstance(conv.padding, tuple), "torchvision's networks give numbers"
        assert conv.padding_mode == "zeros"
        self._padding = conv.padding

    def forward(self, x: torch.Tensor, addend: torch.Tensor | None = None) -> torch.Tensor:
        x = x.to(self.weight.dtype)
        if self.compare:
            return self._compared(x, addend)
        return self._in_one(x, addend) if self.fused else self._plain(x, addend)

    def _plain(self, x: torch.Tensor, addend: torch.Tensor | None) -> torch.Tensor:
        out = functional.conv2d(x, self.weight, self.bias, self._stride, self._padding, self._dilation, self._groups)
        if addend is not None:
            out = out.add_(addend)
        return out.relu_() if self.relu else out

    def _in_one(self, x: torch.Tensor, addend: torch.Tensor | None) -> torch.Tensor:
        scale = 1.0
        if addend is None:
            addend, scale = self._zeros.of(self._shape(x), x), 0.0
        return torch.cudnn_convolution_add_relu(
            x, self.weight, addend, scale, self.bias, self._stride, self._padding, self._dilation, self._groups
        )

    def _shape(self, x: torch.Tensor) -> tuple[int, int, int, int]:
        height, width = (
            (side + 2 * pad - step * (kernel - 1) - 1) // stride + 1
            for side, pad, step, kernel, stride in zip(
                x.shape[2:], self._padding, self._dilation, self.weight.shape[2:], self._stride, strict=True
            )
        )
        return x.shape[0], self.weight.shape[0], height, width

    def _compared(self, x: torch.Tensor, addend: torch.Tensor | None) -> torch.Tensor:
        plain = self._plain(x, addend)
        largest = float(plain.abs().max())
        if self.weight.dtype is torch.float16 and not largest < torch.finfo(torch.float16).max / _HEADROOM:  # NaN, too
            raise _TooNarrowError
        if self._refused:
            return plain
        try:
            error = float((self._in_one(x, addend) - plain).abs().max())
            self.fused = error <= _FUSED_ERROR * largest  # NaN is not
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as exc:  # cuDNN has no such kernel for this GPU, type or shape
            self.fused = False
            log.debug("no fused convolution for %s: %s", list(x.shape), one_line(exc))
        self._refused = not self.fused
        return plain


class _Residual(nn.Module):
    """torchvision's Bottleneck, its three convolutions and its shortcut."""

    def __init__(self, block: Bottleneck, zeros: _Zeros) -> None:
        super().__init__()
        self.first = _Convolution(fuse_conv_bn_eval(block.conv1, block.bn1), zeros, relu=True)
        self.second = _Convolution(fuse_conv_bn_eval(block.conv2, block.bn2), zeros, relu=True)
        self.third = _Convolution(fuse_conv_bn_eval(block.conv3, block.bn3), zeros, relu=True)
        self.shortcut: nn.Module | None = None
        if block.downsample is not None:
            self.shortcut = _rewritten(block.downsample, zeros)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        out: torch.Tensor = self.third(self.second(self.first(x)), shortcut)
        return out


def _rewritten(module: nn.Module, zeros: _Zeros) -> nn.Module:
    """The network of `_Convolution`s, without batch normalisation: changed in place, but for the module itself."""
    if isinstance(module, Bottleneck):
        return _Residual(module, zeros)
    if isinstance(module, nn.Conv2d):
        return _Convolution(module, zeros, relu=False)
    names = [name for name, _ in module.named_children()]
    # Elsewhere the order of the children says nothing about the order in which they are used. torchvision's backbones
    # are ModuleDicts that run their children in order.
    if isinstance(module, nn.Sequential | nn.ModuleDict):
        for name, following, last in zip(names, [*names[1:], ""], [*names[2:], "", ""], strict=True):
            conv, norm = getattr(module, name), getattr(module, following, None)
            if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
                continue
            relu = isinstance(getattr(module, last, None), nn.ReLU)
            setattr(module, name, _Convolution(fuse_conv_bn_eval(conv, norm), zeros, relu=relu))
            setattr(module, following, nn.Identity())
            if relu:
                setattr(module, last, nn.Identity())
    for name in names:
        child = getattr(module, name)
        if not isinstance(child, _Convolution):
            setattr(module, name, _rewritten(child, zeros))
    return module


def _chain(exc: BaseException) -> list[BaseException]:
    """The error and those that it was raised during or from: a capture that fails says so in place of the reason."""
    found: list[BaseException] = []
    step: BaseException | None = exc
    while step is not None and step not in found:
        found.append(step)
        step = step.__cause__ or step.__context__
    return found


def _short_of_memory(exc: RuntimeError) -> bool:
    """torch has a class for its own allocator alone; cuDNN, cuBLAS and the driver say it in words."""
    return any(
        isinstance(item, torch.cuda.OutOfMemoryError)
        or any(word in str(item) for word in ("out of memory", "ALLOC_FAILED"))
        for item in _chain(exc)
    )
