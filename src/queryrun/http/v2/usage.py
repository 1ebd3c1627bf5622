"""`GET /v2/usage`: what runs have used, summed by day, entity, client, source and tag."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from queryrun.errors import InvalidRequest, Problem
from queryrun.http.admin.bodies import id_filter
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.signed_cursor import BadCursorError, read_signed, write_signed
from queryrun.http.v2.records import USAGE_FIGURES, usage_object
from queryrun.http.v2.view import MAX_PAGE_SIZE
from queryrun.runs.model import AttemptOutcome
from queryrun.runs.read import read_usage
from queryrun.runs.usage import (
    ENDS_RUNS,
    UsageDimension,
    UsageKey,
    UsagePage,
    UsageQuery,
    UsageTotals,
)

DEFAULT_PAGE_SIZE = 30
MAX_DAYS = 400
"""Of one report; about what the ledger keeps by default."""
TAG_PREFIX = "tag:"
FORMATS = ("json", "csv")

_NAMES = {
    UsageDimension.DAY: "day",
    UsageDimension.ENTITY: "entity_id",
    UsageDimension.CLIENT: "client_id",
    UsageDimension.SOURCE: "source",
    UsageDimension.TAG: "tag",
}


async def get_usage(app: AppContext, request: ApiRequest) -> Response:
    """One page, as JSON or CSV, and the cursor of the next."""
    problems: list[Problem] = []
    query = _query(app, request, problems)
    is_csv = _format(request, problems) == "csv"
    if problems:
        raise InvalidRequest(*problems)
    page = await read_usage(app.runs, request.principal, query)
    next_page = None
    if page.next_after is not None:
        next_page = write_signed(_position(page.next_after), _listed(query), app.link_secret)
    if is_csv:
        return _csv_response(request, query, page, next_page)
    data = [{**_key_object(query, key), **_row_object(sums)} for key, sums in page.rows]
    first, last = query.first_day.isoformat(), query.last_day.isoformat()
    return JsonResponse(
        {"next_page": next_page, "first_day": first, "last_day": last, "data": data}
    )


# --- the request ----------------------------------------------------------------------------


def _query(app: AppContext, request: ApiRequest, problems: list[Problem]) -> UsageQuery:
    today = app.now().date()
    last = _day(request, "last_day", today, problems)
    first = _day(request, "first_day", last.replace(day=1), problems)
    if first > last or last - first >= timedelta(days=MAX_DAYS):
        message = f"'first_day' must be before 'last_day', and at most {MAX_DAYS} days"
        problems.append(Problem("invalid_parameter", "first_day", message))
    group_by, tag = _group_by(request.query_values("group_by[]"), problems)
    query = UsageQuery(
        request.principal.tenant_id,
        first,
        last,
        entity_id=id_filter(request, "entity_id"),
        client_id=id_filter(request, "client_id"),
        source=request.query_value("source"),
        group_by=group_by,
        tag=tag,
        limit=_page_size(request, problems),
    )
    if (cursor := next(iter(request.query_values("cursor")[-1:]), None)) is None:
        return query
    try:
        return replace(query, after=_key_at(read_signed(cursor, _listed(query), app.link_secret)))
    except BadCursorError:
        message = "'cursor' must be the next_page of a report with the same parameters"
        problems.append(Problem("invalid_parameter", "cursor", message))
        return query


def _day(request: ApiRequest, name: str, default: date, problems: list[Problem]) -> date:
    if not (values := request.query_values(name)):
        return default
    text = values[-1].strip()
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = f"'{name}' must be a day (UTC) such as 2026-11-01"
        problems.append(Problem("invalid_parameter", name, message))
        return default


def _group_by(
    values: Iterable[str], problems: list[Problem]
) -> tuple[frozenset[UsageDimension], str]:
    """The dimensions, and the name of the tag; there is room for one."""
    found, tags = set(), set()
    for name in (one.strip() for value in values for one in value.split(",")):
        if name.startswith(TAG_PREFIX) and name != TAG_PREFIX:
            found.add(UsageDimension.TAG)
            tags.add(name.removeprefix(TAG_PREFIX))
        elif name in _NAMES and name != UsageDimension.TAG:
            found.add(UsageDimension(name))
        elif name:
            message = "'group_by[]' takes day, entity, client, source and one tag:NAME"
            problems.append(Problem("invalid_parameter", "group_by[]", message))
            break
    if len(tags) > 1:
        message = "'group_by[]' takes one tag:NAME"
        problems.append(Problem("invalid_parameter", "group_by[]", message))
    return frozenset(found), next(iter(sorted(tags)), "")


def _page_size(request: ApiRequest, problems: list[Problem]) -> int:
    text = request.query_value("page_size")
    if text is None:
        return DEFAULT_PAGE_SIZE
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE_SIZE:
        return int(text)
    message = f"'page_size' must be a whole number from 1 to {MAX_PAGE_SIZE}"
    problems.append(Problem("invalid_parameter", "page_size", message))
    return DEFAULT_PAGE_SIZE


def _format(request: ApiRequest, problems: list[Problem]) -> str:
    name = request.query_value("format") or FORMATS[0]
    if name not in FORMATS:
        message = f"'format' must be {' or '.join(FORMATS)}"
        problems.append(Problem("invalid_parameter", "format", message))
    return name


# --- the cursor -----------------------------------------------------------------------------


def _listed(query: UsageQuery) -> str:
    """What a cursor belongs to: the report without its page."""
    same = replace(query, after=None, limit=0, group_by=frozenset())
    return f"usage {same!r} {sorted(query.group_by)}"


def _position(key: UsageKey) -> bytes:
    day = "" if key.day is None else key.day.isoformat()
    return msgspec.json.encode([day, key.entity_id, key.client_id, key.source, key.tag])


def _key_at(position: bytes) -> UsageKey:
    day, *names = msgspec.json.decode(position)
    return UsageKey(date.fromisoformat(day) if day else None, *names)


# --- the response ---------------------------------------------------------------------------


def _key_object(query: UsageQuery, key: UsageKey) -> dict[str, object]:
    """The dimensions that were asked for, in the order of `UsageDimension`."""
    values = {
        UsageDimension.DAY: key.day and key.day.isoformat(),
        UsageDimension.ENTITY: key.entity_id,
        UsageDimension.CLIENT: key.client_id,
        UsageDimension.SOURCE: key.source,
        UsageDimension.TAG: key.tag,
    }
    return {_NAMES[one]: values[one] for one in UsageDimension if one in query.group_by}


def _row_object(sums: UsageTotals) -> dict[str, object]:
    """The runs that ended, by how, and the figures."""
    runs = {outcome.value: sums.count(outcome) for outcome in ENDS_RUNS}
    return {"runs": runs, **usage_object(sums)}


def _csv_response(
    request: ApiRequest, query: UsageQuery, page: UsagePage, next_page: str | None
) -> Response:
    """The same rows, flat. The next page is in the header `link` (RFC 8288)."""
    names = [_NAMES[one] for one in UsageDimension if one in query.group_by]
    outcomes = [outcome.value for outcome in AttemptOutcome]
    head = [*names, *(f"attempts_{name}" for name in outcomes), "attempts_not_counted"]
    lines = [_csv_line([*head, *USAGE_FIGURES])]
    for key, sums in page.rows:
        counts = [sums.count(outcome) for outcome in AttemptOutcome]
        figures = [getattr(sums, name) for name in USAGE_FIGURES]
        keys = map(_harmless, map(str, _key_object(query, key).values()))
        lines.append(_csv_line([*keys, *counts, sums.attempts_not_counted, *figures]))
    headers = {} if next_page is None else {"link": _next_link(request, next_page)}
    return Response("".join(lines), media_type="text/csv; charset=utf-8", headers=headers)


def _csv_line(cells: Sequence[object]) -> str:
    """The writer puts quotes around the characters of its own line break: a carriage return alone
    begins a new row too, for many readers."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _harmless(text: str) -> str:
    """Tags come from callers: a spreadsheet must not take one for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


_FORMULA: tuple[str, ...] = (*"=+-@\t\r\n", *"＝＋－＠")


def _next_link(request: ApiRequest, cursor: str) -> str:
    items: Sequence[tuple[str, str]] = [
        (name, value) for name, value in request.query_items() if name != "cursor"
    ]
    return f'<{request.path}?{urlencode([*items, ("cursor", cursor)])}>; rel="next"'
