"""Where the statements of a script end."""

from __future__ import annotations

import pytest

from queryrun_cli.statements import statements_of, without_comments


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT 1;\nSELECT 2 ; ;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';', \"a;b\"; SELECT 'it''s; ok'", ["SELECT ';', \"a;b\"", "SELECT 'it''s; ok'"]),
        ("-- a; b\nSELECT 1 /* ; */; -- the end;\n", ["-- a; b\nSELECT 1 /* ; */"]),
        ("SELECT 'never ends; x", ["SELECT 'never ends; x"]),
        ("", []),
        ("  ; -- nothing\n;", []),
    ],
)
def test_a_semicolon_ends_a_statement(script: str, statements: list[str]) -> None:
    assert [one.text for one in statements_of(script)] == statements


def test_a_statement_knows_its_line_of_the_script() -> None:
    script = "SELECT 1; SELECT 1;\n\n-- why\nSELECT\n 1; SELECT 1\n"
    assert [one.line for one in statements_of(script)] == [1, 1, 3, 5]


def test_a_comment_does_not_swallow_the_statement_on_one_line() -> None:
    found = " ".join(without_comments("SELECT '--' -- why\n, 1 /* and */ AS a").split())
    assert found == "SELECT '--' , 1 AS a"
