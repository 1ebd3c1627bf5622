"""Check a statement before it is submitted: no run, no slot, nothing stored."""

from __future__ import annotations

from queryrun.auth.model import Principal
from queryrun.errors import InvalidRequest, Unavailable
from queryrun.runs.context import RequestContext
from queryrun.runs.tables import TableCatalog
from queryrun.services.catalog.frames import TableShape
from queryrun.sql.guard.validation import NamedType, TableColumns, Validation
from queryrun.sql.guard.verdict import within
from queryrun.sql.parameters import Parameter

MAX_TABLES = 500
"""With more tables a statement is only parsed: their columns would have to be sent every time."""


async def validate(
    context: RequestContext,
    catalog: TableCatalog,
    principal: Principal,
    sql: str,
    source: str | None,
    parameters: tuple[Parameter, ...] = (),
) -> Validation:
    """What is wrong with the statement, as far as that can be known without running it.

    In Trino's SQL the compiler checks names and types against the entity's tables on the embedded
    engine; on a remote engine, and while the tables cannot be listed, syntax alone. In an engine's
    own SQL only what a submit refuses. Raises `InvalidRequest` for an unknown source, and
    `Unavailable` when no process can check it.
    """
    name = source or context.default_source
    policy = context.sources.get(name)
    if policy is None:
        raise InvalidRequest.of("source", f"'source' must be one of {', '.join(context.sources)}")
    verdict = within(
        await context.guard.check(sql, policy.dialect, principal.entity_id, parameters),
        context.statements,
    )
    if not verdict.accepted:
        return Validation(verdict.message, verdict.line, verdict.column)
    if policy.dialect == "native":
        return Validation()
    tables = await _tables(catalog, principal, name) if policy.is_embedded else None
    return await context.guard.validate(sql, tables, principal.entity_id, parameters)


async def _tables(
    catalog: TableCatalog, principal: Principal, source: str
) -> tuple[TableColumns, ...] | None:
    try:
        shapes = await catalog.tables(source, principal.entity_id)
    except Unavailable:
        return None
    if len(shapes) > MAX_TABLES:
        return None
    return tuple(_columns(table) for table in shapes)


def _columns(table: TableShape) -> TableColumns:
    if table.columns is None:
        return TableColumns(table.name, None)
    return TableColumns(table.name, tuple(NamedType(one.name, one.type) for one in table.columns))
