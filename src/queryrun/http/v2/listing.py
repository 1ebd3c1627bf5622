"""`GET /v2/query_runs`: the caller's runs, newest first; an addition of ours (contract C6, H13).

The store answers conditions that its indexes help with: state, source, creation time, creator,
tags. Everything else is refused, rather than read and thrown away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec

from queryrun.errors import InvalidRequest, Problem
from queryrun.http.context import AppContext
from queryrun.http.links import links_of
from queryrun.http.request import ApiRequest, Response
from queryrun.http.v2.cursor import BadCursorError, read_cursor, write_cursor
from queryrun.http.v2.extras import gather_extras
from queryrun.http.v2.filters import BadClauseError, Clause, Operator, parse_filters
from queryrun.http.v2.render import Shown, run_object
from queryrun.http.v2.view import View, parse_view
from queryrun.runs.read import read_many
from queryrun.runs.state import RunState
from queryrun.runs.store import RunPage, RunQuery

DEFAULT_PAGE_SIZE = 30
"""Runs per page (contract C5)."""

STEP = timedelta(milliseconds=1)
"""The store's resolution of times: what turns `GT` into a start and `LE` into an end."""

SPELLINGS = {"cancelled": "canceled", "completed": "complete", "submitted": "pending"}
"""The other face's words are taken too (contract B2)."""

TAG = re.compile(r"tags?\[([A-Za-z_][A-Za-z0-9_.-]*)\]")
SORT = re.compile(r"created_time\.(asc|desc)", re.IGNORECASE)

NOTHING = RunPage((), None)
FAR_PAST = datetime(1970, 1, 1, tzinfo=UTC)
FAR_FUTURE = datetime(9000, 1, 1, tzinfo=UTC)
"""No run was created outside; inside, times can be added to without running off the calendar."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The query so far; `nothing` once two conditions exclude each other."""

    query: RunQuery
    nothing: bool = False


async def list_query_runs(app: AppContext, request: ApiRequest) -> Response:
    """One page, and the cursor of the next."""
    problems: list[Problem] = []
    view = parse_view(request, problems, strict=app.settings.strict_fields, check_filter=False)
    clauses = parse_filters(request.values("filter[]"), problems)
    start = RunQuery(
        request.who.tenant_id,
        limit=view.page_size or DEFAULT_PAGE_SIZE,
        oldest_first=_oldest_first(request.values("sort[]"), problems),
    )
    wanted = _narrowed(app, request, Wanted(start), clauses, problems)
    query = _continued(app, request, wanted.query, problems)
    if problems:
        raise InvalidRequest(*problems)
    page = NOTHING if wanted.nothing else await read_many(app.runs, request.who, query)
    return await _shown(app, page, query, view)


async def _shown(app: AppContext, page: RunPage, query: RunQuery, view: View) -> Response:
    links = links_of(app)
    data = []
    for run in page.runs:
        extras = await gather_extras(app.runs, run, view)
        data.append(run_object(Shown(run, links, extras, view.wants("file")), view))
    after = page.next_after
    next_page = None if after is None else write_cursor(query, after, app.link_secret)
    return Response(200, msgspec.json.encode({"next_page": next_page, "data": data}))


def _continued(
    app: AppContext, request: ApiRequest, query: RunQuery, problems: list[Problem]
) -> RunQuery:
    cursors = request.values("cursor")
    if not cursors:
        return query
    try:
        return replace(query, after=read_cursor(query, cursors[-1], app.link_secret))
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


# --- conditions -----------------------------------------------------------------------------


def _narrowed(
    app: AppContext,
    request: ApiRequest,
    wanted: Wanted,
    clauses: Iterable[Clause],
    problems: list[Problem],
) -> Wanted:
    """The query held inside every clause; a clause that cannot be asked is a problem."""
    for clause in clauses:
        try:
            wanted = _one(app, request, wanted, clause)
        except BadClauseError as error:
            message = f"'filter[]' on {clause.field[:64]!r}: {error}"
            problems.append(Problem("invalid_parameter", "filter[]", message))
    return wanted


