"""OpenVINO: the fastest on CPUs (`vbgcam bench` measures it), and the way to Intel's GPUs and NPUs.

A network is compiled for each shape of its inputs, with what stays the same folded in. On a CPU its numbers are
float32, or bf16 where the chip multiplies that (AMX and AVX-512) and the network's masks bear it: torchvision's do, but
for their first part. An ONNX file's may not: bf16 moves the selfie network's probability by .0076 in the mean
(room_static), Meet's by .0014, a DeepLab's by .0064, for a sixth to a third of the time. A GPU or an NPU takes fp16.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import openvino
from openvino import opset13
from openvino.frontend import FrontEndManager

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Size
from vbgcam.segment.base import Probability
from vbgcam.segment.engines.base import Array, Held, Tensor, translated

_SHAPES: Final = 6
"""Compiled shapes that are kept: whole frames and parts of them, in the size in use and in the one tried, and each of a
recurrent network's with its first state."""

_LAST: Final = slice(-160, None)
"""Of what OpenVINO says, before which stand its places in C++."""

_IN_WORDS: Final = {"CPU": "the CPU", "GPU": "the GPU", "NPU": "the NPU"}

Split = Callable[[openvino.Model], tuple[openvino.Model, openvino.Model] | None]
"""A network as the part that needs float32 and the rest, None where it cannot be cut."""


@dataclass(slots=True)
class _Compiled:
    """For one shape of the inputs. `inputs`: their names in order; `chain`: its parts, one after the other."""

    inputs: list[str]
    chain: tuple[openvino.InferRequest, ...]
    lock: threading.Lock = field(default_factory=threading.Lock)


