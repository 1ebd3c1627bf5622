"""Conditions of `GET /v2/query_runs`: parsed `filter[]` clauses as a query of the store.

The store takes conditions that its indexes support: state, source, creation time, creator, tags.
Every other one is refused, because the store would have to read runs and discard them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from queryrun.auth.model import Principal
from queryrun.errors import Problem
from queryrun.http.times import FAR_FUTURE, FAR_PAST
from queryrun.http.v2.filters import BadClauseError, Clause, Operator
from queryrun.runs.state import RunState
from queryrun.runs.store import RunQuery

STEP = timedelta(milliseconds=1)
"""The store's resolution of times: what turns `GT` into a start and `LE` into an end."""

SPELLINGS = {"cancelled": "canceled", "completed": "complete", "submitted": "pending"}
"""v1's spellings are accepted too (contract B2)."""

TAG = re.compile(r"tags?\[([A-Za-z_][A-Za-z0-9_.-]*)\]")


@dataclass(frozen=True, slots=True)
class NarrowedQuery:
    """A query of the store. `is_empty`: two of its conditions exclude each other."""

    query: RunQuery
    is_empty: bool = False


def narrow(
    query: RunQuery,
    clauses: Iterable[Clause],
    principal: Principal,
    sources: Iterable[str],
    problems: list[Problem],
) -> NarrowedQuery:
    """The query with every clause applied. A clause that the store cannot apply is a problem."""
    narrowed = NarrowedQuery(query)
    for clause in clauses:
        try:
            narrowed = _narrow_by(clause, narrowed, principal, sources)
        except BadClauseError as error:
            message = f"'filter[]' on {clause.field[:64]!r}: {error}"
            problems.append(Problem("invalid_parameter", "filter[]", message))
    return narrowed


def _narrow_by(
    clause: Clause, narrowed: NarrowedQuery, principal: Principal, sources: Iterable[str]
) -> NarrowedQuery:
    """The fields here are those with an index; the message names them all."""
    if clause.field == "state":
        return _states(narrowed, clause)
    if clause.field == "source":
        return _sources(narrowed, clause, sources)
    if clause.field == "created_time":
        return _times(narrowed, clause)
    if clause.field == "created_by_id":
        return _creator(narrowed, clause, principal)
    if (tag := TAG.fullmatch(clause.field)) is not None:
        return _tag(narrowed, clause, tag[1])
    raise BadClauseError("can be state, source, created_time, created_by_id or tags[name]")


def _states(narrowed: NarrowedQuery, clause: Clause) -> NarrowedQuery:
    """All operators on text work: there are few states, so the condition is tested on each."""
    values = tuple(SPELLINGS.get(str(value), value) for value in clause.values)
    tried = replace(clause, values=values)
    fitting = frozenset(state for state in RunState if tried.holds(state.public.value))
    left = fitting & narrowed.query.states if narrowed.query.states else fitting
    return NarrowedQuery(replace(narrowed.query, states=left), narrowed.is_empty or not left)


def _sources(narrowed: NarrowedQuery, clause: Clause, known: Iterable[str]) -> NarrowedQuery:
    """Like states: a service has few sources."""
    fitting = frozenset(source for source in known if clause.holds(source))
    left = fitting & narrowed.query.sources if narrowed.query.sources else fitting
    return NarrowedQuery(replace(narrowed.query, sources=left), narrowed.is_empty or not left)


def _times(narrowed: NarrowedQuery, clause: Clause) -> NarrowedQuery:
    """A half-open span of creation times, narrowed."""
    time = clause.value
    if clause.operator not in TIME_SPANS or not isinstance(time, datetime):
        raise BadClauseError("takes EQ, LT, GT, LE and GE with a time")
    start, end = TIME_SPANS[clause.operator](min(max(time, FAR_PAST), FAR_FUTURE))
    query = narrowed.query
    starts = [at for at in (query.created_from, start) if at is not None]
    ends = [at for at in (query.created_before, end) if at is not None]
    within = replace(
        query,
        created_from=max(starts) if starts else None,
        created_before=min(ends) if ends else None,
    )
    return NarrowedQuery(
        within, narrowed.is_empty or bool(starts and ends and max(starts) >= min(ends))
    )


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


def _creator(narrowed: NarrowedQuery, clause: Clause, principal: Principal) -> NarrowedQuery:
    """One creator. Only an admin sees runs of other clients; for others the result is empty."""
    if clause.operator is not Operator.EQ or clause.value is None:
        raise BadClauseError("takes EQ with a client id")
    creator = str(clause.value)
    hidden = not principal.is_admin and creator != principal.client_id
    other = narrowed.query.client_id not in (None, creator)
    query = replace(narrowed.query, client_id=creator)
    return NarrowedQuery(query, narrowed.is_empty or hidden or other)


def _tag(narrowed: NarrowedQuery, clause: Clause, name: str) -> NarrowedQuery:
    if clause.operator is not Operator.EQ or clause.value is None:
        raise BadClauseError("takes EQ with a text")
    tags = tuple(sorted({*narrowed.query.tags, (name, str(clause.value))}))
    contradiction = len(dict(tags)) < len(tags)
    return NarrowedQuery(replace(narrowed.query, tags=tags), narrowed.is_empty or contradiction)
