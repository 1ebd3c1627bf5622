"""What every engine that speaks Trino's SQL does with `?` and `:name`.

A class of an engine's tests inherits `ParameterContract`; its `session` speaks Trino's SQL over a
table `account` with the rows 1, 2, 3 in `id`. Values are compared as text, so that each engine is
held to the same digits.
"""

from __future__ import annotations

import pytest

from queryrun.engines.base import EngineSession
from queryrun.errors import RunFailed
from queryrun.sql.parameters import Parameter, parameters_problem
from queryrun.sql.trino.immediate import opened
from queryrun.sql.trino.markers import values_of

Row = tuple[object, ...]

VALUES = {
    "bigint": ("9223372036854775807", "9223372036854775807"),
    "integer": ("-7", "-7"),
    "decimal": ("12.30", "12.30"),
    "decimal(38, 6)": ("-12345678901234567890.123456", "-12345678901234567890.123456"),
    "varchar": ("007 ' \" ; -- ünï 😀", "007 ' \" ; -- ünï 😀"),
    "boolean": ("true", "true"),
    "date": ("2024-02-29", "2024-02-29"),
    "timestamp": ("2024-02-29T23:59:59.123456", "2024-02-29 23:59:59.123456"),
}
"""Types, a value of each, and how Trino casts it to text."""
ATTACKS = [
    "' OR 1=1 --",
    "1) OR (1=1",
    "x'; DROP TABLE account; --",
    "' UNION SELECT id FROM account --",
    "\\' OR 1=1 #",
    "{{id}} ${id} %s :id ? $1",
    "*/ SELECT 1 /*",
    "\N{RIGHT SINGLE QUOTATION MARK} OR 1=1",
]
"""Texts that mean something where a value becomes a part of a statement."""


def rows(session: EngineSession, sql: str, *parameters: Parameter) -> list[Row]:
    """What a worker would get."""
    assert parameters_problem(parameters) is None
    found = opened(sql, values_of(parameters))
    planned = session.plan(found.text, values=found.values)
    return planned.connection.execute(f"FROM (\n{planned.relation}\n)").fetchall()


class ParameterContract:
    """See the module."""

    def test_each_type_arrives_as_its_value(self, session: EngineSession) -> None:
        parameters = [Parameter("", kind, value) for kind, (value, _) in VALUES.items()]
        sql = f"SELECT {', '.join('CAST(? AS varchar)' for _ in VALUES)}"
        assert rows(session, sql, *parameters) == [tuple(text for _, text in VALUES.values())]

    def test_a_value_filters_by_name_and_may_be_named_twice(self, session: EngineSession) -> None:
        sql = "SELECT id FROM account WHERE id >= :low AND :LOW < 3 ORDER BY id LIMIT :count"
        found = rows(
            session, sql, Parameter("low", "bigint", "2"), Parameter("count", "bigint", "1")
        )
        assert found == [(2,)]

    def test_null_equals_nothing(self, session: EngineSession) -> None:
        sql = "SELECT count(*) FROM account WHERE id = ? OR ? IS NOT NULL"
        assert rows(session, sql, Parameter("", ""), Parameter("", "date")) == [(0,)]

    def test_an_array_is_one_value(self, session: EngineSession) -> None:
        sql = "SELECT id FROM account WHERE contains(:ids, id) ORDER BY id"
        found = rows(session, sql, Parameter("ids", "array(integer)", "[1, 3, null]"))
        assert found == [(1,), (3,)]

    @pytest.mark.parametrize("kind", ["varchar", "array(varchar)"])
    def test_no_text_is_read_as_sql(self, session: EngineSession, kind: str) -> None:
        quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in ATTACKS]
        values = ATTACKS if kind == "varchar" else [f'["{text}"]' for text in quoted]
        item = "?" if kind == "varchar" else "element_at(?, 1)"
        sql = f"SELECT {', '.join(item for _ in values)}, (SELECT count(*) FROM account)"
        assert rows(session, sql, *(Parameter("", kind, value) for value in values)) == [
            (*ATTACKS, 3)
        ]

    def test_a_statement_in_execute_immediate_is_bound_alike(self, session: EngineSession) -> None:
        sql = (
            "EXECUTE IMMEDIATE 'SELECT id, ''it''''s '' || ? FROM account WHERE id = ?' "
            "USING 'o''clock', CAST('2' AS integer)"
        )
        assert rows(session, sql) == [(2, "it's o'clock")]

    def test_an_unknown_name_beside_a_value_has_its_position(self, session: EngineSession) -> None:
        with pytest.raises(RunFailed) as failed:
            rows(session, "SELECT :x,\n  nothing FROM account", Parameter("x", "varchar", "a\nb"))
        assert (failed.value.failure.line, failed.value.failure.column) == (2, 3)
