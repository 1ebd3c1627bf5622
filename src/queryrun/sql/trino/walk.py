"""One walk over a parsed statement, for whoever looks for something anywhere in it."""

from __future__ import annotations

from collections.abc import Iterator


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
