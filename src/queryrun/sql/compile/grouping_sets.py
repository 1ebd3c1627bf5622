"""GROUP BY DISTINCT: the grouping sets that ROLLUP, CUBE and their products make, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations, product

from queryrun.sql.trino.records import ast


def distinct_sets(
    groups: Sequence[ast.Grouping], column: Callable[[ast.Expr], str]
) -> list[ast.Grouping]:
    """The same grouping as one list of sets, without those that come again.

    `column` says of a key what it has in common with another name for the same column.
    """
    if all(group.kind == "simple" for group in groups):
        return list(groups)
    found: dict[frozenset[str], list[ast.Expr]] = {}
    for parts in product(*(list(_sets(group)) for group in groups)):
        keys = {column(key): key for key in chain.from_iterable(parts)}
        found.setdefault(frozenset(keys), list(keys.values()))
    return [ast.Grouping("sets", list(found.values()), groups[0].at)]


def _sets(group: ast.Grouping) -> Iterator[list[ast.Expr]]:
    if group.kind == "rollup":
        for count in range(len(group.sets), -1, -1):
            yield list(chain.from_iterable(group.sets[:count]))
    elif group.kind == "cube":
        for count in range(len(group.sets), -1, -1):
            for chosen in combinations(group.sets, count):
                yield list(chain.from_iterable(chosen))
    else:
        yield from group.sets
