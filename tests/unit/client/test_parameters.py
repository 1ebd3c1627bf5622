"""What a Python value, or a word of the command line, is as a value of SQL."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import typer

from queryrun.http.v2.parameters import parameters_fault
from queryrun_cli.parameters import parameters_of as of_words
from queryrun_cli.statements import with_used
from queryrun_client import Parameter
from queryrun_client.model import Submission
from queryrun_client.parameters import parameters_of
from queryrun_client.v2 import ApiV2

WEST = timezone(timedelta(hours=-3))
VALUES = [
    (7, "bigint", "7"),
    (2**70, "decimal", str(2**70)),
    (True, "boolean", "true"),
    (Decimal("12.30"), "decimal", "12.30"),
    (Decimal("1E+3"), "decimal", "1000"),
    (-1.5, "double", "-1.5"),
    (float("-inf"), "double", "-Infinity"),
    ("007", "varchar", "007"),
    (date(2024, 1, 31), "date", "2024-01-31"),
    (datetime(2024, 1, 31, 2), "timestamp", "2024-01-31 02:00:00.000000"),
    (
        datetime(2024, 1, 31, 2, tzinfo=WEST),
        "timestamp with time zone",
        "2024-01-31 02:00:00.000000 -03:00",
    ),
    (time(1, 2), "time", "01:02:00.000000"),
    (b"\x00\x01\x02", "varbinary", "AAEC"),
    (UUID(int=1), "uuid", "00000000-0000-0000-0000-000000000001"),
    ([1, None], "array(bigint)", '["1", null]'),
    ([Decimal("1.50"), 22], "array(decimal(4, 2))", '["1.50", "22"]'),
    ([["a"], []], None, None),
    (Parameter([], "array(date)"), "array(date)", "[]"),
    (Parameter("1.5", "decimal(10, 2)"), "decimal(10, 2)", "1.5"),
    (Parameter(None, "date"), "date", None),
    (None, "", None),
]


@pytest.mark.parametrize(
    ("value", "kind", "text"), [one for one in VALUES if one[1] is not None]
)  # fmt: skip
def test_a_value_has_one_type_and_the_server_takes_it(
    value: Any, kind: str, text: str | None
) -> None:
    found = parameters_of({"x": value})
    assert found[0].get("type", "") == kind
    assert found[0].get("value") == text
    assert parameters_fault(found) is None


@pytest.mark.parametrize(
    "value",
    [[], [None], [1, "a"], [["a"], []], timedelta(1), {"a": 1}, object(), Decimal("NaN"),
     time(1, tzinfo=WEST)],
)  # fmt: skip
def test_what_has_no_type_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="parameter :day"):
        parameters_of({"day": value})


def test_a_list_is_for_question_marks_and_a_mapping_for_names() -> None:
    assert parameters_of([1]) == [{"type": "bigint", "value": "1"}]
    assert parameters_of({"a": 1}) == [{"name": "a", "type": "bigint", "value": "1"}]
    with pytest.raises(TypeError, match="a mapping of names, or a list"):
        parameters_of("abc")


def test_a_submission_sends_them_and_never_shows_them() -> None:
    submission = Submission("SELECT :a", parameters={"a": "secret"})
    request = ApiV2("http://x").submit(submission, "key")
    assert json.loads(request.body or b"")["parameters"] == [
        {"name": "a", "type": "varchar", "value": "secret"}
    ]
    assert "secret" not in repr(submission)
    assert "parameters" not in json.loads(
        ApiV2("http://x").submit(Submission("x"), "k").body or b""
    )


def test_a_words_form_says_its_type_unless_it_is_named() -> None:
    words = ["a=1", "b=1.50", "c=007", "d=2024-01-31", "e=null", "f=true", "g=x=y", "h="]
    assert of_words(words) == {
        "a": 1, "b": Decimal("1.50"), "c": "007", "d": "2024-01-31", "e": None, "f": True,
        "g": "x=y", "h": "",
    }  # fmt: skip
    typed = of_words(["a:date=2024-01-31", "b:date=null", "c:varchar=null", "d:array(bigint)=[1]"])
    assert typed == {
        "a": Parameter("2024-01-31", "date"),
        "b": Parameter(None, "date"),
        "c": Parameter("null", "varchar"),
        "d": Parameter("[1]", "array(bigint)"),
    }


@pytest.mark.parametrize("word", ["a", "=1", "1a=2", "a:=2", "a b=1"])
def test_words_of_another_form_are_refused(word: str) -> None:
    with pytest.raises(typer.BadParameter, match="name=value"):
        of_words([word])


def test_a_statement_of_a_script_gets_the_parameters_that_it_names() -> None:
    given = {"day": 1, "id": 2}
    assert with_used(given, "SELECT :DAY, ':id' -- :id") == {"day": 1}
    assert with_used(given, "SELECT x::id, :id") == {"id": 2}


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (np.int64(3), "bigint", "3"),
        (np.uint64(2**64 - 1), "decimal", str(2**64 - 1)),
        (np.float64(1.5), "double", "1.5"),
        (np.float32(0.5), "double", "0.5"),
        (np.bool_(True), "boolean", "true"),
        ([np.int32(1), None], "array(bigint)", '["1", null]'),
    ],
)
def test_a_cell_of_a_data_frame_is_the_number_that_it_prints(
    value: Any, kind: str, text: str
) -> None:
    assert parameters_of({"a": value}) == [{"name": "a", "type": kind, "value": text}]


@pytest.mark.parametrize("value", [np.datetime64("2024-01-01"), np.arange(2), np.timedelta64(1)])
def test_what_of_numpy_has_no_type_of_sql_is_refused_by_name(value: Any) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        parameters_of({"a": value})
