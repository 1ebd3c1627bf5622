"""What a `RunQuery` asks for, in SQL that both databases understand.

A list reads the stretches of an index that its conditions name: a filter costs nothing for what it
leaves out. A list of runs with a tag reads the first of the tag's runs instead. Only when these do
not fill the page, and more have the tag, are the stretches read and the tag is tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from queryrun.db.times import to_ms
from queryrun.runs.store import RunQuery

TAGGED = 2000
"""Runs of a tag that a list reads."""

_HAS_TAG = (
    "EXISTS (SELECT 1 FROM run_tags h WHERE h.tenant_id = {tenant} AND h.name = {name}"
    " AND h.value = {value} AND h.created_ms = x.created_ms AND h.run_seq = {seq})"
)

Named = Callable[[str], str]
"""From the name of a value to the place that it is bound to: `:name` or `%(name)s`."""


@dataclass(frozen=True, slots=True)
class ListParts:
    """What is put into `list_by_stretches` or `list_by_tag`, and what is bound."""

    owner: str
    owner_of_x: str
    scope: str
    within: str
    listed: str
    order: str
    values: dict[str, object]

    def put_into(self, statement: str) -> str:
        """The statement with its parts. They are texts of this program; values are bound."""
        for name in ("owner", "owner_of_x", "scope", "within", "listed", "order"):
            statement = statement.replace(f"<{name}>", getattr(self, name))
        return statement


def list_parts(
    query: RunQuery, named: Named, is_one_of: Callable[[str, str], str], *, by_tag: bool
) -> ListParts:
    """The parts for a query. `is_one_of(column, name)`: the column is in the list of this name."""
    by_client = query.client_id is not None
    values: dict[str, object] = {
        "tenant_id": query.tenant_id,
        "client_id": query.client_id,
        "entity_id": query.entity_id,
        "states": sorted(query.states),
        "sources": sorted(query.sources),
    }
    for number, (name, value) in enumerate(query.tags):
        values |= {f"name{number}": name, f"value{number}": value}
    of_run, seq = ("r", "x.run_seq") if by_tag else ("s", "x.seq")
    listed = [is_one_of(f"{of_run}.state", "states")] if query.states else []
    if query.sources:
        listed.append(is_one_of(f"{of_run}.source", "sources"))
    within = _spans(query, named, seq, values)
    tags = _tags(query, named, seq, by_tag=by_tag)
    if by_tag:
        listed += tags
        listed += [f"r.client_id = {named('client_id')}"] if by_client else []
        listed += [f"r.entity_id = {named('entity_id')}"] if query.entity_id is not None else []
    else:
        within += tags
    columns = ("tenant_id", "client_id") if by_client else ("tenant_id",)
    return ListParts(
        " AND ".join(f"r.{column} = {named(column)}" for column in columns),
        " AND ".join(f"x.{column} = {named(column)}" for column in columns),
        "true" if query.entity_id is None else f"r.entity_id = {named('entity_id')}",
        " AND ".join(within) or "true",
        " AND ".join(listed) or "true",
        "ASC" if query.oldest_first else "DESC",
        values,
    )


def _spans(query: RunQuery, named: Named, seq: str, values: dict[str, object]) -> list[str]:
    """Times of creation, and what comes behind the last page."""
    found = []
    if query.created_from is not None:
        values["created_from"] = to_ms(query.created_from)
        found.append(f"x.created_ms >= {named('created_from')}")
    if query.created_before is not None:
        values["created_before"] = to_ms(query.created_before)
        found.append(f"x.created_ms < {named('created_before')}")
    if query.after is not None:
        values |= {"after_ms": query.after[0], "after_seq": query.after[1]}
        sign = ">" if query.oldest_first else "<"
        point = f"({named('after_ms')}, {named('after_seq')})"
        found.append(f"(x.created_ms, {seq}) {sign} {point}")
    return found


def _tags(query: RunQuery, named: Named, seq: str, *, by_tag: bool) -> list[str]:
    """The tags, but for the one whose runs are read."""
    return [
        _HAS_TAG.format(
            tenant=named("tenant_id"),
            name=named(f"name{number}"),
            value=named(f"value{number}"),
            seq=seq,
        )
        for number in range(1 if by_tag else 0, len(query.tags))
    ]
