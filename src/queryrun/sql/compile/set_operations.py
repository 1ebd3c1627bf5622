"""UNION, INTERSECT and EXCEPT: which columns of their terms belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryrun.sql.compile.joined import numbered
from queryrun.sql.compile.scope import Output
from queryrun.sql.compile.typed import Typed
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast

if TYPE_CHECKING:
    from queryrun.sql.compile.compiler import Compiler


Term = tuple[str, list[Output]]
"""A query's SQL, and what it returns."""


def aligned(
    c: Compiler, node: ast.SetOperation, terms: list[Term]
) -> tuple[list[Term], list[Type]]:
    """The terms with as many columns each, and the types that their columns have in common."""
    if node.is_corresponding:
        terms = _corresponding(c, node, terms)
    count = len(terms[0][1])
    if any(len(outputs) != count for _, outputs in terms):
        c.mismatch(f"{node.op} query has different number of fields", node.at)
    kinds = []
    for column in zip(*(outputs for _, outputs in terms), strict=True):
        if {output.type.name for output in column} >= {"char", "varchar"}:
            c.refuse(f"{node.op} of a varchar and a char, whose length depends on both", node.at)
        values = [Typed("", output.type) for output in column]
        kinds.append(c.unified(values, node.at, node.op))
    return terms, kinds


def _corresponding(c: Compiler, node: ast.SetOperation, terms: list[Term]) -> list[Term]:
    """The terms with the columns alone that all have, in the order of the first."""
    keys = [[output.heading.lower() for output in outputs] for _, outputs in terms]
    if any("" in own for own in keys):
        c.mismatch(
            "Anonymous columns are not allowed in set operations with CORRESPONDING", node.at
        )
    if any(len(set(own)) < len(own) for own in keys):
        c.mismatch("Duplicate columns found when using CORRESPONDING in set operations", node.at)
    common = [key for key in keys[0] if all(key in own for own in keys)]
    if not common:
        c.mismatch("No corresponding columns", node.at)
    found = []
    for (sql, outputs), own in zip(terms, keys, strict=True):
        alias, chosen = c.fresh("r"), [own.index(key) for key in common]
        items = ", ".join(f"{alias}.c{n + 1} AS {c.quoted(outputs[n].heading)}" for n in chosen)
        query = f"SELECT {items} FROM ({sql}) AS {alias}({numbered(outputs)})"
        found.append((query, [outputs[n] for n in chosen]))
    return found
