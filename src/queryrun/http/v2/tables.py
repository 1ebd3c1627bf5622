"""`GET /v2/tables` and `GET /v2/tables/{name}`: what SHOW and DESCRIBE say, as JSON, without a run
(an addition of ours)."""

from __future__ import annotations

import msgspec

from queryrun.http.call import Answer, Call
from queryrun.http.parts import HttpParts
from queryrun.runs.tables import describe_table, list_tables
from queryrun.services.catalog.frames import TableShape

_encode = msgspec.json.Encoder().encode


async def get_tables(parts: HttpParts, call: Call) -> Answer:
    """Every table of a source that the caller's entity has, with its columns."""
    found = await list_tables(parts.desk, parts.tables, call.who, _source(call))
    return Answer(200, _encode({"data": [_body(table) for table in found]}))


async def get_table(parts: HttpParts, call: Call) -> Answer:
    """One table; 404 when the entity has none of this name."""
    name = call.path_parameters["name"]
    found = await describe_table(parts.desk, parts.tables, call.who, _source(call), name)
    return Answer(200, _encode(_body(found)))


def _source(call: Call) -> str | None:
    return (call.values("source") or [""])[-1].strip() or None


def _body(table: TableShape) -> dict[str, object]:
    return {"name": table.name, "columns": table.columns}
