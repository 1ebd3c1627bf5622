"""Edits find what they break by its structure, and apply exactly once or fail."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.edits import DoesNotApply, Edit, SqlEdit, TableEdit

SOURCE = '''
class Pool:
    """A pool."""

    async def stop(self, worker):
        worker.interrupt()
        worker.process.kill(  # for certain
            "now",
        )
        return await self.reaped(worker)

    async def close(self):
        self.reaped(None)


def stop(worker):
    if worker.state is State.BUSY:
        worker.process.kill("now")
'''


def edited(within: str, old: str, new: str) -> str:
    """The source after one edit, in the form of `ast.unparse`."""
    return Edit("pool.py", within, old, new).edited(SOURCE)


def test_a_statement_is_removed_however_it_is_written() -> None:
    body = edited("Pool.stop", "worker.process.kill('now')", "")
    assert body.count("kill") == 1
    assert "pass" in body


def test_an_expression_is_replaced_inside_its_statement() -> None:
    body = edited("Pool.stop", "await self.reaped(worker)", "None")
    assert "return None" in body


def test_a_condition_is_replaced() -> None:
    assert "is State.IDLE" in edited(
        "stop", "worker.state is State.BUSY", "worker.state is State.IDLE"
    )


def test_a_statement_becomes_several() -> None:
    body = edited("Pool.stop", "worker.interrupt()", "worker.interrupt()\nworker.forget = True")
    assert ast.parse(body)
    assert "forget = True" in body


@pytest.mark.parametrize(
    ("within", "old"),
    [
        ("", "worker.process.kill('now')"),
        ("Pool.stop", "worker.process.kill('later')"),
        ("Pool.start", "worker.interrupt()"),
        ("Pool.stop", "a = 1; b = 2"),
    ],
)
def test_what_is_not_there_exactly_once_does_not_apply(within: str, old: str) -> None:
    with pytest.raises(DoesNotApply):
        edited(within, old, "None")


SQL = """
-- name: save_handle
-- Index: the primary key.
UPDATE attempts SET handle = :handle
WHERE number = :number AND state = 'in_progress';

-- fragment: others
AND state = 'in_progress'
"""


def test_a_named_statement_is_edited_and_no_other() -> None:
    edit = SqlEdit("runs.sql", "save_handle", " AND state = 'in_progress'", "")
    assert edit.edited(SQL).count("state = 'in_progress'") == 1
    assert "WHERE number = :number;" in edit.edited(SQL)


@pytest.mark.parametrize("name", ["save", "others_too"])
def test_a_statement_that_is_not_there_is_not_edited(name: str) -> None:
    with pytest.raises(DoesNotApply):
        SqlEdit("runs.sql", name, "state", "").edited(SQL)


def test_an_entry_of_a_table_is_set_after_the_table_is_made() -> None:
    edit = TableEdit("state.py", "MOVES", "(A, B)", "C")
    assert edit.edited("MOVES = {(A, B): A}\nEND = set(MOVES)").splitlines() == [
        "MOVES = {(A, B): A}",
        "MOVES[A, B] = C",
        "END = set(MOVES)",
    ]
