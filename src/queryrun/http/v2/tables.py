"""`GET /v2/tables` and `GET /v2/tables/{name}`: the content of SHOW TABLES and DESCRIBE as JSON,
without a run (an addition of ours)."""

from __future__ import annotations

from starlette.responses import Response

from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.runs.tables import describe_table, list_tables
from queryrun.services.catalog.frames import TableShape


async def get_tables(app: AppContext, request: ApiRequest) -> Response:
    """Every table of a source that the caller's entity has, with its columns."""
    found = await list_tables(
        app.runs, app.tables, request.principal, request.query_value("source")
    )
    return JsonResponse({"data": [_body(table) for table in found]})


async def get_table(app: AppContext, request: ApiRequest) -> Response:
    """One table; 404 when the entity has none of this name."""
    name = request.path_params["name"]
    found = await describe_table(
        app.runs, app.tables, request.principal, request.query_value("source"), name
    )
    return JsonResponse(_body(found))


def _body(table: TableShape) -> dict[str, object]:
    facts = table.facts
    return {
        "name": table.name,
        "columns": table.columns,
        "problem": table.problem or None,
        "format": facts.format or None,
        "files": facts.files,
        "size_bytes": facts.size_bytes,
        "rows": facts.rows,
        "version": facts.version or None,
        "warnings": facts.warnings,
    }
