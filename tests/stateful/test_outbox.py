"""The outbox and the ledger as Hypothesis imagines them, on both databases."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.postgres_server import PostgresServer, postgres_server
from tests.stateful.conftest import PROFILE
from tests.stateful.databases import OnPostgresServer, OnSqliteFile
from tests.stateful.outbox_machine import OutboxMachine

__all__ = ["postgres_server"]


class SqliteOutbox(OnSqliteFile, OutboxMachine):
    """On SQLite."""


class PostgresOutbox(OnPostgresServer, OutboxMachine):
    """On PostgreSQL."""


TestOutboxOnSqlite = SqliteOutbox.TestCase
TestOutboxOnSqlite.settings = settings(PROFILE, max_examples=max(15, PROFILE.max_examples // 5))


@pytest.mark.timeout(600)
def test_the_outbox_on_postgresql_is_what_the_model_says(postgres_server: PostgresServer) -> None:
    PostgresOutbox.server = postgres_server
    fewer = settings(PROFILE, max_examples=max(5, PROFILE.max_examples // 20))
    run_state_machine_as_test(PostgresOutbox, settings=fewer)
