"""The query parameters that all v2 operations share: fields, expand, filter, page size."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from queryrun.auth.model import Principal
from queryrun.errors import Problem
from queryrun.http.context import HttpSettings
from queryrun.http.request import ApiRequest
from queryrun.http.unread import permitted_fields
from queryrun.http.v2.fields import KNOWN_FIELDS, parse_fields
from queryrun.http.v2.filters import check_filters

EXPAND = re.compile(r"[a-z_]+(?:\.[a-z_]+){0,2}")
"""Names joined by dots, at most three deep; none has an effect on a run (contract C2)."""

MAX_PAGE_SIZE = 99
"""1 to 99, checked even where it has no effect (contract C5)."""


@dataclass(frozen=True, slots=True)
class View:
    """Which fields of a run to render. `fields` None: the contract's (contract H10)."""

    fields: frozenset[str] | None = None
    page_size: int | None = None

    def includes(self, field: str) -> bool:
        """Whether a field was requested by name."""
        return self.fields is not None and field in self.fields


CONTRACT_VIEW = View()
FULL_VIEW = View(KNOWN_FIELDS)


def default_view(settings: HttpSettings) -> View:
    """What a response shows when the request names no fields."""
    return FULL_VIEW if settings.always_extensions else CONTRACT_VIEW


def permitted_view(principal: Principal, view: View) -> View:
    """The view without what the client may not see."""
    fields = permitted_fields(principal, view.fields)
    return view if fields is view.fields else replace(view, fields=fields)


def parse_view(
    request: ApiRequest,
    problems: list[Problem],
    settings: HttpSettings,
    *,
    check_filter: bool = True,
) -> View:
    """Read and validate the shared parameters; what is wrong with them is added to `problems`."""
    default = default_view(settings)
    if not request.scope["query_string"]:
        return default
    _check_expand(request, problems)
    if check_filter:
        check_filters(request.query_values("filter[]"), problems)
    fields = parse_fields(
        request.query_items(),
        problems,
        strict=settings.strict_fields,
        always=settings.always_extensions,
    )
    size = _page_size(request.query_values("page_size"), problems)
    return View(default.fields if fields is None else fields, size)


def _check_expand(request: ApiRequest, problems: list[Problem]) -> None:
    for value in request.query_values("expand[]"):
        paths = [path.strip() for path in value.split(",")]
        if not all(EXPAND.fullmatch(path) for path in paths if path):
            message = "'expand[]' takes names joined by dots, at most three deep"
            problems.append(Problem("invalid_parameter", "expand[]", message))
            return


def _page_size(values: list[str], problems: list[Problem]) -> int | None:
    """Every value is checked, the last one is used: a repeated parameter is not an error."""
    for value in values:
        if not (value.isascii() and value.isdigit() and len(value) <= 4):
            break
        if not 1 <= int(value) <= MAX_PAGE_SIZE:
            break
    else:
        return int(values[-1]) if values else None
    message = f"'page_size' must be a whole number from 1 to {MAX_PAGE_SIZE}"
    problems.append(Problem("invalid_parameter", "page_size", message))
    return None
