"""Every function of Trino's that takes text, with texts that are longer and deeper than anybody's.

What they give is judged elsewhere; here, that none of them is a fault of ours.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from importlib.resources import files

import pytest

from queryrun.errors import FailureCode
from queryrun.sql.compile.signatures import split_types
from tests.differential.engine_harness import DuckDBSide
from tests.differential.engine_harness import side as side  # a fixture

DIGITS = "9" * 5_000
"""More than Python reads as one number."""
TEXTS = (
    DIGITS,
    f"-1e{DIGITS}",
    f"1.{DIGITS}",
    f"+{DIGITS}:00",
    f"${DIGITS}",
    f"$[{DIGITS}]",
    f"%{DIGITS}d",
    f"a{{{DIGITS}}}",
    f"{DIGITS}d",
    f"2020-01-01 00:00:00.{DIGITS}",
    "2020-01-01 00:00:00 +5:99",
    "lax $" + ".a" * 3_000,
    "(" * 900 + "a" + ")" * 900,
    "[" * 900 + "1" + "]" * 900,
    '{"a":' * 900 + "1" + "}" * 900,
)
SHORT = {
    "bigint": "1",
    "boolean": "true",
    "char(x)": "CHAR 'a'",
    "date": "DATE '2020-01-01'",
    "double": "1e0",
    "integer": "1",
    "timestamp(p)": "TIMESTAMP '2020-01-01 00:00:00'",
    "timestamp(p) with time zone": "TIMESTAMP '2020-01-01 00:00:00 UTC'",
    "varbinary": "X'00'",
}
TEXT_TYPES = {"varchar", "varchar(x)", "varchar(y)", "varchar(n)", "jsonpath", "joniregexp"}


def calls() -> Iterator[tuple[str, list[str]]]:
    """Functions, and for each the types of its parameters, where text is among them."""
    listed = json.loads((files("queryrun.sql.compile") / "functions.json").read_text())
    for name, overloads in listed.items():
        for _, parameters, kind, *_ in overloads:
            types = [one.lower().strip() for one in split_types(parameters)]
            is_known = all(one in SHORT or one in TEXT_TYPES or one == "json" for one in types)
            if kind == "scalar" and is_known and not TEXT_TYPES.isdisjoint([*types]):
                yield name, types


def statements() -> Iterator[str]:
    """Each call with some of the texts in the position of each of its texts; the others are short.
    All of them take a minute."""
    dice = random.Random(1)  # noqa: S311 - a choice of tests
    for name, types in calls():
        for at, kind in enumerate(types):
            if kind in TEXT_TYPES:
                for text in dice.sample(TEXTS, 4):
                    others = [
                        SHORT.get(one, "JSON '1'" if one == "json" else "'1'") for one in types
                    ]
                    others[at] = f"'{text}'"
                    yield f"SELECT {name}({', '.join(others)})"


def test_many_functions_take_text() -> None:
    assert len({name for name, _ in calls()}) > 60


@pytest.mark.parametrize(
    "form",
    [
        "SELECT CAST('{}' AS bigint)",
        "SELECT CAST('{}' AS decimal(38, 2))",
        "SELECT CAST('{}' AS double)",
        "SELECT CAST('{}' AS date)",
        "SELECT CAST('{}' AS time(12))",
        "SELECT CAST('{}' AS timestamp(12) with time zone)",
        "SELECT CAST('{}' AS ipaddress)",
        "SELECT CAST('{}' AS json)",
        "SELECT INTERVAL '{}' DAY",
        "SELECT INTERVAL '1-{}' YEAR TO MONTH",
        "SELECT INTERVAL '1 {}' DAY TO HOUR",
        "SELECT INTERVAL '{}' SECOND",
        "SELECT DATE '{}'",
        "SELECT TIMESTAMP '{}'",
        "SELECT TIMESTAMP '2020-01-01 00:00:00' AT TIME ZONE '{}'",
        "SELECT TIME '01:00:00' AT TIME ZONE '{}'",
        "SELECT DECIMAL '{}'",
        "SELECT JSON '{}'",
        "SELECT CAST(json_parse('{}') AS bigint), CAST(json_parse('{}') AS array(json))",
        "SELECT json_value('{}', 'lax $' RETURNING bigint)",
        "SELECT json_value('1', '{}' RETURNING varchar)",
        "SELECT json_query('{}', 'lax $.a')",
        "SELECT json_exists('1', 'lax ${}')",
        "SELECT 'a' LIKE '{}'",
        "SELECT {}",
        "SELECT 1 LIMIT {}",
        "SELECT CAST(1 AS varchar({}))",
        "SELECT ROW(1)[{}]",
    ],
)
def test_no_literal_and_no_cast_is_a_fault_of_ours(side: DuckDBSide, form: str) -> None:
    requested = [form.replace("{}", text) for text in TEXTS]
    assert faults(side, requested) == []


def test_no_function_is_a_fault_of_ours(side: DuckDBSide) -> None:
    assert faults(side, statements()) == []


def faults(side: DuckDBSide, requested: Iterator[str] | list[str]) -> list[str]:
    """Statements that end as internal error, or in words of the engine's binding."""
    found = []
    for sql in requested:
        failure = side.run(sql).failure
        if failure and (failure.code is FailureCode.INTERNAL_ERROR or "Python" in failure.message):
            found.append(f"{sql[:80]}: {failure.message[:80]}")
    return found
