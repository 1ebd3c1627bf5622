"""List and describe tables, without a run, a slot or a worker."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Protocol

from msgspec import structs

from queryrun.auth.model import Principal
from queryrun.engines.base import TableFacts
from queryrun.errors import InvalidRequest, NotFound
from queryrun.runs.context import RequestContext
from queryrun.services.catalog.frames import TableShape


class TableCatalog(Protocol):
    """Reads the tables that a source has for an entity, without stalling the event loop."""

    async def tables(self, source: str, entity_id: str) -> Sequence[TableShape]:
        """All tables, by name. Raises `Unavailable` when the source does not respond."""
        ...

    async def table(self, source: str, entity_id: str, name: str) -> TableShape | None:
        """One table; None when there is none of this name. Raises `Unavailable` likewise."""
        ...


async def list_tables(
    context: RequestContext, catalog: TableCatalog, principal: Principal, source: str | None
) -> Sequence[TableShape]:
    """The tables that the principal's statements see on a source; None is the default source.

    The list may be up to a minute old. Raises `InvalidRequest` for an unknown source.
    """
    source_name = _source_name(context, source)
    found = await catalog.tables(source_name, principal.entity_id)
    return [_as_seen(context, source_name, principal, table) for table in found]


async def describe_table(
    context: RequestContext,
    catalog: TableCatalog,
    principal: Principal,
    source: str | None,
    name: str,
) -> TableShape:
    """One of these tables. Raises `NotFound`, which suggests a similar name if there is one."""
    source_name = _source_name(context, source)
    found = await catalog.table(source_name, principal.entity_id, name)
    if found is not None:
        return _as_seen(context, source_name, principal, found)
    names = [table.name for table in await catalog.tables(source_name, principal.entity_id)]
    close = difflib.get_close_matches(name.lower(), names, n=1)
    suggestion = f"; did you mean '{close[0]}'?" if close else ""
    raise NotFound("name", f"Table '{name[:128]}' could not be found{suggestion}")


def _as_seen(
    context: RequestContext, source: str, principal: Principal, table: TableShape
) -> TableShape:
    """A client of orgs is told nothing that hidden rows have a part in: neither how many there are
    and how large, nor when they change, nor what is wrong with one."""
    org_column = context.sources[source].org_column.lower()
    if not principal.org_ids or not org_column:
        return table
    columns = table.columns
    if columns is not None and org_column not in {one.name.lower() for one in columns}:
        return table
    facts = TableFacts(format=table.facts.format)
    return structs.replace(table, facts=facts, problem=_UNREADABLE if table.problem else "")


_UNREADABLE = "The table's data cannot be read; the operator can see why"


def _source_name(context: RequestContext, source: str | None) -> str:
    name = source or context.default_source
    if name not in context.sources:
        raise InvalidRequest.of("source", f"'source' must be one of {', '.join(context.sources)}")
    return name
