"""`fields[]` and its older name `query_run.fields[]`: the fields to render (contract C1)."""

from __future__ import annotations

from collections.abc import Iterable

from queryrun.errors import Problem
from queryrun.runs.fields import Visibility, visible_fields

VISIBLE_FIELDS = (*visible_fields(Visibility.DEFAULT), *visible_fields(Visibility.ON_REQUEST))
DEFAULT_FIELDS = tuple(field.name for field in visible_fields(Visibility.DEFAULT))
"""Rendered when `fields[]` names nothing; the contract's, and `error` (contract A5, H10)."""

EXTENSION_FIELDS = tuple(field.name for field in visible_fields(Visibility.ON_REQUEST))
"""Our extensions, rendered only when they are named (contract H10)."""

KNOWN_FIELDS = frozenset((*DEFAULT_FIELDS, *EXTENSION_FIELDS))
PARAMETERS = ("fields[]", "query_run.fields[]")


def parse_fields(
    parameters: Iterable[tuple[str, str]], problems: list[Problem], *, strict: bool = False
) -> frozenset[str] | None:
    """The fields that are named: the union of both parameters, each repeated or comma-joined.

    None when nothing was named, which means the default. Unknown names are
    ignored (contract H16) or, with `strict`, a problem.
    """
    names = {
        name.strip() for key, value in parameters if key in PARAMETERS for name in value.split(",")
    } - {""}
    if strict and (unknown := names - KNOWN_FIELDS):
        message = f"'fields[]' has unknown names: {', '.join(sorted(unknown))[:200]}"
        problems.append(Problem("invalid_parameter", "fields[]", message))
    return frozenset(names & KNOWN_FIELDS) if names else None
