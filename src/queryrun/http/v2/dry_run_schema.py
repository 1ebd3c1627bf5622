"""The body of a dry run in the OpenAPI document, and an example of it."""

from __future__ import annotations

from queryrun.engines.estimates import Certainty
from queryrun.http.shapes import Schema, whole_object
from queryrun.http.v2.limits_schema import LIMIT

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
_CERTAINTY: Schema = {"type": "string", "enum": list(Certainty)}


def _count(description: str) -> Schema:
    return {**_COUNT, "description": f"{description} Null when that is unknown."}


_READ: Schema = {
    "bytes_read": _count("Bytes of columns and row groups as stored, as `usage` counts them."),
    "rows_read": _count("Rows of the row groups that are read."),
    "certainty": {
        **_CERTAINTY,
        "description": "`exact`; `upper_bound`: a filter, a join or a LIMIT may make it less; "
        "`estimated`: by the engine's own statistics; `unknown`.",
    },
}
_TABLE: Schema = {
    "name": _TEXT,
    "columns": {
        "type": ["array", "null"],
        "items": _TEXT,
        "description": "Those that are read. Null when they are unknown.",
    },
    "files": _count("Files left after pruning."),
    "all_files": _count("Files of the table."),
    "partitions": _count("Partitions left after pruning; null for a table without any."),
    "all_partitions": _count("Partitions of the table."),
    **_READ,
}
_ERROR = {
    **whole_object(
        {
            "code": _TEXT,
            "message": _TEXT,
            "line": {"type": ["integer", "null"], "minimum": 1},
            "column": {"type": ["integer", "null"], "minimum": 1},
        },
        "How the run would fail at once.",
    ),
    "type": ["object", "null"],
}
_COLUMNS: Schema = {
    "type": ["array", "null"],
    "items": whole_object({"name": _TEXT, "type": _TEXT}, "A column; its type as Trino names it."),
    "description": "Of the result. Null when they are unknown.",
}

DRY_RUN = whole_object(
    {
        "dry_run": {"type": "boolean", "enum": [True]},
        "source": _TEXT,
        "valid": {"type": "boolean", "description": "Whether the statement could be planned."},
        "error": _ERROR,
        "columns": _COLUMNS,
        **_READ,
        "refused_by": {
            **LIMIT,
            "type": ["object", "null"],
            "description": "The limit that would refuse the run now; null for none.",
        },
        "tables": {
            "type": ["array", "null"],
            "items": whole_object(_TABLE, "What would be read of a table."),
        },
    },
    "What a run would read. Nothing was created.",
)

_EXAMPLE_READ: Schema = {"bytes_read": 834754, "rows_read": 200704, "certainty": "upper_bound"}
EXAMPLE: dict[str, object] = {
    "dry_run": True,
    "source": "live",
    "valid": True,
    "error": None,
    "columns": [{"name": "id", "type": "bigint"}],
    **_EXAMPLE_READ,
    "refused_by": None,
    "tables": [
        {
            "name": "account",
            "columns": ["id"],
            "files": 1,
            "all_files": 2,
            "partitions": None,
            "all_partitions": None,
            **_EXAMPLE_READ,
        }
    ],
}
