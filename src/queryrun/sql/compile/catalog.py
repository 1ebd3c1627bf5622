"""What Trino's own catalogue says: its functions, as a server of version 476 lists them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def trino_functions() -> dict[str, list[list[str]]]:
    """Every function of Trino 476 by name: its rows of SHOW FUNCTIONS without the name."""
    text = files("queryrun.sql.compile").joinpath("functions.json").read_text(encoding="utf-8")
    found: dict[str, list[list[str]]] = json.loads(text)
    return found


@cache
def system_tables() -> dict[str, dict[str, list[tuple[str, str]]]]:
    """The tables of Trino's catalog `system` by schema and name: each column's name and type."""
    text = files("queryrun.sql.compile").joinpath("system_tables.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, list[str]]] = json.loads(text)
    return {
        schema: {
            table: [(name, kind) for name, _, kind in (one.partition(" ") for one in columns)]
            for table, columns in tables.items()
        }
        for schema, tables in found.items()
    }
