"""Which part of a converted network is computed in fp32 where the chip takes bf16 for the rest.

bf16 keeps 8 bits. What the first layers round away grows through all that follow, and they are a small part of the
work: with the first quarter of the convolutions in fp32, two fifths of the largest difference from fp32 are left for
fcn_resnet101, a quarter for LRASPP (256x256, made weights), for 4 to 8 % of the time and a sixth of it.
"""

from typing import Final

import openvino
from openvino import opset13

_EXACT: Final = 0.25
"""Of the convolutions, the first."""


def split_for_bf16(model: openvino.Model) -> tuple[openvino.Model, openvino.Model] | None:
    """The network up to the last place within its first quarter where all that goes on is one tensor, and from there;
    None where there is none. `model`: of one input and one output, with a fixed shape; it stays as it is.

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
