"""`EXPLAIN (TYPE IO)`: an estimate as the JSON document that Trino returns."""

from __future__ import annotations

import json

from queryrun.engines.estimates import StatementEstimate

COLUMN = "Query Plan"
"""Of the one row."""
_UNKNOWN = "NaN"
"""What Trino writes of a number that it does not know."""


def io_plan(estimate: StatementEstimate, catalog: str, schema: str) -> str:
    """The document. Of each table its rows and bytes that are read; costs are not estimated, and
    no constraint is shown. Of the result only the tables' part is known."""
    tables = [
        {
            "table": {"catalog": catalog, "schemaTable": {"schema": schema, "table": one.name}},
            "constraint": {"none": False, "columnConstraints": []},
            "estimate": _estimate(one.read_rows, one.read_bytes),
        }
        for one in estimate.tables
    ]
    document = {"inputTableColumnInfos": tables, "estimate": _estimate(None, None)}
    return json.dumps(document, indent=2)


def _estimate(rows: int | None, size_bytes: int | None) -> dict[str, float | str]:
    return {
        "outputRowCount": _number(rows),
        "outputSizeInBytes": _number(size_bytes),
        "cpuCost": _UNKNOWN,
        "maxMemory": _UNKNOWN,
        "networkCost": _UNKNOWN,
    }


def _number(value: int | None) -> float | str:
    return _UNKNOWN if value is None else float(value)
