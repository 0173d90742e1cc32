"""No two modules know each other, not by way of others, a late import or TYPE_CHECKING either."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def order(graph: grimp.ImportGraph) -> list[str]:
    """The modules, each after all that it imports. Raises CycleError where there is no such order."""
    return list(
        TopologicalSorter(
            {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
        ).static_order()
    )


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("vbgcam", exclude_type_checking_imports=False, cache_dir=None)


def test_there_are_no_circles(graph: grimp.ImportGraph) -> None:
    assert set(order(graph)) == graph.modules


def test_a_circle_is_found(graph: grimp.ImportGraph) -> None:
    graph.add_import(importer="vbgcam.segment.base", imported="vbgcam.segment.factory")
    with pytest.raises(CycleError):
        order(graph)
