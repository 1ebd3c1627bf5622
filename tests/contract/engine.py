"""What every Engine must do: the sentences of its protocol, each as a test.

An implementation inherits `EngineContract` and provides the fixtures `session` (over a source
that has a table `account` with the rows 1, 2, 3 in `id`) and `statements`: its dialect's words.
Stopping and killing is the worker's matter and is tested there, from another process.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from queryrun.engines.base import EngineSession
from queryrun.errors import FailureCode, RunFailed


@dataclass(frozen=True, slots=True)
class Statements:
    """The same intentions in the words of one engine."""

    endless: str
    bad_cast: str
    """Fails while it runs, on its second line, where a value cannot be cast."""


class EngineContract:
    """See the module."""

    def test_a_plan_has_columns_and_a_relation(self, session: EngineSession) -> None:
        planned = session.plan("SELECT id FROM account ORDER BY id")
        assert [column.name for column in planned.columns] == ["id"]
        rows = planned.connection.execute(f"SELECT * FROM (\n{planned.relation})").fetchall()
        assert rows == [(1,), (2,), (3,)]

    def test_columns_keep_the_case_of_their_names(self, session: EngineSession) -> None:
        planned = session.plan("SELECT id AS MyId, id + 1 AS other FROM account")
        assert [column.name for column in planned.columns] == ["MyId", "other"]

    def test_a_name_that_is_unknown_fails_with_its_position(self, session: EngineSession) -> None:
        with pytest.raises(RunFailed) as failed:
            session.plan("SELECT id,\n  nothing FROM account")
        failure = failed.value.failure
        assert failure.code is FailureCode.NAME_NOT_FOUND
        assert "'nothing' cannot be resolved" in failure.message
        assert (failure.line, failure.column) == (2, 3)

    def test_a_table_that_is_unknown_fails(self, session: EngineSession) -> None:
        with pytest.raises(RunFailed) as failed:
            session.plan("SELECT * FROM nothing")
        assert failed.value.failure.code is FailureCode.NAME_NOT_FOUND
        assert "does not exist" in failed.value.failure.message

    def test_an_error_while_it_runs_is_translated(
        self, session: EngineSession, statements: Statements
    ) -> None:
        planned = session.plan(statements.bad_cast)
        before = "SELECT * FROM ("
        with pytest.raises(Exception) as raised:
            planned.connection.execute(f"{before}{planned.relation})").fetchall()
        failed = session.failure_of(raised.value, len(before))
        assert isinstance(failed, RunFailed)
        assert failed.failure.code is FailureCode.INVALID_VALUE
        assert failed.failure.line == 2

    def test_an_error_that_is_not_the_engines_is_passed_through(
        self, session: EngineSession
    ) -> None:
        error = KeyError("ours")
        assert session.failure_of(error) is error

    def test_an_interrupt_from_another_thread_ends_a_statement(
        self, session: EngineSession, statements: Statements
    ) -> None:
        error = _interrupted(session, statements.endless)
        assert isinstance(session.failure_of(error), RunFailed)

    def test_a_limit_that_interrupts_a_statement_is_its_failure(
        self, session: EngineSession, statements: Statements
    ) -> None:
        _interrupted(session, statements.endless)
        limit = RunFailed.of(FailureCode.ROW_LIMIT_EXCEEDED, "more than 3 rows")
        assert session.failure_of(limit) is limit

    def test_an_interrupt_while_nothing_runs_harms_nothing(self, session: EngineSession) -> None:
        for _ in range(3):
            session.interrupt()
        assert session.plan("SELECT id FROM account").columns

    def test_progress_can_always_be_requested(self, session: EngineSession) -> None:
        session.plan("SELECT id FROM account")
        percent = session.progress().percent
        assert percent is None or 0 <= percent <= 100
        session.close()
        assert session.progress().percent is None

    def test_close_can_be_repeated(self, session: EngineSession) -> None:
        session.close()
        session.close()

    def test_a_statement_that_writes_is_refused(self, session: EngineSession) -> None:
        with pytest.raises(RunFailed) as failed:
            session.plan("INSERT INTO account VALUES (4)")
        assert failed.value.failure.code is FailureCode.NOT_ALLOWED


def _interrupted(session: EngineSession, sql: str) -> Exception:
    """What ends a statement that another thread interrupts until it does."""
    planned = session.plan(sql)
    is_finished = threading.Event()

    def interrupt() -> None:
        while not is_finished.wait(0.005):
            session.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Exception) as raised:
            planned.connection.execute(f"FROM (\n{planned.relation})").fetchall()
    finally:
        is_finished.set()
        thread.join()
    return raised.value
