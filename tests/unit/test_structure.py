"""The structure that no linter holds: modules do not import each other in circles."""

from __future__ import annotations

import grimp
import pytest

PACKAGES = ("queryrun", "queryrun_client", "queryrun_cli")


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Groups of modules that import each other, however many stand between (Tarjan's components).

    Imports for types alone and imports inside functions count: a reader follows them too.
    """
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if imported not in order:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], order[imported])
        if lowest[module] == order[module]:
            component = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(component) > 1:
                found.append(component)

    for module in sorted(graph.modules):
        if module not in order:
            visit(module)
    return found


def test_a_cycle_of_any_length_is_found() -> None:
    graph = grimp.ImportGraph()
    for module in ("a", "b", "c", "d"):
        graph.add_module(module)
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert circles(graph) == [["a", "b", "c"]]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    assert circles(grimp.build_graph(package)) == []
