"""Which tables there are: metadata without a run, a slot or a worker."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Protocol

from queryrun.auth.model import Principal
from queryrun.errors import InvalidRequest, NotFound
from queryrun.runs.context import RequestContext
from queryrun.services.catalog.frames import TableShape


class TableCatalog(Protocol):
    """Says which tables a source has for an entity, without stalling the event loop."""

    async def tables(self, source: str, entity_id: str) -> Sequence[TableShape]:
        """All tables, by name. Raises `Unavailable` when the source cannot say."""
        ...

    async def table(self, source: str, entity_id: str, name: str) -> TableShape | None:
        """One table; None when there is none of this name. Raises `Unavailable` likewise."""
        ...


async def list_tables(
    context: RequestContext, catalog: TableCatalog, principal: Principal, source: str | None
) -> Sequence[TableShape]:
    """The tables that the principal's statements see on a source; None is the default source.

    The answer may be up to a minute old. Raises `InvalidRequest` for an unknown source.
    """
    return await catalog.tables(_known(context, source), principal.entity_id)


async def describe_table(
    context: RequestContext,
    catalog: TableCatalog,
    principal: Principal,
    source: str | None,
    name: str,
) -> TableShape:
    """One of these tables. Raises `NotFound`, with the name that may have been meant."""
    known = _known(context, source)
    found = await catalog.table(known, principal.entity_id, name)
    if found is not None:
        return found
    names = [table.name for table in await catalog.tables(known, principal.entity_id)]
    close = difflib.get_close_matches(name.lower(), names, n=1)
    guess = f"; did you mean '{close[0]}'?" if close else ""
    raise NotFound("name", f"Table '{name[:128]}' could not be found{guess}")


def _known(context: RequestContext, source: str | None) -> str:
    name = source or context.default_source
    if name not in context.sources:
        raise InvalidRequest.of("source", f"'source' must be one of {', '.join(context.sources)}")
    return name