class OpenVinoGraph:
    """See `vbgcam.segment.engines.base.Graph`."""

    def __init__(self, model: openvino.Model, where: str, threads: int, *, split: Split | None = None) -> None:
        """`where`: the device as OpenVINO names it. `split`: of a network of one input and one output that takes bf16
        for its second part."""
        self._model, self._where, self._split = model, where, split
        self._core = openvino.Core()
        self._on_cpu = where == "CPU"
        self.device = where.lower().replace(".", ":")
        self.inputs = {port.get_node().get_friendly_name(): _tensor(port) for port in model.inputs}
        self.outputs: dict[str, Tensor] = {}
        self._places: dict[str, int] = {}
        for place, port in enumerate(model.outputs):
            for name in port.get_names() or {port.get_node().get_friendly_name()}:
                self.outputs[name], self._places[name] = _tensor(port), place
        self._settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if self._on_cpu:
            self._settings |= {
                "NUM_STREAMS": 1,
                "INFERENCE_NUM_THREADS": threads,
                # Pinned threads would keep capture and output waiting for the one core that they sit on.
                "ENABLE_CPU_PINNING": False,
            }
        self._lock = threading.Lock()  # guards _ready; held for no compilation
        self._compiling = threading.Lock()
        self._ready: OrderedDict[object, _Compiled] = OrderedDict()

    @property
    def precision(self) -> str:
        """See `Graph`."""
        if not self._on_cpu:
            return "fp16"
        return (
            "bf16"
            if self._split is not None and "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            else "fp32"
        )

    def run(
        self,
        feeds: Mapping[str, Array],
        output: str,
        *,
        constants: Mapping[str, Array] | None = None,
        state: Mapping[str, Held] | None = None,
        kept: Mapping[str, str] | None = None,
    ) -> tuple[Array, dict[str, Held]]:
        """See `Graph`. A state is written by the one run where the next one reads it."""
        given = {name: openvino.Tensor(value, shared_memory=True) for name, value in feeds.items()}
        given |= {
            name: held if isinstance(held, openvino.Tensor) else openvino.Tensor(held)
            for name, held in (state or {}).items()
        }
        shapes = {name: tuple(tensor.shape) for name, tensor in given.items()}
        compiled = self._compiled(shapes, constants or {})
        with compiled.lock, translated(_IN_WORDS.get(self._where.partition(".")[0], self.device), part=_LAST):
            first, last = compiled.chain[0], compiled.chain[-1]
            for place, name in enumerate(compiled.inputs):
                first.set_input_tensor(place, given[name])
            held = self._receivers(last, kept or {})
            first.infer()
            if last is not first:
                last.set_input_tensor(0, first.get_output_tensor(0))
                last.infer()
            answer = last.get_output_tensor(self._places[output]).data
            return answer, {name: last.get_output_tensor(place) for name, place in held.items()}

    def prepare(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Compiles for inputs of these shapes. Raises ModelError, OutOfMemory."""
        self._compiled(shapes, {})

    def close(self) -> None:
        """See `Graph`."""
        with self._lock:
            self._ready.clear()

    def _receivers(self, request: openvino.InferRequest, kept: Mapping[str, str]) -> dict[str, int]:
        """Gives each output that is kept memory of its own, which the next run leaves alone."""
        places = {name: self._places[output] for name, output in kept.items()}
        for place in set(places.values()):
            port = request.model_outputs[place]
            if port.partial_shape.is_static:
                request.set_output_tensor(place, openvino.Tensor(port.element_type, port.shape))
        return places

    def _compiled(self, shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, Array]) -> _Compiled:
        key = tuple(shapes.items()), tuple((name, value.tobytes()) for name, value in constants.items())
        with self._lock:
            compiled = self._ready.get(key)
            if compiled is not None:
                self._ready.move_to_end(key)
                return compiled
        with self._compiling:
            with self._lock:
                compiled = self._ready.get(key)
            if compiled is None:
                with translated(self.device, part=_LAST):
                    compiled = self._compile(shapes, constants)
                with self._lock:
                    self._ready[key] = compiled
                    while len(self._ready) > _SHAPES:
                        self._ready.popitem(last=False)
            return compiled

    def _compile(self, shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, Array]) -> _Compiled:
        model = self._model.clone()
        for parameter in model.get_parameters():
            name = parameter.get_friendly_name()
            if name in constants:
                parameter.output(0).replace(opset13.constant(constants[name]).output(0))
                model.remove_parameter(parameter)
        names = [parameter.get_friendly_name() for parameter in model.get_parameters()]
        model.reshape({place: openvino.PartialShape(list(shapes[name])) for place, name in enumerate(names)})
        hints = [(model, "bf16" if self.precision == "bf16" else "f32")]
        if self.precision == "bf16" and self._split is not None and (parts := self._split(model)) is not None:
            hints = [(parts[0], "f32"), (parts[1], "bf16")]
        chain = []
        for part, hint in hints:
            settings = {**self._settings, "INFERENCE_PRECISION_HINT": hint} if self._on_cpu else self._settings
            chain.append(self._core.compile_model(part, self._where, settings).create_infer_request())
        return _Compiled(names, tuple(chain))


class OpenVinoEngine:
    """A network of torchvision's, converted (`converted`). See `vbgcam.segment.engines.base.Engine`."""

    lost = False

    def __init__(
        self, model: openvino.Model, threads: int, *, hard: bool = False, where: str = "CPU", split: Split | None = None
    ) -> None:
        """`model`: uint8 (1, height, width, 3), both open, to log-odds (rows, columns); `hard`: to a label mask of the
        input's size (see `torchvision.Convertible`)."""
        self._graph = OpenVinoGraph(model, where, threads, split=split)
        self._input, self._output = next(iter(self._graph.inputs)), next(iter(self._graph.outputs))
        self._hard = hard

    @property
    def device(self) -> str:
        """See `Engine`."""
        return self._graph.device

    @property
    def precision(self) -> str:
        """See `Engine`."""
        return self._graph.precision

    def prepare(self, size: Size) -> None:
        """See `Engine`."""
        self._graph.prepare({self._input: (1, size.height, size.width, 3)})

    def run(self, rgb: U8) -> Probability:
        """See `Engine`."""
        answer, _ = self._graph.run({self._input: np.ascontiguousarray(rgb)[None]}, self._output)
        if self._hard:
            return np.array(answer, np.float32)
        odds = cv2.resize(answer, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        with np.errstate(over="ignore"):  # exp of a large number: infinite, and its probability 0
            return np.asarray(1 / (1 + np.exp(-odds)), np.float32)

    def close(self) -> None:
        """See `Engine`."""
        self._graph.close()


def read_onnx(path: Path) -> openvino.Model:
    """The network of an ONNX file; by the reader of that format alone, where OpenVINO would try six. Raises
    ModelError."""
    reader = FrontEndManager().load_by_framework("onnx")
    try:
        model: openvino.Model = reader.convert(reader.load(str(path)))
    except MemoryError:
        raise
    except Exception as exc:  # OpenVINO's readers have no common base of their errors
        lines = str(exc).strip().splitlines() or [type(exc).__name__]
        raise ModelError(f"{path} is no ONNX network that can be run: {lines[-1].strip()[:240]}") from exc
    if not model.inputs or not model.outputs:
        raise ModelError(f"{path} is no ONNX network that can be run: it has no input or no output")
    return model


def _tensor(port: Any) -> Tensor:
    shape = port.get_partial_shape()
    sides = tuple(side.get_length() if side.is_static else None for side in shape) if shape.rank.is_static else ()
    kind = port.get_element_type()
    try:
        return Tensor(sides, kind.to_dtype().name)
    except (TypeError, RuntimeError):  # bf16, strings, four bits
        return Tensor(sides, kind.get_type_name())
