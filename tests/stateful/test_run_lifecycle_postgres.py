"""The lives of runs on PostgreSQL, as Hypothesis imagines them: three nodes on one database."""

from __future__ import annotations

from contextlib import ExitStack
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from queryrun.runs.store import RunStore
from tests.conftest import Clock
from tests.postgres_server import PostgresServer, new_open_database, postgres_server
from tests.stateful.conftest import PROFILE
from tests.stateful.run_lifecycle import RunLifecycle

__all__ = ["postgres_server"]


class PostgresLifecycle(RunLifecycle):
    """An empty database for each life."""

    server: ClassVar[PostgresServer]

    def open_store(self) -> tuple[Clock, RunStore]:
        """A database of the server, and its clock."""
        self.stack = ExitStack()
        database, clock, _ = self.stack.enter_context(new_open_database(self.server))
        return clock, database.runs

    def close_store(self) -> None:
        """Leave it empty."""
        self.stack.close()


@pytest.mark.timeout(600)
def test_a_run_on_postgresql_follows_the_table_of_transitions(
    postgres_server: PostgresServer,
) -> None:
    PostgresLifecycle.server = postgres_server
    fewer = settings(PROFILE, max_examples=max(20, PROFILE.max_examples // 2))
    run_state_machine_as_test(PostgresLifecycle, settings=fewer)
