"""Which functions a statement may call: names only, by category. What a tree is, `tree.py` knows.

Table functions are an allow-list: one that nobody has looked at is refused. Scalar functions
are a deny-list, because they cannot reach files or the network; the few that tell about the
server, its settings or the text of our own SQL are named here.
"""

from __future__ import annotations

ALLOWED_TABLE_FUNCTIONS = frozenset(
    {
        "generate_series",
        "histogram",
        "histogram_values",
        "json_each",
        "json_tree",
        "range",
        "repeat",
        "repeat_row",
        "unnest",
    }
)
"""Table functions that compute from their arguments alone."""

READS_FILES = frozenset(
    {
        "glob",
        "parquet_bloom_probe",
        "parquet_file_metadata",
        "parquet_full_metadata",
        "parquet_kv_metadata",
        "parquet_metadata",
        "parquet_page_index",
        "parquet_scan",
        "parquet_schema",
        "read_blob",
        "read_csv",
        "read_csv_auto",
        "read_duckdb",
        "read_json",
        "read_json_auto",
        "read_json_objects",
        "read_json_objects_auto",
        "read_ndjson",
        "read_ndjson_auto",
        "read_ndjson_objects",
        "read_parquet",
        "read_single_csv_file",
        "read_single_json_file",
        "read_single_parquet_file",
        "read_text",
        "sniff_csv",
    }
)
"""Table functions that open files or list directories."""

READS_MEMORY = frozenset(
    {
        "arrow_scan",
        "arrow_scan_dumb",
        "pandas_scan",
        "python_arrow_scan",
        "python_map_function",
    }
)
"""Table functions that follow a raw pointer into the process."""

RUNS_SQL = frozenset({"json_execute_serialized_sql", "query", "query_table"})
"""Table functions that execute SQL given as text, past any look at the tree."""

CHANGES_THE_ENGINE = frozenset(
    {
        "add_grammar_extension",
        "checkpoint",
        "create_external_resource",
        "deregister_external_resource",
        "destroy_external_resource",
        "disable_logging",
        "disable_profiling",
        "enable_logging",
        "enable_profiling",
        "force_checkpoint",
        "register_external_resource",
        "register_external_resource_type",
        "remove_grammar_extension",
        "truncate_duckdb_logs",
    }
)
"""Table functions with side effects on the engine."""

TELLS_ABOUT_THE_ENGINE_PREFIXES = ("duckdb_", "pragma_")
TELLS_ABOUT_THE_ENGINE = frozenset(
    {
        "icu_calendar_names",
        "pg_timezone_names",
        "seq_scan",
        "summary",
        "test_all_types",
        "test_vector_types",
        "which_secret",
    }
)
"""Table functions about settings, secrets, paths and internals of the engine, or its own tests."""

DENIED_SCALAR_FUNCTIONS = frozenset(
    {
        "current_query",
        "current_setting",
        "currval",
        "getenv",
        "getvariable",
        "json_serialize_plan",
        "nextval",
        "pg_get_viewdef",
        "setval",
        "write_log",
    }
)
"""Scalar functions that tell about settings, paths and our own SQL, or that write somewhere."""


def may_read_from(table_function: str) -> bool:
    """Whether a statement may have this table function in its FROM clause."""
    return table_function.lower() in ALLOWED_TABLE_FUNCTIONS


def may_call(scalar_function: str) -> bool:
    """Whether a statement may call this scalar, aggregate or window function or macro."""
    name = scalar_function.lower()
    return name not in DENIED_SCALAR_FUNCTIONS


def is_classified_table_function(name: str) -> bool:
    """Whether somebody has decided about this table function; a test asks for every one."""
    return name.startswith(TELLS_ABOUT_THE_ENGINE_PREFIXES) or any(
        name in category
        for category in (
            ALLOWED_TABLE_FUNCTIONS,
            READS_FILES,
            READS_MEMORY,
            RUNS_SQL,
            CHANGES_THE_ENGINE,
            TELLS_ABOUT_THE_ENGINE,
        )
    )
