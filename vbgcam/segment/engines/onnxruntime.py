"""onnxruntime, for the GPUs that its providers reach: NVIDIA's (CUDA, TensorRT), AMD's (MIGraphX), Apple's (CoreML),
and any on Windows (DirectML). An extra: `pip install 'vbgcam[onnx-gpu]'`.

Its errors are plain `Exception`s of a compiled module, so they are caught by that name, around single calls of
onnxruntime alone.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from vbgcam.core.errors import ModelError
from vbgcam.segment.engines.base import Array, Held, Tensor

# Providers whose memory is a device's, as onnxruntime names that.
_MEMORY: Final = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "cuda"}
_CPU: Final = "CPUExecutionProvider"


class OnnxruntimeGraph:
    """See `vbgcam.segment.engines.base.Graph`."""

    precision = "fp32"

    def __init__(self, path: Path, provider: str, number: int, device: str) -> None:
        """`provider`: onnxruntime's name of it; `number`: of its devices. Raises ModelError."""
        self.device = device
        self._number = number
        onnxruntime.set_default_logger_severity(4)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        # What the provider has no kernel for runs on the CPU.
        options = {provider: {"device_id": str(number)} if provider in _MEMORY else {}, _CPU: {}}
        try:
            self._session = onnxruntime.InferenceSession(str(path), settings, providers=list(options.items()))
        except MemoryError:
            raise
        except Exception as exc:  # onnxruntime has no common base of its errors
            raise ModelError(f"{path} is no ONNX network that can be run: {_reason(exc)}") from exc
        if self._session.get_providers()[0] != provider:
            raise ModelError(f"{device} cannot be used here", fix="use `--set model.device=auto`")
        self._memory = _MEMORY.get(provider, "cpu")
        self.inputs, self.outputs = (
            {item.name: _tensor(item) for item in items}
            for items in (self._session.get_inputs(), self._session.get_outputs())
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
        """See `Graph`."""
        wanted = kept or {}
        try:
            binding = self._session.io_binding()
            for name, value in {**feeds, **(constants or {}), **(state or {})}.items():
                if isinstance(value, np.ndarray):
                    binding.bind_cpu_input(name, np.ascontiguousarray(value))
                else:
                    binding.bind_ortvalue_input(name, value)
            names = list(dict.fromkeys([output, *wanted.values()]))
            for name in names:
                stays = name != output and self._memory != "cpu"
                binding.bind_output(name, self._memory if stays else "cpu", self._number if stays else 0)
            self._session.run_with_iobinding(binding)
            values = dict(zip(names, binding.get_outputs(), strict=True))
            return values[output].numpy(), {name: values[of] for name, of in wanted.items()}
        except Exception as exc:  # see above
            raise ModelError(f"the network failed on {self.device}: {_reason(exc)}") from exc

    def close(self) -> None:
        """Its memory goes with the session."""
        del self._session


def _tensor(item: Any) -> Tensor:
    kind = item.type.removeprefix("tensor(").removesuffix(")")
    names = {"float": "float32", "double": "float64"}
    return Tensor(tuple(side if isinstance(side, int) else None for side in item.shape), names.get(kind, kind))


def _reason(exc: BaseException) -> str:
    """The first line of what onnxruntime says, without its places in C++ and the path that stands before it anyway."""
    line = (str(exc).strip() or type(exc).__name__).splitlines()[0]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed:\s*)?", "", line)[:240]
