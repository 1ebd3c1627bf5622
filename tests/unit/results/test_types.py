"""Type names are read as DuckDB writes them."""

from __future__ import annotations

import duckdb
import pytest

from queryrun.results.types import Type, parse_type

INTEGER = Type("INTEGER")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("INTEGER", INTEGER),
        ("TIMESTAMP WITH TIME ZONE", Type("TIMESTAMP WITH TIME ZONE")),
        ("DECIMAL(18,6)", Type("DECIMAL")),
        ('"NULL"', Type("NULL")),
        ("ENUM('a', 'b,''c)')", Type("ENUM")),
        ("INTEGER[]", Type("LIST", (INTEGER,))),
        ("INTEGER[3][]", Type("LIST", (Type("ARRAY", (INTEGER,)),))),
        ("MAP(VARCHAR, INTEGER[])", Type("MAP", (Type("VARCHAR"), Type("LIST", (INTEGER,))))),
        (
            'STRUCT(a INTEGER, "b ""c"" (" DECIMAL(4,1)[])',
            Type("STRUCT", (INTEGER, Type("LIST", (Type("DECIMAL"),))), ("a", 'b "c" (')),
        ),
        ("TUPLE(INTEGER, DOUBLE)", Type("TUPLE", (INTEGER, Type("DOUBLE")))),
        ("UNION(num INTEGER, s VARCHAR)", Type("UNION", (INTEGER, Type("VARCHAR")), ("num", "s"))),
    ],
)
def test_a_type_is_read_into_its_parts(text: str, kind: Type) -> None:
    assert parse_type(text) == kind


@pytest.mark.parametrize("text", ["", "STRUCT(", "A(B", "X[", "a,b", "MYSTERY<INT>"])
def test_what_we_cannot_read_is_a_plain_type(text: str) -> None:
    assert parse_type(text) == Type(text)


def test_every_type_that_duckdb_can_show_is_read(connection: duckdb.DuckDBPyConnection) -> None:
    rendered = connection.execute("DESCRIBE FROM test_all_types()").fetchall()
    for name, text, *_ in rendered:
        kind = parse_type(text)
        assert kind.name, name
        assert "(" not in kind.name, f"{name}: {text} was not taken apart"
        assert "[" not in kind.name, f"{name}: {text} was not taken apart"
