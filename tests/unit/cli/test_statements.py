"""Where the statements of a script end."""

from __future__ import annotations

import pytest

from queryrun_cli.statements import split_statements, statements_of, without_comments


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


ROUTINE = """WITH FUNCTION grade(n bigint) RETURNS varchar
BEGIN
  DECLARE found varchar DEFAULT CASE WHEN n > 1 THEN 'many;' ELSE 'few' END;
  IF n = 0 THEN RETURN 'none'; END IF;
  CASE n WHEN 7 THEN SET found = 'lucky'; ELSE SET found = found || ''; END CASE;
  RETURN found;
END
SELECT grade(7)"""


def test_the_semicolons_of_a_routine_separate_no_statements() -> None:
    script = f"SELECT 1;\n{ROUTINE};\nSELECT 2"
    assert [part.text for part in statements_of(script)] == ["SELECT 1", ROUTINE, "SELECT 2"]


def test_a_routine_that_has_not_ended_is_no_statement_yet() -> None:
    begun = ROUTINE[: ROUTINE.index("RETURN found;") + len("RETURN found;")]
    assert split_statements(begun) == ([], begun)
