"""The files of statements: how they are read, and that every one of them is used and described."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

import queryrun.db
from queryrun.db.postgres.statements import DATABASE_CLOCK
from queryrun.db.postgres.statements import statements as postgres_statements
from queryrun.db.sqlite.statements import SQL as SQLITE
from queryrun.db.statements import _add

FOLDER = Path(str(queryrun.db.__file__)).parent
NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def names(database: str) -> set[str]:
    """Every named statement of one database."""
    folder = files("queryrun.db") / database / "sql"
    return {name for entry in folder.iterdir() for name in NAME.findall(entry.read_text("utf-8"))}


def test_a_block_is_its_text_without_its_comments_and_its_end() -> None:
    blocks = {"now": "1"}
    text = "-- About.\n\n-- fragment: part\n-- Why.\na\n\n-- name: whole\nSELECT {part}, {now};\n"
    _add(blocks, text)
    assert blocks == {"now": "1", "part": "a", "whole": "SELECT a, 1"}


def test_a_name_is_used_once() -> None:
    with pytest.raises(ValueError, match="two statements are named one"):
        _add({}, "-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n")


def test_a_reference_points_to_an_earlier_entry() -> None:
    with pytest.raises(KeyError, match="later"):
        _add({}, "-- name: one\nSELECT {later};\n-- fragment: later\n1\n")


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_every_statement_is_used(database: str) -> None:
    code = "\n".join(path.read_text("utf-8") for path in (FOLDER / database).glob("*.py"))
    used = {name for name in names(database) if f'"{name}"' in code}
    events = {name for name in names(database) if name.startswith("update_")}
    assert used | events == names(database)


def test_no_placeholder_is_left() -> None:
    for statement in (*SQLITE.values(), *postgres_statements(DATABASE_CLOCK).values()):
        assert not re.search(r"\{\w+\}", statement), statement
        assert not statement.endswith(";")
