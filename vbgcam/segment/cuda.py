"""Where a torchvision network runs on an NVIDIA GPU: half precision, channels last, one CUDA graph for each input size.

**Which half.** fp16, because bf16's eight bits lose the mask: over 9 photos at 257x257 a trained DeepLab for Pascal
VOC's 21 classes moves the person's probability by at most 0.160 in bf16 and 0.029 in fp16 (weights and layers' outputs
rounded, sums in float32, as tensor cores have it). fp16 ends at 65504; activations of these networks stay below 100.
Should a network's own not, or the GPU's fp16 be broken (its answer is not finite then), the engine goes on in float32,
said once in the log. Normalisation and all that follows the logits are in float32: `Person` sees to that.

Batch normalisation is folded into the convolutions of a copy, in float32. Fusing bias, addition and ReLU as well would
take torch.compile, which compiles for a minute and needs a C compiler where the program runs.

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
import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Size
from vbgcam.segment.base import Probability
from vbgcam.segment.engine import OutOfMemory, network_error, one_line, quiet_torch

log = logging.getLogger(__name__)


class CudaEngine:
    """See `vbgcam.segment.engine.Engine`. It is `lost` when the GPU answers no more. `precision`: "fp16", and "fp32"
    from the moment that fp16 proved too narrow."""

    device: str
    precision: str

    def __init__(self, person: nn.Module, device: torch.device) -> None:
        """`person`: a `Person` in float32 on the CPU, which is left as it is. Raises OutOfMemory, ModelError."""
        quiet_torch()  # cuDNN's plans that fail while others are tried are for its makers
        self.device = str(device)
        self.lost = False
        self._device = device
        self._person: nn.Module | None = copy.deepcopy(person).requires_grad_(False).eval()
        _fold_normalisation(self._person)
        self._dtype = torch.float16
        self.precision = "fp16"
        self._person.get_submodule("backbone").register_forward_pre_hook(self._as_weights)
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
            self._person = None
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
                self._work(self._widen)
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
        try:
            plan = self._prepared(size)
        except RuntimeError as exc:
            raise self._failed(size, exc) from exc
        with self._using:
            self._plans[size] = plan

    def _prepared(self, size: Size) -> _Plan:  # by itself, since an error's traceback keeps its caller's names alive
        with (
            torch.cuda.device(self._device),
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, benchmark=True),
            torch.cuda.stream(self._side),
        ):
            plan = _Plan(size, self._device)
            for _ in range(3):
                self._forward(plan)
            self._side.synchronize()
            plan.graph = self._captured(plan)
        return plan

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

    def _widen(self) -> None:
        """To float32, once an answer was not finite."""
        with self._using:
            if self._dtype is torch.float32 or self._person is None:
                return
            self._plans.clear()
            self._dtype = torch.float32
            self._cast()
            self.precision = "fp32"
        log.warning("%s goes on in fp32, at twice the time: its answer was not finite", self.device)

    def _release(self) -> None:
        with self._using:
            self._plans.clear()
            self._person = None
            if not self.lost:
                with contextlib.suppress(RuntimeError):  # a GPU that got lost just now: there is nothing to free
                    torch.cuda.empty_cache()

    def _forward(self, plan: _Plan) -> torch.Tensor:
        """The probability and, behind it, its sum: one number tells whether all are finite (0.1 ms on the CPU)."""
        assert self._person is not None
        flat: torch.Tensor = self._person(plan.picture).float().reshape(-1)
        return torch.cat((flat, flat.sum().reshape(1)))

    def _answer(self, plan: _Plan, rgb: U8) -> tuple[Probability, bool]:
        np.copyto(plan.given.numpy()[0], rgb)
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream), torch.inference_mode():
            plan.picture.copy_(plan.given, non_blocking=True)
            if plan.graph is not None and plan.answer is not None:
                plan.graph.replay()
                answer = plan.answer
            else:
                answer = self._forward(plan)
            plan.taken.copy_(answer, non_blocking=True)
            self._done.record()
            self._done.synchronize()
        held = plan.taken.numpy().copy()
        return held[:-1].reshape(rgb.shape[:2]), bool(np.isfinite(held[-1]))

    def _cast(self) -> None:
        assert self._person is not None
        for part in ("backbone", "classifier"):
            self._person.get_submodule(part).to(  # type: ignore[call-overload]
                dtype=self._dtype, memory_format=torch.channels_last
            )

    def _as_weights(self, module: nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (given[0].to(dtype=self._dtype, memory_format=torch.channels_last),)

    def _failed(self, size: Size | None, exc: RuntimeError) -> ModelError:
        """The error to raise; frees what the failed call held, which its traceback would keep alive."""
        if _short_of_memory(exc):
            for item in _chain(exc):
                item.__traceback__ = None  # clearing its frames would not do: closures of torch's modules hold more
            with contextlib.suppress(RuntimeError):  # the shortage is what is told
                torch.cuda.empty_cache()
        elif self._is_lost():
            return ModelError(f"{self.device} is lost: {one_line(exc)}", fix=_LOST_FIX)
        return network_error(self.device, size, " ".join(map(str, _chain(exc))))

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


class _Plan:
    """What one size needs. `picture`: on the GPU, uint8 (1, height, width, 3); the graph reads it. `answer`: on the
    GPU, float32 (pixels + 1,); the graph writes it. `given`, `taken`: the page-locked blocks beside them."""

    def __init__(self, size: Size, device: torch.device) -> None:
        shape = (1, size.height, size.width, 3)
        self.picture = torch.zeros(shape, dtype=torch.uint8, device=device)
        self.given = _pinned(shape, torch.uint8)
        self.taken = _pinned((size.pixels + 1,), torch.float32)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.answer: torch.Tensor | None = None


def _pinned(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, pin_memory=True)


def _fold_normalisation(module: nn.Module) -> None:
    """In place. In all of torchvision's six, a batch normalisation that is the next child after a convolution follows
    it in use, too."""
    for (name, conv), (following, norm) in itertools.pairwise(list(module.named_children())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(conv, norm))
            setattr(module, following, nn.Identity())
    for child in module.children():
        _fold_normalisation(child)


def _chain(exc: BaseException) -> list[BaseException]:
    """The error and those that it was raised during or from: a capture that fails says so in place of the reason."""
    found: list[BaseException] = []
    step: BaseException | None = exc
    while step is not None and step not in found:
        found.append(step)
        step = step.__cause__ or step.__context__
    return found


def _short_of_memory(exc: RuntimeError) -> bool:
    return isinstance(network_error("", None, " ".join(map(str, _chain(exc)))), OutOfMemory)
