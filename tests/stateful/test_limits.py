"""Limits as Hypothesis imagines them, on both databases."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.postgres_server import PostgresServer, postgres_server
from tests.stateful.conftest import PROFILE
from tests.stateful.databases import OnPostgresServer, OnSqliteFile
from tests.stateful.limits_machine import LimitsMachine

__all__ = ["postgres_server"]


class SqliteLimits(OnSqliteFile, LimitsMachine):
    """On SQLite."""


class PostgresLimits(OnPostgresServer, LimitsMachine):
    """On PostgreSQL."""


TestLimitsOnSqlite = SqliteLimits.TestCase
TestLimitsOnSqlite.settings = settings(PROFILE, max_examples=max(15, PROFILE.max_examples // 5))


@pytest.mark.timeout(600)
def test_limits_on_postgresql_are_what_the_model_says(postgres_server: PostgresServer) -> None:
    PostgresLimits.server = postgres_server
    fewer = settings(PROFILE, max_examples=max(5, PROFILE.max_examples // 20))
    run_state_machine_as_test(PostgresLimits, settings=fewer)
