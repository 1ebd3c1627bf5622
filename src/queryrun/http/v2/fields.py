"""`fields[]` and its older twin `query_run.fields[]`: which keys of a run to show (contract C1)."""

from __future__ import annotations

from collections.abc import Iterable

from queryrun.errors import Problem

CONTRACT_FIELDS = (
    "created_by_id",
    "id",
    "sql",
    "remaining_attempts",
    "updated_time",
    "file",
    "number_of_rows",
    "processing_duration",
    "state",
    "column_separator",
)
"""The documented fields, in their order (contract A5)."""

DEFAULT_FIELDS = (*CONTRACT_FIELDS, "error")
"""The fields of the default body; `error` is there on failed runs only (contract H10)."""

EXTENSION_FIELDS = (
    "created_time",
    "started_time",
    "queue_position",
    "waiting_for",
    "progress",
    "cancellation",
    "attempts",
    "tags",
    "source",
    "timeout_seconds",
    "content_type",
    "content_encoding",
    "read_deleted",
)
"""Ours: answered only when asked for by name (contract H10)."""

KNOWN_FIELDS = frozenset((*DEFAULT_FIELDS, *EXTENSION_FIELDS))
PARAMETERS = ("fields[]", "query_run.fields[]")


def parse_fields(
    parameters: Iterable[tuple[str, str]], problems: list[Problem], *, strict: bool = False
) -> frozenset[str] | None:
    """The fields asked for: the union of both parameters, each repeated or comma-joined.

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
