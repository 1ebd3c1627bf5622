"""Renders docs/reference/sql.md from a run of the suite: `python -m tests.differential.page`."""

# ruff: noqa: E501 - a table: one entry a line

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from queryrun.sql.compile.catalog import trino_functions
from queryrun.sql.duckdb.functions.registered import REGISTERED, known_functions
from queryrun.sql.duckdb.functions.table import DUCKDB
from tests.conformance.figures import page_lines
from tests.differential.outcome import EQUAL, REFUSED, Outcome, our_sides, outcome
from tests.differential.spark_page import on_spark
from tests.differential.suite import TPCDS, TRINO_VERSION, Case, cases, recorded

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/sql.md"
_APPROXIMATED = (
    ("`approx_distinct`, `approx_percentile`", "estimates by nature; ours come from DuckDB's sketches and differ from Trino's within some per cent. With weights a percentile is exact: the first value, in order, up to which the weights come to that share"),
    ("`approx_set`", "only as `cardinality(approx_set(x))`, where it is `approx_distinct(x)`; a sketch as a value is refused"),
    ("`approx_most_frequent`", "counts exactly, whatever the capacity; of values equally frequent those seen first are kept, and the order of rows is no more certain than in Trino"),
    ("`numeric_histogram`", "of more values than buckets depends on the order of the rows, in Trino as here; of numbers that are not finite it is refused"),
    ("`checksum`", "of JSON and of a UUID is refused, and of a row that has anything but whole numbers, strings, dates and timestamps"),
    ("`avg` of a bigint", "sums doubles, as Trino does: beyond 2^53 the order of the rows shows"),
    ("clocks set back", "a reading that comes twice is the first of the two, as in Trino, where its zone is written; of the session's own zone it is the second"),
    ("`real` sums and averages", "computed in double precision and rounded once at the end; Trino rounds at every step (1e-6)"),
    ("timestamps", "of at most six digits are `timestamp(6)` in a file; finer ones, up to twelve digits, are text in a result, as Trino prints them"),
    ("time zones", "a value's zone is known from the statement, not stored with the value. Where it would differ from row to row, a function that needs it is refused, and so is such a column of a result; a result is written in the zone that the statement says, otherwise in that of the setting `time_zone`"),
    ("`\\w`, `\\d`, `\\s`, `\\b`", "in regular expressions mean ASCII"),
    ("`upper`, `lower`, `reverse`", "of characters that Unicode maps to several (`ŉ`), or combines, may differ"),
    ("`map_agg`, `map_union`", "keep the first value of a key; Trino keeps one of them"),
    ("names of columns", "a name that comes twice, letter by letter, gets a number the second time, in a result and among the fields of a row (there also if only the case differs)"),
    ("JSON", "is compared as a value. `json_parse`, `json_extract`, JSON literals and casts write it as Trino does; a column of JSON keeps the spelling of its file"),
    ("intervals", "are text in a result, as Trino prints them: `2 03:00:00.000`, `1-2`"),
    ("`time`", "of more than six digits, and `time with time zone`, are text in a result"),
    ("`typeof`", "of a `varchar` that is no literal and no cast is refused: lengths are not tracked"),
    ("order of arrays and rows", "with NULL or NaN inside is refused, also where Trino decides before it comes to them"),
    ("`reduce_agg`", "starts from the first state once, and never merges states"),
    ("`varchar(n)`", "lengths are not tracked except in a cast, which truncates"),
    ("recursive queries", "have no limit of ten iterations"),
    ("errors", "in an expression whose value is not needed may not be raised: `greatest(NULL, 1 / 0)`"),
)  # fmt: skip


_STATEMENTS = [
    "## Statements\n",
    "| statement | |\n|---|---|",
    "| `SELECT`, `WITH` | always |",
    "| `SHOW TABLES`, `SHOW COLUMNS`, `DESCRIBE`, `DESC`, `SHOW FUNCTIONS` | always; Trino's columns and type names. [`GET /v2/tables`](openapi.json) says the same as JSON, without a run, with the names of a row's fields quoted |",
    "| `VALUES`, `TABLE t` | when the setting `statements` names `values`; off by default |",
    "| `SHOW SCHEMAS`, `SHOW CATALOGS` | `schemas`, `catalogs`: there is one of each, in addition to `information_schema` |",
    "| `SHOW CREATE TABLE`, `SHOW CREATE SCHEMA` | `create`: with names in full; nothing is a view, and no function is a routine |",
    "| `SHOW STATS FOR` a table or a query | `stats`: computed from the rows, which are read once |",
    "| `SHOW SESSION`, `SHOW ROLES`, `SHOW CURRENT ROLES`, `SHOW ROLE GRANTS`, `SHOW GRANTS` | `session`: no rows, for there are no session properties and no roles |",
    "| `EXPLAIN`, `EXPLAIN ANALYZE` of a query | `explain`: one column `Query Plan`. On DuckDB it is DuckDB's plan, as an indented list, whether `TYPE LOGICAL` or `DISTRIBUTED`, or with `FORMAT JSON` or `GRAPHVIZ`; `ANALYZE` executes the query first |",
    "| `EXPLAIN (TYPE VALIDATE)` | `explain`: one column `Valid`, or the error |",
    "| `EXPLAIN (TYPE IO)` | `explain`: the tables that the query reads, in Trino's JSON, with the sizes that are known |",
    "| everything else | refused at submit, named with line and column |",
    "",
    "One statement, with or without a trailing semicolon. `information_schema` and `system.information_schema`, `system.jdbc`, `system.metadata` and `system.runtime` have all tables of Trino 476 and can be queried like tables. Those of roles, privileges, views, properties, queries, tasks and transactions have no rows; `system.runtime.nodes` has one. On a remote engine the catalog `system` is refused.\n",
    "A SHOW or DESCRIBE is a run like any other and waits for a slot when none is free. On an idle service it is complete "
    "some 20 ms after the submit. `GET /v2/tables` never waits for a slot.\n",
]

