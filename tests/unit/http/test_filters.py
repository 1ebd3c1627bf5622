"""`filter[]`: what parses, what holds (contract C3)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queryrun.errors import Problem
from queryrun.http.v2.filters import (
    BadClauseError,
    Clause,
    Operator,
    parse_clause,
    parse_filters,
    parse_time,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50).filter(
    lambda text: text != "null"
)
numbers = st.integers(-(10**9), 10**9)
NUMBER_LINE = {
    Operator.EQ: lambda left, right: left == right,
    Operator.NE: lambda left, right: left != right,
    Operator.LT: lambda left, right: left < right,
    Operator.GT: lambda left, right: left > right,
    Operator.LE: lambda left, right: left <= right,
    Operator.GE: lambda left, right: left >= right,
}


@given(texts, st.sampled_from([Operator.EQ, Operator.NE, Operator.SW]))
def test_any_text_can_be_a_value(text: str, operator: Operator) -> None:
    """Also one with dots, colons and operators inside: the first `.OP:` splits."""
    clause = parse_clause(f"state.{operator}:{text}")
    assert clause == Clause("state", operator, ("" if text == "\x02\x03" else text,))


@given(numbers, numbers, st.sampled_from(sorted(NUMBER_LINE)))
def test_numbers_compare_as_numbers(actual: int, value: int, operator: Operator) -> None:
    clause = parse_clause(f"number_of_rows.{operator}:{value}")
    assert clause.holds(actual) is NUMBER_LINE[operator](actual, value)


@given(texts, texts)
def test_texts_compare_case_sensitively(actual: str, value: str) -> None:
    clause = parse_clause(f"sql.EQ:{value}")
    assert clause.holds(actual) is (actual == clause.value)
    starts = parse_clause(f"sql.SW:{value}")
    assert starts.holds(actual) is actual.startswith(str(starts.value))


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)), st.datetimes())
def test_times_compare_as_instants(actual: datetime, value: datetime) -> None:
    clause = parse_clause(f"created_time.LT:{value.isoformat()}")
    assert clause.holds(actual) is (actual < value.replace(tzinfo=UTC))


@given(st.text(max_size=60))
def test_whatever_is_sent_there_is_a_clause_or_a_problem_that_names_it(text: str) -> None:
    problems: list[Problem] = []
    clauses = parse_filters([text], problems)
    assert len(clauses) + len(problems) == 1
    assert all(problem.parameter == "filter[]" for problem in problems)


@pytest.mark.parametrize("operator", list(Operator))
def test_null_never_orders_and_never_starts(operator: Operator) -> None:
    value = {Operator.IN: "[a,b]"}.get(operator, "a")
    holds = Clause("account", operator, tuple(value.strip("[]").split(","))).holds(None)
    assert holds is (operator is Operator.NE)


def test_ne_null_is_not_null() -> None:
    clause = parse_clause("number_of_rows.NE:null")
    assert clause.holds(5)
    assert not clause.holds(None)


def test_the_empty_string_has_its_own_spelling() -> None:
    assert parse_clause("column_separator.EQ:\x02\x03").value == ""


def test_in_takes_a_list_with_nulls_and_blanks() -> None:
    clause = parse_clause("state.IN:[accepted, null ,failed]")
    assert clause.values == ("accepted", None, "failed")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "state",
        "state.EQ",
        "state.eq:x",
        ".EQ:x",
        "1a.EQ:x",
        "a b.EQ:x",
        "items[].EQ:x",
        "state.IN:x",
        "state.IN:[a,,b]",
        "state.IN:[" + ",".join("a" * 101) + "]",
        "number_of_rows.EQ:1e9",
        "number_of_rows.EQ:٣",
        "created_time.EQ:yesterday",
        "created_time.EQ:2026-02-30",
        "state.EQ:" + "x" * 5000,
    ],
)
def test_what_is_malformed_is_refused(text: str) -> None:
    with pytest.raises(BadClauseError):
        parse_clause(text)


@pytest.mark.parametrize(
    "text",
    ["2026-11-24", "2026-11-24T00:00", "2026-11-24 00:00:00.000Z", "2026-11-24T01:00:00+01:00"],
)
def test_dates_and_times_are_read_as_utc(text: str) -> None:
    assert parse_time(text) == datetime(2026, 11, 24, tzinfo=UTC)
