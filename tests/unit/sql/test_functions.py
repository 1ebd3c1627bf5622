"""Every function of the engine that we ship with is classified, and macros by what they call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import duckdb
import pytest

from queryrun.engines.duckdb.functions.install import names
from queryrun.sql.guard.duckdb import check_statement
from queryrun.sql.guard.functions import (
    OF_A_TABLE,
    classified,
    judgement_of,
    known_functions,
    may_read_from,
)
from queryrun.sql.guard.tree import Tree, read_tree
from queryrun.sql.guard.verdict import Refusal

Function = tuple[str, str, str | None]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        yield connection


@pytest.fixture(scope="module")
def functions(connection: duckdb.DuckDBPyConnection) -> list[Function]:
    """Name, kind and definition of all."""
    return connection.execute(
        "SELECT DISTINCT function_name, function_type, macro_definition FROM duckdb_functions()"
    ).fetchall()


def _tables() -> list[str]:
    tables = classified()["tables"]
    return [*tables["allowed"], *(name for names in tables["denied"].values() for name in names)]


def test_every_function_is_classified(functions: list[Function]) -> None:
    """A new one in a new DuckDB is refused until it has been put into a list."""
    kinds = {"scalar", "aggregate", "window"}
    denied = {name for names in classified()["denied"].values() for name in names}
    known = known_functions() | denied | classified()["macros"].keys()
    missing = {name for name, kind, _ in functions if kind in kinds and name.lower() not in known}
    assert not missing


def test_every_table_function_is_classified(functions: list[Function]) -> None:
    names = {name for name, kind, _ in functions if kind in {"table", "table_macro"}}
    assert names == set(_tables())
    assert max(Counter(_tables()).values()) == 1


def test_no_list_names_what_does_not_exist(functions: list[Function]) -> None:
    existing = {name.lower() for name, _, _ in functions}
    denied = {name for listed in classified()["denied"].values() for name in listed}
    assert not (known_functions() | denied) - existing - set(classified()["worker"])


def test_the_functions_of_the_worker_are_listed() -> None:
    assert classified()["worker"] == names()


def test_macros_are_listed_with_what_their_definitions_call(
    connection: duckdb.DuckDBPyConnection, functions: list[Function]
) -> None:
    called: dict[str, set[str]] = {}
    for name, kind, definition in functions:
        if kind in {"macro", "table_macro"}:
            sql = definition if kind == "table_macro" else f"SELECT {definition}"
            called.setdefault(name, set()).update(_called(read_tree(connection, str(sql))))
    listed = {name: set(calls) for name, calls in classified()["macros"].items()}
    assert listed == {name: calls - {name} for name, calls in called.items()}


def _called(tree: Tree) -> Iterator[str]:
    yield from (function.name for function in tree.functions)
    yield from (OF_A_TABLE + function.name for function in tree.table_functions)


@pytest.mark.parametrize(
    "call",
    [
        "stats(a)", "current_setting('threads')", "getvariable('x')", "pg_get_viewdef(1)",
        "format_type(1, 2)", "get_block_size('data')", "current_query()", "sleep_ms(1)",
        "pg_sleep(1)", "finalize(to_aggregate_state(a))", "write_log('x')", "nextval('s')",
        "system.main.current_query()", "json_serialize_plan('SELECT 1')", '"STATS"(a)',
        "list_transform([1], x -> stats(x))", "variant_bytes_to_variant(a, b)",
    ],
)  # fmt: skip
def test_what_tells_more_than_its_arguments_is_refused(call: str) -> None:
    assert check_statement(f"SELECT {call} FROM t").refusal is Refusal.NOT_ALLOWED


@pytest.mark.parametrize(
    "relation",
    [
        "histogram(t, a)", "histogram_values(t, a)", "query('SELECT 1')", "query_table('t')",
        "pragma_table_info('t')", "pragma_storage_info('t')", "duckdb_tables()", "duckdb_views()",
        "duckdb_logs_parsed('x')", "summary((SELECT 1))", "read_blob('x')", "seq_scan('t')",
        "json_execute_serialized_sql('{}')", "duckdb_variables()", "parquet_metadata('x')",
        '"dir/t".parquet', "t.parquet", '"dir"."t"."parquet"', '"dir/t"."parquet"."gz"',
        '"dir/t".csv', "'x.csv'", 'x."dir/t.parquet"', "data.\"a*\"", "pg_catalog.pg_class",
        "duckdb_settings", "sqlite_master", "information_schema.views",
    ],
)  # fmt: skip
def test_what_reads_more_than_the_tables_named_is_refused(relation: str) -> None:
    assert check_statement(f"SELECT * FROM {relation}").refusal is Refusal.NOT_ALLOWED


@pytest.mark.parametrize(
    "expression",
    [
        "nullif(a, 1)", "split_part(b, '-', 1)", "histogram(a)", "list_sum([a])", "date_add(a, b)",
        "a BETWEEN 1 AND 2", "a::DATE + INTERVAL 1 DAY", "b LIKE 'x%'", "b COLLATE de", "TRY(a)",
        "CASE a WHEN 1 THEN 2 END", "EXTRACT(year FROM a)", "coalesce(a, 1)", "[x FOR x IN a]",
        "row_number() OVER (ORDER BY a)", "ABS(a)", "format('{}', a)", "unnest([1])", "a.b[1:2]",
        "ROW(1, 2)", "MAP {'a': 1}", "{'a': 1}", "a IN (1, 2)", "NOT a", "-a", "a // 2", "5!",
    ],
)  # fmt: skip
def test_what_computes_from_its_arguments_is_allowed(expression: str) -> None:
    verdict = check_statement(f"SELECT {expression} FROM t")
    assert verdict.accepted, verdict


def test_an_unknown_function_is_for_the_run_to_report_and_no_relation() -> None:
    assert judgement_of("read_from_the_moon") == "unknown"
    assert check_statement("SELECT read_from_the_moon(1)").accepted
    assert not may_read_from("read_from_the_moon")
