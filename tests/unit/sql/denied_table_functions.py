"""The table functions of DuckDB that are not allowed, by reason: a review of each of them."""

from __future__ import annotations

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
