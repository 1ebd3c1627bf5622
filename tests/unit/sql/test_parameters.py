"""Values of parameters: which types there are, and which texts are values of them."""

from __future__ import annotations

import pytest

from queryrun.sql.parameters import MAX_ALL_CHARS, MAX_PARAMETERS, Parameter, parameters_problem

GOOD = [
    ("varchar", ""),
    ("varchar(3)", "äöü"),
    ("boolean", "true"),
    ("tinyint", "-128"),
    ("BIGINT", "9223372036854775807"),
    ("decimal", "-12.30"),
    ("decimal(3, 1)", "12.3"),
    ("decimal(38)", "9" * 38),
    ("double", "NaN"),
    ("real", "-1.5e-3"),
    ("date", "2024-02-29"),
    ("time", "23:59:59.999999"),
    ("timestamp", "2024-02-29T00:00:00"),
    ("timestamp(3) with time zone", "2024-02-29 00:00:00.123 Europe/Berlin"),
    ("timestamp with time zone", "2024-02-29T00:00:00Z"),
    ("uuid", "6A1d1c5e-8f5f-4f0e-9a37-0f3c2f1b7d90"),
    ("varbinary", "AAEC"),
    ("json", '{"a": [1]}'),
    ("array(date)", '["2024-02-29", null]'),
    ("array(array(decimal(3, 1)))", "[[1.5], null, []]"),
]
BAD = [
    ("bigint", "1 OR 1=1"),
    ("bigint", "9223372036854775808"),
    ("bigint", "1.0"),
    ("bigint", "\u0661"),
    ("decimal(3, 1)", "12.34"),
    ("decimal(3, 1)", "123"),
    ("decimal(39, 0)", "1"),
    ("decimal", "1e3"),
    ("double", "nan"),
    ("date", "2023-02-29"),
    ("date", "2024-02-29'"),
    ("time", "24:00:00"),
    ("timestamp", "2024-02-29 00:00:00 UTC"),
    ("timestamp with time zone", "2024-02-29 00:00:00"),
    ("boolean", "True"),
    ("uuid", "x"),
    ("varbinary", "A"),
    ("json", "{a: 1}"),
    ("varchar", "a\0b"),
    ("varchar", "\ud800"),
    ("varchar(2)", "abc"),
    ("array(bigint)", "[1.5]"),
    ("array(bigint)", "{}"),
    ("array(varchar)", '["\\u0000"]'),
    ("array(varchar)", '[{"a": 1}]'),
    ("json", "NaN"),
    ("json", "[-Infinity]"),
    ("json", '"\\ud800"'),
    ("json", '{"\\udc00": 1}'),
    ("array(json)", '["[\\"\\\\ud800\\"]"]'),
    ("array(" * 9 + "date" + ")" * 9, "[]"),
    ("map(varchar, bigint)", "{}"),
    ("bigint); DROP", "1"),
    ("", "1"),
]


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_a_value_of_its_type_is_taken(kind: str, value: str) -> None:
    assert parameters_problem([Parameter("x", kind, value)]) is None


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_what_is_no_value_of_its_type_is_refused_without_the_value(kind: str, value: str) -> None:
    problem = parameters_problem([Parameter("day", kind, value)])
    assert problem is not None
    assert problem.startswith("day: ")
    assert value not in problem or len(value) < 3


def test_null_is_a_value_of_every_type() -> None:
    assert parameters_problem([Parameter("a", ""), Parameter("b", "date")]) is None


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ([Parameter("a", "date"), Parameter("", "date")], "all have names"),
        ([Parameter("a", "date"), Parameter("A", "date")], "different names"),
        ([Parameter("1a", "date")], "starts with no digit"),
        ([Parameter("", "date")] * (MAX_PARAMETERS + 1), "at most"),
        ([Parameter("", "varchar", "x" * 60_000)] * (MAX_ALL_CHARS // 60_000 + 1), "together"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(
    parameters: list[Parameter], words: str
) -> None:
    assert words in (parameters_problem(parameters) or "")
