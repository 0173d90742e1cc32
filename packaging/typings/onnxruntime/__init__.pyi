"""What vbgcam uses of onnxruntime, which ships no types."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

__version__: str

class NodeArg:
    name: str
    type: str
    shape: list[int | str | None]

class SessionOptions:
    log_severity_level: int
    intra_op_num_threads: int
    inter_op_num_threads: int

class OrtValue:
    def numpy(self) -> NDArray[Any]: ...

class IOBinding:
    def bind_cpu_input(self, name: str, value: NDArray[Any]) -> None: ...
    def bind_ortvalue_input(self, name: str, value: OrtValue) -> None: ...
    def bind_output(self, name: str, device_type: str, device_id: int) -> None: ...
    def get_outputs(self) -> list[OrtValue]: ...

class InferenceSession:
    def __init__(
        self,
        path: str,
        sess_options: SessionOptions,
        providers: Sequence[str | tuple[str, dict[str, str]]],
        *,
        enable_fallback: int = 1,
    ) -> None: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def get_providers(self) -> list[str]: ...
    def io_binding(self) -> IOBinding: ...
    def run_with_iobinding(self, binding: IOBinding) -> None: ...

def get_available_providers() -> list[str]: ...
def set_default_logger_severity(severity: int) -> None: ...
