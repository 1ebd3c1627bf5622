"""The part of docs/reference/sql.md about Spark, from the record of a run there."""

# ruff: noqa: E501 - a table: one entry a line

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from queryrun.errors import RunFailed
from queryrun.sql.duckdb.functions.registered import known_functions
from queryrun.sql.spark.functions.table import SPARK
from queryrun.sql.spark.translate import REGISTERED, to_spark
from tests.conformance.spark import FIGURES, SAMPLES
from tests.differential.outcome import EQUAL, REFUSED
from tests.differential.spark_record import Record, read_record
from tests.differential.suite import Case

_APPROXIMATED = (
    ("`approx_distinct`, `approx_percentile`", "estimates by nature; Spark's sketches differ from Trino's within some per cent"),
    ("`real` sums and averages", "computed in double precision and rounded once at the end"),
    ("time zones", "as on DuckDB: known from the statement, not stored with the value"),
    ("`map_agg`", "fails for a key that comes twice; Trino keeps one of the values"),
    ("JSON that is cut off", "is NULL for `json_extract_scalar`; Trino reads as far as it needs"),
    ("JSON", "is compared as a value; Spark sorts an object's keys and writes `1.50` as `1.5`"),
    ("`varchar(n)`", "lengths are not tracked except in a cast, which truncates; columns of type `char(n)` cannot be named"),
    ("recursive queries", "fail after 100 iterations, in Trino after ten"),
    ("decimals", "divisions whose quotient has more than 19 digits, and casts of doubles to more than 15 digits, fail with `is not supported`"),
    ("`sequence`", "is not limited to 10,000 entries"),
    ("JSON as text", "`JSON_VALUE`, `JSON_QUERY`, `json_format`: where a number with a fraction, an object or a character beyond 16 bits would have to be spelled, the statement fails with `is not supported`; paths have members, elements and `[*]`"),
    ("`time`", "with more than six digits, or with a zone, is text in a result; Spark 4.1 or newer for another column of a result"),
    ("timestamps", "of more than six digits are text in a result; inside of its arrays, maps and rows they are refused"),
    ("`combinations`", "of at most 16 values"),
    ("functions with loops", "compute at least a thousand steps for each row"),
)  # fmt: skip


def on_spark(suite: list[Case]) -> list[str]:
    """Its lines."""
    assert REGISTERED, "importing it makes every function known"
    record = read_record()
    missing = sorted(known_functions() - SPARK.names())
    return [
        "## On Spark\n",
        'For a Spark source with `dialect = "trino"` statements are translated as well, for a session in ANSI mode and in UTC (the statement names every other zone). '
        "The same statements were executed on a Spark 4.2, recorded by `python -m tests.differential.spark --record`.\n",
        *_judged(suite, record),
        f"Functions that are refused on Spark and not on DuckDB ({len(missing)}): "
        + ", ".join(f"`{name}`" for name in missing)
        + ".\n",
        *_samples(),
        "### Refused, examples from the suite\n",
        "Before anything is sent to Spark:\n",
        "| statement | message |\n|---|---|",
        *_refused(suite, record),
        "",
        "### Approximated on Spark\n",
        "| what | how |\n|---|---|",
        *(f"| {what} | {how} |" for what, how in _APPROXIMATED),
        "",
    ]


def _samples() -> list[str]:
    """Trino's own statements, as far as they were drawn; nothing before `--figures` wrote them."""
    if not FIGURES.is_file():
        return []
    figures: dict[str, Any] = json.loads(FIGURES.read_text("utf-8"))
    lines = [
        "### Samples of Trino's own tests on Spark\n",
        "Statements of [Trino's own tests](#trinos-own-tests), drawn by their digests in two samples that share none: "
        "`python -m tests.conformance.spark`. The translation was built with the first one; the second one is of statements "
        "that nobody had looked at before. Spark interprets them there, without compiling each to Java.\n",
    ]
    for name in SAMPLES:
        lines += [f"The sample that was {name}:\n", *figures[name]["table"], ""]
        for kind, found in figures[name]["left"].items():
            rows = [f"| {count} | {kind} | {_cell(what)} |" for what, count in found]
            lines += rows and ["| n | | cause |\n|---:|---|---|", *rows, ""]
    return lines


def _judged(suite: list[Case], record: Record) -> list[str]:
    lines = ["| statements about | | equal | refused | different |\n|---|---|---|---|---|"]
    totals: Counter[str] = Counter()
    for group in dict.fromkeys(case.group for case in suite):
        recorded_entries = [entry for c in suite if c.group == group and (entry := record.of(c))]
        counts = Counter(entry.verdict for entry in recorded_entries)
        totals += counts
        lines.append(_row(group, counts))
    return [*lines, _row("**all**", totals), ""]


def _row(name: str, counts: Counter[str]) -> str:
    rest = counts.total() - counts[EQUAL] - counts[REFUSED]
    return f"| {name} | {counts.total()} | {counts[EQUAL]} | {counts[REFUSED]} | {rest} |"


def _refused(suite: list[Case], record: Record) -> list[str]:
    lines = []
    for case in suite:
        entry = record.of(case)
        if entry is None or entry.verdict != REFUSED:
            continue
        if message := _refusal(case, record):
            lines.append(f"| `{_cell(case.sql)}` | {_cell(message)} |")
    return lines


def _refusal(case: Case, record: Record) -> str:
    """Why it is not translated; empty when it is, and refused later."""
    try:
        to_spark(case.sql, lambda _: record.tables[case.schema])
    except RunFailed as failed:
        return failed.failure.message
    return ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
