"""Where a torchvision network runs on an NVIDIA GPU: half precision, channels last, one CUDA graph for each input size.

**Which half.** fp16, because bf16's eight bits lose the mask: over 9 photos at 257x257 a trained DeepLab for Pascal
VOC's 21 classes moves the person's probability by at most 0.160 in bf16 and 0.029 in fp16 (weights and layers' outputs
rounded, sums in float32, as tensor cores have it). fp16 ends at 65504; activations of these networks stay below 100.
Where logits are not finite, the engine goes on in float32, said once in the log. Normalisation and all that follows the
logits are in float32: `Person` sees to that.

**Threads.** `prepare` may be called by any thread while another runs `run`; a thread of the engine's own does it. What
is relied on, of torch's notes on CUDA graphs and of its source:

- Only one capture in a process at a time, and no other CUDA work meanwhile: `_using` is held by `run` for a picture and
  by a capture for the moment that it records, not while a size warms up.
- A capture in "thread_local" mode fails for what its own thread does, not for what threads outside this engine do.
- cuDNN's plans are cached for each thread, the first one found stays, and all die with the thread. So one thread warms
  up, benchmarking from its first convolution on, and captures; it lives as long as the graphs.

`torch.backends.cudnn.benchmark`, a switch of the whole process, is on during a warm-up and then as it was.

None of this has been timed on a GPU by us. What was here before, batch normalisation folded into the convolutions and
cuDNN's fused kernels for what follows them, comes back when a measurement asks for it.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Size
from vbgcam.segment.base import Probability
from vbgcam.segment.engines.base import OutOfMemory, one_line
from vbgcam.segment.torchvision import Person

log = logging.getLogger(__name__)

_SIZES: Final = 4
"""Graphs that are kept: whole frames and square parts of them, in the size in use and in the one tried."""

_LARGEST: Final = torch.finfo(torch.float16).max
_LOST_FIX: Final = 'restart vbgcam, or set model.device to "cpu"'
_PRECISIONS: Final = {torch.float16: "fp16", torch.float32: "fp32"}


@dataclass(slots=True)
class _Plan:
    """What one size needs. `picture`: on the GPU, uint8 (1, height, width, 3); the graph reads it. `answer`: on the
    GPU, float32 (pixels + 1,), the probability and the sum of the logits; the graph writes it. `pinned_picture`,
    `pinned_answer`: page-locked, copied from and to."""

    picture: torch.Tensor
    pinned_picture: torch.Tensor
    pinned_answer: torch.Tensor
    graph: torch.cuda.CUDAGraph | None = None
    answer: torch.Tensor | None = None


class CudaEngine:
    """See `vbgcam.segment.engines.base.Engine`. It is `lost` when the GPU answers no more. `precision`: "fp16", and
    "fp32" from the moment that fp16 proved too narrow."""

    device: str
    precision: str

    def __init__(self, person: Person, device: torch.device) -> None:
        """`person`: in float32 on the CPU, which is left as it is. Raises OutOfMemory, ModelError."""
        # cuDNN's plans that fail while others are tried are for its makers; see also `torchvision`.
        warnings.filterwarnings("ignore", module=r"(torch|vbgcam\.segment\.engines\.torch_cuda)(\.|$)")
        self.device = str(device)
        self.lost = False
        self._device = device
        self._person: Person | None = copy.deepcopy(person).requires_grad_(False).eval()
        self._person.backbone.register_forward_pre_hook(lambda _module, given: (given[0].to(self._dtype),))
        self._person.classifier.register_forward_hook(self._keep_sum)
        self._sum: torch.Tensor | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="vbgcam-cuda")
        self._using = threading.Lock()  # one run, or one capture; the worker alone changes _plans and _dtype, under it
        self._plans: OrderedDict[Size, _Plan] = OrderedDict()
        self._captures = True
        try:
            with torch.cuda.device(device):
                fits = all(float(item.abs().max()) < _LARGEST for item in self._person.state_dict().values())
                self._person.to(device)
                self._cast(torch.float16 if fits else torch.float32)
                self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
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
        was not prepared is prepared now. Raises OutOfMemory, ModelError."""
        size = Size(rgb.shape[1], rgb.shape[0])
        while True:
            with self._using:
                self._check_usable()
                plan = self._plans.get(size)
                if plan is not None:
                    self._plans.move_to_end(size)
                    try:
                        answer = self._answer(plan, rgb)
                    except RuntimeError as exc:
                        raise self._failed(size, exc) from exc
                    # Not finite in float32 either: `mask` refuses it.
                    if self._dtype is torch.float32 or np.isfinite(answer[-1]):
                        return answer[:-1].reshape(size.height, size.width)
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
            with (
                torch.cuda.device(self._device),
                torch.cuda.stream(self._stream),
                torch.inference_mode(),
                _benchmarking(),
            ):
                pinned = _pinned((1, size.height, size.width, 3), torch.uint8).zero_()
                plan = _Plan(pinned.to(self._device, copy=True), pinned, _pinned((pinned.numel() // 3 + 1,)))
                for _ in range(3):
                    self._forward(plan)
                self._stream.synchronize()
                self._capture(plan)
        except RuntimeError as exc:
            raise self._failed(size, exc) from exc
        with self._using:
            self._plans[size] = plan
            while len(self._plans) > _SIZES:
                self._plans.popitem(last=False)

    def _capture(self, plan: _Plan) -> None:
        if not self._captures:
            return
        graph = torch.cuda.CUDAGraph()
        try:
            with self._using, torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                plan.answer = self._forward(plan)
            plan.graph = graph
        except RuntimeError as exc:
            plan.answer = None
            if _short_of_memory(exc) or self._is_lost():
                raise
            self._captures = False
            log.warning("%s runs without CUDA graphs, which costs time: %s", self.device, one_line(exc))

    def _widen(self) -> None:
        """To float32."""
        with self._using:
            if self._dtype is torch.float32 or self._person is None:
                return
            self._plans.clear()
            self._cast(torch.float32)
        log.warning("%s goes on in fp32, at twice the time: its logits were not finite in fp16", self.device)

    def _release(self) -> None:
        with self._using:
            self._plans.clear()
            self._person = self._sum = None
            if not self.lost:
                with contextlib.suppress(RuntimeError):  # a GPU that got lost just now: there is nothing to free
                    torch.cuda.empty_cache()

    def _forward(self, plan: _Plan) -> torch.Tensor:
        """The probability and, behind it, the sum of the logits: one number tells whether all are finite."""
        assert self._person is not None
        flat: torch.Tensor = self._person(plan.picture).float().reshape(-1)
        assert self._sum is not None
        return torch.cat((flat, self._sum.reshape(1)))

    def _keep_sum(self, _module: nn.Module, _given: object, logits: torch.Tensor) -> None:
        self._sum = logits.float().sum()

    def _answer(self, plan: _Plan, rgb: U8) -> NDArray[np.float32]:
        np.copyto(plan.pinned_picture[0].numpy(), rgb)
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream), torch.inference_mode():
            plan.picture.copy_(plan.pinned_picture, non_blocking=True)
            if plan.graph is not None and plan.answer is not None:
                plan.graph.replay()
                answer = plan.answer
            else:
                answer = self._forward(plan)
            plan.pinned_answer.copy_(answer, non_blocking=True)
            self._done.record()
            self._done.synchronize()
        return np.array(plan.pinned_answer.numpy(), np.float32)

    def _cast(self, dtype: torch.dtype) -> None:
        assert self._person is not None
        self._dtype = dtype
        self.precision = _PRECISIONS[dtype]
        for part in (self._person.backbone, self._person.classifier):
            part.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _failed(self, size: Size | None, exc: RuntimeError) -> ModelError:
        """The error to raise; frees what the failed call held, which its traceback would keep alive."""
        at = f" at {size}" if size is not None else ""
        if _short_of_memory(exc):
            for item in _chain(exc):
                item.__traceback__ = None  # clearing its frames would not do: closures of torch's modules hold more
            self._sum = None
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


def _pinned(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, pin_memory=True)


@contextlib.contextmanager
def _benchmarking() -> Iterator[None]:
    """A switch of the whole process, put back afterwards; other threads' new shapes are benchmarked meanwhile, too."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


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
