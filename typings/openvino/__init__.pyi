from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino import passes as passes

class Type:
    u8: Type

class PartialShape:
    def __init__(self, dimensions: Sequence[int]) -> None: ...

class Model:
    def clone(self) -> Model: ...
    def reshape(self, shape: Sequence[int]) -> None: ...

class Tensor:
    @property
    def data(self) -> NDArray[Any]: ...

class InferRequest:
    def infer(self, inputs: Mapping[int, NDArray[np.uint8]], *, share_inputs: bool = ...) -> object: ...
    def get_output_tensor(self, index: int) -> Tensor: ...

class CompiledModel:
    def create_infer_request(self) -> InferRequest: ...

class Core:
    def get_property(self, device: str, name: str) -> Any: ...
    def read_model(self, model: Path, weights: Path) -> Model: ...
    def compile_model(self, model: Model, device: str, config: Mapping[str, Any]) -> CompiledModel: ...

def convert_model(
    model: object,
    *,
    input: Sequence[tuple[PartialShape, Type]],  # noqa: A002  # its name for it
) -> Model: ...
def get_version() -> str: ...