_COSTS = (
    ("`crc32`", 3), ("`soundex`", 9), ("`CAST(… AS varchar)` of a double", 20),
    ("`CAST(ROW(…) AS JSON)`", 11), ("`json_extract`", 13), ("`xxhash64` of 26 bytes", 27),
)  # fmt: skip


def render(outcomes: Mapping[str, Outcome], suite: list[Case]) -> str:
    """The page."""
    assert REGISTERED, "importing it makes every function known"
    return "\n".join(
        [
            "# SQL\n",
            "Generated by `python -m tests.differential.page`; do not edit.\n",
            'A source with `dialect = "trino"` takes Trino\'s SQL, whatever its engine; with '
            '`dialect = "native"` it takes the engine\'s own. For DuckDB, statements are '
            "translated. What cannot be translated faithfully fails with `not_supported`, the "
            "construct's name, line and column; it never returns a different result.\n",
            *_STATEMENTS,
            *_judged(outcomes, suite),
            *page_lines(),
            *_functions(suite),
            *_costs(),
            *_refused(outcomes, suite),
            "## Approximated\n",
            "| what | how |\n|---|---|",
            *(f"| {what} | {how} |" for what, how in _APPROXIMATED),
            "",
            *on_spark(suite),
        ]
    )


def _judged(outcomes: Mapping[str, Outcome], suite: list[Case]) -> list[str]:
    lines = [
        "## Compared with a real Trino\n",
        f"`tests/differential` executes {len(suite)} statements, among them TPC-H's 22, TPC-DS's 99 ({_with_rows(TPCDS)} of which find rows in its small tables) and 650 generated ones (`generate.py`, `generate_queries.py`). "
        f"The expected results come from a Trino {TRINO_VERSION}, recorded by "
        "`python -m tests.differential.judge`; the suite runs without a Trino and compares rows as "
        "typed values.\n",
        "| statements about | | equal | refused | different |\n|---|---|---|---|---|",
    ]
    totals: Counter[str] = Counter()
    for group in dict.fromkeys(case.group for case in suite):
        members = [case for case in suite if case.group == group]
        counts = Counter(outcomes[case.id].verdict for case in members)
        totals += counts
        lines.append(_row(group, len(members), counts))
    lines.append(_row("**all**", len(suite), totals))
    return [*lines, ""]


def _with_rows(group: str) -> int:
    recorded_results = recorded()
    return sum(bool(recorded_results[case.sql].rows) for case in cases() if case.group == group)


def _row(name: str, size: int, counts: Counter[str]) -> str:
    rest = size - counts[EQUAL] - counts[REFUSED]
    return f"| {name} | {size} | {counts[EQUAL]} | {counts[REFUSED]} | {rest} |"


def _functions(suite: list[Case]) -> list[str]:
    text = "\n".join(case.sql.lower() for case in suite)
    known = sorted(known_functions())
    untried = [name for name in known if not re.search(rf"\b{name}\b", text)]
    missing = sorted(set(trino_functions()) - set(known))
    return [
        "## Functions\n",
        f"{len(known)} functions, each tested by the suite"
        + (f" (except {', '.join(untried)})" if untried else "")
        + ":\n",
        ", ".join(f"`{name}`" for name in known) + "\n",
        f"Refused, though Trino {TRINO_VERSION} has them ({len(missing)}):\n",
        ", ".join(f"`{name}`" for name in missing) + "\n",
    ]


def _costs() -> list[str]:
    """Which functions do not run natively, and what that costs."""
    worker = [
        name
        for name, overloads in sorted(DUCKDB.plain.items())
        if any("qr_" in overload.template for overload in overloads)
    ]
    worker += ["combinations", "json_array_get", "json_extract"]
    return [
        "### How they run\n",
        "All run natively in DuckDB but these, which the worker has in Python, a row at a time: "
        + ", ".join(f"`{name}`" for name in sorted(worker))
        + "; casts of `double` and `real` to `varchar`, casts from and to JSON, comparisons of "
        "JSON, and `json_extract_scalar` of a number with a fraction.\n",
        "Seconds for a million rows, on one machine, one run: `length`, which is native, 0.9; "
        + ", ".join(f"{what} {cost}" for what, cost in _COSTS)
        + ".\n",
    ]


def _refused(outcomes: Mapping[str, Outcome], suite: list[Case]) -> list[str]:
    lines = ["## Refused\n", "Examples from the suite.\n", "| statement | message |\n|---|---|"]
    for case in suite:
        if outcomes[case.id].verdict == REFUSED:
            note = _cell(outcomes[case.id].note)
            lines.append(f"| `{_cell(case.sql)}` | {note} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def run_suite(directory: Path) -> dict[str, Outcome]:
    """Every statement's outcome by the case's id."""
    recorded_results = recorded()
    with our_sides(directory) as sides:
        return {case.id: outcome(case, recorded_results, sides) for case in cases()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        PAGE.write_text(render(run_suite(Path(made)), cases()), encoding="utf-8")