def _one(app: AppContext, request: ApiRequest, wanted: Wanted, clause: Clause) -> Wanted:
    if clause.field == "state":
        return _states(wanted, clause)
    if clause.field == "source":
        return _sources(wanted, clause, app.runs.sources)
    if clause.field == "created_time":
        return _times(wanted, clause)
    if clause.field == "created_by_id":
        return _creator(wanted, clause, request)
    if (tag := TAG.fullmatch(clause.field)) is not None:
        return _tag(wanted, clause, tag[1])
    raise BadClauseError("can be state, source, created_time, created_by_id or tags[name]")


def _states(wanted: Wanted, clause: Clause) -> Wanted:
    """All operators on text work: the states are few, so each is simply tried."""
    values = tuple(SPELLINGS.get(str(value), value) for value in clause.values)
    tried = replace(clause, values=values)
    fitting = frozenset(state for state in RunState if tried.holds(state.shown.value))
    left = fitting & wanted.query.states if wanted.query.states else fitting
    return Wanted(replace(wanted.query, states=left), wanted.nothing or not left)


def _sources(wanted: Wanted, clause: Clause, known: Iterable[str]) -> Wanted:
    """Like states: the sources of this service are few."""
    fitting = frozenset(source for source in known if clause.holds(source))
    left = fitting & wanted.query.sources if wanted.query.sources else fitting
    return Wanted(replace(wanted.query, sources=left), wanted.nothing or not left)


def _times(wanted: Wanted, clause: Clause) -> Wanted:
    """A half-open span of creation times, narrowed."""
    time = clause.value
    if clause.operator not in TIME_SPANS or not isinstance(time, datetime):
        raise BadClauseError("takes EQ, LT, GT, LE and GE with a time")
    start, end = TIME_SPANS[clause.operator](min(max(time, FAR_PAST), FAR_FUTURE))
    query = wanted.query
    starts = [at for at in (query.created_from, start) if at is not None]
    ends = [at for at in (query.created_before, end) if at is not None]
    narrowed = replace(
        query,
        created_from=max(starts) if starts else None,
        created_before=min(ends) if ends else None,
    )
    return Wanted(narrowed, wanted.nothing or bool(starts and ends and max(starts) >= min(ends)))


Span = tuple[datetime | None, datetime | None]


def _whole(time: datetime) -> datetime:
    """Rounded up to the store's resolution."""
    over = timedelta(microseconds=time.microsecond % 1000)
    return time if not over else time - over + STEP


def _next(time: datetime) -> datetime:
    """The first instant of the store's resolution that is later."""
    return time - timedelta(microseconds=time.microsecond % 1000) + STEP


TIME_SPANS: dict[Operator, Callable[[datetime], Span]] = {
    Operator.EQ: lambda time: (_whole(time), _next(time)),
    Operator.GE: lambda time: (_whole(time), None),
    Operator.GT: lambda time: (_next(time), None),
    Operator.LE: lambda time: (None, _next(time)),
    Operator.LT: lambda time: (None, _whole(time)),
}


def _creator(wanted: Wanted, clause: Clause, request: ApiRequest) -> Wanted:
    """One creator. Whoever is no admin sees only their own, so any other is nobody."""
    if clause.operator is not Operator.EQ or clause.value is None:
        raise BadClauseError("takes EQ with a client id")
    creator = str(clause.value)
    hidden = not request.who.is_admin and creator != request.who.client_id
    other = wanted.query.client_id not in (None, creator)
    query = replace(wanted.query, client_id=creator)
    return Wanted(query, wanted.nothing or hidden or other)


def _tag(wanted: Wanted, clause: Clause, name: str) -> Wanted:
    if clause.operator is not Operator.EQ or clause.value is None:
        raise BadClauseError("takes EQ with a text")
    tags = tuple(sorted({*wanted.query.tags, (name, str(clause.value))}))
    contradiction = len(dict(tags)) < len(tags)
    return Wanted(replace(wanted.query, tags=tags), wanted.nothing or contradiction)
