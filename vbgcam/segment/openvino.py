"""A torchvision network on the CPU: converted to OpenVINO once, kept on disk, compiled for each input size.

OpenVINO is the faster one on CPUs (`vbgcam bench` measures both), takes bf16 where the chip multiplies it (AMX and
AVX-512; see `split_for_bf16`), and needs no torch: with the converted network on disk, torch is not even imported.

What is kept lies in the user's cache folder, one network in two files whose names carry what they were made from (the
weights' SHA-256, OpenVINO's version, soft or hard, the form of `Person`), and a third with the SHA-256 of both: what is
damaged or half written is not loaded but made anew. When one is added, those go that were not used for longest.
"""

import contextlib
import hashlib
import json
import logging
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Size
from vbgcam.media.atomic import whole
from vbgcam.segment.base import Probability
from vbgcam.segment.download import file_sha256
from vbgcam.segment.engine import translated

log = logging.getLogger(__name__)

_FORM: Final = 3
"""Of what `Person` computes; counted up when that changes."""

_SIZES: Final = 4
"""Compiled inputs that are kept: whole frames and square parts of them, in the size in use and in the one tried."""

_KEPT: Final = 6
"""Converted networks that are kept on disk; the largest, DeepLab's with a ResNet-101, has 240 MB."""

_ENDS: Final = (".xml", ".bin", ".json")

_EXACT: Final = 0.25
"""Of the convolutions, the first: in fp32."""

_LAST: Final = slice(-160, None)
"""Of what OpenVINO says, before which stand its places in C++."""

_Chain = tuple[openvino.InferRequest, ...]
"""The parts of a network, one after the other."""


