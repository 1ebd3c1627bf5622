"""Every function of the engine that we ship with has been reviewed."""

from __future__ import annotations

import re

import duckdb

from queryrun.sql.functions import (
    ALLOWED_TABLE_FUNCTIONS,
    DENIED_SCALAR_FUNCTIONS,
    may_read_from,
)
from tests.unit.sql.denied_table_functions import (
    CHANGES_THE_ENGINE,
    READS_FILES,
    READS_MEMORY,
    RUNS_SQL,
    TELLS_ABOUT_THE_ENGINE,
    TELLS_ABOUT_THE_ENGINE_PREFIXES,
)

REVIEWED_TABLE_FUNCTIONS = (
    ALLOWED_TABLE_FUNCTIONS
    | READS_FILES
    | READS_MEMORY
    | RUNS_SQL
    | CHANGES_THE_ENGINE
    | TELLS_ABOUT_THE_ENGINE
)

REVIEWED_AND_HARMLESS = frozenset(
    {
        # they only compute from their arguments, whatever their names sound like
        "json_serialize_sql", "json_deserialize_sql", "parse_path", "parse_dirname",
        "parse_dirpath", "parse_filename", "setseed", "parse_duckdb_log_message",
        "has_any_column_privilege", "constant_or_null", "set_bit", "json_set", "st_setcrs",
        "encode", "decode", "url_encode", "url_decode",
        "json_extract_path", "json_extract_path_text", "path_join", "in_search_path",
        # they return a time, or a number without meaning outside this run
        "current_query_id", "current_connection_id", "pg_conf_load_time",
    }
)  # fmt: skip
SUSPICIOUS = re.compile(
    r"read|write|file|glob|path|dir|setting|secret|env|load|exec|query|sql|log_|set_|conn|var$|"
    r"variable|viewdef|nextval|currval|setval|http|url|host"
)


def _names(*kinds: str) -> set[str]:
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() "
            "WHERE list_contains(?, function_type)",
            [list(kinds)],
        ).fetchall()
    return {str(name) for (name,) in rows}


def test_every_table_function_is_classified() -> None:
    """A new one in a new DuckDB is refused until it has been put into a category."""
    names = _names("table", "table_macro") - REVIEWED_TABLE_FUNCTIONS
    assert not {name for name in names if not name.startswith(TELLS_ABOUT_THE_ENGINE_PREFIXES)}


def test_every_allowed_table_function_exists() -> None:
    assert _names("table", "table_macro") >= ALLOWED_TABLE_FUNCTIONS


def test_every_scalar_function_with_a_suspicious_name_has_been_reviewed() -> None:
    names = {name for name in _names("scalar", "macro", "aggregate") if SUSPICIOUS.search(name)}
    unknown = names - DENIED_SCALAR_FUNCTIONS - REVIEWED_AND_HARMLESS
    assert not {name for name in unknown if not name.startswith(("__internal", "array_", "list_"))}


def test_an_unknown_function_is_refused_as_a_relation() -> None:
    assert not may_read_from("read_from_the_moon")
