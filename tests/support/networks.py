"""Tiny ONNX networks whose answer is known, made by the tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT

FULL_CARD = """
name = "full"
about = "every key"
sha256 = ["00"]
inputs = ["src", "r1i", "ratio"]

[input]
name = "src"
short_side = 512
multiple_of = 32
layout = "NHWC"
color = "BGR"
mean = [0.5, 0.25, 0.125]
std = [1, 2, 3]

[output]
name = "pha"
channel = 1
layout = "NHWC"
activation = "sigmoid"

[state]
r1i = "r1o"
r2i = { output = "r2o", shape = [1, 16, 4, 4] }

[constants]
ratio = 0.5
sides = [1, 2]

[scales]
reduced = 512
"""
"""Every key that a card may have."""


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: dict[str, Sequence[int | str]],
    weights: dict[str, object] | None = None,
    *,
    kind: int = FLOAT,
) -> Path:
    """`weights`: what numpy can make an array of; integers become int64, the rest float32. `kind`: of the outputs."""
    arrays = {name: np.asarray(value) for name, value in (weights or {}).items()}
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, FLOAT, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, list(shape)) for name, shape in outputs.items()],
        [
            numpy_helper.from_array(array if array.dtype.kind == "i" else array.astype(np.float32), name)
            for name, array in arrays.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def left_half(path: Path, side: int = 16) -> Path:
    """NHWC, `side` x `side`: the person is the left half, whatever the picture shows. Its card lies beside it."""
    mask = np.zeros((1, side, side, 1), np.float32)
    mask[:, :, : side // 2] = 1
    return _always(path, mask)


def middle(path: Path, side: int = 20) -> Path:
    """Likewise, but the middle: also of a part of the picture, again and again, that is somebody."""
    mask = np.zeros((1, side, side, 1), np.float32)
    mask[:, side // 10 : -side // 10, side // 10 : -side // 10] = 1
    return _always(path, mask)


def _always(path: Path, mask: NDArray[np.float32]) -> Path:
    side = mask.shape[1]
    save(
        path,
        [
            helper.make_node("ReduceMean", ["image"], ["mean"], axes=[3], keepdims=1),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "mask"], ["person"]),
        ],
        {"image": (1, side, side, 3)},
        {"person": (1, side, side, 1)},
        {"zero": 0.0, "mask": mask},
    )
    path.with_name(path.name + ".toml").write_text(
        f'name = "{path.stem}"\n[input]\nlayout = "NHWC"\n[output]\nlayout = "NHWC"\n'
    )
    return path