class OpenVinoEngine:
    """See `vbgcam.segment.engine.Engine`."""

    device = "cpu"
    lost = False

    def __init__(self, model: openvino.Model, threads: int, *, hard: bool = False) -> None:
        """`model`: uint8 (1, height, width, 3), both open, to log-odds (rows, columns); `hard`: to a label mask of the
        input's size (see `Convertible`)."""
        self._model = model
        self._hard = hard
        self._core = openvino.Core()
        self.precision = "bf16" if "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"
        self._settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Pinned threads would keep capture and output waiting for the one core that they sit on.
            "ENABLE_CPU_PINNING": False,
        }
        self._lock = threading.Lock()  # guards _requests; held for no compilation
        self._compiling = threading.Lock()
        self._requests: OrderedDict[Size, _Chain] = OrderedDict()

    def prepare(self, size: Size) -> None:
        """Compiles for that input. See `Engine`."""
        self._chain(size)

    def run(self, rgb: U8) -> Probability:
        """See `Engine`."""
        size = Size(rgb.shape[1], rgb.shape[0])
        chain = self._ready(size) or self._chain(size)
        answer: NDArray[Any] = np.ascontiguousarray(rgb)[None]
        with translated("the CPU", size, _LAST):
            for request in chain:
                request.infer({0: answer}, share_inputs=True)
                answer = request.get_output_tensor(0).data
        if self._hard:
            return np.array(answer, np.float32)
        odds = cv2.resize(answer, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
        with np.errstate(over="ignore"):  # exp of a large number: infinite, and its probability 0
            return np.asarray(1 / (1 + np.exp(-odds)), np.float32)

    def _ready(self, size: Size) -> _Chain | None:
        with self._lock:
            chain = self._requests.get(size)
            if chain is not None:
                self._requests.move_to_end(size)
            return chain

    def _chain(self, size: Size) -> _Chain:
        with self._compiling:
            chain = self._ready(size)
            if chain is not None:
                return chain
            with translated("the CPU", size, _LAST):
                chain = self._compiled(size)
            with self._lock:
                self._requests[size] = chain
                while len(self._requests) > _SIZES:
                    self._requests.popitem(last=False)
            return chain

    def _compiled(self, size: Size) -> _Chain:
        model = self._model.clone()
        model.reshape([1, size.height, size.width, 3])
        parts = split_for_bf16(model) if self.precision == "bf16" else None
        own = "bf16" if self.precision == "bf16" else "f32"
        hints = ((model, own),) if parts is None else ((parts[0], "f32"), (parts[1], own))
        return tuple(
            self._core.compile_model(
                part, "CPU", {**self._settings, "INFERENCE_PRECISION_HINT": hint}
            ).create_infer_request()
            for part, hint in hints
        )

    def close(self) -> None:
        """Lets go of the compiled networks."""
        with self._lock:
            self._requests.clear()


def split_for_bf16(model: openvino.Model) -> tuple[openvino.Model, openvino.Model] | None:
    """The part of a network that is computed in fp32 where the chip takes bf16 for the rest, and the rest; None where
    it cannot be cut. `model`: of one input and one output, with a fixed shape; it stays as it is.

    bf16 keeps 8 bits. What the first layers round away grows through all that follow, and they are a small part of the
    work: with the first quarter of the convolutions in fp32, two fifths of the largest difference from fp32 are left
    for fcn_resnet101, a quarter for LRASPP (256x256, made weights), for 4 to 8 % of the time and a sixth of it. The cut
    is at the last place within that quarter where all that goes on is one tensor.

    Two networks and not one with marked layers: OpenVINO has such a mark, but its Python cannot set it, and where the
    border lies within what it fuses, it fails to compile."""
    place = _narrow(model)
    if place is None:
        return None
    # A copy for each: what the compiler does to nodes that both had would be done twice.
    first, rest = model.clone(), model.clone()
    head, cut = (_node(part, place).output(0) for part in (first, rest))
    between = opset13.parameter(cut.get_partial_shape(), cut.get_element_type())
    for reader in cut.get_target_inputs():
        reader.replace_source_output(between.output(0))
    return openvino.Model([head], first.get_parameters()), openvino.Model(rest.get_results(), [between])


def _node(model: openvino.Model, name: str) -> openvino.Node:
    return next(node for node in model.get_ordered_ops() if node.get_friendly_name() == name)


def _narrow(model: openvino.Model) -> str | None:
    """The name of the node whose output is all that the rest of the network needs."""
    nodes = model.get_ordered_ops()
    order = {node.get_friendly_name(): place for place, node in enumerate(nodes)}
    constant: set[str] = set()
    needed: dict[str, int] = {}
    convolutions = 0
    found: list[tuple[int, str]] = []
    for place, node in enumerate(nodes):
        name = node.get_friendly_name()
        sources = [node.input_value(index).get_node().get_friendly_name() for index in range(node.get_input_size())]
        if node.get_type_name() != "Parameter" and all(source in constant for source in sources):
            constant.add(name)
            continue
        convolutions += "Convolution" in node.get_type_name()
        readers = [order[reader.get_node().get_friendly_name()] for reader in node.output(0).get_target_inputs()]
        needed = {other: last for other, last in needed.items() if last > place}
        if readers:
            needed[name] = max(readers)
        if list(needed) == [name] and node.get_output_size() == 1 and convolutions:
            found.append((convolutions, name))
    return next((name for count, name in reversed(found) if count <= _EXACT * convolutions), None)


def load(
    weights: Path,
    hard: bool,
    folder: Path,
    convert: Callable[[], openvino.Model],
    elsewhere: Callable[[], object] = lambda: None,
) -> openvino.Model:
    """The network that was made from these weights before, or else what `convert` makes of them now, which is then kept
    in `folder`. `elsewhere` is called first: another process may fill the folder. A folder that cannot be written to
    costs time at each start and nothing else."""
    version = openvino.get_version().split("-")[0]
    key = f"{file_sha256(weights)} {version} {'hard' if hard else 'soft'} {_FORM}"
    stem = f"{weights.stem}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    network, numbers, sums = (folder / f"{stem}{end}" for end in _ENDS)
    kept = _kept(network, numbers, sums)
    if kept is None:
        elsewhere()
        kept = _kept(network, numbers, sums)
    if kept is not None:
        with contextlib.suppress(OSError):  # a folder that may only be read
            network.touch()
        return kept
    model = convert()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole(sums) as sums_part, whole(numbers) as numbers_part, whole(network) as network_part:
            openvino.serialize(model, str(network_part), str(numbers_part))  # type: ignore[attr-defined]  # its stubs lack it
            found = {"xml": file_sha256(network_part), "bin": file_sha256(numbers_part)}
            sums_part.write_text(json.dumps(found) + "\n")
        _tidy(folder)
    except (OSError, ModelError) as exc:
        log.info("the converted network cannot be kept in %s: %s", folder, exc)
    return model


def _tidy(folder: Path) -> None:
    """Lets go of all but the `_KEPT` networks that were used last. Other processes may do the same, or use one that
    goes: it stays whole in their memory, and is made anew at a later start."""
    with contextlib.suppress(OSError):  # gone meanwhile; Windows keeps the files of one in use
        for network in sorted(folder.glob("*.xml"), key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
            log.info("letting go of the converted network %s, the one not used for longest", network.stem)
            for end in _ENDS:
                network.with_suffix(end).unlink(missing_ok=True)


def _kept(network: Path, numbers: Path, sums: Path) -> openvino.Model | None:
    try:
        if json.loads(sums.read_text()) != {"xml": file_sha256(network), "bin": file_sha256(numbers)}:
            return None
        return openvino.Core().read_model(network, numbers)
    except (OSError, ValueError, ModelError, RuntimeError) as exc:
        log.debug("%s cannot be used: %s", network, exc)
        return None


def main() -> None:
    """`python -m vbgcam.segment.openvino NAME WEIGHTS soft|hard FOLDER`: one network, converted and kept in the folder
    by a process of its own. In the daemon's own process torch would stay: 1.4 GB more for the rest of its life, and a
    hundred camera frames lost while it is imported and holds the interpreter's lock."""
    from vbgcam.segment.torchvision import converted, person

    name, weights, kind, folder = sys.argv[1:]
    hard = kind == "hard"
    load(Path(weights), hard, Path(folder), lambda: converted(person(name, Path(weights), hard=hard)))


if __name__ == "__main__":
    main()
