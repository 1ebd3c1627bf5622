"""One walk over a parsed statement, for whoever looks for something anywhere in it."""

from __future__ import annotations

from collections.abc import Iterator

from queryrun.sql.trino.records import ast


def records(node: object) -> Iterator[object]:
    """Every record below a node, and the node, without recursion. In no promised order."""
    pending = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, list | tuple):
            pending.extend(item)
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif (slots := getattr(item, "__slots__", None)) is not None:
            yield item
            pending.extend(getattr(item, slot) for slot in slots)


def tables_named(node: object, key: str) -> list[ast.Table]:
    """The tables of this bare name below a node, in the order of the statement."""
    tables = (item for item in records(node) if isinstance(item, ast.Table))
    named = (table for table in tables if [part.key for part in table.parts] == [key])
    return sorted(named, key=lambda table: table.at)
