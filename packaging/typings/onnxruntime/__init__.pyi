"""What vbgcam uses of onnxruntime, which ships no types."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
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
    def add_session_config_entry(self, key: str, value: str) -> None: ...

class RunOptions:
    terminate: bool

class InferenceSession:
    def __init__(
        self, path: str, sess_options: SessionOptions, providers: Sequence[str], *, enable_fallback: int = 1
    ) -> None: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def get_providers(self) -> list[str]: ...
    def run(
        self, names: Sequence[str], feeds: Mapping[str, NDArray[Any]], run_options: RunOptions | None = None
    ) -> list[np.ndarray[Any, Any]]: ...

def get_available_providers() -> list[str]: ...
def set_default_logger_severity(severity: int) -> None: ...
