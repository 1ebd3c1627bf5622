"""`GET /v2/query_runs`: the caller's runs, newest first; an addition of ours (contract C6, H13)."""

from __future__ import annotations

import re
from dataclasses import replace

from starlette.responses import Response

from queryrun.errors import InvalidRequest, Problem
from queryrun.http.context import AppContext
from queryrun.http.links import links_of
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.v2.cursor import BadCursorError, read_cursor, write_cursor
from queryrun.http.v2.extras import run_details
from queryrun.http.v2.filters import parse_filters
from queryrun.http.v2.list_conditions import narrow
from queryrun.http.v2.render import run_object
from queryrun.http.v2.view import parse_view
from queryrun.runs.read import read_many
from queryrun.runs.store import RunPage, RunQuery

DEFAULT_PAGE_SIZE = 30
"""Runs per page (contract C5)."""

SORT = re.compile(r"created_time\.(asc|desc)", re.IGNORECASE)

EMPTY_PAGE = RunPage((), None)


async def list_query_runs(app: AppContext, request: ApiRequest) -> Response:
    """One page, and the cursor of the next."""
    problems: list[Problem] = []
    view = parse_view(request, problems, app.settings, check_filter=False)
    clauses = parse_filters(request.query_values("filter[]"), problems)
    oldest_first = _oldest_first(request.query_values("sort[]"), problems)
    limit = view.page_size or DEFAULT_PAGE_SIZE
    principal = request.principal
    everything = RunQuery(principal.tenant_id, limit=limit, oldest_first=oldest_first)
    narrowed = narrow(everything, clauses, principal, app.runs.sources, problems)
    query = _after_cursor(narrowed.query, request, app.link_secret, problems)
    if problems:
        raise InvalidRequest(*problems)
    page = EMPTY_PAGE if narrowed.is_empty else await read_many(app.runs, principal, query)
    after = page.next_after
    next_page = None if after is None else write_cursor(query, after, app.link_secret)
    links = links_of(app)
    details = [await run_details(app.runs, run, view, links) for run in page.runs]
    data = [run_object(one, view) for one in details]
    return JsonResponse({"next_page": next_page, "data": data})


def _after_cursor(
    query: RunQuery, request: ApiRequest, secret: bytes, problems: list[Problem]
) -> RunQuery:
    """The query continued at the request's cursor, which is bound to the query's conditions."""
    cursors = request.query_values("cursor")
    if not cursors:
        return query
    try:
        return replace(query, after=read_cursor(query, cursors[-1], secret))
    except BadCursorError:
        message = "'cursor' must be the next_page of a list with the same filters and order"
        problems.append(Problem("invalid_parameter", "cursor", message))
        return query


def _oldest_first(values: list[str], problems: list[Problem]) -> bool:
    found = [SORT.fullmatch(value.strip()) for value in values]
    if len(found) > 1 or None in found:
        message = "'sort[]' takes one of created_time.asc and created_time.desc"
        problems.append(Problem("invalid_parameter", "sort[]", message))
        return False
    return bool(found) and found[0] is not None and found[0][1].lower() == "asc"
