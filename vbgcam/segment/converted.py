"""A torchvision network for OpenVINO: converted once, and kept on disk, so that torch is not even imported after that.

What is kept lies in the user's cache folder, one network in two files whose names carry what they were made from (the
weights' SHA-256, OpenVINO's version, soft or hard, the form of `Person`), and a third with the SHA-256 of both: what is
damaged or half written is not loaded but made anew. When one is added, those go that were not used for longest.
"""

import contextlib
import hashlib
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import openvino
from openvino import opset13

from vbgcam.core.errors import ModelError
from vbgcam.media.atomic import whole
from vbgcam.segment.download import file_sha256

log = logging.getLogger(__name__)

_FORM: Final = 3
"""Of what `Person` computes; counted up when that changes."""

_KEPT: Final = 6
"""Converted networks that are kept on disk; the largest, DeepLab's with a ResNet-101, has 240 MB."""

_ENDS: Final = (".xml", ".bin", ".json")

_EXACT: Final = 0.25
"""Of the convolutions, the first: in fp32."""


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
    """`python -m vbgcam.segment.converted NAME WEIGHTS soft|hard FOLDER`: one network, converted and kept in the folder
    by a process of its own. In the daemon's own process torch would stay: 1.4 GB more for the rest of its life, and a
    hundred camera frames lost while it is imported and holds the interpreter's lock."""
    from vbgcam.segment.torchvision import converted, person

    name, weights, kind, folder = sys.argv[1:]
    hard = kind == "hard"
    load(Path(weights), hard, Path(folder), lambda: converted(person(name, Path(weights), hard=hard)))


if __name__ == "__main__":
    main()
